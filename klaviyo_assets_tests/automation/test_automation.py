"""The sync that runs itself: schedule, history, late events, resync and reconciliation, against a sandbox."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.api import KlaviyoClient
from klaviyo_assets.assets.reconciliation import MOST_TIMES, counts_of, klaviyo_counts
from klaviyo_assets.assets.step import UNREAD_ONLY
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.automation.schedules import cron
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Call, Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.ranges import midnight
from klaviyo_assets.sync.scopes import REREAD
from klaviyo_assets_tests.automation.daemon import Daemon, days
from klaviyo_assets_tests.conftest import QUIET, Project, failures, narrowed, only, without_campaigns
from klaviyo_assets_tests.expected import stored

DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
AGO = 12
"""Days that the accounts live in the past, so that there is room to go on: no partition lies in the future."""
BEGAN = 30
"""Days of events before."""
TODAY = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0)
"""The same day in all of a test, though midnight may pass."""


def noon(days_ago: int) -> dt.datetime:
    return TODAY - days_ago * DAY


@pytest.fixture
def daemon(project: Callable[..., Project]) -> Callable[..., Daemon]:
    def make(ago: int = AGO, tables: Collection[str] = (), **settings: Any) -> Daemon:
        account = narrowed(generate_account(events=400, profiles=40, days=BEGAN, seed=5, now=noon(ago)))
        if "campaign" not in tables:
            without_campaigns(account)
        given = {
            "tables": only(*tables),
            "history_chunk_days": 400,
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
    automatic = daemon(tables=("metric", "campaign", "campaign_message"), first_sync_days=12)
    klaviyo, clock = automatic.klaviyo, automatic.klaviyo.account.clock
    assert automatic.sync().asset_selection is None
    began = clock.now()
    assert not_asked(automatic) == DAILY_OR_WEEKLY
    for hour, left_out in ((23, DAILY_OR_WEEKLY), (24, {"klaviyo/person_deletes"})):
        clock.set(began + hour * HOUR)
        klaviyo.sandbox.requests.clear()
        waiting = not_asked(automatic)
        assert waiting >= left_out
        automatic.sync()
        imported = len(klaviyo.sandbox.requests.of("get_campaigns")) > 2  # two ask for changes
        assert imported == ("klaviyo/campaign" not in waiting) == (hour == 24)
    klaviyo.account.rename("campaign", klaviyo.account.all("campaign")[0].id, "Newer")
    clock.set(clock.now() + HOUR)
    assert "klaviyo/campaign" in not_asked(automatic)
    automatic.sync()
    assert not {"klaviyo/campaign", "klaviyo_staging/campaign_message"} & not_asked(automatic), "it has changed"
    clock.set(began + 7 * DAY)
    assert not not_asked(automatic)
    klaviyo.account.rename("campaign", klaviyo.account.all("campaign")[0].id, "New")
    automatic.sync()
    assert klaviyo.differences("campaign", "campaign_message", "metric") == []


def test_in_doubt_everything_is_asked_for(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(tables=("metric", "campaign"))
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
        automatic.sync()  # sees the change, at the latest
        automatic.sync()
        assert {"klaviyo/campaign", "klaviyo_staging/campaign"} <= not_asked(automatic)
        doubt()
        assert not not_asked(automatic), doubt
        klaviyo.account.rename("campaign", klaviyo.account.all("campaign")[0].id, f"After {doubt}")
        klaviyo.account.clock.freeze()  # Klaviyo says the time in seconds: the syncs may seem to be of the same moment
        klaviyo.account.clock.set(klaviyo.account.clock.now().replace(microsecond=0) + dt.timedelta(seconds=2))
    automatic.sync()  # sees the change, at the latest
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
    automatic = daemon(tables=["metric"])
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
    for hours in (1, 22):
        account.clock.advance(hours * HOUR)
        automatic.sync()
        assert late not in {row["id"] for row in stored(klaviyo.warehouse, "event")}, hours
    account.clock.advance(HOUR)
    klaviyo.sandbox.requests.clear()
    automatic.sync()
    assert read_windows(klaviyo)[0][0].isoformat() == f"{klaviyo.day(-3)}T00:00:00+00:00"
    assert late in live_rows(klaviyo)["event"], "two days before the last re-read, three days before this one"
    assert deleted(klaviyo, "event") == {gone}
    second, third = (account.add_event(account.all("metric")[0].id, account.clock.now() - n * DAY).id for n in (2, 4))
    account.clock.advance(DAY)
    automatic.sync()
    assert second in live_rows(klaviyo)["event"] and third not in live_rows(klaviyo)["event"]


@pytest.mark.soak
@pytest.mark.parametrize("state_is_lost", [False, True])
def test_late_events_land_with_the_first_sync_after_downtime(
    daemon: Callable[..., Daemon], state_is_lost: bool
) -> None:
    """The machine was off for 11 days: what had appeared meanwhile is not older than what the last re-read knows of."""
    automatic = daemon(ago=40)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    metric, stopped = account.all("metric")[0].id, account.clock.now()
    account.clock.set(stopped + 3 * HOUR)
    automatic.sync()
    late = {
        account.add_event(metric, stopped - days * DAY + n * HOUR / 10, visible_at=stopped + 4 * HOUR).id
        for days in (3, 6)
        for n in range(10)
    }
    gone = any_event(account, klaviyo.day(-5))
    account.remove_event(gone)
    profile = account.all("profile")[7].id
    account.clock.advance(11 * DAY)
    account.update("profile", profile, title="While it was off")

    def unavailable(call: Call) -> Status | None:
        return Status(400) if call.operation == "get_events" and "filter" in call.query else None

    klaviyo.sandbox.faults.append(unavailable)
    request = automatic.tick()
    assert isinstance(request, dg.RunRequest) and not automatic.launch("klaviyo_sync", request).success
    klaviyo.sandbox.faults.clear()
    assert not late & live_rows(klaviyo)["event"]
    if state_is_lost:
        with klaviyo.warehouse.connect() as connection:
            connection.execute("DELETE FROM klaviyo._sync_state WHERE scope = 'reread'")
    account.clock.advance(HOUR)
    automatic.sync()
    assert late <= live_rows(klaviyo)["event"] and deleted(klaviyo, "event") == {gone}
    assert klaviyo.differences("event", "person") == []
    klaviyo.sandbox.requests.clear()
    account.clock.advance(HOUR)
    automatic.sync()
    assert read_windows(klaviyo)[0][0] > account.clock.now() - 6 * HOUR, "once a day is enough"


@pytest.mark.soak
def test_no_day_falls_between_the_reread_and_the_comparison(daemon: Callable[..., Daemon]) -> None:
    """One event of each day appears while the machine is off: the sync afterwards, or the sensor, brings them all."""
    automatic = daemon(ago=60)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    account.clock.advance(7 * DAY - HOUR / 2)
    automatic.sync()
    metric = account.all("metric")[0].id
    late = {account.add_event(metric, account.clock.now() - n * DAY).id for n in range(25)}
    account.clock.advance(13 * DAY)
    automatic.sync()
    missing = late - live_rows(klaviyo)["event"]
    assert len(missing) == 25 - 8, "seven days before the last re-read, and its own"
    automatic.backfill()
    assert late <= live_rows(klaviyo)["event"]
    assert klaviyo.differences("event") == []


@pytest.mark.soak
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
    automatic = daemon(history_chunk_days=10)
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


@pytest.mark.parametrize("chunk_days", [pytest.param(20, marks=pytest.mark.soak), 400])
def test_a_chunk_that_fails_is_tried_again_after_the_next_sync(daemon: Callable[..., Daemon], chunk_days: int) -> None:
    """Also one up to the first event, which is not the first update of a profile: what is left of it begins earlier."""
    automatic = daemon(history_chunk_days=chunk_days)
    klaviyo = automatic.klaviyo
    oldest = min(event.occurred_at for event in klaviyo.account.events)
    klaviyo.account.add_event(
        klaviyo.account.all("metric")[0].id, dt.datetime.fromtimestamp(oldest, dt.UTC) - 3 * DAY, id="First"
    )
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
    assert not isinstance(again, str) and days(again[0])[1] == days(ran[0])[1]
    assert (days(again[0])[0] < days(ran[0])[0]) == (chunk_days == 400)
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
    automatic = daemon(tables=("campaign", "campaign_message"))
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
    automatic = daemon(tables=["global_exclusion"])
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
    automatic = daemon()
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
    first, until = automatic.state("event").synced_from, dt.date.fromisoformat(klaviyo.day(-7))
    assert first and report["days_compared"] == (until - first.date()).days, "up to where the next re-read begins"
    name = account.all("metric")[0].attributes["name"]
    assert re.search(rf"\| {klaviyo.day(-28)} \| {re.escape(name)} \| (\d+) \| (\d+) \|", str(report["differences"]))
    klaviyo.sandbox.requests.clear()
    assert automatic.backfill() == [(klaviyo.day(-28),) * 2, (klaviyo.day(-23),) * 2]
    assert [start.date().isoformat() for start, _ in read_windows(klaviyo)] == [klaviyo.day(-28), klaviyo.day(-23)]
    assert all(end - start == DAY for start, end in read_windows(klaviyo))
    assert backdated in {row["id"] for row in stored(klaviyo.warehouse, "event")}
    assert deleted(klaviyo, "event") == {gone}
    assert klaviyo.differences("event") == []


def compare(klaviyo: Project) -> None:
    """Compare the numbers by hand, whether that is due or not."""
    job = klaviyo.definitions.resolve_implicit_global_asset_job_def()
    config = {"ops": {"klaviyo__event_reconciliation": {"config": {"only_due": False}}}}
    result = job.execute_in_process(
        instance=klaviyo.instance,
        asset_selection=[dg.AssetKey(["klaviyo", "event_reconciliation"])],
        run_config={**QUIET, **config},
    )
    assert result.success


def healed(automatic: Daemon) -> list[tuple[str, str]]:
    """What the sensor has read until it has nothing to do, each range with success."""
    found = []
    while not isinstance(ran := automatic.sense(), str):
        assert ran[1].success, failures(ran[1])
        found.append(days(ran[0]))
    return found


@pytest.fixture
def more_at_klaviyo(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let Klaviyo's numbers of some days be larger than what any read returns, for as many metrics as wanted."""

    def make(days: Collection[dt.date], metrics: int = 1) -> None:
        def counts(*args: Any, **options: Any) -> tuple[dict[str, str], dict[str, dict[dt.date, int]]]:
            names, theirs = klaviyo_counts(*args, **options)
            never = {f"never{n}": dict.fromkeys(days, 1) for n in range(metrics)}
            return {**names, **dict.fromkeys(never, "Never comes")}, {**theirs, **never}

        monkeypatch.setattr("klaviyo_assets.assets.reconciliation.klaviyo_counts", counts)

    return make


def test_comparisons_without_a_read_give_no_difference_up(
    daemon: Callable[..., Daemon], more_at_klaviyo: Callable[..., None]
) -> None:
    automatic = daemon()
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    day = (account.clock.now() - 15 * DAY).date()
    late = {account.add_event(account.all("metric")[0].id, account.clock.now() - 20 * DAY).id for _ in range(5)}
    more_at_klaviyo([day])
    for _ in range(MOST_TIMES + 1):
        compare(klaviyo)
    wanted = [(klaviyo.day(-20),) * 2, (klaviyo.day(-15),) * 2]
    assert healed(automatic) == wanted and late <= live_rows(klaviyo)["event"], "five of five"
    automatic.sync()
    assert healed(automatic) == [], "once after each comparison"
    assert klaviyo.run("klaviyo_backfill", -15, -15).success, "a read by hand counts as one"
    for reads in range(2, MOST_TIMES + 2):
        compare(klaviyo)
        assert "once" not in str(automatic.metadata("event_reconciliation")["differences"])
        assert healed(automatic) == wanted[1:] * (reads < MOST_TIMES)
    with klaviyo.warehouse.connect() as connection:
        connection.execute("UPDATE klaviyo._differences SET ours = ours - 1")
    compare(klaviyo)
    assert healed(automatic) == wanted[1:], "other numbers are another difference"


def test_a_reread_that_fails_is_asked_for_again_after_the_next_sync(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(first_sync_days=12)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    compare(klaviyo)
    metric, late = account.all("metric")[0].id, {}
    for ago in (11, 9):
        late[klaviyo.day(-ago)] = account.add_event(metric, account.clock.now() - ago * DAY).id
    older, newer = late
    compare(klaviyo)

    def refuse(call: Call) -> Status | None:
        return Status(400) if call.operation == "get_events" and older in call.query.get("filter", "") else None

    for times in range(1, MOST_TIMES + 1):
        asked = []
        klaviyo.sandbox.faults.append(refuse)
        while not isinstance(ran := automatic.sense(), str):
            asked.append((days(ran[0])[0], ran[1].success))
        klaviyo.sandbox.faults.clear()
        if times == 1:
            assert asked[:2] == [(older, False), (newer, True)]
            assert asked[2:] and all(success for _, success in asked[2:]), "then the history"
            assert late[newer] in live_rows(klaviyo)["event"]
        else:
            assert asked == [(older, False)]
        assert older in ran
        automatic.sync()
    assert "after the next comparison" in str(automatic.sense()), "not for ever"
    account.clock.advance(7 * DAY)
    automatic.sync()
    assert (older, older) in healed(automatic) and set(late.values()) <= live_rows(klaviyo)["event"]
    assert klaviyo.differences("event") == []


@pytest.mark.soak
def test_thousands_of_permanent_differences_hide_no_other_one(
    daemon: Callable[..., Daemon], more_at_klaviyo: Callable[..., None]
) -> None:
    automatic = daemon()
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    permanent = [(account.clock.now() - n * DAY).date() for n in (9, 25)]
    more_at_klaviyo(permanent, metrics=1000)
    metric = account.all("metric")[0].id
    late = account.add_event(metric, account.clock.now() - 28 * DAY).id
    for _ in range(MOST_TIMES):
        compare(klaviyo)
        read = healed(automatic)
        assert {(day.isoformat(),) * 2 for day in permanent} <= set(read)
        assert late in live_rows(klaviyo)["event"]
    late = account.add_event(metric, account.clock.now() - 28 * DAY).id
    compare(klaviyo)
    assert healed(automatic) == [(klaviyo.day(-28),) * 2] and late in live_rows(klaviyo)["event"]


def test_a_lost_event_log_loses_no_difference(
    daemon: Callable[..., Daemon], more_at_klaviyo: Callable[..., None]
) -> None:
    automatic = daemon()
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    automatic.sync()
    automatic.backfill()
    more_at_klaviyo([(account.clock.now() - 15 * DAY).date()])
    for _ in range(MOST_TIMES):
        compare(klaviyo)
        assert healed(automatic) == [(klaviyo.day(-15),) * 2]
    late = account.add_event(account.all("metric")[0].id, account.clock.now() - 20 * DAY).id
    compare(klaviyo)
    with dg.DagsterInstance.ephemeral() as instance:
        afresh = Daemon(Project(klaviyo.sandbox, klaviyo.settings, instance))
        afresh.sync()
        assert healed(afresh) == [(klaviyo.day(-20),) * 2] and late in live_rows(klaviyo)["event"]
        compare(afresh.klaviyo)
        assert healed(afresh) == [], "what was given up stays so"


# Events from before Klaviyo


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_events_from_before_klaviyo_was_founded_come_with_the_first_partition(daemon: Callable[..., Daemon]) -> None:
    automatic = daemon(first_sync_days=BEGAN + 1, history_chunk_days=90)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    metric = account.all("metric")[0].id
    moments = ["2000-01-01T00:00:00", "2003-07-05T12:00:00", "2011-12-31T23:59:59", "2012-01-15T08:00:00"]
    imported = {account.add_event(metric, dt.datetime.fromisoformat(f"{moment}+00:00")).id for moment in moments}
    automatic.sync()
    began = dt.datetime(2012, 2, 1, tzinfo=dt.UTC)
    for table in ("event", "person"):  # as if nothing had been found in the years between
        klaviyo.warehouse.remember(replace(automatic.state(table), synced_from=began))
    automatic.sync()
    assert automatic.history()["first_day"] == "2000-01-01"
    assert automatic.history()["days_left"] == (began.date() - dt.date(2000, 1, 1)).days, "it is not complete"
    compare(klaviyo)
    report = automatic.metadata("event_reconciliation")
    assert report["days_that_differ"] == 0 and report["first_day_compared"] == "2012-02-01"
    assert "on each day from 2012-02-01 to" in str(report["differences"])
    assert "Days from 2000-01-01 to 2012-01-31 have not been read yet" in str(report["differences"])

    assert automatic.backfill() == [("2012-01-01", "2012-01-31")]
    assert imported <= live_rows(klaviyo)["event"] and klaviyo.differences("event", "person") == []
    assert automatic.state("event").synced_from == dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    history = automatic.history()
    assert (history["days_left"], history["first_day"]) == (0, "2000-01-01")

    given: list[Any] = []

    @dg.asset(
        ins={"event": dg.AssetIn(["klaviyo", "event"], input_manager_key="klaviyo_io_manager")},
        partitions_def=dg.DailyPartitionsDefinition("2012-01-01", end_offset=1),
    )
    def downstream(event: Any) -> None:
        given.append(set(event["id"]))

    definitions = dg.Definitions(
        [*(klaviyo.definitions.assets or []), downstream], resources=klaviyo.definitions.resources
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    for day in ("2012-01-01", "2012-01-15"):
        result = job.execute_in_process(
            asset_selection=[downstream.key],
            instance=klaviyo.instance,
            tags={"dagster/partition": day},
            run_config=QUIET,
        )
        assert result.success
    assert [len(ids) for ids in given] == [3, 1] and set.union(*given) == imported, "each in exactly one partition"

    between = account.add_event(metric, dt.datetime(2001, 5, 5, tzinfo=dt.UTC)).id
    compare(klaviyo)
    assert healed(automatic) == [("2012-01-01", "2012-01-01")] and between in live_rows(klaviyo)["event"]
    before = account.add_event(metric, dt.datetime(1999, 12, 31, tzinfo=dt.UTC)).id
    account.remove_event(min(imported, key=lambda id: account.events[id].occurred_at))
    automatic.sync()
    assert automatic.history()["days_left"] == 1
    assert healed(automatic) == [("2012-01-01", "2012-01-01")] and before in live_rows(klaviyo)["event"]
    assert klaviyo.differences("event") == [] and automatic.history()["days_left"] == 0


def test_a_history_start_that_is_set_is_a_limit(daemon: Callable[..., Daemon]) -> None:
    start = (noon(AGO) - 15 * DAY).date()
    automatic = daemon(history_start=start)
    klaviyo, account = automatic.klaviyo, automatic.klaviyo.account
    old = account.add_event(account.all("metric")[0].id, dt.datetime(2004, 2, 29, tzinfo=dt.UTC)).id
    automatic.sync()
    automatic.backfill()
    assert old not in live_rows(klaviyo)["event"] and automatic.history()["first_day"] == start.isoformat()
    compare(klaviyo)
    report = automatic.metadata("event_reconciliation")
    assert report["first_day_compared"] == start.isoformat() and "not been read" not in str(report["differences"])
