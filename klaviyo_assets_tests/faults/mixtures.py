"""A mixture of faults: one seed, from a warehouse of yesterday to one that equals the sandbox."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import clock
from klaviyo_assets.api import KlaviyoClient, errors
from klaviyo_assets.assets import resources
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.fault_plans import FaultPlan
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.state import FINGERPRINTED
from klaviyo_assets_tests.conftest import QUIET, Project, failures
from klaviyo_assets_tests.faults.story import (
    DAYS,
    INCREMENTAL,
    SETTINGS,
    SNAPSHOTS,
    TABLES,
    assets,
    rows_of,
    second_day,
    spools,
    wrong,
)

CHANGED_MEANWHILE = {
    "row that changes": {"person", "global_exclusion", "list_exclusion"},
    "list that is deleted": {"list", "list_person"},
}
"""Faults that change the account during the run: what has been read of these tables may be out of date at its end."""

NAMED = {name for name, kind in vars(errors).items() if isinstance(kind, type)} - {"KlaviyoError"} | {"Failure"}


class VirtualTime:
    """Monotonic seconds that pass only in `sleep`, which takes no time; the account's clock moves along."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._now = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        until = self._now + seconds
        time.sleep(0.001)
        with self._lock:
            ahead = max(0.0, until - self._now)
            self._now += ahead
            self._account.clock.advance(dt.timedelta(seconds=ahead))


def sync(
    account: Account, folder: Path, tables: Sequence[str] = TABLES, plan: FaultPlan | None = None
) -> dg.ExecuteInProcessResult:
    """Sync an account into the warehouse of a folder, with virtual waits."""
    complete = {"klaviyo__list_person": {"config": {"complete": True}}} if "list_person" in tables else {}
    passing = VirtualTime(account)
    with pytest.MonkeyPatch.context() as patch, Sandbox(account) as sandbox, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(clock, "machine_time", account.clock.now)
        patch.setattr(resources, "KlaviyoClient", partial(KlaviyoClient, clock=passing.clock, sleep=passing.sleep))
        sandbox.faults.extend([plan] if plan else [])
        settings = Settings(api_url=sandbox.url, duckdb_path=str(folder / "warehouse.duckdb"), **SETTINGS)
        project = Project(sandbox, settings, instance)
        return project.definitions.resolve_job_def("klaviyo_sync").execute_in_process(
            instance=instance,
            tags={RANGE_START: project.day(-DAYS), RANGE_END: project.day()},
            run_config={**QUIET, "ops": complete},
            asset_selection=assets(tables),
            raise_on_error=False,
        )


def mix(seed: int, template: Path | None, folder: Path, kinds: Collection[str] | None = None) -> str:
    """Run the mixture of a seed, from the warehouse in `template` (None: from nothing); return what it came to."""
    if template:
        shutil.copy(template / "warehouse.duckdb", folder)
    account = second_day(seed)
    tables = (TABLES, INCREMENTAL, ("list_person", *SNAPSHOTS))[seed % 3]
    warehouse = DuckDBWarehouse(database=str(folder / "warehouse.duckdb"))
    with warehouse.connect():  # as long as the file is open in a process, opening it again costs nothing
        return _mix(FaultPlan(seed, account, kinds=kinds), account, warehouse, folder, tables)


def _mix(plan: FaultPlan, account: Account, warehouse: DuckDBWarehouse, folder: Path, tables: Sequence[str]) -> str:
    before, states = rows_of(warehouse), warehouse.states()
    result = sync(account, folder, tables, plan)
    told = f"{plan}; the run {'succeeded' if result.success else 'failed'}"

    after = rows_of(warehouse)
    out_of_date = {name for kind in plan.kinds for name in CHANGED_MEANWHILE.get(kind, ())}
    for name in tables:
        problems = wrong(account, warehouse, name, finally_=False)
        as_before = after[name] == before[name] and warehouse.states().get((name, "")) == states.get((name, ""))
        assert not problems or as_before or name in out_of_date, (told, problems[:3])
        assert not result.success or not problems or name in out_of_date, (told, problems[:3])
    for step in result.all_events:
        if step.is_step_failure:
            error = step.step_failure_data.error
            assert error and named(error), (told, str(error))
    assert spools() == [], told

    healthy = sync(account, folder, tables)
    assert healthy.success, (told, failures(healthy))
    for name in tables:
        problems = wrong(account, warehouse, name, finally_="campaign_message" in tables)
        assert not problems, (told, problems[:3])
    for (_, scope), state in warehouse.states().items():
        assert scope in FINGERPRINTED or (state.synced_through and state.synced_through <= account.clock.now()), told
    assert spools() == [], told
    return told


def named(error: object) -> bool:
    """Whether an error or one of its causes is one of the client's own, or a step's, which say what happened."""
    while error is not None:
        if getattr(error, "cls_name", None) in NAMED:
            return True
        error = getattr(error, "cause", None)
    return False
