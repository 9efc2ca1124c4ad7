"""Pages of a long read, which other processes turn into rows: the same rows, or an error; and no process is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Rewritten
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.sync.pages import EventPages
from klaviyo_assets.tables.events import EVENT, EventContext
from klaviyo_assets.warehouse.spool import Spool, SpoolWriter
from klaviyo_assets.workers import cores, spooling
from klaviyo_assets.workers.conversion import Convert, Done, Task, Unpicklable
from klaviyo_assets.workers.process import Worker, WorkerDied, WorkerNotStarted
from klaviyo_assets_tests.assets.test_bad_values import warnings
from klaviyo_assets_tests.commands import PATIENCE, environment
from klaviyo_assets_tests.conftest import Project, failures, narrowed, only, without_campaigns
from klaviyo_assets_tests.workers.converting import (
    endless,
    exhausting,
    leaving,
    missing,
    refusing,
    spool_a_page,
    spooled,
    talkative,
    thing,
)

TABLES = ("event", "person", "global_exclusion", "list_exclusion")
BLOCKED, HASHED = {"person": ["custom_*birth*"]}, {"person": ["email"], "event": ["property_*url*"]}
SALT = "a salt that nobody may see"


@pytest.fixture
def several_at_once(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Every read is long, and its tasks are small; the tasks that workers did."""
    tasks: list[Task] = []
    do = Worker.do

    def noted(worker: Worker, task: Task) -> Done:
        tasks.append(task)
        return do(worker, task)

    monkeypatch.setattr(spooling, "LONG", 0)
    monkeypatch.setattr(spooling, "_TASK_PAGES", 2)
    monkeypatch.setattr(Worker, "do", noted)
    monkeypatch.setenv("KLAVIYO_HASH_SALT", SALT)
    return tasks


@pytest.fixture(autouse=True)
def nobody_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    started: list[Worker] = []
    start = Worker.__init__

    def noted(worker: Worker, convert: Convert) -> None:
        start(worker, convert)
        started.append(worker)

    monkeypatch.setattr(Worker, "__init__", noted)
    yield
    assert not [worker.pid for worker in started if is_alive(worker.pid)]


def account() -> Account:
    """Some pages of events and of profiles."""
    return narrowed(without_campaigns(generate_account(events=4000, profiles=260, days=3, seed=5)), metrics=12)


def differing(one: Path, other: Path, table: str) -> list[Any]:
    """Rows, and columns, that one of two files has in a table and the other has not."""
    with duckdb.connect() as connection:
        for name, file in (("one", one), ("other", other)):
            connection.execute(f"ATTACH '{file}' AS {name} (READ_ONLY)")
        sides = [
            {row[0] for row in connection.execute(f"DESCRIBE {name}.klaviyo.{table}").fetchall()}
            for name in ("one", "other")
        ]
        columns = ", ".join(f'"{name}"' for name in sorted(sides[0] & sides[1] - {"_fivetran_synced"}))
        one_rows, other_rows = (f"SELECT {columns} FROM {name}.klaviyo.{table}" for name in ("one", "other"))
        rows = connection.execute(
            f"({one_rows} EXCEPT ALL {other_rows}) UNION ALL ({other_rows} EXCEPT ALL {one_rows})"
        ).fetchall()
    return [*(sides[0] ^ sides[1]), *rows]


# Whole runs


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"blocked_columns": BLOCKED, "hashed_columns": HASHED}, id="hidden"),
        pytest.param({"packing": "packed"}, id="packed", marks=pytest.mark.soak),
    ],
)
def test_the_same_rows_land(
    project: Callable[..., Project],
    several_at_once: list[Task],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, Any],
) -> None:
    shop, files = account(), [tmp_path / "one.duckdb", tmp_path / "three.duckdb"]
    for processes, file in zip((1, 3), files, strict=True):
        klaviyo = project(shop, tables=only(*TABLES), processes=processes, duckdb_path=str(file), **settings)
        assert not several_at_once
        result = klaviyo.sync(first=-3)
        assert "hidden" not in settings or SALT not in str(klaviyo.instance.all_logs(result.run_id))
    assert len({target.spec.name for task in several_at_once for target in task.targets}) == len(TABLES) + 1
    assert len(several_at_once) >= 4, "each read had several tasks"
    assert [differing(*files, table) for table in TABLES] == [[]] * len(TABLES)
    assert SALT not in "".join(capfd.readouterr())


@pytest.mark.soak
def test_what_pages_lack_is_told_as_it_is_in_one_process(
    project: Callable[..., Project], several_at_once: list[Task], tmp_path: Path
) -> None:
    shop, told = account(), []
    for processes in (1, 2):
        file = tmp_path / f"{processes}.duckdb"
        klaviyo = project(shop, tables=only(*TABLES), processes=processes, duckdb_path=str(file), max_concurrency=1)
        klaviyo.sandbox.faults[:] = [
            lambda call: Rewritten(
                lambda content: (
                    content.replace(b'"event_properties":{', b'"event_properties":[],"other":{', 3)
                    .replace(b'"location":{', b'"location":1,"other":{', 2)
                    .replace(b'"last_event_date":"', b'"last_event_date":"no time ', 2)
                )
            )
        ]
        result = klaviyo.sync(first=-3)
        told.append((sorted(warnings(klaviyo, result)), losses(result)))
    assert several_at_once
    assert told[0][1]["event"] and {"last_event_date", "attributes.location"} <= told[0][1]["person"].keys()
    assert told[0] == told[1]


def losses(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Table -> what the metadata of its load says was lost."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if lost := materialization.metadata.get("values_lost"):
            found[materialization.asset_key.path[-1]] = lost.value
    return found


def test_a_worker_that_is_killed_fails_the_read(
    project: Callable[..., Project], several_at_once: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo = project(account(), tables=only(*TABLES), processes=2)
    klaviyo.sync(first=-1)
    state = klaviyo.warehouse.state("event")
    rows = klaviyo.warehouse.query("SELECT id, _fivetran_synced FROM klaviyo.event ORDER BY ALL")
    several_at_once.clear()
    do = Worker.do

    def killed(worker: Worker, task: Task) -> Done:
        if several_at_once:
            os.kill(worker.pid, signal.SIGKILL)
        return do(worker, task)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "do", killed)
        result = klaviyo.run("klaviyo_backfill", -3)
    assert not result.success
    assert any("SIGKILL" in each and "`processes`" in each for each in failures(result)), failures(result)
    assert klaviyo.warehouse.state("event") == state
    assert klaviyo.warehouse.query("SELECT id, _fivetran_synced FROM klaviyo.event ORDER BY ALL") == rows
    assert klaviyo.run("klaviyo_backfill", -3).success
    assert klaviyo.differences("event", "person") == []


@pytest.mark.soak
def test_the_limit_of_the_spool_holds_over_all_processes(
    project: Callable[..., Project], several_at_once: list[Task]
) -> None:
    klaviyo = project(account(), tables=only(*TABLES), processes=2, spool_limit="100kB")
    result = klaviyo.run("klaviyo_sync", -3)
    assert several_at_once and not result.success
    assert any("`spool_limit`" in each for each in failures(result)), failures(result)
    assert klaviyo.warehouse.state("event") is None


# Workers


def written(writer: SpoolWriter) -> list[tuple[str, int]]:
    """The rows of a spool: content of the page, and the process that made them, later ones last."""
    files = sorted(writer.spool.files, key=lambda file: int(file.path.stem))
    assert [file.path for file in files] == [file.path for file in writer.spool.files]
    tables = [pq.read_table(file.path).to_pydict() for file in files]
    return [row for table in tables for row in zip(table["id"], table["pid"], strict=True)]


def test_rows_stay_in_the_order_of_their_pages(several_at_once: list[Task]) -> None:
    pages = [f"{number:03d}".encode() for number in range(41)]
    with spooled(pages, thing, processes=4) as (writer, _):
        rows = written(writer)
    assert [id for id, _ in rows] == [page.decode() for page in pages]
    pids = {pid for _, pid in rows}
    assert os.getpid() not in pids and 1 < len(pids) <= 4
    assert len(several_at_once) == 21


def test_a_short_read_stays_in_its_process(several_at_once: list[Task]) -> None:
    for processes, long in ((1, 0.0), (2, 60.0)):
        with spooled([b"a", b"b"], thing, processes, long=long) as (writer, _):
            assert written(writer) == [("a", os.getpid()), ("b", os.getpid())]
    assert not several_at_once
    with spooled([b"a", b"b", b"c"], thing, long=1e-9) as (writer, _):
        (a, first), (b, second), (c, third) = written(writer)
    assert (a, b, c) == ("a", "b", "c") and first == os.getpid() and os.getpid() not in (second, third)


def test_what_is_printed_meanwhile_is_no_answer(capfd: pytest.CaptureFixture[str]) -> None:
    with spooled([b"hello"], talkative) as (writer, _):
        assert [id for id, _ in written(writer)] == ["hello"]
    assert capfd.readouterr().err == "hello \n"


def test_what_is_printed_before_is_none_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('.', end='', flush=True)")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with spooled([b"hello"], thing) as (writer, _):
        assert [id for id, _ in written(writer)] == ["hello"]


@pytest.mark.parametrize(
    ("convert", "bad", "kind", "text"),
    [
        (EventPages(ColumnPolicy(), EventContext({}, {})), b"no JSON", msgspec.DecodeError, "JSON is malformed"),
        (refusing, b"bad", Unpicklable, "Refused: bad: no JSON"),
        (exhausting, b"bad", MemoryError, "In a process beside"),
        (leaving, b"bad", WorkerDied, "has ended with 7. Nothing was written."),
        (missing, b"bad", WorkerDied, "has ended with 1. Nothing was written."),
    ],
    ids=["no JSON", "unpicklable", "memory", "gone", "unknown"],
)
def test_an_error_there_is_one_of_the_read(convert: Convert, bad: bytes, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as caught, spooled([b'{"data":[]}', bad], convert):
        pass
    if kind is not WorkerDied:
        (note,) = caught.value.__notes__
        assert "converting.py" in note or "decoding.py" in note, "where it was"


def test_a_machine_that_has_no_process_for_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerNotStarted) as caught, advised(), spooled([b"a"], thing):
        pass
    assert "can't be started: No such file" in str(caught.value)
    assert "Lower the setting `processes`" in str(caught.value)


def test_a_machine_that_has_no_thread_for_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(WorkerNotStarted, match="can't start new thread"), spooled([b"a"], thing):
        pass


def test_an_interrupted_read_leaves_no_process(several_at_once: list[Task], tmp_path: Path) -> None:
    def pages() -> Iterator[bytes]:
        yield from [str(tmp_path).encode()] * 4
        wait(lambda: len(list(tmp_path.iterdir())) == 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), spooled(pages(), endless):
        pass
    assert len(several_at_once) == 2
    assert not any(is_alive(int(file.name)) for file in tmp_path.iterdir())


KILLED = """
from klaviyo_assets_tests.workers.converting import endless, spooled
with spooled([b{folder!r}] * 2000, endless):
    pass
"""
"""A main module that would begin again if it was imported."""


def test_no_process_outlives_a_read_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED.format(folder=str(tmp_path))]
    with subprocess.Popen(command, env=environment(KLAVIYO_HASH_SALT=SALT)) as read:
        wait(lambda: len(list(tmp_path.iterdir())) == 2)
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert SALT not in shown and "klaviyo_assets.workers.worker" in shown
        read.kill()
    wait(lambda: not any(is_alive(int(file.name)) for file in tmp_path.iterdir()))


def test_ctrl_c_does_not_reach_a_process_that_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with spooled([b"hello"], thing) as (writer, _):
        assert [id for id, _ in written(writer)] == ["hello"]


def test_a_daemon_may_have_workers(tmp_path: Path) -> None:
    """As steps are with Dagster's multiprocess executor, or tasks of Celery."""
    process = multiprocessing.get_context("spawn").Process(target=spool_a_page, args=(tmp_path,), daemon=True)
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0 and (tmp_path / "done").exists()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "5000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_a_container_has_the_cores_that_its_limit_comes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu").mkdir()
    for name, text in limits.items():
        (tmp_path / name).write_text(f"{text}\n")
    assert cores.usable_cores(tmp_path) == expected


def test_rows_of_large_pages_do_not_wait_until_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders of a shop may have 50 KB each: 20,000 of them that wait would take some GB."""
    monkeypatch.setattr(spooling, "_HELD_BYTES", 10_000)
    convert = EventPages(ColumnPolicy(), EventContext({}, {}))
    writer = SpoolWriter(EVENT, Spool(tmp_path))

    def page(number: int, length: int) -> bytes:
        properties = {"$extra": {"note": "x" * length}}
        return msgspec.json.encode({"data": [{"id": f"{number}", "attributes": {"event_properties": properties}}]})

    pages = [page(number, 4_000) for number in range(7)] + [page(number, 1) for number in range(7, 20)]
    spooling.spool_pages(pages, convert, {EVENT.name: writer}, Lost(), processes=1)
    assert [file.rows for file in writer.spool.files] == [3, 3, 14]
