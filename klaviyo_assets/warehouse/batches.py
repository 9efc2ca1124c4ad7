"""From columns of JSON values to typed Arrow batches.

A declared column always gets its declared type. An appearing column gets the narrowest type that holds all its
values in the batch; the warehouse widens its own column where batches differ. Types only ever widen:

    boolean ─────────────────┐
    bigint ──► double ───────┼──► text
    timestamp ───────────────┤
    json (objects, lists) ───┘
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.schema.values import json_text
from klaviyo_assets.warehouse.appearing import join_of_one_kind, narrowest, of_one_kind, text_of_json
from klaviyo_assets.warehouse.arrow import ARROW_TYPES, timestamps

OnLost = Callable[[str, Sequence[str | None]], object]

BATCH_ROWS, BATCH_CELLS = 20_000, 12_000_000
"""A batch is full when it has so many rows, or values and empty cells together: wide rows need more memory."""

_TYPE_KEY = b"type"


def widen(left: Type, right: Type) -> Type:
    """Return the narrowest type that holds the values of both.

    Whether the integers of a bigint column fit a double exactly depends on the values: who widens checks.
    """
    if left == right:
        return left
    if {left, right} == {Type.BIGINT, Type.DOUBLE}:
        return Type.DOUBLE
    if {left, right} == {Type.DATE, Type.TIMESTAMP}:
        return Type.TIMESTAMP
    return Type.TEXT


def column_type(field: pa.Field) -> Type:
    """Return the type that `typed_batch` wrote into the metadata of an Arrow field."""
    return Type((field.metadata or {})[_TYPE_KEY].decode())


def typed_batches(
    columns: Iterable[Columns],
    spec: TableSpec,
    *,
    rows: int = BATCH_ROWS,
    on_lost: OnLost | None = None,
) -> Iterator[pa.RecordBatch]:
    """Join small `columns` to batches of about `rows` rows and give them types.

    on_lost: called with a declared column's name and, for each of its values that its type can't hold exactly, the key
        of the row. The value is NULL then; only an integer that is too large for a double is rounded, which is
        nearer to it than nothing. A row whose own key is lost is left out.
    """
    waiting: list[Columns] = []
    count = 0
    for part in columns:
        if part.rows:
            waiting.append(part)
            count += part.rows
        if count >= rows:
            yield typed_batch(_join(waiting), spec, on_lost=on_lost)
            waiting, count = [], 0
    if waiting:
        yield typed_batch(_join(waiting), spec, on_lost=on_lost)


def typed_batch(columns: Columns, spec: TableSpec, *, on_lost: OnLost | None = None) -> pa.RecordBatch:
    """Give the columns of one batch their types.

    Columns that appear and hold nothing but null are left out: they have no type yet.
    """
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    keyless: set[int] = set()

    def add(name: str, kind: Type, array: pa.Array) -> None:
        arrays.append(array)
        fields.append(pa.field(name, ARROW_TYPES[kind], metadata={_TYPE_KEY: kind.value.encode()}))

    for name, values in columns.declared.items():
        kind = spec.types[name]
        array, lost = _declared(values, kind)
        if lost and on_lost:
            on_lost(name, [_key(columns, spec, row) for row in lost])
        if name in spec.primary_key:
            keyless.update(row for row in lost if not array[row].is_valid)
        add(name, kind, array)
    for name, texts in columns.dynamic.items():
        found = narrowest(texts)
        if found:
            add(name, *found)
    for name, sparse in columns.sparse.items():
        add(name, *of_one_kind(sparse, columns.rows))
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
    return batch.take([row for row in range(columns.rows) if row not in keyless]) if keyless else batch


def _key(columns: Columns, spec: TableSpec, row: int) -> str | None:
    values = (columns.declared[name][row] for name in spec.primary_key if name in columns.declared)
    return "/".join(_text(value) or "" for value in values if value is not None) or None


def _join(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    rows = sum(part.rows for part in parts)
    sparse, others = join_of_one_kind(parts)
    dynamic = [{**part.dynamic, **part.texts(part.sparse.keys() & others)} for part in parts]
    counts = [part.rows for part in parts]
    return Columns(rows, _joined([part.declared for part in parts], counts), _joined(dynamic, counts), sparse)


def _joined(parts: Sequence[Mapping[str, list[Any]]], counts: Sequence[int]) -> dict[str, list[Any]]:
    joined: dict[str, list[Any]] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values = joined[name] = []
        for part, count in zip(parts, counts, strict=True):
            values.extend(part.get(name) or [None] * count)
    return joined


# Declared columns


def _declared(values: list[Any], kind: Type) -> tuple[pa.Array, list[int]]:
    """Convert to a declared type; return the places of values that it does not hold exactly, too."""
    if kind is Type.TIMESTAMP:
        array = timestamps(values)
        if array is not None:
            return array, []
    elif kind is Type.DOUBLE:
        array = _fast_doubles(values)
        if array is not None:
            return array, []
    elif kind is Type.TEXT:
        try:
            return pa.array(values, pa.string()), []
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass
    convert = _CONVERTERS[kind]
    converted = [None if value is None else convert(value) for value in values]
    lost = [
        place
        for place, (new, old) in enumerate(zip(converted, values, strict=True))
        if new is None and old not in (None, "")
    ]
    if kind is Type.DOUBLE:
        lost += [place for place, old in enumerate(values) if _is_rounded(old, converted[place])]
    return pa.array(converted, ARROW_TYPES[kind]), lost


def _fast_doubles(values: list[Any]) -> pa.Array | None:
    """Convert a column of numbers that are exact as doubles; None if it holds anything else."""
    if not set(map(type, values)) <= {float, int, type(None)}:
        return None
    try:
        array = pa.array(values, pa.float64())
    except (pa.ArrowInvalid, OverflowError):  # an integer beyond 2^53
        return None
    return array if pc.all(pc.is_finite(array)).as_py() is not False else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return text_of_json(bytes(value)) if isinstance(value, msgspec.Raw) else _json(value)


def _json(value: Any) -> str | None:
    try:
        return json_text(value)
    except RecursionError:
        return None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().lower())


def _integer(value: Any) -> int | None:
    number = _number(value)
    if isinstance(number, float):
        number = int(number) if number.is_integer() else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _double(value: Any) -> float | None:
    number = _number(value)
    if number is None:
        return None
    try:
        number = float(number)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _number(value: Any) -> int | float | None:
    """Read a number, or text that is one. A truth value is none."""
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if not isinstance(value, str) or "_" in value:  # which Python takes for a separator
        return None
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return None


def _is_rounded(value: Any, number: float | None) -> bool:
    if isinstance(value, float) or number is None:
        return False
    exact = _number(value)
    return isinstance(exact, int) and exact != number


def _timestamp(value: Any) -> dt.datetime | None:
    """Read ISO text (any precision, `T` or a space, no zone means UTC), a datetime or epoch seconds."""
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, (int, float)):
            moment = dt.datetime.fromtimestamp(value, dt.UTC)
        elif isinstance(value, dt.datetime):
            moment = value
        else:
            moment = dt.datetime.fromisoformat(str(value).strip())
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None
    return moment


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    moment = _timestamp(value)
    return moment.date() if moment else None


_CONVERTERS: dict[Type, Callable[[Any], Any]] = {
    Type.BOOLEAN: _boolean,
    Type.BIGINT: _integer,
    Type.DOUBLE: _double,
    Type.DATE: _date,
    Type.TIMESTAMP: _timestamp,
    Type.TEXT: _text,
    Type.JSON: _json,
}
