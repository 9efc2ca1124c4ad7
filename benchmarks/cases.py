"""What is measured."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.account import DAYS
from benchmarks.measure import Used, asked_for, launch, run_job
from benchmarks.sandbox import Served, serving
from benchmarks.warehouses import Measured, warehouse_in

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
    database: str = "duckdb"


def environment(served: Served, warehouse: Measured | None = None) -> dict[str, str]:
    """Return the settings that point a run at a sandbox and a warehouse."""
    address = {"KLAVIYO_WAREHOUSE": warehouse.address} if warehouse else {}
    return {"KLAVIYO_API_KEY": KEY, "KLAVIYO_API_URL": served.url, **address}


def history(served: Served) -> tuple[str, str]:
    """Return the first and the last day of the account's events."""
    return ((served.now - dt.timedelta(days=DAYS + 1)).date().isoformat(), served.now.date().isoformat())


@contextmanager
def counted(served: Served, case: Case, warehouse: Measured | None = None) -> Iterator[Callable[..., Result]]:
    """Set latency and limits; the function that is given makes the result, the warehouse's CPU seconds included."""
    before = served.tell(latency=case.latency, limits=case.limits)
    cpu = warehouse.cpu() if warehouse else 0.0

    def result(used: Used, answer: Mapping[str, Any], rows: int = 0) -> Result:
        after = served.tell()
        requests = sum(after["requests"].values()) - sum(before["requests"].values())
        if warehouse:
            used = replace(used, cpu=used.cpu + warehouse.cpu() - cpu)
        return Result(
            case.name, rows, used, requests, after["refused"] - before["refused"], after["cpu"] - before["cpu"],
            answer["stages"],
        )  # fmt: skip

    yield result


def backfill(table: str) -> Callable[[Case, Served], Result]:
    """Return how a backfill of a whole table is measured; its rows are counted and its keys are distinct."""

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name, warehouse_in(Path(name), case.database) as warehouse:
            tables = ("event",) if table == "event" else ("person", "global_exclusion", "list_exclusion")
            only = [f"klaviyo/{name}" for name in tables]
            settings = environment(served, warehouse)
            with counted(served, case, warehouse) as result:
                used, answer = run_job("klaviyo_backfill", Path(name), settings, days=history(served), only=only)
                done = result(used, answer)
            rows = int(case.account["events" if table == "event" else "profiles"])
            verify(warehouse, table, rows)
            return replace(
                done, rows=rows, table=table, seconds_loading=answer["assets"][f"klaviyo/{table}"]["seconds"]
            )

    return run


def launched(days: int) -> Callable[[Case, Served], Result]:
    """Return how a backfill of so many days is measured as a command launches it, with Dagster's default settings."""

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name, warehouse_in(Path(name), case.database) as warehouse:
            last = served.now.date()
            first = last - dt.timedelta(days=days - 1)
            with counted(served, case, warehouse) as result:
                range_of_days = (first.isoformat(), last.isoformat())
                used = launch("klaviyo_backfill", Path(name), environment(served, warehouse), days=range_of_days)
                done = result(used, {"stages": {}})
            ((rows,),) = warehouse.sql(f"SELECT count(*) FROM klaviyo.event WHERE datetime >= DATE '{first}'")
            ((found,),) = warehouse.sql("SELECT count(*) FROM klaviyo.person")
            if found > case.account["profiles"] or found + rows < 0.95 * sum(
                int(case.account[what]) for what in ("events", "profiles")
            ):
                raise AssertionError(f"{case.name}: {rows} events and {found} people of {case.account}")
            return replace(done, rows=rows)

    return run


def verify(warehouse: Measured, table: str, rows: int) -> None:
    """Raise AssertionError unless the table has so many rows, all with another id."""
    (found,) = warehouse.sql(f"SELECT count(*), count(DISTINCT id) FROM klaviyo.{table}")
    if found != (rows, rows):
        raise AssertionError(f"{table} has {found[0]} rows and {found[1]} ids, not {rows}")


def incremental(case: Case, served: Served) -> Result:
    """Sync 5,000 new events into a table of `case.size` rows, and compare the contents before and after."""
    with tempfile.TemporaryDirectory() as name, warehouse_in(Path(name), case.database) as warehouse:
        today = (served.now.date().isoformat(), served.now.date().isoformat())
        settings = environment(served, warehouse)

        def sync() -> tuple[Used, dict[str, Any]]:
            return run_job("klaviyo_sync", Path(name), settings, days=today, only=["klaviyo/event"])

        sync()
        fill(warehouse, case.size)
        sync()  # the checks look once at all of what has not been there before
        before = contents(warehouse)
        served.tell(add_events=5000)
        with counted(served, case, warehouse) as result:
            used, answer = sync()
            done = result(used, answer)
        after = contents(warehouse)
        if after[:3] != before[:3] or after[3] != before[3] + 5000 or after[4] != after[3]:
            raise AssertionError(f"{case.name}: {before} became {after}")
        return replace(done, rows=5000, table="event", seconds_loading=answer["assets"]["klaviyo/event"]["seconds"])


def fill(warehouse: Measured, rows: int) -> None:
    """Add old rows until the table has so many; their ids say nothing about their times."""
    ((there,),) = warehouse.sql("SELECT count(*) FROM klaviyo.event")
    if warehouse.without_key:
        warehouse.sql(warehouse.without_key)
    warehouse.sql(
        "INSERT INTO klaviyo.event (id, metric_id, person_id, datetime, timestamp, type, uuid, "
        "property_value, property_subject, property_url, _fivetran_synced, _fivetran_deleted) "
        "SELECT concat('old', substr(md5(CAST(i AS VARCHAR)), 1, 8), i), 'Mtrc00', concat('01', i % 50000), "
        "moment, moment, 'Metric 0', md5(CAST(i AS VARCHAR)), floor(i / 8.0), concat('Number ', i % 90), "
        "concat('https://shop.example/', i % 300), TIMESTAMP '2026-01-01', false FROM (SELECT i, "
        f"TIMESTAMP '2023-01-01' + CAST(floor(i * 1000.0 / {rows}) AS INTEGER) * INTERVAL '1' DAY AS moment "
        f"FROM generate_series(0, {rows - there - 1}) AS r(i)) AS old"
    )
    if warehouse.with_key:
        warehouse.sql(warehouse.with_key)
    warehouse.sql("VACUUM ANALYZE klaviyo.event")


def contents(warehouse: Measured) -> tuple[Any, ...]:
    """Return count, sum of values and hash of the rows that `fill` made, and count and distinct ids of all rows."""
    (found,) = warehouse.sql(
        "SELECT count(*) FILTER (WHERE old), sum(property_value) FILTER (WHERE old), "
        f"sum({warehouse.hashed}(concat(id, uuid, property_url))) FILTER (WHERE old), count(*), count(DISTINCT id) "
        "FROM (SELECT *, id LIKE 'old%' AS old FROM klaviyo.event) AS marked"
    )
    return found


def whole_account(job: str, *, again: bool, scheduled: bool = False) -> Callable[[Case, Served], Result]:
    """Return how a job over all tables is measured: the first time, or once nothing is new.

    scheduled: run what the schedule would ask for, not the whole job.
    """

    def run(case: Case, served: Served) -> Result:
        with tempfile.TemporaryDirectory() as name, warehouse_in(Path(name), case.database) as warehouse:
            folder, settings = Path(name), environment(served, warehouse)
            today = (served.now.date().isoformat(), served.now.date().isoformat())
            if again:
                served.tell(latency=0.0, limits="off")
                run_job("klaviyo_sync", folder, settings, days=today)
            days = None if job == "klaviyo_full_refresh" else today
            only = asked_for(folder, settings) if scheduled else ()
            if scheduled and not only:
                raise AssertionError(f"{case.name}: the schedule asks for everything")
            with counted(served, case, warehouse) as result:
                used, answer = run_job(job, folder, settings, days=days, only=only)
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
                run_job("klaviyo_models_job", folder, environment(served))
                add_rows(folder, rows, rows := rows + 5000)
            with counted(served, case) as result:
                used, answer = run_job("klaviyo_models_job", folder, environment(served))
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
    *(Case(f"event-100k-{shape}", _events(100_000, shape), backfill("event")) for shape in ("wide", "mix")),
    Case("event-1m-50ms", _events(1_000_000), backfill("event"), big=True),
    *(Case(f"event-1m-{shape}", _events(1_000_000, shape), backfill("event"), big=True) for shape in ("wide", "mix")),
    *(Case(f"person-20k-{ms}ms", {"profiles": 20_000}, backfill("person"), ms / 1000) for ms in (0, 50, 200)),
    Case("person-20k-limits", {"profiles": 20_000}, backfill("person"), limits="real"),
    Case("person-500k", {"profiles": 500_000}, backfill("person"), big=True),
    *(
        Case(f"incremental-{name}", _events(10_000), incremental, size=size, big=size > 1_000_000)
        for name, size in (("100k", 100_000), ("1m", 1_000_000), ("5m", 5_000_000), ("10m", 10_000_000))
    ),
    *(
        Case(
            f"event-{name}-50ms-postgres",
            _events(size, shape),
            backfill("event"),
            big=True,
            database="postgres",
        )
        for name, size, shape in (
            ("100k", 100_000, "narrow"),
            ("100k-wide", 100_000, "wide"),
            ("1m", 1_000_000, "narrow"),
        )
    ),
    *(
        Case(f"incremental-{name}-postgres", _events(10_000), incremental, size=size, big=True, database="postgres")
        for name, size in (("100k", 100_000), ("1m", 1_000_000), ("10m", 10_000_000))
    ),
    Case("sync-first", _MIXED, whole_account("klaviyo_sync", again=False)),
    Case("sync-nothing-new", _MIXED, whole_account("klaviyo_sync", again=True, scheduled=True)),
    Case("sync-nothing-new-whole", _MIXED, whole_account("klaviyo_sync", again=True)),
    *(
        Case(f"models-1m{'-again' if again else ''}", _events(0), models(again=again), big=True, size=1_000_000)
        for again in (False, True)
    ),
    Case("full-refresh", _MIXED, whole_account("klaviyo_full_refresh", again=False)),
    Case("backfill-90-days", _events(100_000) | {"profiles": 5_000}, launched(90)),
    Case("backfill-10-years", _events(20) | {"profiles": 20}, launched(3653)),
]


def run_case(case: Case, times: int) -> list[Result]:
    """Run a case several times against one sandbox."""
    with serving(case.account) as served:
        return [case.run(case, served) for _ in range(times)]
