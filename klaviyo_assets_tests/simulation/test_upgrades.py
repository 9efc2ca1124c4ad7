"""Histories that begin with the warehouse of an earlier version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from klaviyo_assets_tests.conftest import without_campaigns
from klaviyo_assets_tests.simulation import plan
from klaviyo_assets_tests.simulation.history import CAMPAIGN_TABLES, KEYS, History, simulated
from klaviyo_assets_tests.upgrades import EARLIER, unpack
from klaviyo_assets_tests.upgrades.story import before_each_sync

Upgraded = Callable[[int], History]
"""Makes the history of a seed."""

IN_SOAK = 50
KILLS = range(1, 1200, 13)
"""Requests and statements at which the first sync ends; it has fewer than there are here."""

LATER = "subscriptions_email_click_tracking_"
"""How columns of PERSON begin that an earlier version did not have."""


@pytest.fixture(params=EARLIER)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgraded]:
    (tmp_path / "warehouse").mkdir()

    def make(seed: int) -> History:
        before = before_each_sync()
        history = new(seed, next(before))
        for _ in before:
            history.model.observe()
        without_campaigns(history.account)  # of them this version keeps what only that one knew: test_revisions.py
        history.model.observe()
        for versions in history.model.versions["person"].values():
            versions += [{name: row[name] for name in row if not name.startswith(LATER)} for row in versions]
        unpack(request.param, tmp_path / "warehouse" / "warehouse.duckdb")
        for name in CAMPAIGN_TABLES:
            for row in history.rows(name):
                key = tuple(row[column] for column in KEYS[name])
                values = {column: row[column] for column in row if not column.startswith("_fivetran")}
                history.model.versions[name][key].append(values)
        return history

    with simulated(tmp_path / "warehouse") as new:
        yield make


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_SOAK))
def test_a_history_that_begins_with_an_upgrade(seed: int, make: Upgraded) -> None:
    make(seed).live(plan.history(seed))


@pytest.mark.soak
@pytest.mark.parametrize("at", KILLS)
def test_the_first_sync_after_an_upgrade_is_killed(at: int, make: Upgraded) -> None:
    history = make(0)
    history.kill_at = at
    history.drive(history.sync())
    history.kill_at = None
    history.check("the kill")
    history.drive(history.sync())
    history.quiet(1)
