"""Loads small tables without Klaviyo or Dagster."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import temporary_spool

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)

EVENT = TableSpec(
    name="event",
    columns=(Column("id", Type.TEXT), Column("datetime", Type.TIMESTAMP), Column("note", Type.TEXT)),
    primary_key=("id",),
    dynamic="property_",
)


class TimedWarehouse(DuckDBWarehouse):
    """Stamps rows with a time that tests choose."""

    def set_clock(self, now: dt.datetime) -> None:
        self._clock = lambda: now


def warehouse_at(folder: Path, **options: Any) -> TimedWarehouse:
    warehouse = TimedWarehouse(database=str(folder / "warehouse.duckdb"), **options)
    warehouse.set_clock(NOON)
    return warehouse


def begin(warehouse: DuckDBWarehouse) -> int:
    """The number of a read that begins now."""
    return warehouse.begin().number


def event_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows with declared columns by name and everything else as a property."""
    declared = {name: [row.get(name) for row in rows] for name in EVENT.types if any(name in row for row in rows)}
    names = dict.fromkeys(name for row in rows for name in row if name not in EVENT.types)
    dynamic = {
        f"property_{name}": [json.dumps(row[name]).encode() if name in row else None for row in rows] for name in names
    }
    return Columns(len(rows), declared, dynamic)


def load(
    warehouse: DuckDBWarehouse,
    *batches: Sequence[Mapping[str, Any]],
    spec: TableSpec = EVENT,
    at: dt.datetime = NOON,
    **options: Any,
) -> LoadResult:
    """Load each batch as a spool file of its own, in one transaction; at: the time that the clock tells then."""
    if isinstance(warehouse, TimedWarehouse):
        warehouse.set_clock(at)
    with temporary_spool() as spool:
        for rows in batches:
            spool.write_all(typed_batches([event_columns(rows)], spec))
        guard = options.pop("guard", None)
        return warehouse.load(Extract(spec, **options), spool, guard=guard)


def rows(warehouse: DuckDBWarehouse, table: str = "klaviyo.event", order: str = "id") -> list[dict[str, Any]]:
    with warehouse.connect() as connection:
        result = connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
