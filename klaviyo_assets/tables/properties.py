"""Properties, which become columns by themselves: from JSON objects to values of one kind.

The price of a property is the same whatever others the row has: a page is flattened, every property gets the number
of its column, and all of them are sorted by that at once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Raw

from klaviyo_assets.schema.columns import Columns, Sparse, Texts
from klaviyo_assets.schema.decoding import FAILURES, Note, decoded
from klaviyo_assets.tables.naming import column_name as plain_name
from klaviyo_assets.tables.naming import column_names, with_hash

_quickly = msgspec.json.Decoder(dict[str, int | float | str | bool | list[Raw] | dict[str, Raw] | None])
_exactly = msgspec.json.Decoder(dict[str, Raw])

_BOOLEAN, _STRING, _INTEGER, _FLOAT, _OTHER = 1, 2, 4, 8, 16
_KINDS = {
    type(None): 0, bool: _BOOLEAN, str: _STRING, int: _INTEGER, float: _FLOAT, list: _OTHER, dict: _OTHER, Raw: _OTHER
}  # fmt: skip
_TYPES = {
    _BOOLEAN: pa.bool_(), _STRING: pa.string(), _INTEGER: pa.int64(), _FLOAT: pa.float64(),
    _INTEGER | _FLOAT: pa.float64(),
}  # fmt: skip

_FEW = 32  # members that are found by comparing them with each
_NO_FIELD = re.compile(r'[\x00-\x1f"\\]')
_NOWHERE = np.empty(0, np.int64)
_Array = np.ndarray[Any, np.dtype[Any]]


class Property(NamedTuple):
    """A property of a row. place: among all of the page. value: None, bool, int, float or str; else anything."""

    place: int
    row: int
    key: str
    value: Any


class Properties:
    """The properties of the rows of a page.

    objects: the JSON text of each row's, an object or nothing. rows: the same as dictionaries; strings, booleans and
    numbers are what they say, anything else has no certain form.
    """

    def __init__(self, objects: Sequence[Raw]) -> None:
        self.objects = objects
        self.rows = [_members(object) if object else {} for object in objects]

    def text(self, row: int, key: str) -> Raw:
        """Return the JSON text of a property."""
        return decoded(_exactly, self.objects[row])[key]

    def take(self, key: str) -> list[str | None]:
        """Remove a property from all rows; return it as text, None for null and for an empty string."""
        taken = [row.pop(key, None) for row in self.rows]
        return [
            value or None if value is None or isinstance(value, str) else bytes(self.text(row, key)).decode()
            for row, value in enumerate(taken)
        ]

    def columns(self, prefix: str) -> PropertyColumns:
        """Return the columns of what is in `rows` now."""
        return PropertyColumns(self, prefix)


def exact_properties(objects: Sequence[Raw]) -> list[dict[str, Raw] | None]:
    """Return the properties of each row of a page with the JSON text of their values."""
    return [decoded(_exactly, object) if object else None for object in objects]


def object_of(text: Raw, id: str, field: str, note: Note) -> Raw:
    """Return JSON text if it is an object, else nothing; anything but null is noted."""
    first = bytes(memoryview(text)[:1])
    if first == b"{":
        return text
    if first not in (b"", b"n"):
        note(id, field)
    return Raw()


def _members(object: Raw) -> dict[str, Any]:
    try:
        return _quickly.decode(object)
    except FAILURES:  # a number beyond the largest double, or of too many digits
        return decoded(_exactly, object)


class _Numbers(dict[str, int]):
    """Numbers names in the order in which they are asked for."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number


class PropertyColumns:
    """The properties of a page, by column; see `column_names` for which one that is.

    `take` removes a column, and `add` gives a property that was taken another one.
    """

    def __init__(self, properties: Properties, prefix: str) -> None:
        self._properties, self._prefix = properties, prefix
        keys: list[str] = []
        values: list[Any] = []
        for row in properties.rows:
            keys.extend(row)
            values.extend(row.values())
        self._values = np.fromiter(values, object, len(values))
        self._kinds = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.uint8, len(values))
        numbers = _Numbers()
        self._key = np.fromiter(map(numbers.__getitem__, keys), np.int32, len(keys))
        self._keys = list(numbers)
        lengths = np.fromiter(map(len, properties.rows), np.int32, len(properties.rows))
        self._row = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)

        columns = _Numbers()
        column = np.array([columns[plain_name(key, prefix)] for key in self._keys], np.uint32)[self._key]
        if len(columns) < len(self._keys):
            self._separate(column, columns, np.cumsum(lengths) - lengths)
        few = len(columns) < 2**16
        order = np.argsort(column.astype(np.uint16) if few else column, kind="stable")  # much faster with 16 bits
        ends = np.cumsum(np.bincount(column, minlength=len(columns)))[:-1]
        self._places = dict(zip(columns, np.split(order, ends), strict=True)) if columns else {}

    def _separate(self, column: _Array, columns: _Numbers, starts: _Array) -> None:
        """Give properties of one row that would share a column one each."""
        order = np.lexsort((self._row, column))
        row, shared = self._row[order], column[order]
        twice = (row[1:] == row[:-1]) & (shared[1:] == shared[:-1])
        for number in np.unique(row[1:][twice]).tolist():
            keys = tuple(self._properties.rows[number])
            names = column_names(keys, self._prefix)
            column[starts[number] : starts[number] + len(keys)] = [columns[names[key]] for key in keys]

    def take(self, column: str) -> Iterator[Property]:
        """Remove a column; yield its properties, in the order of the rows."""
        places = self._places.pop(column, _NOWHERE)
        keys = [self._keys[key] for key in self._key[places].tolist()]
        yield from map(Property, places.tolist(), self._row[places].tolist(), keys, self._values[places].tolist())

    def add(self, added: Sequence[tuple[Property, str]], *, hashed: bool = False) -> None:
        """Give properties the columns that are named, with a hash if the row has that one already, or if `hashed`."""
        places: defaultdict[str, list[int]] = defaultdict(list)
        for given, column in added:
            name = column
            if hashed or column in self._places:
                taken = column_names(tuple(self._properties.rows[given.row]), self._prefix).values()
                name = with_hash(column, given.key, taken) if hashed or column in taken else column
            places[name].append(given.place)
        for column, new in places.items():
            there = self._places.get(column, _NOWHERE)
            self._places[column] = np.sort(np.concatenate([there, np.array(new, np.int64)]))

    def columns(self, declared: dict[str, list[Any]]) -> Columns:
        """Return the rows with what is declared of them. A column that has nothing but null is left out."""
        rows = len(self._properties.rows)
        places = {name: own for name, own in self._places.items() if len(own)}
        if not places:
            return Columns(rows, declared)
        together = np.concatenate(list(places.values()))
        starts = np.cumsum([0, *map(len, places.values())])[:-1]
        kinds = self._kinds[together]
        by_kind: defaultdict[int, dict[str, _Array]] = defaultdict(dict)
        for (name, own), kind in zip(places.items(), np.bitwise_or.reduceat(kinds, starts).tolist(), strict=True):
            by_kind[kind][name] = own
        if not kinds.all():
            by_kind = defaultdict(
                dict, {kind: {name: own[self._kinds[own] > 0] for name, own in some.items()}
                       for kind, some in by_kind.items()}
            )  # fmt: skip
        sparse: dict[str, Sparse] = {}
        others: list[str] = []
        by_kind.pop(0, None)
        for kind, some in by_kind.items():
            found = self._of_one_kind(some, _TYPES[kind]) if kind in _TYPES else {}
            sparse |= found
            others += some.keys() - found.keys()
        texts = _Texts(self._properties.objects, self._places, self._row, self._key, self._keys).of
        return Columns(rows, declared, texts(others), sparse, texts)

    def _of_one_kind(self, places: dict[str, _Array], type: pa.DataType) -> dict[str, Sparse]:
        """Convert columns of one kind, all at once; leave out those that Arrow's type does not hold exactly."""
        together = np.concatenate(list(places.values()))
        try:
            values = pa.array(self._values[together].tolist(), type)
        except (pa.ArrowInvalid, OverflowError):  # a large integer
            halves = [dict(list(places.items())[start::2]) for start in (0, 1)] if len(places) > 1 else []
            return {name: own for half in halves for name, own in self._of_one_kind(half, type).items()}
        rows = self._row[together]
        found: dict[str, Sparse] = {}
        start = 0
        for name, own in places.items():
            end = start + len(own)
            found[name] = Sparse(rows[start:end], values[start:end])
            start = end
        return found


class _Texts(NamedTuple):
    """Finds the JSON text of the values of a page.

    places: column -> where its values are. row, key: of each place, the numbers of its row and of its key.
    """

    objects: Sequence[Raw]
    places: Mapping[str, _Array]
    row: _Array
    key: _Array
    keys: Sequence[str]

    def of(self, names: Collection[str]) -> dict[str, Texts]:
        """Return the JSON text of the values of some columns, one a row."""
        if not names:
            return {}
        chosen = np.unique(self.key[np.concatenate([self.places[name] for name in names])]).tolist()
        texts = _reader(tuple(self.keys[key] for key in chosen))
        exact: dict[int, Mapping[str, Raw]] = {}
        found: dict[str, Texts] = {}
        for name in names:
            places = self.places[name]
            cells: Texts = [None] * len(self.objects)
            for row, key in zip(self.row[places].tolist(), self.key[places].tolist(), strict=True):
                if row not in exact:
                    exact[row] = texts(self.objects[row])
                cells[row] = exact[row][self.keys[key]]
            found[name] = cells
        return found


@lru_cache(maxsize=1024)
def _reader(keys: tuple[str, ...]) -> Callable[[Raw], Mapping[str, Raw]]:
    """Return what reads the JSON text of some members of an object; few of them without the others."""
    if len(keys) > _FEW or any(_NO_FIELD.search(key) for key in keys):
        return lambda object: decoded(_exactly, object)
    fields = [f"m{number}" for number in range(len(keys))]
    kind = msgspec.defstruct(
        "Members", [(name, Raw, Raw()) for name in fields], gc=False, rename=dict(zip(fields, keys, strict=True))
    )
    decoder = msgspec.json.Decoder(kind)
    return lambda object: dict(zip(keys, msgspec.structs.astuple(decoded(decoder, object)), strict=True))
