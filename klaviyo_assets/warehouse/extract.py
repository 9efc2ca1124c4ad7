"""What an asset hands to the IO manager."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.results import Shrinkage
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.state import SyncState


@dataclass(frozen=True)
class Coverage:
    """The rows that a complete read covers.

    Either the rows whose `column` lies in [start, end), or those whose `column` is among the values of a spool's only
    column, or, without a column, the whole table. Only what lies in the coverage of a complete read can be inferred to
    be deleted. Of a row that is missing where its `column` can change, it can't be told from one that has moved:
    see `Extract.ask`.

    read_at: when the read began, by the server's clock.
    """

    column: str | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    values: Spool | None = None
    read_at: dt.datetime | None = None


WHOLE_TABLE = Coverage()


Ask = Callable[[list[str], Spool], set[str]]
"""Asks the source about keys that a complete read did not return: writes the rows that it still has to the spool, and
returns the keys of those that it says are gone."""


@dataclass
class Extract:
    """Rows on their way into one table: an iterator of typed Arrow batches, or a spool that holds them already.

    began: number of the read, which `begin` of the warehouse gave; None: it begins with the load.
    snapshot: the rows are the whole table and replace its snapshot; otherwise they are upserted by key.
    patch: the rows only fill columns of rows that the table has already; they add and bring back none.
    coverage: what was read completely, if anything: rows in it that did not come are flagged as deleted.
    guarded: whether `delete_guard` limits how many. Off where it is normal that all of them go.
    ask: what is asked before a row is flagged; only for a coverage whose column can change while the row lives.
    states: written in the transaction of the rows.
    metadata: called after the last batch, for the asset's metadata.
    shrinkage: what publishing the snapshot would do, once it is stored.
    """

    spec: TableSpec
    batches: Iterable[pa.RecordBatch] = ()
    spool: Spool | None = None
    began: int | None = None
    snapshot: bool = False
    patch: bool = False
    coverage: Coverage | None = None
    guarded: bool = True
    ask: Ask | None = None
    states: tuple[SyncState, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = field(default=dict)
    shrinkage: Shrinkage | None = None


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
    """Asks for the snapshot of a table to be published, deletes included.

    infers_deletes: whether rows that are not in the snapshot are flagged as deleted.
    accept_shrink: flag them even if they are more than the guard allows.
    dependents: tables whose lookups go through this one.
    snapshot: what makes the snapshot, for an error that says that there is none.
    """

    spec: TableSpec
    infers_deletes: bool = True
    accept_shrink: bool = False
    dependents: tuple[TableSpec, ...] = ()
    snapshot: str = "its snapshot"
