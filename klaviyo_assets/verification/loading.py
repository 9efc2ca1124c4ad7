"""Loads a few rows without Klaviyo or Dagster, and reads them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.warehouse import Warehouse

Row = Mapping[str, Any]

TABLE = TableSpec(
    name="verified",
    columns=(Column("id", Type.TEXT), Column("datetime", Type.TIMESTAMP), Column("note", Type.TEXT)),
    primary_key=("id",),
    partitioned_by="datetime",
    dynamic="property_",
)


def columns_of(rows: Sequence[Row], spec: TableSpec = TABLE) -> Columns:
    """Return rows with declared columns by name, and everything else as a property."""
    declared = {name: [row.get(name) for row in rows] for name in spec.types if any(name in row for row in rows)}
    names = dict.fromkeys(name for row in rows for name in row if name not in spec.types)
    dynamic = {
        f"{spec.dynamic}{name}": [json.dumps(row[name]).encode() if name in row else None for row in rows]
        for name in names
    }
    return Columns(len(rows), declared, dynamic)


def load(
    warehouse: Warehouse, *batches: Sequence[Row], spec: TableSpec = TABLE, guard: float | None = None, **options: Any
) -> LoadResult:
    """Load each batch as a file of its own, in one transaction. options: of `Extract`."""
    with temporary_spool() as spool:
        for rows in batches:
            spool.write_all(typed_batches([columns_of(rows, spec)], spec))
        return warehouse.load(Extract(spec, **options), spool, guard=guard)


def stored(warehouse: Warehouse, *columns: str, spec: TableSpec = TABLE) -> dict[str, Any]:
    """Return id -> the value of a column, or a tuple of those of several."""
    found = warehouse.rows(spec.name, ["id", *columns])
    return {id: values[0] if len(columns) == 1 else tuple(values) for id, *values in found}
