"""One row per key: the newest version, and the last among equals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.local.rows import ORDER, IncomingRows
from klaviyo_assets.warehouse.session import STAGE
from klaviyo_assets.warehouse.sql import column_list, quote


def stage_keys(
    sql: Callable[[str], list[tuple[Any, ...]]],
    spec: TableSpec,
    parts: Sequence[IncomingRows],
    types: Mapping[str, str],
    names: Sequence[str],
) -> tuple[int, bool]:
    """Make `STAGE` in a DuckDB: some columns, the key among them, of all rows that count, and their `ORDER`.

    sql: runs a statement in it. types: column -> type of DuckDB's. names: the columns.
    Returns the number of rows that came, and whether all of them count. Raises WarehouseError if a row has no key.
    """
    ddl = ", ".join(f"{quote(name)} {types[name]}" for name in names)
    sql(f"CREATE TEMP TABLE {STAGE} ({ddl}, {ORDER} BIGINT)")
    for part in parts:
        there = [name for name in names if name in part.values]
        sql(f"INSERT INTO {STAGE} ({column_list([*there, ORDER])}) {part.select(there)}")
    ((total, distinct, without_key),) = sql(
        f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {column_list(spec.primary_key)} FROM {STAGE})), "
        f"count(*) FILTER (WHERE {' OR '.join(f'{quote(name)} IS NULL' for name in spec.primary_key)}) FROM {STAGE}"
    )
    if without_key:
        raise keyless(spec, without_key)
    if total > distinct:
        newest = f"{quote(spec.version)} DESC NULLS LAST, " if spec.version in names else ""
        window = f"PARTITION BY {column_list(spec.primary_key)} ORDER BY {newest}{ORDER} DESC"
        sql(
            f"DELETE FROM {STAGE} WHERE {ORDER} IN "
            f"(SELECT {ORDER} FROM (SELECT {ORDER}, row_number() OVER ({window}) AS n FROM {STAGE}) WHERE n > 1)"
        )
    return total, total == distinct


def keyless(spec: TableSpec, rows: int) -> WarehouseError:
    """Return the error that rows have no key."""
    return WarehouseError(f"{rows} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")
