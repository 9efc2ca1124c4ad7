"""The sync that runs itself: schedule, history, late events, resync and reconciliation, against a sandbox."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.assets.due import UNREAD_ONLY
from klaviyo_assets.assets.ranges import REREAD, midnight
from klaviyo_assets.assets.reconciliation import counts_of
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.automation.schedules import cron
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Call, Status
from klaviyo_assets.sandbox.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.automation.daemon import Daemon, days
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.expected import stored

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
AGO = 12
"""Days that the accounts live in the past, so that there is room to go on: no partition lies in the future."""
BEGAN = 30
"""Days of events before."""


def noon(days_ago: int) -> dt.datetime:
    today = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return today - days_ago * DAY


@pytest.fixture
def daemon(project: Callable[..., Project]) -> Callable[..., Daemon]:
    def make(**settings: Any) -> Daemon:
        account = generate_account(events=400, profiles=40, days=BEGAN, seed=5, now=noon(AGO))
        given = {
            "tables": only("metric", "campaign", "campaign_message"),
            "history_chunk_days": 10,
            "first_sync_days": 3,
            **settings,
        }
        return Daemon(project(account, **given))

    return make


def read_windows(klaviyo: Project, operation: str = "get_events") -> list[tuple[dt.datetime, dt.datetime]]:
    """The windows of time that were asked for, in order of time, each as often as it was; an open end is the sandbox's
    now."""
    found = []
    for request in klaviyo.sandbox.requests.of(operation):
        if "page[cursor]" in request.query:
            continue
        bounds = re.findall(r"(greater|less)[a-z-]*\((?:datetime|updated),([^)]+)\)", request.query.get("filter", ""))
        if bounds:
            times = {name: dt.datetime.fromisoformat(value) for name, value in bounds}
            found.append((times["greater"], times.get("less", request.at)))
    return sorted(found)


def times_read(klaviyo: Project, operation: str = "get_events") -> Counter[str]:
    """How often each whole day was asked for; profiles are asked for with bounds a second wider."""
    second = dt.timedelta(seconds=1)
    count: Counter[str] = Counter()
    for start, end in read_windows(klaviyo, operation):
        day = midnight(start + second)
        while day + DAY <= end + second:
            count[day.date().isoformat()] += 1
            day += DAY
    return count


def deleted(klaviyo: Project, table: str) -> set[str]:
    return {row["id"] for row in stored(klaviyo.warehouse, table) if row["_fivetran_deleted"]}


def any_event(account: Account, day: str) -> str:
    return next(
        e.id for e in account.events if dt.datetime.fromtimestamp(e.occurred_at, dt.UTC).date().isoformat() == day
    )


# Schedule


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(5, "*/5 * * * *"), (30, "*/30 * * * *"), (60, "0 * * * *"), (180, "0 */3 * * *"), (1440, "0 0 * * *")],
)
def test_the_interval_is_the_schedules(minutes: int, expected: str) -> None:
    assert cron(Settings(sync_interval=dt.timedelta(minutes=minutes)).sync_interval) == expected


@pytest.mark.parametrize("interval", ["PT1M", "PT7M", "PT5M30S", "PT90M", "PT5H", "P2D", "PT0S"])
def test_an_interval_that_no_schedule_keeps_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="sync_interval"):
        Settings(sync_interval=interval)


def test_nothing_starts_by_itself(daemon: Callable[..., Daemon]) -> None:
    definitions = daemon().klaviyo.definitions
    assert definitions.resolve_schedule_def("klaviyo_sync_schedule").default_status.value == "STOPPED"
    assert definitions.resolve_sensor_def("klaviyo_backfill_sensor").default_status.value == "STOPPED"


def test_one_run_catches_up_after_downtime(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    first = automatic.sync()
    assert days(first) == (klaviyo.day(-3), klaviyo.day())
    assert first.tags["dagster/max_runtime"] == "43200"
    assert klaviyo.run("klaviyo_backfill", -9, -8).success
    stopped = klaviyo.day()
    metric = account.all("metric")[0].id
    for _ in range(4):
        account.clock.advance(DAY)
        account.add_event(metric, account.clock.now() - HOUR)
    klaviyo.sandbox.requests.clear()
    assert days(automatic.sync()) == (stopped, klaviyo.day()), "from the last day, not from the last that was read"
    expected = {e.id for e in account.events if e.occurred_at >= noon(AGO).timestamp() - 3 * DAY.total_seconds()}
    assert expected <= {row["id"] for row in stored(klaviyo.warehouse, "event")}
    automatic.sync()
    assert len(read_windows(klaviyo)) == 2, "one read caught up, the other had nothing left to do"


DAILY_OR_WEEKLY = {
    *(f"klaviyo{suffix}/{table}" for suffix in ("", "_staging") for table in ("campaign", "campaign_message")),
    "klaviyo/person_deletes",
    "klaviyo/event_reconciliation",
}


def not_asked(automatic: Daemon) -> set[str]:
    """Assets that the next sync leaves out."""
    request = automatic.tick()
    assert isinstance(request, dg.RunRequest)
    job = automatic.klaviyo.definitions.resolve_job_def("klaviyo_sync")
    everything = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    return everything - {
        key.to_user_string() for key in request.asset_selection or job.asset_layer.executable_asset_keys
    }


def test_only_what_is_due_is_asked_for(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(first_sync_days=12)
    klaviyo, clock = automatic.klaviyo, automatic.klaviyo.account.clock
    assert automatic.sync().asset_selection is None
    began = clock.now()
    assert not_asked(automatic) == DAILY_OR_WEEKLY
    for hour, left_out in ((1, DAILY_OR_WEEKLY), (23, DAILY_OR_WEEKLY), (24, {"klaviyo/person_deletes"})):
        clock.set(began + hour * HOUR)
        klaviyo.sandbox.requests.clear()
        waiting = not_asked(automatic)
        assert waiting >= left_out
        automatic.sync()
        assert bool(klaviyo.sandbox.requests.of("get_campaigns")) == ("klaviyo/campaign" not in waiting) == (hour == 24)
    clock.set(began + 7 * DAY)
    assert not not_asked(automatic)
    klaviyo.account.rename("campaign", klaviyo.account.all("campaign")[0].id, "New")
    automatic.sync()
    assert klaviyo.differences("campaign", "campaign_message", "metric") == []


def test_in_doubt_everything_is_asked_for(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo = automatic.klaviyo

    def unavailable(call: Call) -> Status | None:
        return Status(400) if call.operation == "get_metrics" else None

    def fails() -> None:
        klaviyo.sandbox.faults.append(unavailable)
        assert not klaviyo.run("klaviyo_sync", 0).success
        klaviyo.sandbox.faults.clear()

    def resync() -> None:
        config = {"confirm": "resync", "tables": ["campaign"]}
        assert klaviyo.run("klaviyo_resync", config={"ops": {"klaviyo__forget": {"config": config}}}).success

    def refresh_is_killed() -> None:
        job = klaviyo.definitions.resolve_job_def("klaviyo_full_refresh")
        run = klaviyo.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        dead.append(run)

    dead: list[dg.DagsterRun] = []
    for doubt in (fails, resync, lambda: klaviyo.refresh(), Path(klaviyo.settings.duckdb_path).unlink):
        automatic.sync()
        assert {"klaviyo/campaign", "klaviyo_staging/campaign"} <= not_asked(automatic)
        doubt()
        assert not not_asked(automatic), doubt
        klaviyo.account.rename("campaign", klaviyo.account.all("campaign")[0].id, f"After {doubt}")
    automatic.sync()
    assert klaviyo.differences("campaign") == []
    assert not_asked(automatic)
    others = Settings(**{**klaviyo.settings.model_dump(), "reread_days": 3})
    assert not not_asked(Daemon(Project(klaviyo.sandbox, others, klaviyo.instance)))
    refresh_is_killed()
    assert not not_asked(automatic)
    automatic.sync()
    assert not not_asked(automatic), "it may have been killed after the sync had looked"


def test_syncs_wait_for_each_other_but_not_for_the_dead(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo, instance = automatic.klaviyo, automatic.klaviyo.instance
    klaviyo.account.clock.set(dt.datetime.now(dt.UTC))
    for job in ("klaviyo_sync", "klaviyo_backfill"):
        run = instance.create_run_for_job(klaviyo.definitions.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED)
        instance.report_engine_event("reading", run)
        assert isinstance(automatic.tick(), str) == (job == "klaviyo_sync")
        assert run.run_id in str(automatic.sense())
        assert isinstance(automatic.tick(after=2 * HOUR), dg.RunRequest), "it has said nothing for two hours"
        instance.report_run_failed(run)
        assert isinstance(automatic.tick(), dg.RunRequest)
    assets = klaviyo.definitions.resolve_implicit_global_asset_job_def()
    for chosen, waits in (({dg.AssetKey(["klaviyo", "metric"])}, False), ({dg.AssetKey(["klaviyo", "event"])}, True)):
        run = instance.create_run_for_job(assets, status=dg.DagsterRunStatus.NOT_STARTED, asset_selection=chosen)
        assert (run.run_id in str(automatic.sense())) == waits, "a backfill of the UI"
        assert isinstance(automatic.tick(), dg.RunRequest)
        instance.report_run_failed(run)
    sync = klaviyo.definitions.resolve_job_def("klaviyo_sync")
    instance.create_run_for_job(sync, status=dg.DagsterRunStatus.NOT_STARTED)
    assert isinstance(automatic.tick(), str)
    assert isinstance(automatic.tick(after=HOUR), dg.RunRequest), "it was never handed over"


# Late events


def test_late_events_and_deletes_of_the_last_days_are_found_once_a_day(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(reread_days=2)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    gone = any_event(account, klaviyo.day(-1))
    account.remove_event(gone)
    late = account.add_event(account.all("metric")[0].id, account.clock.now() - 2 * DAY).id
    for hours in range(1, 4):
        account.clock.advance(HOUR)
        automatic.sync()
        assert late not in {row["id"] for row in stored(klaviyo.warehouse, "event")}, hours
    account.clock.advance(21 * HOUR)
    klaviyo.sandbox.requests.clear()
    automatic.sync()
    assert read_windows(klaviyo)[0][0].isoformat() == f"{klaviyo.day(-2)}T00:00:00+00:00"
    assert late not in {row["id"] for row in stored(klaviyo.warehouse, "event")}, "it is three days old by now"
    assert deleted(klaviyo, "event") == {gone}
    second = account.add_event(account.all("metric")[0].id, account.clock.now() - DAY).id
    account.clock.advance(DAY)
    automatic.sync()
    assert second in {row["id"] for row in stored(klaviyo.warehouse, "event")}


def test_events_that_appear_two_days_late_land_with_the_next_daily_reread(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(history_chunk_days=BEGAN, history_start=noon(400).date())
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    began = replace(automatic.state("event"), synced_from=midnight(noon(400)))
    klaviyo.warehouse.remember(began)  # as if nothing had been found in the year before
    metric, happened = account.all("metric")[0].id, account.clock.now()
    late = {
        account.add_event(metric, happened + n * HOUR / 100, visible_at=happened + n * HOUR / 100 + 2 * DAY).id
        for n in range(100)
    }
    account.clock.advance(2 * DAY)
    automatic.sync()
    assert automatic.state("event", REREAD).synced_through == automatic.state("event").synced_through
    assert len(late & live_rows(klaviyo)["event"]) <= 2, "nearly none has appeared"
    last_year = account.add_event(metric, happened - 365 * DAY, properties={"late": "by a year"})
    day = dt.datetime.fromtimestamp(last_year.occurred_at, dt.UTC).date().isoformat()
    for _ in range(2):  # the first of these is not the daily one
        account.clock.advance(12 * HOUR)
        before = len(late & live_rows(klaviyo)["event"])
        automatic.sync()
    assert before <= 2 and late <= live_rows(klaviyo)["event"], "100 of 100"
    account.clock.advance(6 * DAY)
    automatic.sync()
    assert last_year.id not in live_rows(klaviyo)["event"] and automatic.backfill() == [(day, day)]
    assert klaviyo.differences("event") == []


# History


def test_history_newest_first_and_no_day_twice(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo = automatic.klaviyo
    assert automatic.sense() == "There has been no sync yet: start the schedule, or launch a sync."
    automatic.sync()
    windows = read_windows(klaviyo)
    assert [start.date().isoformat() for start, _ in windows] == [klaviyo.day(-3)]
    latest = {e.id for e in klaviyo.account.events if e.occurred_at >= midnight(noon(AGO)).timestamp() - 3 * 86_400}
    assert {row["id"] for row in stored(klaviyo.warehouse, "event")} == latest, "today's events, and three days"
    assert automatic.history()["oldest_day_complete"] == klaviyo.day(-3)
    left = automatic.history()["days_left"]
    ranges = automatic.backfill()
    assert ranges[0] == (klaviyo.day(-13), klaviyo.day(-4)) and ranges == sorted(ranges, reverse=True)
    assert klaviyo.differences("event", "person") == []
    first = dt.datetime.fromtimestamp(next(iter(klaviyo.account.events)).occurred_at, dt.UTC).date()
    assert automatic.history()["days_left"] == 0 and left == (noon(AGO).date() - 3 * DAY - first).days
    assert automatic.history()["first_day"] == first.isoformat()
    for operation, slack in (("get_events", dt.timedelta(0)), ("get_profiles", dt.timedelta(seconds=4))):
        windows = read_windows(klaviyo, operation)
        assert all(end <= start + slack for (_, end), (start, _) in itertools.pairwise(windows)), operation
        read = times_read(klaviyo, operation)
        assert set(read.values()) == {1} and klaviyo.day(-1) in read, "every day once"
    assert times_read(klaviyo).keys() == {(first + n * DAY).isoformat() for n in range((noon(AGO).date() - first).days)}
    before = len(klaviyo.sandbox.requests)
    assert automatic.sense() == "The history is complete." and len(klaviyo.sandbox.requests) == before


def test_history_ends_where_the_settings_say(daemon: Callable[..., Daemon]) -> None:
    start = (noon(AGO) - 8 * DAY).date()
    automatic = daemon(history_start=start)
    automatic.sync()
    assert automatic.backfill() == [(start.isoformat(), automatic.klaviyo.day(-4))]
    assert min(row["datetime"] for row in stored(automatic.klaviyo.warehouse, "event")).date() >= start


def test_a_chunk_that_fails_is_tried_again_after_the_next_sync(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo = automatic.klaviyo
    automatic.sync()

    def refuse(call: Call) -> Status | None:
        return Status(400) if call.operation == "get_events" and "filter" in call.query else None

    klaviyo.sandbox.faults.append(refuse)
    ran = automatic.sense()
    assert not isinstance(ran, str) and not ran[1].success
    assert "trying again after the next sync" in str(automatic.sense())
    klaviyo.sandbox.faults.clear()
    assert "trying again after the next sync" in str(automatic.sense())
    automatic.sync()
    klaviyo.sandbox.requests.clear()
    again = automatic.sense()
    assert not isinstance(again, str) and days(again[0]) == days(ran[0])
    assert read_windows(klaviyo) and not read_windows(klaviyo, "get_profiles"), "person was read the first time"
    automatic.backfill()
    assert klaviyo.differences("event", "person") == []


def test_a_run_for_unread_days_reads_no_day_that_has_been_read_since(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo = automatic.klaviyo
    automatic.sync()
    tags = {RANGE_START: klaviyo.day(-3), RANGE_END: klaviyo.day(-2)}
    for flags, windows in (({UNREAD_ONLY: "true"}, 0), ({}, 1)):
        klaviyo.sandbox.requests.clear()
        result = automatic.launch("klaviyo_backfill", dg.RunRequest(tags=tags | flags))
        assert result.success, failures(result)
        assert len(read_windows(klaviyo)) == windows


def test_a_key_that_may_not_read_profiles_gets_the_history_of_events(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    automatic.klaviyo.account.keys["pk_sandbox"] = frozenset(
        {"events:read", "metrics:read", "accounts:read", "campaigns:read", "tags:read"}
    )
    automatic.sync()
    automatic.backfill()
    assert automatic.klaviyo.differences("event") == []


# Resync


def test_resync_imports_anew_and_flags_what_is_gone(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon()
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    automatic.sync()
    oldest = next(iter(account.events)).id
    gone = {any_event(account, klaviyo.day(-2)), any_event(account, klaviyo.day(-12)), oldest}
    for event in gone:
        account.remove_event(event)
    profile = account.all("profile")[3].id
    account.delete("profile", profile)
    account.delete("campaign", campaign := account.all("campaign")[0].id)
    account.clock.advance(HOUR)
    automatic.sync()
    assert not deleted(klaviyo, "event") | deleted(klaviyo, "person") | deleted(klaviyo, "campaign")

    def resync(**config: Any) -> dg.ExecuteInProcessResult:
        return klaviyo.run("klaviyo_resync", config={"ops": {"klaviyo__forget": {"config": config}}})

    before = klaviyo.warehouse.states()
    assert not resync(confirm="yes").success
    assert not resync(confirm="resync", tables=["evnt"]).success
    assert klaviyo.warehouse.states() == before
    assert resync(confirm="resync", tables=["campaign", "person"]).success
    assert {table for table, _ in before} - {table for table, _ in klaviyo.warehouse.states()} == {"campaign", "person"}
    rows = len(stored(klaviyo.warehouse, "person"))
    automatic.sync()
    assert deleted(klaviyo, "campaign") == {campaign} and deleted(klaviyo, "person") == {profile}
    assert not deleted(klaviyo, "event") and len(stored(klaviyo.warehouse, "person")) == rows
    klaviyo.sandbox.requests.clear()
    automatic.backfill()
    assert not read_windows(klaviyo) and read_windows(klaviyo, "get_profiles"), "only person was forgotten"

    readable = live_rows(klaviyo)
    assert resync(confirm="resync").success
    assert klaviyo.warehouse.states() == {} and live_rows(klaviyo) == readable
    seen = []
    klaviyo.sandbox.faults.append(lambda call: seen.append(live_rows(klaviyo)["event"]))
    automatic.sync()
    klaviyo.sandbox.faults.clear()
    assert seen and min(map(len, seen)) >= len(readable["event"] - gone), "the old rows stay while new ones are read"
    assert deleted(klaviyo, "event") == {id for id in gone if id == any_of_day(klaviyo, gone, -2)}
    automatic.backfill()
    assert deleted(klaviyo, "event") == gone
    assert deleted(klaviyo, "campaign") == {campaign} and deleted(klaviyo, "person") == {profile}
    assert klaviyo.differences("event", "person", "campaign") == []


def live_rows(klaviyo: Project) -> dict[str, set[str]]:
    return {
        table: {id for id, gone in klaviyo.warehouse.rows(table, ("id", "_fivetran_deleted")) if not gone}
        for table in ("event", "person", "campaign")
    }


def test_exclusions_that_are_imported_anew_are_read_alone(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(tables=only("global_exclusion"))
    klaviyo = automatic.klaviyo
    automatic.sync()
    automatic.backfill()
    config = {"ops": {"klaviyo__forget": {"config": {"confirm": "resync", "tables": ["global_exclusion"]}}}}
    assert klaviyo.run("klaviyo_resync", config=config).success
    automatic.sync()
    ran = automatic.sense()
    assert not isinstance(ran, str) and ran[1].success
    assert {key.path[-1] for key in ran[0].asset_selection or ()} == {"global_exclusion", "history"}
    automatic.backfill()
    assert klaviyo.differences("global_exclusion") == []
    assert automatic.state("global_exclusion").synced_from == automatic.state("person").synced_from


def any_of_day(klaviyo: Project, ids: set[str], offset: int) -> str:
    rows = stored(klaviyo.warehouse, "event")
    return next(r["id"] for r in rows if r["id"] in ids and r["datetime"].date().isoformat() == klaviyo.day(offset))


# Reconciliation


def test_years_of_numbers_are_asked_for_one_by_one(daemon: Callable[..., Daemon]) -> None:
    klaviyo = daemon().klaviyo
    account = klaviyo.account
    metric = account.all("metric")[0].id
    for ago in (500, 500, 900):
        account.add_event(metric, noon(ago))
    with KlaviyoClient("pk_sandbox", base_url=klaviyo.sandbox.url) as client:
        counts = counts_of(client, metric, midnight(noon(1000)), midnight(noon(200)))
    assert {day: count for day, count in counts.items() if count} == {noon(500).date(): 2, noon(900).date(): 1}
    assert len(counts) == 800 and len(klaviyo.sandbox.requests.of("query_metric_aggregates")) == 3


def test_days_whose_numbers_differ_are_found_and_read_again(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(history_chunk_days=400)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    account.clock.advance(HOUR)
    automatic.sync()
    assert automatic.metadata("event_reconciliation")["days_that_differ"] == 0

    metric = account.all("metric")[0].id
    backdated = account.add_event(metric, account.clock.now() - 20 * DAY).id
    gone = any_event(account, klaviyo.day(-15))
    account.remove_event(gone)
    asked = len(klaviyo.sandbox.requests.of("query_metric_aggregates"))
    account.clock.advance(DAY)
    automatic.sync()
    assert automatic.sense() == "The history is complete."
    assert len(klaviyo.sandbox.requests.of("query_metric_aggregates")) == asked, "it is not due before a week is over"
    account.clock.advance(7 * DAY)
    automatic.sync()
    report = automatic.metadata("event_reconciliation")
    assert report["days_that_differ"] == 2
    first, until = automatic.state("event").synced_from, dt.date.fromisoformat(klaviyo.day(-6))
    assert first and report["days_compared"] == (until - first.date()).days, "the day is in it that is re-read last"
    name = account.all("metric")[0].attributes["name"]
    assert re.search(rf"\| {klaviyo.day(-28)} \| {re.escape(name)} \| (\d+) \| (\d+) \|", str(report["differences"]))
    klaviyo.sandbox.requests.clear()
    assert automatic.backfill() == [(klaviyo.day(-23),) * 2, (klaviyo.day(-28),) * 2]
    assert [start.date().isoformat() for start, _ in read_windows(klaviyo)] == [klaviyo.day(-28), klaviyo.day(-23)]
    assert all(end - start == DAY for start, end in read_windows(klaviyo))
    assert backdated in {row["id"] for row in stored(klaviyo.warehouse, "event")}
    assert deleted(klaviyo, "event") == {gone}
    assert klaviyo.differences("event") == []
