"""Which table is due: decided here, from the tables' cadences and the warehouse's state."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable

from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.scopes import CHANGED, COMPLETE, SWEEP
from klaviyo_assets.tables.table import Table
from klaviyo_assets.warehouse.guard import SETTLED_AFTER
from klaviyo_assets.warehouse.state import SNAPSHOT, WAITING, States

_INFER_DELETES = (SNAPSHOT, COMPLETE, SWEEP)


def fingerprint(settings: Settings) -> str:
    """Return what tells these settings from others: what was said under others is no longer sure."""
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]


def is_due(
    settings: Settings,
    states: States,
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


def is_snapshot_due(settings: Settings, states: States, tables: Iterable[Table], now: dt.datetime) -> bool:
    """Return whether one of some tables, which are read together, is due to be imported or published."""
    return any(
        is_due(settings, states, table.name, SNAPSHOT, table.cadence, now) or is_unpublished(states, table.name)
        for table in tables
    )


def due_at(
    settings: Settings,
    states: States,
    table: str,
    scope: str,
    cadence: dt.timedelta | None,
) -> dt.datetime | None:
    """Return the server's time from which on a scope is due; None: with every sync, or because it was never read."""
    last = states.get((table, scope))
    if cadence is None or last is None or last.synced_through is None:
        return None
    changed = states.get((table, CHANGED)) if scope == SNAPSHOT else None
    if changed and changed.synced_through == last.synced_through:
        return last.synced_through
    after = cadence - settings.sync_interval / 2
    if scope in _INFER_DELETES and (table, WAITING) in states:
        after = min(after, SETTLED_AFTER)  # a second look decides about the rows that wait to be flagged
    return last.synced_through + after


def is_unpublished(states: States, table: str) -> bool:
    """Return whether a table has a snapshot that was never published: the run ended in between, or was stopped."""
    snapshot, published = states.get((table, SNAPSHOT)), states.get((table, ""))
    if snapshot is None or snapshot.synced_through is None:
        return False
    return published is None or published.synced_through is None or published.synced_through != snapshot.synced_through
