"""The jobs as a scheduler runs them: `dagster job execute`, in processes of their own, against a sandbox."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.dagster_storage.event_log import KEPT_OPEN
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.automation.processes import start_job
from klaviyo_assets_tests.conftest import Project, narrowed, only
from klaviyo_assets_tests.expected import differences, stored

KEY = "pk_f00dfacef00dfacef00dfacef00dfacef0"
DAYS = 5
TABLES = ("metric", "integration", "list")


@dataclass
class Deployment:
    """A DAGSTER_HOME, a DuckDB file and a Klaviyo account, for processes that run jobs."""

    folder: Path
    sandbox: Sandbox
    processes: ExitStack = field(default_factory=ExitStack)

    @property
    def warehouse(self) -> DuckDBWarehouse:
        return DuckDBWarehouse(database=str(self.folder / "warehouse.duckdb"))

    def day(self, offset: int) -> str:
        return (self.sandbox.account.clock.now() + dt.timedelta(days=offset)).date().isoformat()

    def start(self, job: str, first: int | None = None, last: int = 0) -> subprocess.Popen[str]:
        """Start a run, of a range of days counted from today unless `first` is None."""
        process = start_job(
            job,
            home=self.folder / "home",
            settings=Settings(
                api_url=self.sandbox.url,
                duckdb_path=str(self.folder / "warehouse.duckdb"),
                tables=only(*TABLES),
            ),
            key=KEY,
            tags={} if first is None else {RANGE_START: self.day(first), RANGE_END: self.day(last)},
            folder=self.folder,
        )
        self.processes.enter_context(process)
        self.processes.callback(process.kill)
        return process

    def run(self, job: str, first: int | None = None, last: int = 0) -> str:
        """Run a job to its end; returns its output."""
        return self.finish(self.start(job, first, last))

    def finish(self, process: subprocess.Popen[str]) -> str:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert "RUN_SUCCESS" in output
        return output

    def differences(self) -> list[str]:
        """What is wrong with the warehouse, in words. (Of the events, only their ids are compared.)"""
        ids = [row["id"] for row in stored(self.warehouse, "event")]
        wrong = [] if sorted(ids) == sorted(event.id for event in self.sandbox.account.events) else ["event"]
        for table in ("person", *TABLES):
            wrong += differences(self.sandbox.account, self.warehouse, table, ("id",))
        return wrong

    def files_with(self, text: str) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    account = narrowed(generate_account(events=300, profiles=40, days=DAYS, seed=3))
    account.keys = {KEY: None}
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + KEPT_OPEN)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()  # makes Dagster's own SQLite files, which two first runs would do at the same time
    with Sandbox(account) as sandbox:
        deployment = Deployment(tmp_path, sandbox)
        with deployment.processes:
            yield deployment


def test_sync_backfill_and_full_refresh(deployment: Deployment) -> None:
    output = deployment.run("klaviyo_sync", -DAYS)
    assert deployment.differences() == []

    # Two past days are read again, these and no others, and what came late is there.
    account, requests = deployment.sandbox.account, deployment.sandbox.requests
    noon = account.clock.now().replace(hour=12, minute=0, second=0, microsecond=0)
    metric, profile = account.all("metric")[0].id, account.all("profile")[0].id
    late = {
        days: account.add_event(metric, noon - dt.timedelta(days=days), profile_id=profile, properties={"late": days})
        for days in (4, 3, 2, 1)
    }
    state = deployment.warehouse.state("event")
    requests.clear()
    output += deployment.run("klaviyo_backfill", -3, -2)
    assert requests.counts().keys() <= {"get_accounts", "get_metrics", "get_events", "get_profiles"}
    found = {row["id"] for row in stored(deployment.warehouse, "event")}
    assert {days for days, event in late.items() if event.id in found} == {3, 2}
    first, end = dt.date.fromisoformat(deployment.day(-3)), dt.date.fromisoformat(deployment.day(-1))
    assert span(request.query.get("filter", "") for request in requests.of("get_events")) == (
        midnight(first),
        midnight(end),
    )
    second = dt.timedelta(seconds=1)
    wider = (midnight(first) - second, midnight(end) + second)
    assert span(request.query.get("filter", "") for request in requests.of("get_profiles")) == wider
    after = deployment.warehouse.state("event")
    assert state and after and after.synced_through == state.synced_through

    account.rename("list", account.all("list")[0].id, "Everybody")
    requests.clear()
    output += deployment.run("klaviyo_full_refresh")
    assert requests.of("get_events") == [] and requests.of("get_lists")
    assert "Everybody" in {row["list_name"] for row in stored(deployment.warehouse, "list")}

    # The key is in the requests, and nowhere else.
    assert KEY not in output
    assert deployment.files_with(deployment.day(-3)), "runs and their logs are there"
    assert deployment.files_with(KEY) == []


@pytest.mark.soak  # the stories have it as well
def test_two_runs_at_once_both_succeed(deployment: Deployment) -> None:
    runs = [deployment.start("klaviyo_sync", -DAYS) for _ in range(2)]
    for run in runs:
        deployment.finish(run)
    assert deployment.differences() == []


def test_file_may_be_named_as_the_schema(project: Callable[..., Project], tmp_path: Path) -> None:
    """As the default names are."""
    klaviyo = project(
        generate_account(events=50, profiles=10, days=1), duckdb_path=str(tmp_path / "klaviyo.duckdb"), tables=only()
    )
    klaviyo.sync()
    assert klaviyo.warehouse.query("SELECT count(*) > 0 FROM klaviyo.klaviyo.event") == [(True,)]


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def span(filters: Iterable[str]) -> tuple[dt.datetime, dt.datetime]:
    """The first and the last time that filters name."""
    times = [
        dt.datetime.fromisoformat(moment)
        for text in filters
        for moment in re.findall(r"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))", text)
    ]
    return min(times), max(times)
