"""One account on two days, and what a warehouse must hold of it: what the tests of faults and of kills share."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.ranges import MARGIN
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.conftest import only
from klaviyo_assets_tests.expected import differences, stored

DAYS = 4
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=1)
SNAPSHOTS = ("metric", "campaign_message", "list")
INCREMENTAL = ("event", "person", "global_exclusion", "list_exclusion")
TABLES = (*INCREMENTAL, "list_person", *SNAPSHOTS)
CORRECTED_LATER = ("type", "campaign_id")
"""Columns of EVENT that repeat another table, whichever of the two comes last."""

SETTINGS: Mapping[str, Any] = {
    "tables": only(*TABLES),
    "memberships": "weekly",
    "request_timeout": 0.5,
    "history_start": (NOW - dt.timedelta(days=DAYS + 1)).date(),
}
Rows = dict[str, list[dict[str, Any]]]
States = dict[tuple[str, str], SyncState]


def in_any_folder(address: str, **given: Any) -> Settings:
    """Settings whose warehouse is in the folder where the process is when it opens it, made once for many folders."""
    return Settings(**given).model_copy(update={"warehouse": address})


def first_day() -> Account:
    """The account as it is synced first; its clock stands still. No event is wide, because columns cost time."""
    account = generate_account(events=250, profiles=45, days=DAYS, seed=5, now=NOW)
    for event in [event for event in account.events if len(event.properties) > 50]:
        account.remove_event(event.id)
    account.clock.freeze()
    return account


def second_day(seed: int, watermark: dt.datetime = NOW - MARGIN) -> Account:
    """The account 25 hours later, when everything is due again: rows on every edge, late, future-dated and changed."""
    random = Random(f"life {seed}")
    account = first_day()
    account.clock.advance(dt.timedelta(hours=25))
    now = account.clock.now()
    profiles = [profile.id for profile in account.all("profile")]
    metrics = [metric.id for metric in account.all("metric")]
    midnight = now.replace(hour=0, minute=0, second=0)
    edges = [now, now - MARGIN, watermark, watermark - dt.timedelta(hours=3), midnight, midnight - dt.timedelta(days=1)]
    second = dt.timedelta(seconds=1)
    times = [edge + offset for edge in edges for offset in (-second, dt.timedelta(0), second) if edge + offset <= now]
    times += [now + dt.timedelta(days=2), now - dt.timedelta(days=2, seconds=random.randrange(1000))]
    for number, moment in enumerate(times):
        account.add_event(
            random.choice(metrics),
            moment,
            profile_id=random.choice([*profiles, None]),
            properties={"n": number, "Seed": random.choice((seed, str(seed), None, [seed]))},
            id=f"Edge{number:06d}",
        )
    for number, edge in enumerate(edges):
        account.update("profile", profiles[number], updated=(edge - second * (number % 2)).isoformat(), title=f"{seed}")
    account.suppress(profiles[10])
    account.unsuppress(next((id for id in profiles[11:] if _suppressed(account, id)), profiles[11]))
    lists = [group.id for group in account.all("list")]
    account.join(lists[0], next(id for id in profiles if id not in account.memberships[lists[0]]))
    account.delete("list", lists[-1])
    account.rename("metric", metrics[0], f"Renamed {seed}")
    campaigns = [campaign.id for campaign in account.all("campaign")]
    account.update("campaign", campaigns[0], status="A status that nobody has heard of")
    account.delete("campaign", campaigns[1])
    return account


def _suppressed(account: Account, profile: str) -> bool:
    subscriptions = account.resources["profile"][profile].attributes.get("subscriptions") or {}
    return bool(subscriptions.get("email", {}).get("marketing", {}).get("suppression"))


def assets(tables: Iterable[str]) -> list[dg.AssetKey]:
    """The assets of tables and of their snapshots."""
    names = list(tables)
    staging = [dg.AssetKey(["klaviyo_staging", name]) for name in names if name in SNAPSHOTS]
    return [dg.AssetKey(["klaviyo", name]) for name in names] + staging


def rows_of(warehouse: Warehouse) -> Rows:
    """Every row of every table, by key; EVENT without what other tables correct."""
    found: Rows = {}
    for name in TABLES:
        rows = stored(warehouse, name) if exists(warehouse, name) else []
        hidden = ("_fivetran_synced", *(CORRECTED_LATER if name == "event" else ()))
        key = table(name).primary_key
        shown = [{column: value for column, value in row.items() if column not in hidden} for row in rows]
        found[name] = sorted(shown, key=lambda row: tuple(row[column] for column in key))
    return found


def exists(warehouse: Warehouse, name: str) -> bool:
    with warehouse.reading() as transaction:
        return transaction is not None and name in transaction.tables()


def wrong(account: Account, warehouse: Warehouse, name: str, *, finally_: bool = True) -> list[str]:
    """What is wrong with a table; `finally_`: also with what another table corrects."""
    if not exists(warehouse, name):
        return [f"there is no table {name}"]
    found = differences(account, warehouse, name, table(name).primary_key)
    if not finally_ and name == "event":
        found = [problem for problem in found if not any(f": {column} is " in problem for column in CORRECTED_LATER)]
    return found


def spools() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("klaviyo_assets_spool_*"))
