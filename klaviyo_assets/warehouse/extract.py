"""What an asset hands to the IO manager."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.spool import Spool

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.duckdb.loading import LoadResult


SNAPSHOT = "snapshot"
"""Scope of the state of a table's staging copy."""


@dataclass(frozen=True)
class Scope:
    """The rows that a complete read covers.

    Either the rows whose `column` lies in [start, end), or those whose `column` is among the values of a spool's only
    column, or, without a column, the whole table. Only what lies in the scope of a complete read can be inferred to
    be deleted. Of a row that is missing where its `column` can change, it can't be told from one that has moved:
    see `Extract.ask`.

    read_at: when the read began, by the server's clock.
    """

    column: str | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    values: Spool | None = None
    read_at: dt.datetime | None = None


WHOLE_TABLE = Scope()


@dataclass(frozen=True)
class SyncState:
    """How far a scope of a table is synced; a row of `_sync_state`.

    scope: "" for the table as a whole, else a part of it (`snapshot`).
    synced_from, synced_through: UTC, by the source's clock; everything from the one (None: from the beginning) until
        before the other has been read. The latter is the watermark. Of a complete read, or of a part of a table, it is
        the time of the read.
    complete: whether the scope was read completely, from its beginning to its end.
    synced_at: when this was stored, by the clock of the machine that did.
    read_number: of the read that it speaks of.
    extends: this is only worth storing if it touches what is stored already.
    """

    table: str
    scope: str = ""
    synced_from: dt.datetime | None = None
    synced_through: dt.datetime | None = None
    complete: bool = False
    rows: int | None = None
    run_id: str | None = None
    synced_at: dt.datetime | None = None
    read_number: int | None = None
    extends: bool = False

    def covers(self, start: dt.datetime, end: dt.datetime) -> bool:
        """Return whether all of [start, end) has been read."""
        if self.synced_through is None or self.synced_through < end:
            return False
        return self.synced_from is None or self.synced_from <= start

    def after(self, before: SyncState | None) -> SyncState | None:
        """Return what is known once this is added to what was known before; None: nothing new.

        The end of a range never moves backwards, nor across a gap that nobody has read. Of two moments that of the
        later read counts.
        """
        if before is None or before.synced_through is None:
            return None if self.extends else self
        if self.complete or self.scope:
            return self if (self.read_number or 0) >= (before.read_number or 0) else None
        if self.synced_through is None:
            return None
        if self.synced_from and self.synced_from > before.synced_through:
            return None
        if before.synced_from and self.synced_through < before.synced_from:
            return None
        starts = (self.synced_from, before.synced_from)
        return replace(
            self,
            synced_from=None if None in starts else min(start for start in starts if start),
            synced_through=max(self.synced_through, before.synced_through),
        )


Ask = Callable[[list[str], Spool], set[str]]
"""Asks the source about keys that a complete read did not return: writes the rows that it still has to the spool, and
returns the keys of those that it says are gone."""


@dataclass
class Extract:
    """Rows on their way into one table: an iterator of typed Arrow batches, or a spool that holds them already.

    began: number of the read, which `begin` of the warehouse gave; None: it begins with the load.
    snapshot: the rows are the whole table and replace its staging copy; otherwise they are upserted by key.
    patch: the rows only fill columns of rows that the table has already; they add and bring back none.
    scope: what was read completely, if anything: rows in it that did not come are flagged as deleted.
    guarded: whether `delete_guard` limits how many. Off where it is normal that all of them go.
    ask: what is asked before a row is flagged; only for a scope whose column can change while the row lives.
    states: written in the transaction of the rows.
    metadata: called after the last batch, for the asset's metadata.
    result: what the load did, once the IO manager has made it.
    """

    spec: TableSpec
    batches: Iterable[pa.RecordBatch] = ()
    spool: Spool | None = None
    began: int | None = None
    snapshot: bool = False
    patch: bool = False
    scope: Scope | None = None
    guarded: bool = True
    ask: Ask | None = None
    states: tuple[SyncState, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = field(default=dict)
    result: LoadResult | None = field(default=None, init=False)


@dataclass
class Sweep:
    """Every key that the source has: rows that existed before the sweep began and have no such key are deleted.

    keys: a spool with the table's primary key.
    began: number of the read.
    created: a TIMESTAMP column with the time at which a row came into being, by the source's clock.
    created_before: when the sweep began, by the source's clock.
    still_there: asked once more about the keys that seem to be gone; returns those that the source has after all.
    children: (table, column): their rows that refer to a deleted row, whenever that was deleted, are deleted too.
    """

    spec: TableSpec
    keys: Spool
    began: int
    created: str
    created_before: dt.datetime
    still_there: Callable[[list[str]], set[str]]
    children: tuple[tuple[TableSpec, str], ...] = ()
    accept_shrink: bool = False
    states: tuple[SyncState, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = field(default=dict)


@dataclass(frozen=True)
class Publication:
    """Asks for the staging copy of a table to be published into the destination, deletes included.

    infers_deletes: whether rows that are not in the staging copy are flagged as deleted.
    accept_shrink: flag them even if they are more than the guard allows.
    dependents: tables whose lookups go through this one.
    """

    spec: TableSpec
    infers_deletes: bool = True
    accept_shrink: bool = False
    dependents: tuple[TableSpec, ...] = ()
