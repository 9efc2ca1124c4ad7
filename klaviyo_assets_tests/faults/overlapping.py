"""Runs that overlap, each in a process of its own that stops itself where it is told to, and can be woken or killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory

from klaviyo_assets import clock
from klaviyo_assets.cli.places import prepare_home
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.warehouse.duckdb import warehouse as database
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets_tests.conftest import QUIET, failures
from klaviyo_assets_tests.faults.folders import IN_POSTGRES, url_in
from klaviyo_assets_tests.faults.points import HOLDS_THE_FILE, Points
from klaviyo_assets_tests.faults.story import in_any_folder

_WAITS = "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

PATIENCE = 600.0
"""Seconds to wait for the file here, since the story decides how long somebody holds it, and for a run to go on."""


@dataclass
class Child:
    """A run's process. state: `running`, `stopped at` a point, `waits` for others, `ended`, `killed`, `hung`."""

    files: Path
    state: str = "running"

    @property
    def is_alive(self) -> bool:
        return self.state not in ("ended", "killed", "hung")

    @property
    def holds_the_file(self) -> bool:
        return self.state.removeprefix("stopped at ").startswith(HOLDS_THE_FILE)

    def file(self, name: str) -> Path:
        """What the child says: `report`, the point it `stopped` at, that it `waits`."""
        return self.files.with_name(f"{self.files.name}.{name}")


class Children:
    """Forks runs, and knows what became of them; lives in a process that has only one thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._children: dict[int, Child] = {}
        self._number = 0

    def start(self, settings: dict[str, Any], job: str, **order: Any) -> int:
        """Fork a run of a job; return its process id. See `execute` for the rest of the order."""
        definition = _definitions(self._address, json.dumps(settings)).resolve_job_def(job)
        self._number += 1
        child = Child(Path(order["folder"]).absolute() / f"run{self._number}")
        process = os.fork()
        if process == 0:
            os.dup2(2, 1)  # what a run prints is no answer
            try:
                child.file("report").write_text(json.dumps(execute(definition, child, **order)))
            except BaseException:  # noqa: BLE001
                traceback.print_exc(file=sys.stderr)
            finally:
                os._exit(0)
        self._children[process] = child
        return process

    def settle(self) -> dict[str, str]:
        """Wait until each child has stopped, ended, or waits for one that has; return process id -> state.

        A child that does none of it for as long as `PATIENCE` is killed: its state is `hung`.
        """
        patient_until = time.monotonic() + PATIENCE
        with self._locks() as waiting:
            while True:
                waits = waiting()
                alive = [process for process, child in self._children.items() if child.is_alive]
                states = {process: self._look(process, process in waits) for process in alive}
                held = any(self._children[process].holds_the_file for process in states)
                if all(state != "running" and (state != "waits" or held) for state in states.values()):
                    return {str(process): child.state for process, child in self._children.items()}
                if time.monotonic() > patient_until:
                    self._end_hung()
                time.sleep(0.003)

    @contextmanager
    def _locks(self) -> Iterator[Callable[[], set[int]]]:
        """Give what tells which children wait for the file, or for a lock of the server's.

        No connection to the server is open when a child is forked.
        """
        if self._address != IN_POSTGRES:
            yield lambda: {process for process, child in self._children.items() if child.file("waits").exists()}
            return
        import psycopg

        with ExitStack() as connections:
            opened = {
                folder: connections.enter_context(psycopg.connect(url_in(folder), autocommit=True))
                for folder in {child.files.parent for child in self._children.values()}
            }
            yield lambda: {
                int(name)
                for connection in opened.values()
                for (name,) in connection.execute(_WAITS).fetchall()
                if name.isdecimal()
            }

    def _end_hung(self) -> None:
        for process, child in self._children.items():
            if child.state == "running":
                self.signal(process, "SIGKILL")
                child.state = "hung"

    def signal(self, process: int, name: str) -> None:
        """Send a signal to a child that has stopped."""
        child = self._children[process]
        if name == "SIGCONT":
            child.file("stopped").unlink(missing_ok=True)
        os.kill(process, getattr(signal, name))
        if name == "SIGKILL":
            os.waitpid(process, 0)
            child.state = "killed"
        elif child.state.startswith("stopped"):
            child.state = "running"

    def report(self, process: int) -> dict[str, Any]:
        """Return what `execute` returned, in a child that has ended."""
        file = self._children[process].file("report")
        return json.loads(file.read_text()) if file.exists() else {"failures": ["no report"]}

    def end(self) -> None:
        """Kill those that are left, and forget all."""
        for process, child in self._children.items():
            if child.is_alive:
                self.signal(process, "SIGKILL")
        self._children = {}

    def _look(self, process: int, waits: bool) -> str:
        child = self._children[process]
        done, status = os.waitpid(process, os.WNOHANG | os.WUNTRACED)
        if done and os.WIFSTOPPED(status):
            child.state = f"stopped at {child.file('stopped').read_text()}"
        elif done:
            child.state = "killed" if os.WIFSIGNALED(status) else "ended"
        elif child.state in ("running", "waits"):
            child.state = "waits" if waits else "running"
        return child.state


@contextmanager
def homely(home: Path) -> Iterator[dg.DagsterInstance]:
    """Give the instance of a DAGSTER_HOME. Dagster's migrations, of which it asks for each new file, are read once."""
    prepare_home(home)
    ScriptDirectory.from_config = lambda config: _migrations(config.get_main_option("script_location"), config)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        yield instance
    del os.environ["DAGSTER_HOME"]


_read: dict[str, ScriptDirectory] = {}
_read_migrations = ScriptDirectory.from_config


def _migrations(place: str, config: Config) -> ScriptDirectory:
    if place not in _read:
        _read[place] = _read_migrations(config)
    return _read[place]


@cache
def _definitions(address: str, settings: str) -> dg.Definitions:
    return build_definitions(in_any_folder(address, **json.loads(settings)))


def execute(
    job: dg.JobDefinition,
    child: Child,
    *,
    folder: str,
    home: str,
    ahead: float,
    tags: Mapping[str, str],
    ops: Mapping[str, Any],
    only: Sequence[Sequence[str]],
    plan: Mapping[str, str],
) -> dict[str, Any]:
    """Run the job into the warehouse of a folder, whose subfolder `temporary` gets the spools.

    home: DAGSTER_HOME. ahead: seconds by which the machine's clock is ahead of the account's, which is itself so many
        seconds ahead of the real one as the file `clock` of the folder says.
    only: keys of the assets, if not all. plan: `point number` -> SIGSTOP or SIGKILL, which the run sends to itself.
    """
    os.chdir(folder)
    os.environ["TMPDIR"] = str(Path("temporary").absolute())
    told = Path("clock").absolute()
    clock.machine_time = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(told.read_text()) + ahead)
    _say_who_waits(child)

    def act(name: str) -> Callable[[str], None]:
        def sent(point: str) -> None:
            child.file("stopped").write_text(point)
            os.kill(os.getpid(), getattr(signal, name))

        return sent

    parted = ((*place.rsplit(maxsplit=1), name) for place, name in plan.items())
    acts = {(point, int(number)): act(name) for point, number, name in parted}
    points = Points(acts)
    began = os.times()
    with homely(Path(home)) as instance, points.watched():
        result = job.execute_in_process(
            instance=instance,
            tags=dict(tags),
            run_config={**QUIET, "ops": dict(ops)} if ops else QUIET,
            asset_selection=[dg.AssetKey(list(path)) for path in only] or None,
            raise_on_error=False,
        )
    spent = os.times()
    return {
        "failures": [] if result.success else failures(result),
        "counts": points.counts,
        "cpu": spent.user + spent.system - began.user - began.system,
    }


def _say_who_waits(child: Child) -> None:
    """Let a child say that it waits for the file, as long as it does."""
    opened = database.opened

    def waiting(seconds: float) -> None:
        child.file("waits").touch()
        time.sleep(min(seconds, 0.1))

    def patient(*arguments: Any, **options: Any) -> Any:
        try:
            return opened(*arguments, **{**options, "timeout": PATIENCE, "sleep": waiting})
        finally:
            child.file("waits").unlink(missing_ok=True)

    database.opened = patient
    connected = PostgresWarehouse._connected

    @contextmanager
    def as_patient(warehouse: PostgresWarehouse) -> Iterator[Any]:
        connecting: Any = import_module("klaviyo_assets.warehouse.postgres.connecting")
        connecting._DEFAULTS = {**connecting._DEFAULTS, "application_name": str(os.getpid())}
        warehouse.__dict__["lock_timeout"] = PATIENCE  # it is frozen
        with connected(warehouse) as connection:
            yield connection

    PostgresWarehouse._connected = as_patient  # type: ignore[method-assign, assignment]
