"""A sync is killed at any moment, and the next one makes good what is missing."""

from __future__ import annotations

import datetime as dt
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets.warehouse.state import FINGERPRINTED
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.conftest import narrowed, only, without_campaigns
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.faults.conftest import Killing
from klaviyo_assets_tests.faults.crashes import Kill
from klaviyo_assets_tests.faults.folders import IN_POSTGRES, SERVICE_FILE
from klaviyo_assets_tests.faults.story import TABLES, exists, second_day, wrong
from klaviyo_assets_tests.warehouse.databases import postgres_database

IN_TEST, IN_SOAK = 1, 200
EVENT_IS_MADE = "executed:CREATE INDEX"
"""The point in the first load of EVENT at which its rows are still to come."""


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


def test_another_machine_takes_over_and_accounts_do_not_wait_for_each_other(
    killing_on_postgres: Killing, tmp_path: Path
) -> None:
    """Two accounts in one database, two machines: a home, a temporary and a working folder each.

    On the first, the run of one account stands still in its load, and that of the other one dies in its own; the second
    goes on with what died. `test_machines` has more of both.
    """
    ask = killing_on_postgres.syncs.ask
    machines = [tmp_path / "machine0", tmp_path / "machine1"]
    for machine in machines:
        (machine / "temporary").mkdir(parents=True)
        (machine / "clock").write_text("0")
    killing_on_postgres.folders.begin(machines[0])
    shutil.copy(machines[0] / SERVICE_FILE, machines[1])
    accounts = [
        narrowed(without_campaigns(generate_account(events=60, profiles=9, days=2, seed=seed))) for seed in (1, 2)
    ]
    today = dt.datetime.now(dt.UTC).date()
    run: dict[str, Any] = {
        "tags": {RANGE_START: (today - dt.timedelta(days=3)).isoformat(), RANGE_END: today.isoformat()},
        "ahead": 0.0, "ops": {}, "only": [],
    }  # fmt: skip
    with ExitStack() as stack:
        served = [stack.enter_context(Sandbox(account, rate_limits="real")) for account in accounts]
        stack.callback(ask, "end")

        def start(shop: int, machine: Path, then: str | None = None) -> str:
            settings = {
                "name": f"shop{shop}", "schema": f"shop{shop}", "tables": only("metric"), "api_url": served[shop].url,
                "warehouse": IN_POSTGRES, "rate_limits": "warehouse",
            }  # fmt: skip
            places = {"folder": str(machine), "home": str(machine / "home")}
            plan = {f"{EVENT_IS_MADE} 1": then} if then else {}
            return str(ask("start", settings=settings, job=f"shop{shop}_sync", plan=plan, **places, **run))

        still = start(0, machines[0], "SIGSTOP")
        assert ask("settle") == {still: f"stopped at {EVENT_IS_MADE}"}
        dead = start(1, machines[0], "SIGKILL")
        assert ask("settle") == {still: f"stopped at {EVENT_IS_MADE}", dead: "killed"}
        again = start(1, machines[1])
        assert ask("settle") == {still: f"stopped at {EVENT_IS_MADE}", dead: "killed", again: "ended"}
        ask("signal", process=int(still), name="SIGCONT")
        assert ask("settle")[still] == "ended"
        assert [ask("report", process=int(process))["failures"] for process in (still, again)] == [[], []]
    for shop, account in enumerate(accounts):
        warehouse = PostgresWarehouse(address=postgres_database(machines[0]), schema_name=f"shop{shop}")
        assert [wrong(account, warehouse, name) for name in ("event", "person", "metric")] == [[], [], []]
        assert [request for request in served[shop].requests if request.status == 429] == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(IN_TEST, IN_SOAK))
def test_a_kill_in_soak(seed: int, killing: Killing, tmp_path: Path) -> None:
    survive(seed, killing, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, IN_SOAK // 4))
def test_a_kill_on_postgres_in_soak(seed: int, killing_on_postgres: Killing, tmp_path: Path) -> None:
    survive(seed, killing_on_postgres, tmp_path)
