"""The measured process: one Dagster job, as a user would run it, and what each of its stages took.

The stages are timed from outside, by wrapping the functions that they consist of; seconds are those of the thread's
own CPU time, but `wait` (for the server and for rate limits, added up over threads), `load` and `commit`: wall time.
`workers` is the CPU time of the processes that a long read has beside it, which do the most of `map`, `type` and
`spool` then.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import RSS_UNIT

_seconds: defaultdict[str, float] = defaultdict(float)
_lock = threading.Lock()
_inner = threading.local()
_with_workers: list[int] = []


def timed(owner: Any, name: str, stage: str, *, clock: Callable[[], float] = time.thread_time) -> None:
    """Add up the time that a function takes, without the timed functions that it calls."""
    function = getattr(owner, name)
    original = owner.__dict__.get(name, function)
    function = original.__func__ if isinstance(original, classmethod | staticmethod) else original

    def timing(*args: Any, **options: Any) -> Any:
        outer, _inner.seconds = getattr(_inner, "seconds", 0.0), 0.0
        began = clock()
        try:
            return function(*args, **options)
        finally:
            spent = clock() - began
            with _lock:
                _seconds[stage] += spent - _inner.seconds
            _inner.seconds = outer + spent

    setattr(owner, name, classmethod(timing) if isinstance(original, classmethod) else timing)


def _time_stages() -> None:
    from klaviyo_assets.api import client, page
    from klaviyo_assets.tables import events, exclusions, profiles
    from klaviyo_assets.warehouse import batches, spool, warehouse
    from klaviyo_assets.warehouse.duckdb.catalog import DuckDBCatalog

    send = client.KlaviyoClient._send_now

    def send_now(self: Any, *args: Any) -> Any:
        wall, cpu = time.monotonic(), time.thread_time()
        try:
            return send(self, *args)
        finally:
            cpu = time.thread_time() - cpu
            with _lock:
                _seconds["receive"] += cpu
                _seconds["wait"] += time.monotonic() - wall - cpu

    client.KlaviyoClient._send_now = send_now  # type: ignore[assignment, method-assign]
    timed(page.Page, "of", "parse")
    for module in (events, profiles):
        timed(module, "read", "parse")
        timed(module, "columns", "map")
    timed(exclusions, "rows", "map")
    timed(batches, "typed_batch", "type")
    timed(spool.Spool, "write", "spool")
    for step in ("load", "publish", "store_snapshot"):
        timed(warehouse.Warehouse, step, "load", clock=time.monotonic)
    timed(DuckDBCatalog, "commit", "commit", clock=time.monotonic)
    _watch_workers()
    if os.environ["KLAVIYO_WAREHOUSE"].startswith("postgresql"):
        from klaviyo_assets.warehouse.postgres.catalog import PostgresCatalog

        timed(PostgresCatalog, "commit", "commit", clock=time.monotonic)


def _watch_workers() -> None:
    """Take note of what workers have used when they end: their CPU, and their memory with that of this process."""
    from klaviyo_assets.workers import pool

    leave = pool.Pool.__exit__

    def watched(self: Any, *error: object) -> None:
        pids = [worker.pid for worker in self._workers]
        # What they share is counted once: the libraries, which lie in files.
        own = sum(_memory(pid, "VmHWM") - _memory(pid, "RssFile") for pid in pids)
        memory = _memory(os.getpid(), "VmRSS") + own
        before = _cpu_of_children()
        leave(self, *error)
        with _lock:
            _seconds["workers"] += _cpu_of_children() - before
            _with_workers.append(memory)

    pool.Pool.__exit__ = watched  # type: ignore[method-assign]
    timed(pool.Pool, "give", "workers waited for", clock=time.monotonic)
    timed(pool.Pool, "rest", "workers waited for", clock=time.monotonic)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _memory(pid: int, what: str) -> int:
    """Return a number of Linux's about the memory of a process, in bytes; 0 elsewhere, and of one that is gone."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), 0)


def _ask(answer: str) -> None:
    """Write what the schedule would ask for now: the assets, none if it is all of them."""
    import dagster as dg

    from klaviyo_assets.definitions import defs

    with dg.DagsterInstance.get() as instance:
        context = dg.build_schedule_context(instance, scheduled_execution_time=dt.datetime.now(dt.UTC))
        request = defs.resolve_schedule_def("klaviyo_sync_schedule")(context)
    if not isinstance(request, dg.RunRequest):
        raise TypeError(request)
    asked = [key.to_user_string() for key in request.asset_selection or []]
    with open(answer, "w") as file:  # noqa: PTH123
        json.dump(asked, file)


def _peak() -> float:
    """Return the most memory in MB that this process or one of its children has had, or it and its workers together.

    Not what its parent is told: that counts what the parent itself had when it started this process.
    """
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    highest = _memory(os.getpid(), "VmHWM") or own * RSS_UNIT
    return max(highest, children * RSS_UNIT, *_with_workers, 0) / 1e6


def main() -> None:
    """Run the job that the first argument, a JSON object, describes; print what it did as JSON."""
    began = time.monotonic()
    wanted = json.loads(sys.argv[1])
    import dagster as dg

    from klaviyo_assets.definitions import defs

    imported = time.monotonic() - began
    cpu = [time.process_time()]
    if wanted.get("profile"):
        import cProfile

        profiler = cProfile.Profile()
    _time_stages()
    if wanted.get("ask"):
        _ask(wanted["answer"])
        return
    with dg.DagsterInstance.get() as instance:
        job = defs.resolve_job_def(wanted["job"])
        defined = time.monotonic() - began
        cpu.append(time.process_time())
        options = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        if wanted.get("profile"):
            profiler.enable()
        keys = [dg.AssetKey.from_user_string(key) for key in wanted.get("only", [])] or None
        result = job.execute_in_process(
            instance=instance, tags=wanted.get("tags", {}), run_config=options, asset_selection=keys
        )
        if wanted.get("profile"):
            profiler.disable()
            profiler.dump_stats(wanted["profile"])
        ran = time.monotonic() - began
        cpu.append(time.process_time())
        metadata = {
            event.step_materialization_data.materialization.asset_key.to_user_string(): {
                name: value.value
                for name, value in event.step_materialization_data.materialization.metadata.items()
                if isinstance(value.value, int | float)
            }
            for event in result.get_asset_materialization_events()
        }
    found = {
        "imported": imported,
        "defined": defined,
        "ran": ran,
        "cpu": cpu,
        "stages": dict(_seconds),
        "assets": metadata,
        "peak": _peak(),
    }
    with open(wanted["answer"], "w") as file:  # noqa: PTH123
        json.dump(found, file)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
