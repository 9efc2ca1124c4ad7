"""Which table is due: decided here, from the catalogue's cadences and the warehouse's state."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping

import dagster as dg

from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.guard import SETTLED_AFTER, WAITING
from klaviyo_assets.warehouse.extract import SNAPSHOT, SyncState

COMPLETE = "complete"
"""Scope of the state of the last complete read of memberships."""

SWEEP = "sweep"
"""Scope of the state of the last sweep of all profiles."""

_INFER_DELETES = (SNAPSHOT, COMPLETE, SWEEP)

INCREMENTAL = "klaviyo_assets/incremental"
"""Tag of runs that read only what is new and what is due. (A tag, because Dagster drops the config of a job with
partitions when it is launched for a range.)"""

UNREAD_ONLY = "klaviyo_assets/unread_only"
"""Tag of runs that want days that have never been read: nothing is read if that has happened since."""


NEXT_DUE = "next_due"
"""Metadata of `history`: the assets that the next syncs need not ask for, and until when."""


def fingerprint(settings: Settings) -> str:
    """Return what tells these settings from others: what was said under others is no longer sure."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def is_unread_only(context: dg.AssetExecutionContext) -> bool:
    """Return whether the run is there only for days that have never been read."""
    return context.run.tags.get(UNREAD_ONLY) == "true"


def is_incremental(context: dg.AssetExecutionContext, chosen: bool | None) -> bool:
    """Return what the run's config says, else what the run's job is for."""
    return context.run.tags.get(INCREMENTAL) == "true" if chosen is None else chosen


def is_due(
    settings: Settings,
    states: Mapping[tuple[str, str], SyncState],
    table: str,
    scope: str,
    cadence: dt.timedelta | None,
    now: dt.datetime,
) -> bool:
    """Return whether the last complete read of a scope is as old as its cadence, or will be before the next sync.

    cadence: None if every sync reads it. now: the server's time.
    """
    due = due_at(settings, states, table, scope, cadence)
    return due is None or now >= due


def due_at(
    settings: Settings,
    states: Mapping[tuple[str, str], SyncState],
    table: str,
    scope: str,
    cadence: dt.timedelta | None,
) -> dt.datetime | None:
    """Return the server's time from which on a scope is due; None: with every sync, or because it was never read."""
    last = states.get((table, scope))
    if cadence is None or last is None or last.synced_through is None:
        return None
    after = cadence - settings.sync_interval / 2
    if scope in _INFER_DELETES and (table, WAITING) in states:
        after = min(after, SETTLED_AFTER)  # a second look decides about the rows that wait to be flagged
    return last.synced_through + after


def is_unpublished(states: Mapping[tuple[str, str], SyncState], table: str) -> bool:
    """Return whether a table has a staging copy that was never published: the run ended in between, or was stopped."""
    snapshot, published = states.get((table, SNAPSHOT)), states.get((table, ""))
    if snapshot is None or snapshot.synced_through is None:
        return False
    return published is None or published.synced_through is None or published.synced_through != snapshot.synced_through
