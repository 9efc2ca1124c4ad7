"""Rows on their way out, as Arrow: by COPY, which costs a fraction of what Python's values do."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.arrow import ARROW_TYPES
from klaviyo_assets.warehouse.postgres.catalog import PostgresCatalog, with_marks
from klaviyo_assets.warehouse.sql import quote

_BLOCK = 16 * 2**20
"""Bytes of CSV that are parsed at a time, at least those of the longest row."""

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_EXACT = {"smallint": pa.int16(), "integer": pa.int32(), "real": pa.float32(), "numeric": pa.float64()}


def arrow(session: PostgresCatalog, query: str, parameters: Sequence[Any]) -> pa.Table:
    """Run a query and return its rows: times in UTC without a zone, JSON and what Arrow has no type for as text."""
    # COPY takes no parameters.
    inlined = with_marks(query, [sql.Literal(value).as_string(session.connection) for value in parameters])
    described = session.execute(f"SELECT * FROM ({inlined}) AS rows LIMIT 0").description or []
    names = [column.name for column in described]
    natives = [native for (native,) in session.sql(
        "SELECT format_type(types.oid, types.modifier) FROM unnest(CAST(? AS oid[]), CAST(? AS integer[])) "
        "WITH ORDINALITY AS types (oid, modifier, n) ORDER BY n",
        [[column.type_code for column in described], [_modifier(column) for column in described]],
    )] if described else []  # fmt: skip
    types = {name: _arrow_type(session, native) for name, native in zip(names, natives, strict=True)}
    chosen = ", ".join(
        f"CAST({quote(name)} AS timestamp) AS {quote(name)}" if pa.types.is_timestamp(types[name]) else quote(name)
        for name in names
    )
    buffer, longest = io.BytesIO(), 0
    with session.copy(f"COPY (SELECT {chosen} FROM ({inlined}) AS rows) TO STDOUT (FORMAT csv)") as copy:
        for row in copy:
            longest = max(longest, len(row))
            buffer.write(row)
    if not buffer.tell():
        return pa.schema(list(types.items())).empty_table()
    buffer.seek(0)
    return csv.read_csv(
        buffer,
        csv.ReadOptions(column_names=names, block_size=max(_BLOCK, 2 * longest)),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=types, null_values=[""], true_values=["t"], false_values=["f"],
            strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip


def _modifier(column: Any) -> int:
    """Return the type modifier that `format_type` takes: psycopg tells it as precision and scale."""
    if column.precision is not None and column.scale is not None:
        return ((int(column.precision) << 16) | int(column.scale)) + 4
    return -1


def _arrow_type(session: PostgresCatalog, native: str) -> pa.DataType:
    if found := _NUMERIC.fullmatch(native):
        return pa.decimal128(int(found[1]), int(found[2])) if int(found[1]) <= 38 else pa.string()
    if native in _EXACT:
        return _EXACT[native]
    kind = session.dialect.type_of(native)
    return pa.string() if kind is Type.JSON else ARROW_TYPES[kind]
