"""A sync is killed at any moment, and the next one makes good what is missing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from filelock import FileLock

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.warehouse.state import FINGERPRINTED
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.faults.conftest import Killing
from klaviyo_assets_tests.faults.crashes import Kill
from klaviyo_assets_tests.faults.story import TABLES, exists, second_day, wrong

IN_TEST, IN_SOAK = 1, 200


def survive(seed: int, killing: Killing, folder: Path) -> None:
    """Kill the sync of a seed, look, sync again, look."""
    (folder / "temporary").mkdir()
    killing.folders.copy(killing.template, folder)
    kill = Kill.of(seed, killing.first.counts, killing.first.seconds)
    account = second_day(seed)
    warehouse = killing.folders.warehouse(folder)

    outcome = killing.sync(account, folder, kill)
    with killing.folders.kept_open(warehouse):
        ahead = ahead_of_data(account, warehouse)
        assert not ahead, (seed, kill, outcome, ahead[:3])
    left = spools(folder)
    for spool in left:
        with FileLock(spool / ".lock", timeout=0):
            pass  # nobody holds it

    resumed = killing.sync(account, folder)
    assert resumed.success, (seed, kill)
    with killing.folders.kept_open(warehouse):
        for name in TABLES:
            assert wrong(account, warehouse, name) == [], (seed, kill, outcome)
        assert ahead_of_data(account, warehouse) == [], (seed, kill)
    assert spools(folder) == [], (seed, kill, left)
    assert not (folder / "warehouse.duckdb.wal").exists(), (seed, kill)


def ahead_of_data(account: Account, warehouse: Warehouse) -> list[str]:
    """Watermarks that claim more than the warehouse holds."""
    ahead = []
    now = account.clock.now()
    for (name, scope), state in warehouse.states().items():
        if scope not in FINGERPRINTED and (state.synced_through is None or state.synced_through > now):
            ahead.append(f"{name} {scope} is beyond now")
    state = warehouse.state("event")
    if state and state.synced_from and state.synced_through and exists(warehouse, "event"):
        found = {row["id"] for row in stored(warehouse, "event")}
        first, end = state.synced_from.timestamp(), state.synced_through.timestamp()
        is_new = state.synced_through > now - dt.timedelta(hours=1)  # what came late since is for the next sync
        ahead += [
            f"event lacks {event.id}"
            for event in account.events
            if is_new and first <= event.occurred_at < end and event.id not in found
        ]
    for name in TABLES:
        state = warehouse.state(name)
        if state and state.synced_through and state.synced_through > now - dt.timedelta(hours=1):
            ahead += wrong(account, warehouse, name, finally_=False)
    return ahead


def spools(folder: Path) -> list[Path]:
    return list((folder / "temporary").glob("klaviyo_assets_spool_*"))


@pytest.mark.parametrize("seed", range(IN_TEST))
def test_a_kill(seed: int, killing: Killing, tmp_path: Path) -> None:
    survive(seed, killing, tmp_path)


@pytest.mark.parametrize("seed", [0])
def test_a_kill_on_postgres(seed: int, killing_on_postgres: Killing, tmp_path: Path) -> None:
    survive(seed, killing_on_postgres, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_TEST, IN_SOAK))
def test_a_kill_in_soak(seed: int, killing: Killing, tmp_path: Path) -> None:
    survive(seed, killing, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, IN_SOAK // 4))
def test_a_kill_on_postgres_in_soak(seed: int, killing_on_postgres: Killing, tmp_path: Path) -> None:
    survive(seed, killing_on_postgres, tmp_path)
