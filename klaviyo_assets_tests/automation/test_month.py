"""A simulated month: the schedule and the sensor, evaluated hour by hour, through whatever an account and a machine do.

`make soak` ticks every hour of the month, `make test` leaves most of the ticks out, all kills but one, the campaigns
and the events that are dated back by a year. The story is told hour by hour in both.
"""

from __future__ import annotations

import datetime as dt
import itertools
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets import clock
from klaviyo_assets.dagster_storage.event_log import KEPT_OPEN
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.faults import Call, Fault, Reset, Status
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.ranges import midnight
from klaviyo_assets.tables.registry import table
from klaviyo_assets_tests.automation.daemon import Daemon
from klaviyo_assets_tests.automation.processes import start_job
from klaviyo_assets_tests.automation.story import DAY, HOUR, YEAR, Month, Sent
from klaviyo_assets_tests.conftest import Project, failures, only, without_campaigns
from klaviyo_assets_tests.expected import Expected, differences, stored
from klaviyo_assets_tests.expected.events import event

TABLES = ("global_exclusion", "list", "list_person")
CAMPAIGNS = ("campaign", "campaign_message")
LENGTH = 30
"""Days of the story."""
AFTERWARDS = 26
"""Days in which nothing happens any more: the latest events appear, and the weekly passes have their turn."""


@dataclass
class Automation(Daemon):
    """The schedule and the sensor as Dagster's daemon evaluates them, while the story goes on."""

    story: Month = field(kw_only=True)
    home: Path = field(kw_only=True)
    synced: list[dt.datetime] = field(default_factory=list)
    """When the syncs were asked for that succeeded, by the sandbox's clock."""
    outcomes: list[str] = field(default_factory=list)
    _launched: dt.datetime | None = None

    def step(self, *, fails: bool = False, killed_at: str | None = None) -> None:
        """Let the schedule tick, then the sensor as long as it has something to ask for.

        fails: the run is expected to. killed_at: kill its process with SIGKILL when it makes a request of this
        operation.
        """
        now = self.klaviyo.account.clock.now()
        request = self.tick(after=now - self._launched if self._launched else dt.timedelta(0))
        if isinstance(request, str):
            self.outcomes.append("skipped")
            return
        self._launched = now
        if killed_at:
            self._kill(request, killed_at)
            self.outcomes.append("killed")
        else:
            result = self.launch("klaviyo_sync", request)
            assert result.success != fails, failures(result)
            self.outcomes.append("failed" if fails else "synced")
            self.synced += [] if fails else [now]
            if not fails:
                self._read_history()
        self._look()

    def _read_history(self) -> None:
        while not isinstance(ran := self.sense(), str):
            assert ran[1].success, failures(ran[1])
            self.outcomes.append("history")

    def _kill(self, request: dg.RunRequest, operation: str) -> None:
        klaviyo = self.klaviyo
        process = start_job(
            "klaviyo_sync",
            home=self.home,
            settings=klaviyo.settings,
            key="pk_sandbox",
            tags=request.tags,
            folder=self.home,
            now=klaviyo.account.clock.now(),
        )

        def strike(call: Call) -> Fault | None:
            if call.operation != operation:
                return None
            process.kill()
            return Reset()

        with process, faults(klaviyo, strike):
            output, _ = process.communicate(timeout=240)
        assert process.returncode == -signal.SIGKILL, output

    def _look(self) -> None:
        """Take note of what has landed; nothing may ever be wrong that a later run would have to put right."""
        account, warehouse = self.klaviyo.account, self.klaviyo.warehouse
        now = account.clock.now()
        flagged = dict(warehouse.rows("event", ("id", "_fivetran_deleted")))
        for sent in self.story.sent.values():
            if sent.landed is None and sent.id in flagged:
                sent.landed = now
        assert not [id for id, deleted in flagged.items() if deleted and id in account.events], (
            "a live event is flagged"
        )
        persons = warehouse.rows("person", ("id", "_fivetran_deleted"))
        alive = account.resources["profile"]
        assert not [id for id, deleted in persons if deleted and id in alive], "a live profile is flagged"
        for name in ("event", "person"):
            state = warehouse.state(name)
            assert state is None or (state.synced_through and state.synced_through < now), "a watermark is ahead"

    def next_sync(self, moment: dt.datetime) -> dt.datetime:
        """The first successful sync from a moment on."""
        return next(at for at in self.synced if at >= moment)

    def bound(self, sent: Sent) -> dt.datetime:
        """The sync that an event has to have landed with (or with the sensor's runs after it)."""
        settings = self.klaviyo.settings
        if sent.late < settings.overlap:
            return self.next_sync(sent.appeared)
        reread = self.next_sync(sent.appeared + DAY)
        if sent.happened >= midnight(reread) - settings.reread_days * DAY:
            return reread
        return self.next_sync(sent.appeared + 7 * DAY)


def report(sent: Collection[Sent]) -> str:
    """How long after they appeared events landed, by how late they appeared."""
    lines = []
    for low, high in itertools.pairwise((-YEAR, 3 * HOUR, 6 * DAY, 10 * DAY, 2 * YEAR)):
        waits = [each.landed - each.appeared for each in sent if each.landed and low <= each.late < high]
        if waits:
            lines.append(f"late by less than {high}: {len(waits)} events landed within {max(waits)}")
    return "\n".join(lines)


def event_as_it_was(automation: Automation) -> Callable[[Account], Expected]:
    """What EVENT must hold: what an event was when it was last read.

    One that has not been read since names the profile that it had, deleted or merged. One that was dated back further
    than the daily re-read goes, and was read in the three hours before it was credited, has no credit.
    """
    klaviyo, sent = automation.klaviyo, automation.story.sent
    stored_rows = {row["id"]: row for row in stored(klaviyo.warehouse, "event")}
    reread = klaviyo.settings.reread_days * DAY

    def expected(account: Account) -> Expected:
        rows = event(account)
        for (id,), row in rows.items():
            there = stored_rows.get(id, {})
            former = account.events[id].profile_id
            while former and former != row["person_id"] and former != there.get("person_id"):
                former = account.merged[former][0] if former in account.merged else None
            row["person_id"] = former
            landed = sent[id].landed if id in sent else None
            credited = dt.datetime.fromtimestamp(account.events[id].attributed_at, dt.UTC)
            if landed and sent[id].happened + reread < landed < credited and not there.get("property_attribution"):
                row.pop("property_attribution", None)
        return rows

    return expected


@contextmanager
def faults(klaviyo: Project, *hooks: object) -> Iterator[None]:
    klaviyo.sandbox.faults.extend(hooks)  # type: ignore[arg-type]
    try:
        yield
    finally:
        klaviyo.sandbox.faults.clear()


def unavailable(call: Call) -> Fault:
    return Status(503)


@pytest.fixture
def automation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Automation]]:
    """Make what automates the sync of certain tables: `automation(tables, dated_back, events_an_hour)`."""
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)
    monkeypatch.setattr("klaviyo_assets.api.retries.delay", lambda failures: 0.0)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + KEPT_OPEN)
    began = midnight(dt.datetime.now(dt.UTC)) - (LENGTH + AFTERWARDS + 1) * DAY
    account = generate_account(events=300, profiles=80, days=20, seed=5, now=began)
    monkeypatch.setattr(clock, "machine_time", account.clock.now)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance, Sandbox(account) as sandbox:

        def make(tables: Collection[str], dated_back: dt.timedelta, events_an_hour: float) -> Automation:
            if "campaign" not in tables:
                without_campaigns(account)
            settings = Settings(
                api_url=sandbox.url,
                duckdb_path=str(tmp_path / "warehouse.duckdb"),
                tables=only(*tables),
                memberships="incremental",
                history_start=(began - dated_back - 10 * DAY).date(),
                history_chunk_days=400,
            )
            story = Month(account, dated_back=dated_back, events_an_hour=events_an_hour)
            return Automation(Project(sandbox, settings, instance), story=story, home=tmp_path)

        yield make


KILLED_AT = {4: "get_profiles", 12: "get_events", 17: "get_profiles_for_list"}
"""Days on which a run is killed, and at which request: when event has been loaded and person has not; when the latest
days are being read again; when both have been loaded."""
SCHEDULE_IS_OFF, KLAVIYO_IS_OFF = 8, 21
"""Days of the outages."""
ALL_HOURS = (LENGTH + AFTERWARDS) * 24


@pytest.mark.parametrize(
    ("ticks", "events_an_hour", "dated_back", "kills", "tables"),
    [
        pytest.param(
            {*range(1, LENGTH * 24), *range(LENGTH * 24, ALL_HOURS + 1, 12)},
            3.0,
            YEAR,
            KILLED_AT,
            TABLES + CAMPAIGNS,
            marks=[pytest.mark.soak],
            id="hourly",
        ),
        pytest.param(
            {*range(180, ALL_HOURS, 180), 11, KLAVIYO_IS_OFF * 24 + 5, ALL_HOURS},
            1.0,
            40 * DAY,
            {12: KILLED_AT[12]},
            TABLES,
            marks=[pytest.mark.soak],
            id="thinned",
        ),
    ],
)
def test_a_month_lands_completely(
    automation: Callable[..., Automation],
    ticks: Collection[int],
    events_an_hour: float,
    dated_back: dt.timedelta,
    kills: Mapping[int, str],
    tables: Collection[str],
) -> None:
    automatic = automation(tables, dated_back, events_an_hour)
    story, klaviyo = automatic.story, automatic.klaviyo
    automatic.step()
    to_come = sorted(kills.items())
    retry = False
    for hour in range(1, ALL_HOURS + 1):
        day = (hour - 1) // 24
        if day < LENGTH:
            story.live(1)
        else:
            klaviyo.account.clock.advance(HOUR)
        if day == SCHEDULE_IS_OFF or (hour not in ticks and not retry):
            continue
        killed_at = None
        if to_come and to_come[0][0] <= day:
            _, killed_at = to_come.pop(0)
        with faults(klaviyo, *([unavailable] if day == KLAVIYO_IS_OFF else [])):
            automatic.step(fails=day == KLAVIYO_IS_OFF, killed_at=killed_at)
        retry = automatic.outcomes[-1] in ("killed", "skipped")
        print(f"{klaviyo.account.clock.now():%Y-%m-%d %H:%M}: {automatic.outcomes[-1]}", flush=True)  # noqa: T201

    outcomes = Counter(automatic.outcomes)
    assert outcomes["killed"] == len(kills) and outcomes["failed"] >= 1 and outcomes["history"] > 3, outcomes
    assert klaviyo.differences("person", *tables) == []
    assert differences(klaviyo.account, klaviyo.warehouse, "event", ("id",), event_as_it_was(automatic)) == []
    for name in ("event", "person", *tables):
        keys = [tuple(row[column] for column in table(name).primary_key) for row in stored(klaviyo.warehouse, name)]
        assert len(keys) == len(set(keys)), f"{name} has a row twice"

    landed = [sent for sent in story.sent.values() if sent.id in klaviyo.account.events]
    assert all(sent.landed for sent in landed)
    too_late = [sent for sent in landed if sent.landed and sent.landed > automatic.bound(sent) + HOUR / 2]
    print(report(landed))  # noqa: T201 - the figures that the test is for; `pytest -s` shows them
    assert not too_late, report(too_late)
