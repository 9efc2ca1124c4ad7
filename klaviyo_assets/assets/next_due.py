"""When each asset is due next, by the rule that its step leaves it out by."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from klaviyo_assets.assets.described import PERSON_DELETES, PERSON_PREDICTIONS, DescribedAssets
from klaviyo_assets.assets.memberships import GROUPS
from klaviyo_assets.sync.due import due_at, is_unpublished
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.sync.scopes import COMPLETE, PREDICTIVE_ANALYTICS, RECONCILIATION, SWEEP
from klaviyo_assets.tables.accounts import ACCOUNT_HISTORY
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets.tables.table import WEEKLY, Family
from klaviyo_assets.warehouse.state import SNAPSHOT, States


def next_due(described: DescribedAssets, states: States) -> dict[dg.AssetKey, dt.datetime]:
    """Return the server's time from which on each asset is due; those that the next sync has to read are left out."""
    settings = described.settings
    found = dict(_passes(described, states))
    families: dict[Family, list[str]] = {}
    cadences = {table.name: table.cadence for table in TABLES}
    for table in TABLES:
        if table.family in READS and settings.enabled(table):
            families.setdefault(table.family, []).append(table.name)
    for tables in families.values():
        # The tables of a family are read together, by one step.
        times = [due_at(settings, states, name, SNAPSHOT, cadences[name]) for name in tables]
        if None in times or any(is_unpublished(states, name) for name in tables):
            continue
        first = min(time for time in times if time)
        for name in tables:
            found[described.snapshot(name).key] = found[described.key(name)] = first
    return found


def _passes(described: DescribedAssets, states: States) -> Iterator[tuple[dg.AssetKey, dt.datetime]]:
    settings = described.settings
    scopes: list[tuple[str, str, str, dt.timedelta | None]] = [
        (ACCOUNT_HISTORY.name, ACCOUNT_HISTORY.name, "", ACCOUNT_HISTORY.cadence),
        (PERSON_DELETES, PERSON.name, SWEEP, WEEKLY),
        (PERSON_PREDICTIONS, PERSON.name, PREDICTIVE_ANALYTICS, WEEKLY),
        (RECONCILIATION, EVENT.name, RECONCILIATION, WEEKLY),
    ]
    if settings.memberships == "weekly":
        scopes += [(group.table.name, group.table.name, COMPLETE, WEEKLY) for group in GROUPS]
    for asset, table, scope, cadence in scopes:
        due = due_at(settings, states, table, scope, cadence)
        if due and (table, "") in states:
            yield described.key(asset), due
