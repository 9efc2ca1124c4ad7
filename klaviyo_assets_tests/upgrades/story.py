"""The account that the warehouse of 0.1.0 was filled from: the same in each process, and at each of its syncs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import frozen, narrowed

BEGAN = dt.datetime(2026, 11, 24, 9, 30, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NASTY: dict[str, Any] = {
    "Odd": 1,
    "odd": "one",
    "ODD ": [1, {"a": 1.50}],
    'a "quoted" name': None,
    "select": True,
    "_fivetran_synced": "mine",
    "naïve 🫖": 2**70,
    "x" * 70: -0.0,
    "": "of no name",
    "; DROP TABLE event; --": "'; DROP TABLE event; --",
}


def before_each_sync() -> Iterator[Account]:
    """Yield the account as it is at each sync of the earlier version; what has changed since the last one is for the
    version that comes next."""
    account = narrowed(generate_account(events=120, profiles=24, days=12, seed=11, now=BEGAN), metrics=4)
    frozen(account, BEGAN)
    metrics = sorted(each.id for each in account.all("metric"))
    number = 0

    def event(ago: dt.timedelta, **properties: Any) -> None:
        nonlocal number
        number += 1
        profiles = sorted(each.id for each in account.all("profile"))
        account.add_event(
            metrics[number % len(metrics)],
            account.clock.now() - ago,
            profile_id=profiles[number % len(profiles)],
            properties=properties,
            id=f"Nasty{number:06}",
        )

    def first(type: str, number: int = 0) -> str:
        return sorted(each.id for each in account.all(type))[number]

    event(HOUR, **NASTY)
    event(2 * DAY, n=1, widens=1)
    account.update("profile", first("profile"), properties={**NASTY, "widens": 1})
    yield account

    account.clock.advance(DAY)
    event(HOUR, n="text", widens="now and then")
    event(3 * DAY, late=True)
    account.remove_event(next(iter(account.events)).id)
    account.delete("list", first("list"))
    account.delete("profile", first("profile", 1))
    account.merge_profiles(first("profile", 2), first("profile", 3))
    account.suppress(first("profile", 4))
    account.rename("metric", metrics[0], 'M "0"')
    yield account

    account.clock.advance(DAY)
    for each in account.all("coupon"):  # which the guard holds back
        account.delete("coupon", each.id)
    account.unsuppress(first("profile", 4))
    event(-2 * HOUR, of="the future")
    yield account

    event(dt.timedelta(0), late=True, widens=1.5)
    event(2 * DAY, late="very")
    account.remove_event("Nasty000002")
    account.delete("list", first("list"))
    account.delete("profile", first("profile", 5))
    account.merge_profiles(first("profile", 6), first("profile", 0))
    account.update("profile", first("profile", 0), properties={"Odd": "text"}, title="T")
    account.rename("campaign", first("campaign"), "Renamed")
    account.rename("metric", metrics[1], "")
    account.clock.advance(2 * DAY)


def after_all() -> Account:
    """Return the account as it is when the version that comes next begins."""
    *_, account = before_each_sync()
    return account
