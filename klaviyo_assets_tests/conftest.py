"""Shared fixtures: runs of the real definitions against a sandbox, over real HTTP."""

from __future__ import annotations

import datetime as dt
import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.storage.defs_state.base import _current_storage

from klaviyo_assets import clock
from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.build import build_definitions
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import TABLES as ALL_TABLES
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.duckdb.attached import attached
from klaviyo_assets_tests.commands import real_account
from klaviyo_assets_tests.expected import TABLES, differences

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Project:
    """The project as a user has it: definitions, a warehouse file, a Dagster instance and (a simulated) Klaviyo."""

    sandbox: Sandbox
    settings: Settings
    instance: dg.DagsterInstance
    definitions: dg.Definitions = field(init=False)
    ahead: dt.timedelta = dt.timedelta(0)
    """How much later than now the schedule and the sensor think it is."""

    def __post_init__(self) -> None:
        self.definitions = build_definitions(self.settings, clock=lambda: dt.datetime.now(dt.UTC) + self.ahead)

    @property
    def account(self) -> Account:
        return self.sandbox.account

    @property
    def warehouse(self) -> Any:
        return warehouse_of(self.settings)

    def day(self, offset: int = 0) -> str:
        """A partition key, counted from the sandbox's today."""
        return (self.account.clock.now() + dt.timedelta(days=offset)).date().isoformat()

    def run(
        self,
        job: str,
        first: int | None = None,
        last: int = 0,
        *,
        config: dict[str, Any] | None = None,
        only: list[str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, for a range of days counted from today if `first` is given; `only` an asset of it."""
        tags = {} if first is None else {RANGE_START: self.day(first), RANGE_END: self.day(last)}
        return self.execute(job, tags, config or {}, [dg.AssetKey(only)] if only else None)

    def execute(
        self,
        job: str,
        tags: Mapping[str, str],
        config: Mapping[str, Any],
        selection: Sequence[dg.AssetKey] | None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job. The file is held from its first step to its last: to open it for each costs a tenth of the CPU."""
        with self._held_open():
            return self.definitions.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                tags=dict(tags),
                run_config={**QUIET, **config},
                asset_selection=selection,
                raise_on_error=False,
            )

    @contextmanager
    def _held_open(self) -> Iterator[None]:
        file = Path(self.settings.duckdb_path)
        with ExitStack() as held:
            if file.is_file():
                with suppress(duckdb.IOException):  # another process has it
                    held.enter_context(attached(file))
            yield

    def sync(self, first: int = 0) -> dg.ExecuteInProcessResult:
        result = self.run("klaviyo_sync", first)
        assert result.success, failures(result)
        return result

    def refresh(self) -> dg.ExecuteInProcessResult:
        result = self.run("klaviyo_full_refresh")
        assert result.success, failures(result)
        return result

    def differences(self, *tables: str) -> list[str]:
        """What is wrong with the warehouse, in words."""
        return [
            problem
            for name in tables or TABLES
            for problem in differences(self.account, self.warehouse, name, table(name).primary_key)
        ]


def only(*tables: str) -> dict[str, bool]:
    """The `tables` setting that leaves nothing but event, person and these."""
    return {table.name: table.name in ("event", "person", *tables) for table in ALL_TABLES}


def without_campaigns(account: Account, but: int = 0) -> Account:
    """Delete an account's campaigns: what EVENT must hold depends on `campaign_message`, which takes long to sync.

    but: how many of either kind stay.
    """
    for type in ("campaign", "canvas-campaign"):
        for id in sorted(campaign.id for campaign in account.all(type))[but:]:
            account.delete(type, id)
    return account


def narrowed(account: Account, metrics: int = 6) -> Account:
    """Take out of an account its rarer metrics and its events of many properties: columns cost more than rows."""
    narrow = [event for event in account.events if len(event.properties) <= 12]
    kept = {id for id, _ in Counter(event.metric_id for event in narrow).most_common(metrics)}
    staying = {event.id for event in narrow if event.metric_id in kept}
    for event in [event for event in account.events if event.id not in staying]:
        account.remove_event(event.id)
    for metric in account.all("metric"):
        if metric.id not in kept:
            account.remove("metric", metric.id)
    return account


def frozen(account: Account, at: dt.datetime) -> Account:
    """Stop an account's clock at a time, to which it does not run on while it is made, and show all of its events."""
    account.clock.freeze()
    account.clock.set(at)
    for event in account.events:
        event.visible_at = event.attributed_at = 0.0
    return account


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """Why the steps of a run failed, causes included."""
    steps = [str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure]
    return steps or [str(event.event_specific_data) for event in result.all_events if event.is_run_failure]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """More processes than cores: in half of their time the tests wait, for a server, a lock or another process."""
    return (os.cpu_count() or 1) + 2


def pytest_collection() -> None:
    gc.disable()  # until all tests are collected: what is imported stays


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, so that no core waits for it at the end."""
    items.sort(key=lambda item: "test_a_month_lands_completely" not in item.name)


@contextmanager
def projects(file: Path, patch: pytest.MonkeyPatch) -> Iterator[Callable[..., Project]]:
    """Give what makes projects on a warehouse file."""
    patch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    patch.setattr("klaviyo_assets.api.limiter._SLACK", 0)  # these sandboxes have no limits
    with dg.DagsterInstance.ephemeral() as instance, ExitStack() as sandboxes:

        def make(account: Account, **settings: Any) -> Project:
            # This machine's clock is right, whatever time it is in the account.
            patch.setattr(clock, "machine_time", account.clock.now)
            sandbox = sandboxes.enter_context(Sandbox(account))
            given = {"api_url": sandbox.url, "duckdb_path": str(file), **settings}
            return Project(sandbox, Settings(**given), instance)

        yield make


def synced(file: Path, account: Account, days: int, **settings: Any) -> Path:
    """Sync all of an account into a new file and return it: what many tests begin with costs less as a copy."""
    with pytest.MonkeyPatch.context() as patch, projects(file, patch) as project:
        klaviyo = project(account, **settings)
        klaviyo.sync(first=-days)
        klaviyo.refresh()
    return file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Project]]:
    """Make projects: `project(account, **settings)`."""
    with projects(tmp_path / "warehouse.duckdb", monkeypatch) as make:
        yield make


@pytest.fixture
def real_folder(tmp_path: Path) -> Path:
    """A folder of a real account without its key: `.env`, a settings file, and places to be left alone."""
    (tmp_path / "real_home").mkdir()
    (tmp_path / "real.yaml").write_text(f"duckdb_path: {tmp_path}/real.duckdb\nschema: real\n")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in real_account(tmp_path).items()))
    return tmp_path


@pytest.fixture(autouse=True)
def no_instance_is_left() -> Iterator[None]:
    """Forget the Dagster instance of a test: definitions that the next one loads would ask it, closed as it is."""
    yield
    _current_storage.set(None)
