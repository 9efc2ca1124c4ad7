"""Loads small tables without Klaviyo or Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.verification.loading import columns_of
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.warehouse.bigquery.server import rows as bigquery_rows
from klaviyo_assets_tests.warehouse.clickhouse.server import rows as clickhouse_rows
from klaviyo_assets_tests.warehouse.databases import DATABASES, NOON, in_dictionaries
from klaviyo_assets_tests.warehouse.snowflake.server import rows as snowflake_rows

EVENT = TableSpec(
    name="event",
    columns=(Column("id", Type.TEXT), Column("datetime", Type.TIMESTAMP), Column("note", Type.TEXT)),
    primary_key=("id",),
    dynamic="property_",
)


in_use = ["duckdb"]
"""The database of the test that runs, last."""


def warehouse_at(folder: Path, **options: Any) -> Any:
    """A warehouse in the database of the test that runs; one folder is one place."""
    make = in_dictionaries if in_use[-1] == "dictionaries" else DATABASES[in_use[-1]]
    warehouse = make(folder, **options)
    warehouse.set_clock(NOON)
    return warehouse


def begin(warehouse: Warehouse) -> int:
    """The number of a read that begins now."""
    return warehouse.begin().number


def event_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows with declared columns by name and everything else as a property."""
    return columns_of(rows, EVENT)


def load(
    warehouse: Warehouse,
    *batches: Sequence[Mapping[str, Any]],
    spec: TableSpec = EVENT,
    at: dt.datetime = NOON,
    **options: Any,
) -> LoadResult:
    """Load each batch as a spool file of its own, in one transaction; at: the time that the clock tells then."""
    if hasattr(warehouse, "set_clock"):
        warehouse.set_clock(at)
    with temporary_spool() as spool:
        for rows in batches:
            spool.write_all(typed_batches([event_columns(rows)], spec))
        guard = options.pop("guard", None)
        return warehouse.load(Extract(spec, **options), spool, guard=guard)


def rows(warehouse: Any, table: str = "klaviyo.event", order: str = "id") -> list[dict[str, Any]]:
    if in_use[-1] == "dictionaries":
        schema, _, name = table.partition(".")
        found: list[dict[str, Any]] = warehouse.read(name, snapshot=schema == "klaviyo_staging").to_pylist()
        return sorted(found, key=lambda row: str(row[order]))
    with warehouse.connect() as connection:
        if in_use[-1] == "snowflake":
            return snowflake_rows(connection, table, order)
        if in_use[-1] == "bigquery":
            return bigquery_rows(connection, table, order)
        if in_use[-1] == "clickhouse":
            return clickhouse_rows(connection, table, order)
        result = connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def json_text(text: str) -> str:
    """A text of JSON as it is after its column has become text: a VARIANT forgets spaces."""
    return text.replace(" ", "") if in_use[-1] in ("snowflake", "bigquery") else text


def json_type() -> str:
    """What DuckDB calls the type of a column of JSON: ClickHouse keeps it as text."""
    return "VARCHAR" if in_use[-1] == "clickhouse" else "JSON"


def run(warehouse: Any, *statements: str) -> None:
    """Run statements as a user does."""
    for statement in statements:
        warehouse.query(statement)


def column_types(warehouse: Warehouse, table: str = "event", *, native: bool = False) -> dict[str, str]:
    """Column -> native type; unless `native`, those that this project makes as DuckDB calls them."""
    with warehouse.session(writes=False) as session:
        if native:
            return session.columns("klaviyo", table)
        ours = {native: TYPE_NAMES[kind] for kind, native in session.dialect.type_names.items()}
        ours |= {"character varying": TYPE_NAMES[Type.TEXT], session.dialect.text: TYPE_NAMES[Type.TEXT]}
        return {name: ours.get(native, native) for name, native in session.columns("klaviyo", table).items()}
