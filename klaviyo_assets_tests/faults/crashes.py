"""Syncs that are killed: each in a process of its own, forked from one that has imported everything.

`python -m klaviyo_assets_tests.faults.crashes` is that process: it reads an order a line and answers with what became
of it. It never has more than one thread, so that forking it is safe.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg

from klaviyo_assets import clock
from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse
from klaviyo_assets.warehouse.io_manager import WarehouseIOManager
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets_tests.conftest import QUIET
from klaviyo_assets_tests.faults.story import SETTINGS, TABLES, assets

POINTS = ("request", "answer", "spool", "statement", "executed", "step", "stored")
"""Where a sync can be killed: before a request and after its answer, before and after a spool file, before and after a
statement of a load (DDL, its steps, COMMIT), before and after a step's rows are stored."""


@dataclass(frozen=True)
class Kill:
    """When to kill a sync: `seconds` after its start, or `after` seconds from the `number`-th time at a point on."""

    seconds: float | None = None
    point: str = ""
    number: int = 0
    after: float = 0.0

    @classmethod
    def of(cls, seed: int, counts: Mapping[str, int], seconds: float) -> Kill:
        """The kill of a seed, for a sync that passes every point so often and takes so long."""
        random = Random(f"kill {seed}")
        if seed % 4 == 3:
            return cls(seconds=random.uniform(0, seconds))
        point = POINTS[seed % len(POINTS)]
        # In half of the cases not at the point but shortly after, within what it does.
        return cls(
            point=point, number=random.randint(1, counts[point]), after=random.choice((0.0, random.random() / 50))
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a sync: whether it was `killed`, else whether it was a `success`; times at each point; seconds."""

    killed: bool
    success: bool
    counts: dict[str, int]
    seconds: float
    cpu: float = 0.0


class Syncs:
    """The process that forks, for a sandbox at `url`; use it as a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Syncs:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, self._url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate("", timeout=30)

    def run(self, folder: Path, now: dt.datetime, days: tuple[str, str], kill: Kill | None = None) -> Outcome:
        """Sync into the warehouse of a folder, whose subfolder `temporary` gets the spools; now: the machine's time."""
        order = {"folder": str(folder), "now": now.isoformat(), "days": days, "kill": asdict(kill) if kill else None}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


@dg.op
def nothing() -> None:
    pass


@dg.job
def warm_up() -> None:
    nothing()


def serve(url: str) -> None:
    """Fork for each order. The job is made once, and Dagster warmed up by a job of nothing, so that a sync is short."""
    os.environ["KLAVIYO_API_KEY"] = "pk_sandbox"
    definitions = build_definitions(Settings(api_url=url, duckdb_path="warehouse.duckdb", **SETTINGS))
    job = definitions.resolve_job_def("klaviyo_sync")
    with dg.DagsterInstance.ephemeral() as instance:
        warm_up.execute_in_process(run_config=QUIET, instance=instance)
    for line in sys.stdin:
        order = json.loads(line)
        report = Path(order["folder"]) / "report.json"
        report.unlink(missing_ok=True)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)  # what a run prints is no answer
            try:
                report.write_text(json.dumps(sync(job, order)))
            finally:
                os._exit(0)
        kill = Kill(**order["kill"]) if order["kill"] else Kill()
        if kill.seconds is not None:
            time.sleep(kill.seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        finished = json.loads(report.read_text()) if report.exists() else {"success": False, "counts": {}}
        outcome = Outcome(os.WIFSIGNALED(status), seconds=time.monotonic() - began, **finished)
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
        sys.stdout.flush()


def sync(job: dg.JobDefinition, order: Mapping[str, Any]) -> dict[str, Any]:
    os.chdir(order["folder"])
    os.environ["TMPDIR"] = str(Path("temporary").absolute())
    ahead = dt.datetime.fromisoformat(order["now"]) - dt.datetime.now(dt.UTC)
    clock.machine_time = lambda: dt.datetime.now(dt.UTC) + ahead
    points = Points(Kill(**order["kill"]) if order["kill"] else Kill())
    with dg.DagsterInstance.ephemeral() as instance, points.watched():
        result = job.execute_in_process(
            instance=instance,
            tags=dict(zip((RANGE_START, RANGE_END), order["days"], strict=True)),
            run_config={**QUIET, "ops": {"klaviyo__list_person": {"config": {"complete": True}}}},
            asset_selection=assets(TABLES),
            raise_on_error=False,
        )
    return {"success": result.success, "counts": points.counts}


class Points:
    """Counts how often the run passes each point, and kills the process where it is to be killed."""

    def __init__(self, kill: Kill) -> None:
        self.kill = kill
        self.counts = dict.fromkeys(POINTS, 0)
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        with self._lock:
            self.counts[point] += 1
            reached = (point, self.counts[point]) == (self.kill.point, self.kill.number)
        if reached and self.kill.after:
            threading.Timer(self.kill.after, self.die).start()
        elif reached:
            self.die()

    @staticmethod
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Put the points around the methods of this process, which is there for one sync only."""
        self._around(KlaviyoClient, "_send_now", "request", "answer")
        self._around(Spool, "write", "spool", "spool")
        self._around(WarehouseIOManager, "handle_output", "step", "stored")
        connect = DuckDBWarehouse._connect
        points = self

        @contextlib.contextmanager
        def connected(warehouse: DuckDBWarehouse) -> Iterator[Watched]:
            with connect(warehouse) as connection:
                yield Watched(connection, points)

        DuckDBWarehouse._connect = connected  # type: ignore[method-assign, assignment]
        yield

    def _around(self, owner: type, name: str, before: str, after: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            self.reach(before)
            result = method(*arguments, **options)
            self.reach(after)
            return result

        setattr(owner, name, watched)


class Watched:
    """A connection with a point before and after each statement."""

    def __init__(self, connection: Any, points: Points) -> None:
        self._connection = connection
        self._points = points

    def execute(self, *arguments: Any) -> Any:
        self._points.reach("statement")
        result = self._connection.execute(*arguments)
        self._points.reach("executed")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


if __name__ == "__main__":
    serve(sys.argv[1])
