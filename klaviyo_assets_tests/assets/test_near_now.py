"""Klaviyo refuses a filter whose time is later than some seconds before now: none of the requests may have one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets.sandbox.account import Account, Resource, format_datetime
from klaviyo_assets.sandbox.account.clock import Clock
from klaviyo_assets.sandbox.faults import Call
from klaviyo_assets_tests.conftest import Project, failures, only

NOW = dt.datetime(2026, 5, 10, 14, 0, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
A_SECOND = 40
"""Profiles, and events, that change and happen a second: 2.5 s fill a page of profiles."""

PAGE = dt.timedelta(milliseconds=200)
"""What passes from one request to the next."""


class Busy:
    """An account with a virtual clock that every request moves on, in which much happens all the time."""

    def __init__(self, start: dt.datetime, profiles: int) -> None:
        self.account = Account(Clock(start, frozen=True))
        self.account.add(Resource("metric", "M", {"name": "Viewed", "created": "2020-01-01T00:00:00+00:00"}))
        self.events = 0
        self.ids = [f"P{number:05d}" for number in range(profiles)]
        for number, id in enumerate(self.ids):
            # The time before is as busy as what follows.
            stamp = format_datetime(start - (profiles - number) * SECOND / A_SECOND)
            self.account.add(
                Resource("profile", id, {"email": f"{id}@example.com", "created": stamp, "updated": stamp})
            )
        self.changed = 0
        self.bounds: list[tuple[str, dt.timedelta]] = []

    def __call__(self, call: Call) -> None:
        now = self.account.clock.now()
        for field, moment in re.findall(r"(?:than|equal)\((\w+),(\d[^)]+)\)", call.query.get("filter", "")):
            self.bounds.append((field, now - dt.datetime.fromisoformat(moment)))
        self.live(PAGE)

    def live(self, by: dt.timedelta) -> None:
        for _ in range(round(by / SECOND * A_SECOND)):
            self.account.clock.advance(SECOND / A_SECOND)
            self.account.update("profile", self.ids[self.changed % len(self.ids)], title=f"No {self.changed}")
            self.account.add_event("M", self.account.clock.now(), profile_id=self.ids[0])
            self.changed += 1


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(NOW, id="noon", marks=pytest.mark.soak),
        pytest.param(dt.datetime(2026, 5, 11, 0, 0, 2, tzinfo=dt.UTC), id="midnight"),
    ],
)
def test_syncs_of_an_account_in_which_40_profiles_change_a_second(
    project: Callable[..., Project], start: dt.datetime
) -> None:
    busy = Busy(start, profiles=800)
    settings: dict[str, Any] = {
        "tables": only(),
        "models": False,
        "first_sync_days": 1,
        "predictive_analytics": "weekly",
    }
    klaviyo = project(busy.account, **settings)
    klaviyo.sandbox.faults.append(busy)
    for _ in range(3):
        result = klaviyo.run("klaviyo_sync", 0)
        assert result.success, failures(result)
        busy.live(20 * SECOND)
    assert {field for field, _ in busy.bounds} == {"datetime", "updated", "created"}
    assert min(before for _, before in busy.bounds) > 30 * SECOND
    klaviyo.sandbox.faults.clear()
    busy.account.clock.advance(dt.timedelta(hours=1))
    klaviyo.sync()
    assert klaviyo.differences("event", "person") == []


def test_forms_that_have_just_been_made(project: Callable[..., Project]) -> None:
    account = Account(Clock(NOW, frozen=True))
    for number in range(30):
        made = NOW - dt.timedelta(days=40 - number) if number < 19 else NOW - SECOND * (31 - number) / 10
        stamp = format_datetime(made)
        account.add(
            Resource("web-feed", f"F{number:02d}", {"name": f"feed{number}", "created": stamp, "updated": stamp})
        )
    klaviyo = project(account, tables=only("web_feed"), models=False)
    klaviyo.refresh()
    assert klaviyo.differences("web_feed") == []
    assert len(klaviyo.warehouse.rows("web_feed", ("id",))) == 30
