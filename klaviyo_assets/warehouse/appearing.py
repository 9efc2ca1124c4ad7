"""The types of columns that appear: the narrowest that holds all their values in a batch.

`narrowest` goes by the JSON text of the values. `of_one_kind` comes to the same for values that are of one kind, as
nearly all columns are, without looking at each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.schema.columns import Columns, Sparse, Texts
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.arrow import ARROW_TYPES, timestamps

_ZONED = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
_ZONED_TIME = re.compile(_ZONED)
_OF_ARROW = {pa.bool_(): Type.BOOLEAN, pa.int64(): Type.BIGINT, pa.float64(): Type.DOUBLE}

# Values of one kind


def join_of_one_kind(parts: Sequence[Columns]) -> tuple[dict[str, Sparse], set[str]]:
    """Join the columns whose values are of one kind in all parts; return them, and the names of the other ones."""
    pieces: dict[str, list[Sparse]] = {}
    others = {name for part in parts for name in part.dynamic}
    starts = accumulate((part.rows for part in parts), initial=0)
    for part, start in zip(parts, starts, strict=False):
        for name, (rows, values) in part.sparse.items():
            if name not in others:
                pieces.setdefault(name, []).append(Sparse(rows + np.int32(start), values))
    joined = {name: _joined(own) for name, own in pieces.items()}
    return {name: own for name, own in joined.items() if own}, others | {
        name for name, own in joined.items() if not own
    }


def _joined(pieces: Sequence[Sparse]) -> Sparse | None:
    arrays = [values for _, values in pieces]
    kinds = {values.type for values in arrays}
    if len(kinds) > 1:
        if kinds != {pa.int64(), pa.float64()}:
            return None
        try:
            arrays = [values.cast(pa.float64()) for values in arrays]
        except pa.ArrowInvalid:  # an integer that no double is
            return None
    return Sparse(np.concatenate([rows for rows, _ in pieces]), pa.concat_arrays(arrays))


def of_one_kind(values: Sparse, rows: int) -> tuple[Type, pa.Array]:
    """Return the type of a column whose values are of one kind, and its values in so many rows."""
    found, array = _OF_ARROW.get(values.values.type, Type.TEXT), values.values
    if found is Type.TEXT and pc.all(pc.match_substring_regex(array, f"^(?:{_ZONED})$")).as_py():
        times = timestamps(array)
        if times is not None:
            found, array = Type.TIMESTAMP, times
    return found, array if len(array) == rows else _in_rows(array, values.rows, rows)


def _in_rows(array: pa.Array, places: np.ndarray[Any, Any], rows: int) -> pa.Array:
    """Put values without null into their places, null into the other ones."""
    there = np.zeros(rows, bool)
    there[places] = True
    if pa.types.is_string(array.type):
        offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        lengths = np.zeros(rows + 1, np.int32)
        lengths[0], lengths[places + 1] = offsets[0], np.diff(offsets)
        buffers = [np.cumsum(lengths, dtype=np.int32), array.buffers()[2]]
    elif pa.types.is_boolean(array.type):
        values = np.zeros(rows, bool)
        values[places] = array.to_numpy(zero_copy_only=False)
        buffers = [np.packbits(values, bitorder="little")]
    else:
        numbers = array.view(pa.int64()).to_numpy()
        values = np.zeros(rows, numbers.dtype)
        values[places] = numbers
        buffers = [values]
    bits = np.packbits(there, bitorder="little")
    return pa.Array.from_buffers(array.type, rows, [pa.py_buffer(part) for part in (bits, *buffers)])


# Values of any kind

_NULL, _BOOLEAN, _STRING, _NESTED, _NUMBER = range(5)
_KINDS = {ord(char): _NUMBER for char in "-0123456789"} | {
    ord("t"): _BOOLEAN,
    ord("f"): _BOOLEAN,
    ord('"'): _STRING,
    ord("{"): _NESTED,
    ord("["): _NESTED,
    ord("n"): _NULL,
}
_DECODERS: dict[int, msgspec.json.Decoder[list[Any]]] = {
    _BOOLEAN: msgspec.json.Decoder(list[bool | None]),
    _STRING: msgspec.json.Decoder(list[str | None]),
    _NUMBER: msgspec.json.Decoder(list[int | float | None]),
}


def narrowest(slices: Texts) -> tuple[Type, pa.Array] | None:
    """Find the narrowest type that holds every value, and convert; None if there is no value at all.

    Most columns that appear are empty in most rows, so only the values themselves are looked at.
    """
    present = list(filter(None, slices))
    kind = next(filter(None, map(_kind, present)), None)
    if kind is None:
        return None
    found, values = _of_one_kind(kind, present) or (Type.TEXT, [text_of_json(bytes(value)) for value in present])
    if len(values) < len(slices):
        values = _spread(values, slices)
    return found, pa.array(values, ARROW_TYPES[found])


def _kind(value: msgspec.Raw | bytes) -> int:
    return _KINDS[memoryview(value)[0]]


def _of_one_kind(kind: int, present: list[msgspec.Raw | bytes]) -> tuple[Type, list[Any]] | None:
    """Convert values that are all of one kind, the one of the first that is not null; None if they are not."""
    if kind == _NESTED:
        if set(map(_kind, present)) - {_NULL, _NESTED}:
            return None
        return Type.JSON, [bytes(value).decode() if _kind(value) else None for value in present]
    try:
        values = _DECODERS[kind].decode(b"[" + b",".join(present) + b"]")
    except msgspec.DecodeError:
        return None  # another kind, or a number beyond the largest double
    if kind == _BOOLEAN:
        return Type.BOOLEAN, values
    return _strings_or_times(values) if kind == _STRING else _numeric(values)


def _spread(values: list[Any], slices: Sequence[Any]) -> list[Any]:
    """Put the values in the places that are not None."""
    spread: list[Any] = [None] * len(slices)
    for place, value in zip(compress(range(len(slices)), slices), values, strict=True):
        spread[place] = value
    return spread


def _strings_or_times(values: list[str | None]) -> tuple[Type, list[Any]]:
    texts = [value for value in values if value is not None]
    if all(map(_ZONED_TIME.fullmatch, texts)):
        times = timestamps(values)
        if times is not None:
            return Type.TIMESTAMP, times.cast(pa.int64()).to_pylist()
    return Type.TEXT, values


def _numeric(numbers: list[int | float | None]) -> tuple[Type, list[Any]] | None:
    """Bigint or double if that keeps every number exactly as far as JSON numbers are exact, else None."""
    kinds = set(map(type, numbers)) - {type(None)}
    if kinds == {float}:
        finite = all(map(math.isfinite, filter(None, numbers)))
        return (Type.DOUBLE, numbers) if finite else None
    integers = [number for number in numbers if isinstance(number, int)]
    if kinds == {int}:
        return (Type.BIGINT, numbers) if min(integers) >= -(2**63) and max(integers) < 2**63 else None
    if max(map(abs, integers)) > EXACT_IN_DOUBLE or any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
        return None
    return Type.DOUBLE, numbers


def text_of_json(text: bytes) -> str | None:
    """Return what a text column holds of JSON text: its string, or the JSON itself of what is no string."""
    if text[:1] == b'"':
        return msgspec.json.decode(text, type=str)
    return None if text == b"null" else text.decode()
