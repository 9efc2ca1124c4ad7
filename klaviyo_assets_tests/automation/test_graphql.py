"""Runs launched through GraphQL, as the UI does it: each does what its config says. (The launches of docs/api.md.)"""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster_graphql.test.utils import execute_dagster_graphql

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.state import WAITING
from klaviyo_assets_tests.conftest import QUIET, narrowed, only
from klaviyo_assets_tests.expected import stored

pytestmark = pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")
"""Dagster's own code calls what it has deprecated."""

API = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
LAUNCH = re.findall(r"```graphql\n(.*?)```", API, re.DOTALL)[0]
LAUNCHES = yaml.safe_load(re.findall(r"<!-- launches.*?```yaml\n(.*?)```", API, re.DOTALL)[0])
DAYS = 4
DEPLOYMENT = {
    "run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
    "event_log_storage": {"module": "dagster._core.storage.event_log", "class": "InMemoryEventLogStorage"},
}
"""Runs are launched, and wait to be executed here."""
DEFINITIONS = """
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings

defs = build_definitions(Settings.model_validate_json({settings!r}))
"""


@dataclass
class File(WorkspaceLoadTarget):
    """A code location called klaviyo that is loaded in this process."""

    path: str

    def create_origins(self) -> Sequence[InProcessCodeLocationOrigin]:
        target = LoadableTargetOrigin(executable_path=sys.executable, python_file=self.path)
        return [InProcessCodeLocationOrigin(target, location_name="klaviyo")]


@dataclass
class Webserver:
    """Dagster's GraphQL schema over the project's definitions; what is launched is run at once."""

    sandbox: Sandbox
    workspace: WorkspaceProcessContext
    warehouse: DuckDBWarehouse

    def day(self, offset: int) -> str:
        return (self.sandbox.account.clock.now() + dt.timedelta(days=offset)).date().isoformat()

    def launch(self, name: str, first: int | None = None, last: int = 0, config: Any = None) -> dg.DagsterRun:
        """Launch a run of the docs, with these days and this config in place of its own."""
        launch = LAUNCHES[name]
        tags = {} if first is None else {RANGE_START: self.day(first), RANGE_END: self.day(last)}
        assert {tag["key"] for tag in launch.get("tags", ())} == tags.keys()
        self.sandbox.requests.clear()
        answer = execute_dagster_graphql(
            self.workspace.create_request_context(),
            LAUNCH,
            {
                "job": launch["job"],
                "config": {**QUIET, **(launch.get("config", {}) if config is None else config)},
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
        ).data["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        instance, run_id = self.workspace.instance, answer["run"]["runId"]
        launched = instance.get_run_by_id(run_id)
        assert launched and launched.job_code_origin
        execute_run(recon_job_from_origin(launched.job_code_origin), launched, instance)
        run = instance.get_run_by_id(run_id)
        assert run
        return run

    def asked(self, operation: str) -> int:
        return len(self.sandbox.requests.of(operation))


@pytest.fixture
def webserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webserver]:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)
    account = narrowed(generate_account(events=300, profiles=40, days=DAYS, seed=3))
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(account))
        settings = Settings(
            api_url=sandbox.url,
            duckdb_path=str(tmp_path / "warehouse.duckdb"),
            tables=only("campaign", "campaign_message", "list"),
        )
        file = tmp_path / "definitions.py"
        file.write_text(DEFINITIONS.format(settings=settings.model_dump_json()))
        instance = stack.enter_context(instance_for_test(overrides=DEPLOYMENT))
        workspace = stack.enter_context(WorkspaceProcessContext(instance, File(str(file))))
        yield Webserver(sandbox, workspace, DuckDBWarehouse(database=settings.duckdb_path))


def test_a_launch_does_what_its_config_says(webserver: Webserver) -> None:
    account, warehouse = webserver.sandbox.account, webserver.warehouse

    assert webserver.launch("sync", -DAYS).is_success
    assert {row["id"] for row in stored(warehouse, "event")} == {event.id for event in account.events}

    # A day that lost all of its events: only a run that is told so flags them.
    noon = account.clock.now().replace(hour=12, minute=0, second=0, microsecond=0)
    of_day: dict[int, set[str]] = {}
    for event in account.events:
        age = (noon.date() - dt.datetime.fromtimestamp(event.occurred_at, dt.UTC).date()).days
        of_day.setdefault(age, set()).add(event.id)
    age = max(range(1, DAYS - 1), key=lambda age: len(of_day.get(age, ())))
    assert len(of_day[age]) > 10
    for id in of_day[age]:
        account.remove_event(id)

    def backfill(**config: bool) -> dg.DagsterRun:
        return webserver.launch("backfill", -age, -age, config={"ops": {"klaviyo__event": {"config": config}}})

    assert backfill(reread=False).is_success, "it goes on from the watermark"
    backfill(reread=True)
    assert warehouse.states()["event", WAITING].rows == len(of_day[age]), "the guard lets them wait"
    assert not any(row["_fivetran_deleted"] for row in stored(warehouse, "event"))
    assert webserver.launch("backfill", -age, -age).is_success
    assert {row["id"] for row in stored(warehouse, "event") if row["_fivetran_deleted"]} == of_day[age]

    assert webserver.launch("refresh").is_success
    assert webserver.asked("get_lists") and not webserver.asked("get_campaigns"), "the campaigns are not due"
    assert webserver.launch("refresh", config={}).is_success
    assert webserver.asked("get_campaigns")

    before = warehouse.states().keys()
    assert webserver.launch("resync", config={"ops": {"klaviyo__forget": {"config": {"confirm": "no"}}}}).is_failure
    assert warehouse.states().keys() == before
    assert webserver.launch("resync").is_success
    assert warehouse.states().keys() == {key for key in before if key[0] != "event"}


def test_wrong_config_is_refused_with_the_place(webserver: Webserver) -> None:
    answer = execute_dagster_graphql(
        webserver.workspace.create_request_context(),
        LAUNCH,
        {"job": "klaviyo_backfill", "config": {"ops": {"klaviyo__event": {"config": {"rereed": True}}}}, "tags": []},
    ).data["launchRun"]
    assert answer["__typename"] == "RunConfigValidationInvalid"
    assert "rereed" in answer["errors"][0]["message"]
