"""What a warehouse answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from klaviyo_assets.warehouse.guard import Waiting
from klaviyo_assets.warehouse.state import States


@dataclass(frozen=True)
class LoadResult:
    """What a load did.

    rows: rows that came, duplicates removed. row_count: rows in the table afterwards, deleted ones included.
    older: rows that were not written because the table holds a newer version of them.
    overflow: names of appearing columns that the table has no room for.
    columns_left_out: columns that came and that the table does not take.
    columns_fixed: why columns were not widened, whose values went to the overflow column.
    rows_shortened: rows that are too long for the database, of which values went to the overflow column.
    columns_with_old_values: blocked or hashed columns that hold values from before they were.
    waiting: live rows that did not come and whose flags wait.
    shrinkage: of a snapshot that was stored.
    by_day: UTC day -> rows of it in the table, deleted ones included, of the days that were asked for and have any.
    """

    rows: int
    inserted: int
    updated: int
    deleted: int = 0
    older: int = 0
    corrected: int = 0
    row_count: int = 0
    columns_added: tuple[str, ...] = ()
    columns_widened: tuple[str, ...] = ()
    overflow: tuple[str, ...] = ()
    columns_left_out: tuple[str, ...] = ()
    columns_fixed: tuple[str, ...] = ()
    rows_shortened: int = 0
    columns_with_old_values: tuple[str, ...] = ()
    waiting: Waiting | None = None
    by_day: Mapping[dt.date, int] = field(default_factory=dict)
    shrinkage: Shrinkage | None = None


class Shrinkage(NamedTuple):
    """What publishing a snapshot would do.

    live: rows of the table that are not deleted. lacking: those of them that it lacks. staged: its rows.
    """

    live: int
    lacking: int
    staged: int


@dataclass(frozen=True)
class Inspection:
    """What was found in a table.

    rows, live: all rows, and those that are not deleted. live_before: the latter at the last inspection, None at the
        first. flagged: rows that were flagged as deleted since then.
    wholly: whether every row was looked at for the next three, else the rows that were written since.
    duplicates: keys that several rows have. without_key: rows with a NULL in their key.
    orphans: column -> live rows whose value no row of the other table has, deleted ones included.
    waiting: live rows that a complete read did not return, and that the guard keeps from being flagged.
    """

    rows: int
    live: int
    live_before: int | None
    flagged: int
    wholly: bool
    duplicates: int
    without_key: int
    orphans: Mapping[str, int]
    waiting: int = 0

    @property
    def flawless(self) -> bool:
        """Return whether nothing was found."""
        return not (self.duplicates or self.without_key or any(self.orphans.values()))


@dataclass(frozen=True)
class Difference:
    """Numbers of rows of a group on a UTC day: theirs are the source's, ours are those of the rows not deleted.

    reads: how often the day has been read completely since these numbers were first found.
    wanted: whether it is to be read again, and has not been since the last comparison.
    """

    day: dt.date
    group: str
    theirs: int
    ours: int
    reads: int = 0
    wanted: bool = False


@dataclass(frozen=True)
class AccountIdentity:
    """The account that rows come from. id: never changes. name: for people, None if it is not to be written."""

    id: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id


@dataclass(frozen=True)
class Beginning:
    """A read that begins. number: of the read. states: (table, scope) -> how far it is synced.

    mended: what could not be true of the states, a sentence each.
    """

    number: int
    states: States
    mended: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherType:
    """A column that is not of its declared type. native: its type. declared: the database's name of the other one.

    altered: whether the first load changes it, as rows are found by it; else it stays as long as it holds what comes.
    wrong: it would be changed, and has values that are none of its declared type.
    """

    native: str
    declared: str
    altered: bool = False
    wrong: bool = False


@dataclass(frozen=True)
class TableSurvey:
    """A table that somebody else has made and filled.

    types: column, folded -> native type, in order. others: those that are not as declared, system columns included.
    needed: columns that are not declared, and that no new row can do without.
    rows: deleted ones included.
    deleted, without_key, duplicates: rows that are flagged, rows with a NULL in their key, keys that several rows have.
    synced_at: the latest `_fivetran_synced`. first, last: of the column that partitions the table, the last one of what
        was not in the future when it was written. Aware, UTC; None: there is none.
    """

    types: Mapping[str, str]
    others: Mapping[str, OtherType]
    needed: frozenset[str] = frozenset()
    rows: int = 0
    deleted: int = 0
    without_key: int = 0
    duplicates: int = 0
    synced_at: dt.datetime | None = None
    first: dt.datetime | None = None
    last: dt.datetime | None = None


@dataclass(frozen=True)
class SchemaSurvey:
    """A schema that somebody else has made.

    tables: those that were asked for. names, views: of all, folded. staged: those of both in the schema of snapshots.
    """

    tables: Mapping[str, TableSurvey]
    names: frozenset[str] = frozenset()
    views: frozenset[str] = frozenset()
    staged: frozenset[str] = frozenset()
