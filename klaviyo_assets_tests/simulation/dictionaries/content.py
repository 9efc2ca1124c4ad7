"""What a warehouse of dictionaries holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.results import AccountIdentity, Difference
from klaviyo_assets.warehouse.state import SyncState

Key = tuple[Any, ...]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A row, which never changes: another one takes its place.

    values: without what is NULL. stamp: when it was written. load: number of the load that did it. read: number of the
    read that it comes from.
    """

    values: Values
    deleted: bool
    stamp: dt.datetime
    load: int
    read: int

    def written(self, stamp: dt.datetime, load: int, read: int | None = None, **changes: Any) -> Row:
        return replace(self, stamp=stamp, load=load, read=self.read if read is None else read, **changes)


@dataclass
class Table:
    """types: of the columns, without those of the system. origins: appearing columns that came from the source."""

    types: dict[str, Type] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)
    origins: set[str] = field(default_factory=set)

    def copy(self) -> Table:
        return Table(dict(self.types), dict(self.rows), set(self.origins))

    def live(self) -> dict[Key, Row]:
        return {key: row for key, row in self.rows.items() if not row.deleted}

    def set_type(self, name: str, kind: Type) -> None:
        """Change the type of a column, with its values."""
        known = self.types.get(name, kind)
        self.types[name] = kind
        if known is not kind:
            for key, row in self.rows.items():
                if name in row.values:
                    changed = {**row.values, name: converted(row.values[name], known, kind)}
                    self.rows[key] = replace(row, values=changed)


@dataclass
class Content:
    """Everything.

    number: the newest that was taken. stamp: the last one that was given. notes: (table, key) -> since when a row is
    missed.
    """

    account: AccountIdentity | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    snapshots: dict[str, Table] = field(default_factory=dict)
    states: dict[tuple[str, str], SyncState] = field(default_factory=dict)
    number: int = 0
    stamp: dt.datetime = dt.datetime.min
    notes: dict[tuple[str, Key], dt.datetime | None] = field(default_factory=dict)
    differences: dict[str, list[Difference]] = field(default_factory=dict)
    requests: dict[str, list[dt.datetime]] = field(default_factory=dict)

    def copy(self) -> Content:
        return Content(
            self.account,
            {name: table.copy() for name, table in self.tables.items()},
            {name: table.copy() for name, table in self.snapshots.items()},
            dict(self.states),
            self.number,
            self.stamp,
            dict(self.notes),
            {name: list(found) for name, found in self.differences.items()},
            {name: list(times) for name, times in self.requests.items()},
        )


def converted(value: Any, kind: Type, target: Type) -> Any:
    """Return a value in a wider type."""
    if value is None or kind is target:
        return value
    if target is Type.DOUBLE:
        return float(value)
    if target is Type.TIMESTAMP:
        return dt.datetime.combine(value, dt.time())
    assert target is Type.TEXT, (kind, target)
    if kind is Type.BOOLEAN:
        return "true" if value else "false"
    if kind is Type.TIMESTAMP:
        return f"{value.isoformat()}+00:00"
    if kind is Type.DOUBLE and abs(value) <= EXACT_IN_DOUBLE and value == int(value):
        return str(int(value))
    return str(value)
