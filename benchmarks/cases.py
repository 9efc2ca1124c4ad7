"""What is measured."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.account import DAYS
from benchmarks.measure import Used, asked_for, run_job
from benchmarks.sandbox import Served, serving

CEILING = {"event": 3500 * 1000 / 60, "person": 750 * 100 / 60}
"""Rows a second that Klaviyo allows."""

KEY = "pk_sandbox"


@dataclass(frozen=True)
class Result:
    """What one run did. cpu_sandbox: CPU seconds of the simulated Klaviyo, on the same machine, not in `used`."""

    case: str
    rows: int
    used: Used
    requests: int
    refused: int
    cpu_sandbox: float
    stages: Mapping[str, float] = field(default_factory=dict)
    table: str = ""
    seconds_loading: float = 0.0


@dataclass(frozen=True)
class Case:
    """A case: what to serve and how to measure it. big: takes minutes, so it is only run when asked for."""

    name: str
    account: Mapping[str, Any]
    run: Callable[[Case, Served], Result]
    latency: float = 0.05
    limits: str = "off"
    big: bool = False
    size: int = 0


def environment(url: str) -> dict[str, str]:
    """Return the settings that point a run at a sandbox."""
    return {"KLAVIYO_API_KEY": KEY, "KLAVIYO_API_URL": url}


def history(served: Served) -> tuple[str, str]:
    """Return the first and the last day of the account's events."""
    return ((served.now - dt.timedelta(days=DAYS + 1)).date().isoformat(), served.now.date().isoformat())


@contextmanager
def counted(served: Served, case: Case) -> Iterator[Callable[..., Result]]:
    """Set latency and limits; the function that is given makes the result."""
    before = served.tell(latency=case.latency, limits=case.limits)

    def result(used: Used, answer: Mapping[str, Any], rows: int, table: str = "", loading: float = 0.0) -> Result:
        after = served.tell()
        requests = sum(after["requests"].values()) - sum(before["requests"].values())
        return Result(
            case.name, rows, used, requests, after["refused"] - before["refused"], after["cpu"] - before["cpu"],
            answer["stages"], table, loading,
        )  # fmt: skip

    yield result


def backfill(table: str) -> Callable[[Case, Served], Result]:
    """Return how a backfill of a whole table is measured; its rows are counted and its keys are distinct."""

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name, counted(served, case) as result:
            folder = Path(name)
            only = ("event",) if table == "event" else ("person", "global_exclusion", "list_exclusion")
            only = tuple(f"klaviyo/{name}" for name in only)
            used, answer = run_job("klaviyo_backfill", folder, environment(served.url), days=history(served), only=only)
            rows = int(case.account["events" if table == "event" else "profiles"])
            verify(folder, table, rows)
            return result(used, answer, rows, table, answer["assets"][f"klaviyo/{table}"]["seconds"])

    return run


def incremental(case: Case, served: Served) -> Result:
    """Sync 5,000 new events into a table of `case.size` rows, and compare the contents before and after."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        today = (served.now.date().isoformat(), served.now.date().isoformat())
        run_job("klaviyo_sync", folder, environment(served.url), days=today, only=["klaviyo/event"])
        fill(folder, case.size)
        # The checks look once at all of what has not been there before.
        run_job("klaviyo_sync", folder, environment(served.url), days=today, only=["klaviyo/event"])
        before = contents(folder)
        served.tell(add_events=5000)
        with counted(served, case) as result:
            used, answer = run_job("klaviyo_sync", folder, environment(served.url), days=today, only=["klaviyo/event"])
        after = contents(folder)
        if after[:3] != before[:3] or after[3] != before[3] + 5000 or after[4] != after[3]:
            raise AssertionError(f"{case.name}: {before} became {after}")
        return result(used, answer, 5000, "event", answer["assets"]["klaviyo/event"]["seconds"])


def fill(folder: Path, rows: int) -> None:
    """Add old rows until the table has so many; their ids say nothing about their times."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        (there,) = connection.execute("SELECT count(*) FROM warehouse.klaviyo.event").fetchall()[0]
        connection.execute(
            "INSERT INTO warehouse.klaviyo.event (id, metric_id, person_id, datetime, timestamp, type, uuid, "
            "property_value, property_subject, property_url, _fivetran_synced, _fivetran_deleted) "
            "SELECT 'old' || md5(CAST(i AS VARCHAR))[:8] || i, 'Mtrc00', '01' || i % 50000, moment, moment, "
            "'Metric 0', md5(CAST(i AS VARCHAR)), i / 8, 'Number ' || i % 90, 'https://shop.example/' || i % 300, "
            "TIMESTAMP '2026-01-01', false "
            "FROM (SELECT i, TIMESTAMP '2023-01-01' + INTERVAL (i * 1000 // ?) DAY AS moment FROM range(?) AS r(i))",
            [rows, rows - there],
        )


def contents(folder: Path) -> tuple[Any, ...]:
    """Return count, sum of values and hash of the rows that `fill` made, and count and distinct ids of all rows."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(
            "SELECT count(*) FILTER (old), sum(property_value) FILTER (old), "
            "sum(hash(id, datetime, uuid, property_url)) FILTER (old), count(*), count(DISTINCT id) "
            "FROM (SELECT *, starts_with(id, 'old') AS old FROM warehouse.klaviyo.event)"
        ).fetchall()[0]


def verify(folder: Path, table: str, rows: int) -> None:
    """Raise AssertionError unless the table has so many rows, all with another id."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        query = f"SELECT count(*), count(DISTINCT id) FROM warehouse.klaviyo.{table}"
        found = connection.execute(query).fetchall()[0]
    if found != (rows, rows):
        raise AssertionError(f"{table} has {found[0]} rows and {found[1]} ids, not {rows}")


def whole_account(job: str, *, again: bool, scheduled: bool = False) -> Callable[[Case, Served], Result]:
    """Return how a job over all tables is measured: the first time, or once nothing is new.

    scheduled: run what the schedule would ask for, not the whole job.
    """

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            today = (served.now.date().isoformat(), served.now.date().isoformat())
            if again:
                served.tell(latency=0.0, limits="off")
                run_job("klaviyo_sync", folder, environment(served.url), days=today)
            days = None if job == "klaviyo_full_refresh" else today
            only = asked_for(folder, environment(served.url)) if scheduled else ()
            if scheduled and not only:
                raise AssertionError(f"{case.name}: the schedule asks for everything")
            with counted(served, case) as result:
                used, answer = run_job(job, folder, environment(served.url), days=days, only=only)
            rows = sum(int(values.get("rows_read", 0)) for values in answer["assets"].values())
            return result(used, answer, rows)

    return run


def models(*, again: bool) -> Callable[[Case, Served], Result]:
    """Return how the models of `case.size` events are measured: the first time, or once 5,000 people have news."""

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = case.size
            make_tables(folder, people=rows // 20)
            add_rows(folder, 0, rows)
            if again:
                run_job("klaviyo_models_job", folder, environment(served.url))
                add_rows(folder, rows, rows := rows + 5000)
            with counted(served, case) as result:
                used, answer = run_job("klaviyo_models_job", folder, environment(served.url))
            with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
                found = connection.execute(
                    "SELECT count(*), count(DISTINCT event_id), count(last_touch_type) "
                    "FROM warehouse.klaviyo_models.klaviyo__events"
                ).fetchall()[0]
            if found[:2] != (rows, rows) or found[2] < rows * 0.8:
                raise AssertionError(f"{case.name}: {found} rows, ids and credits of {rows} events")
            return result(used, answer, rows)

    return run


TYPES = ["Received Email", "Opened Email", "Clicked Email", "Active on Site", "Viewed Product", "Placed Order"]


def make_tables(folder: Path, people: int) -> None:
    """Write the tables that the models read; EVENT is empty."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        for statement in (
            "CREATE SCHEMA warehouse.klaviyo",
            "USE warehouse.klaviyo",
            "CREATE TABLE person AS SELECT 'p' || i AS id, i || '@example.com' AS email, 'Ada' AS first_name, "
            "'Number ' || i AS last_name, 'Boston' AS city, TIMESTAMP '2024-01-01' AS created, created AS updated, "
            f"false AS _fivetran_deleted FROM range({people}) AS r(i)",
            "CREATE TABLE campaign AS SELECT 'c' || i AS id, 'Campaign ' || i AS name, 'email' AS campaign_type, "
            "'Hello' AS subject, 'Sent' AS status, false AS _fivetran_deleted FROM range(300) AS r(i)",
            "CREATE TABLE flow AS SELECT 'f' || i AS id, 'Flow ' || i AS name, 'live' AS status, "
            "'Metric' AS trigger_type, false AS _fivetran_deleted FROM range(30) AS r(i)",
            "CREATE TABLE metric AS SELECT name AS id, name, false AS _fivetran_deleted "
            f"FROM (SELECT unnest({TYPES}) AS name)",
            "CREATE TABLE event (id VARCHAR, campaign_id VARCHAR, flow_id VARCHAR, _variation VARCHAR, "
            "metric_id VARCHAR, person_id VARCHAR, datetime TIMESTAMP, timestamp TIMESTAMP, type VARCHAR, "
            "uuid VARCHAR, property_value DOUBLE, property_attribution JSON, _fivetran_synced TIMESTAMP, "
            "_fivetran_deleted BOOLEAN)",
        ):
            connection.execute(statement)


def add_rows(folder: Path, first: int, end: int) -> None:
    """Add events, of one person after the other, each time the next of TYPES.

    Three in four messages belong to campaigns, the others to flows. Two of three events that are about no message are
    attributed to a click, as Klaviyo says it.
    """
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            f"""
            INSERT INTO warehouse.klaviyo.event WITH numbered AS (
                SELECT i % people AS person, i // people AS number, number % 6 AS step,
                    (person * 7 + number // 6 * 11) % 400 AS message
                FROM (SELECT i, (SELECT count(*) FROM warehouse.klaviyo.person) AS people FROM range(?, ?) AS r(i))
            ), named AS (
                SELECT *, {TYPES}[step + 1] AS type, md5(person || '-' || number) AS id,
                    md5(person || '-' || (number - step + 2)) AS click,
                    TIMESTAMP '2024-01-01' + INTERVAL (number + person % 500) DAY AS moment
                FROM numbered
            )
            SELECT id, CASE WHEN step < 3 AND message < 300 THEN 'c' || message END,
                CASE WHEN step < 3 AND message >= 300 THEN 'f' || message % 30 END,
                CASE WHEN step < 3 THEN 'v' || message % 2 END, type, 'p' || person, moment, moment, type, id,
                CASE WHEN step = 5 THEN person % 90 + 0.5 END,
                CASE WHEN step > 3 THEN
                    json('{{"relationships": {{"attributed-event": {{"data": {{"id": "' || click || '"}}}}}}}}')
                END, TIMESTAMP '2026-06-01' + INTERVAL (?) SECOND, false
            FROM named
            """,
            [first, end, first],
        )


def _events(count: int, shape: str = "narrow") -> dict[str, Any]:
    return {"events": count, "shape": shape}


_MIXED = {"mixed": True, "events": 50_000, "profiles": 5_000, "days": 60}

CASES = [
    *(Case(f"event-100k-{ms}ms", _events(100_000), backfill("event"), ms / 1000) for ms in (0, 50, 200)),
    Case("event-100k-limits", _events(100_000), backfill("event"), limits="real"),
    Case("event-100k-wide", _events(100_000, "wide"), backfill("event")),
    Case("event-1m-50ms", _events(1_000_000), backfill("event"), big=True),
    Case("event-1m-wide", _events(1_000_000, "wide"), backfill("event"), big=True),
    *(Case(f"person-20k-{ms}ms", {"profiles": 20_000}, backfill("person"), ms / 1000) for ms in (0, 50, 200)),
    Case("person-20k-limits", {"profiles": 20_000}, backfill("person"), limits="real"),
    Case("person-500k", {"profiles": 500_000}, backfill("person"), big=True),
    *(
        Case(f"incremental-{name}", _events(10_000), incremental, size=size, big=size > 1_000_000)
        for name, size in (("100k", 100_000), ("1m", 1_000_000), ("5m", 5_000_000), ("10m", 10_000_000))
    ),
    Case("sync-first", _MIXED, whole_account("klaviyo_sync", again=False)),
    Case("sync-nothing-new", _MIXED, whole_account("klaviyo_sync", again=True, scheduled=True)),
    Case("sync-nothing-new-whole", _MIXED, whole_account("klaviyo_sync", again=True)),
    *(
        Case(f"models-1m{'-again' if again else ''}", _events(0), models(again=again), big=True, size=1_000_000)
        for again in (False, True)
    ),
    Case("full-refresh", _MIXED, whole_account("klaviyo_full_refresh", again=False)),
]


def run_case(case: Case, times: int) -> list[Result]:
    """Run a case several times against one sandbox."""
    with serving(case.account) as served:
        return [case.run(case, served) for _ in range(times)]
