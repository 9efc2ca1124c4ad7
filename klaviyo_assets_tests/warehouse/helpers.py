"""Loads small tables without Klaviyo or Dagster."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.columns import Columns
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse
from klaviyo_assets.warehouse.loading import LoadResult
from klaviyo_assets.warehouse.schema import Column, TableSpec, Type
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.transaction import Transaction

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)

EVENT = TableSpec(
    name="event",
    columns=(Column("id", Type.TEXT), Column("datetime", Type.TIMESTAMP), Column("note", Type.TEXT)),
    primary_key=("id",),
    dynamic="property_",
)


class TimedWarehouse(DuckDBWarehouse):
    """Stamps rows with the beginning of the run that writes them, unless a test says that it is later by now."""

    _now: dt.datetime | None = PrivateAttr(default=None)

    @contextmanager
    def _transaction(self, schema: str, began: dt.datetime | None = None) -> Iterator[Transaction]:
        now = self._now or began or dt.datetime.now(dt.UTC)
        self._clock = lambda: now
        with super()._transaction(schema, began) as transaction:
            yield transaction


def warehouse_at(folder: Path, **options: Any) -> TimedWarehouse:
    return TimedWarehouse(database=str(folder / "warehouse.duckdb"), **options)


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
    at: dt.datetime | None = None,
    **options: Any,
) -> LoadResult:
    """Load each batch as a spool file of its own, in one transaction; at: when, if not when the run began."""
    if isinstance(warehouse, TimedWarehouse):
        warehouse._now = at
    with temporary_spool() as spool:
        for rows in batches:
            spool.write_all(typed_batches([event_columns(rows)], spec))
        return warehouse.load(spec, spool, **{"began": NOON, **options})


def rows(warehouse: DuckDBWarehouse, table: str = "klaviyo.event", order: str = "id") -> list[dict[str, Any]]:
    with warehouse.connect() as connection:
        result = connection.execute(f"SELECT * FROM {table} ORDER BY {order}")
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
