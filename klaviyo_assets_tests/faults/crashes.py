"""Syncs that are killed: each in a process of its own, forked from one that has imported everything.

`python -m klaviyo_assets_tests.faults.crashes URL WAREHOUSE` is that process: it reads an order a line and answers with
what became of it. It never has more than one thread, so that forking it is safe.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import pandas  # noqa: F401  # what a run imports is imported before it is forked

from klaviyo_assets import clock
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.definitions import build_definitions
from klaviyo_assets_tests.conftest import QUIET
from klaviyo_assets_tests.faults.folders import SERVICE_FILE
from klaviyo_assets_tests.faults.overlapping import Children, homely
from klaviyo_assets_tests.faults.points import POINTS, Points
from klaviyo_assets_tests.faults.story import SETTINGS, TABLES, assets, in_any_folder


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
    """The process that forks, for a sandbox at `url` and what is at `address` in any folder; a context manager."""

    def __init__(self, url: str, address: str) -> None:
        self._arguments = (url, address)

    def __enter__(self) -> Syncs:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate("", timeout=300)

    def run(self, folder: Path, now: dt.datetime, days: tuple[str, str], kill: Kill | None = None) -> Outcome:
        """Sync into the warehouse of a folder, whose subfolder `temporary` gets the spools; now: the machine's time."""
        order = {"folder": str(folder), "now": now.isoformat(), "days": days, "kill": asdict(kill) if kill else None}
        return Outcome(**self.ask("run", **order))

    def ask(self, what: str, **order: Any) -> Any:
        """Have the process do something, and return its answer; what: `run`, or a method of `Children`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dg.op
def nothing() -> None:
    pass


@dg.job
def warm_up() -> None:
    nothing()


def serve(url: str, address: str) -> None:
    """Fork for each order. The job is made once, and Dagster warmed up by a job of nothing, so that a sync is short."""
    os.environ |= {"KLAVIYO_API_KEY": "pk_sandbox", "PGSERVICEFILE": SERVICE_FILE}
    definitions = build_definitions(in_any_folder(address, api_url=url, **SETTINGS))
    job = definitions.resolve_job_def("klaviyo_sync")
    with dg.DagsterInstance.ephemeral() as instance:
        warm_up.execute_in_process(run_config=QUIET, instance=instance)
    with tempfile.TemporaryDirectory() as home, homely(Path(home)) as instance:
        warm_up.execute_in_process(run_config=QUIET, instance=instance)
    children = Children(address)
    for line in sys.stdin:
        order = json.loads(line)
        what = order.pop("do")
        answer = run(job, order) if what == "run" else getattr(children, what)(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    children.end()


def run(job: dg.JobDefinition, order: Mapping[str, Any]) -> dict[str, Any]:
    """Sync in a process of its own, wait for its end, and return an `Outcome`."""
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
    return asdict(Outcome(os.WIFSIGNALED(status), seconds=time.monotonic() - began, **finished))


def sync(job: dg.JobDefinition, order: Mapping[str, Any]) -> dict[str, Any]:
    os.chdir(order["folder"])
    os.environ["TMPDIR"] = str(Path("temporary").absolute())
    ahead = dt.datetime.fromisoformat(order["now"]) - dt.datetime.now(dt.UTC)
    clock.machine_time = lambda: dt.datetime.now(dt.UTC) + ahead
    kill = Kill(**order["kill"]) if order["kill"] else Kill()

    def die(_: str) -> None:
        if kill.after:
            threading.Timer(kill.after, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    points = Points({(kill.point, kill.number): die})
    with dg.DagsterInstance.ephemeral() as instance, points.watched():
        result = job.execute_in_process(
            instance=instance,
            tags=dict(zip((RANGE_START, RANGE_END), order["days"], strict=True)),
            run_config={**QUIET, "ops": {"klaviyo__list_person": {"config": {"complete": True}}}},
            asset_selection=assets(TABLES),
            raise_on_error=False,
        )
    return {"success": result.success, "counts": points.counts}


if __name__ == "__main__":
    serve(*sys.argv[1:])
