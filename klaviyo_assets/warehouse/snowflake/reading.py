"""Rows on their way out, as Arrow, which is what Snowflake sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from snowflake.connector.constants import FIELD_TYPES

from klaviyo_assets.warehouse.snowflake.catalog import SnowflakeCatalog
from klaviyo_assets.warehouse.snowflake.text import swapped

_DIGITS = 38


def arrow(session: SnowflakeCatalog, query: str, parameters: Sequence[Any]) -> pa.Table:
    """Run a query and return its rows: times in UTC without a zone, JSON as text, whole numbers as such."""
    cursor = session.execute(query, parameters)
    try:
        described = list(cursor.description)
        table = cursor.fetch_arrow_all(force_return_table=True, force_microsecond_precision=True)
    finally:
        cursor.close()
    names = [swapped(column.name) for column in described]
    columns = [
        _column(table.column(place), FIELD_TYPES[column.type_code].name, column.scale)
        for place, column in enumerate(described)
    ]
    return pa.Table.from_arrays(columns, names=names)


def _column(values: pa.ChunkedArray, kind: str, scale: int | None) -> pa.ChunkedArray:
    if kind.startswith("TIMESTAMP"):
        zoned = getattr(values.type, "tz", None)
        values = pc.cast(values, pa.timestamp("us", zoned))
        return pc.cast(values, pa.timestamp("us"))
    if kind == "FIXED":
        if scale:
            return values
        return pc.cast(values, pa.int64())
    if kind == "REAL":
        return pc.cast(values, pa.float64())
    if kind in ("TEXT", "VARIANT", "OBJECT", "ARRAY"):
        return pc.cast(values, pa.string())
    return values
