"""Properties in one JSON column instead of a column each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Raw

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.tables import events, profiles
from klaviyo_assets.tables.naming import column_names
from klaviyo_assets.tables.table import Table, json, text

Pack = Callable[[Mapping[str, Raw]], bytes | None]


@dataclass(frozen=True)
class Packing:
    """The JSON column of a table, and where its properties are on a page.

    prefix: of the columns that the properties would have. elsewhere: properties that fill declared columns only.
    kept: a property column that stays one.
    """

    column: str
    prefix: str
    description: str
    elsewhere: frozenset[str] = frozenset()
    kept: str | None = None

    def column_names(self, keys: Collection[str]) -> dict[str, str]:
        """Return property -> the column that it would have, of those that are packed."""
        return column_names([key for key in keys if key not in self.elsewhere], self.prefix)


PACKED = {
    "event": Packing(
        "custom_property_fields",
        events.PREFIX,
        "The event's properties, under their own names.",
        frozenset(("$flow", "$message", "$variation")),
        events.VALUE_TEXT,
    ),
    "person": Packing("custom_fields", profiles.PREFIX, "The profile's custom properties, under their own names."),
}
"""Table -> how its properties are packed."""


def packed_table(table: Table, packing: Packing) -> Table:
    """Return the table with the JSON column instead of columns that appear."""
    more = [json(packing.column, packing.description)]
    if packing.kept:
        more.append(text(packing.kept, "The event's value, where it is not a number."))
    return replace(table, columns=(*table.columns, *more), dynamic=None)


def packed(rows: Iterable[Mapping[str, Raw] | None], pack: Pack) -> list[Raw | None]:
    """Return the properties of each row as one JSON object: values are those of the page, exactly.

    pack: what becomes of the properties of a row.
    """
    objects = (pack(properties or {}) for properties in rows)
    return [None if text is None else Raw(text) for text in objects]


def with_packed(columns: Columns, rows: list[Raw | None], packing: Packing) -> Columns:
    """Return columns with packed properties in the place of the columns that appear."""
    more: dict[str, list[Any]] = {packing.column: rows}
    if packing.kept:
        texts = {**columns.dynamic, **columns.texts(columns.sparse.keys() & {packing.kept})}
        more[packing.kept] = texts.get(packing.kept) or [None] * columns.rows
    return Columns(columns.rows, {**columns.declared, **more})
