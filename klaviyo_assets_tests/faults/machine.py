"""A state machine: runs of every job that overlap, are killed, stalled and woken, under clocks that jump.

A seed tells a story, of an account and of up to three runs at once from two DAGSTER_HOMEs into one warehouse. It goes
by steps: a run begins, one that has stopped is woken or killed, two are woken at once. A run stops itself where its
plan says so, in the middle of a read or of a load; between two steps the account changes and time passes.

After each step, as far as nobody holds the file: no key is there twice, no state is ahead of now, no row has been
flagged that was live in the account since before each of the runs began that were under way, or since before it landed,
and none is live again that was flagged by a run that began after it was gone.

In the end three healthy runs, from whatever state the story has left, and after midnight, since what is gone of a day
is looked for when the day is over:

1. a sync of all days, of which it reads those that were never read: somebody may have dropped a table, or had it
   imported anew. After it nothing is missing that appeared less than the overlap late since the story began, and
   PERSON's rows are right: a watermark that is ahead of its data would leave a gap here.
2. a full refresh: tables that are imported as a whole are read daily or weekly, and so are leavers of lists, and
   profiles that were deleted or merged,
3. a backfill of all days: events that were removed, moved, or shown later than the overlap are found by reading their
   days, and so are earlier events of profiles that were deleted or merged.

None of them could be left out, and no second one is needed: then every table equals the account.
"""

from __future__ import annotations

import copy
import datetime as dt
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.account import Account, Resource, format_datetime
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import narrowed, only
from klaviyo_assets_tests.expected import MORE_TABLES, OPTIONAL_TABLES, differences
from klaviyo_assets_tests.expected import TABLES as MOST_TABLES
from klaviyo_assets_tests.faults.crashes import Syncs
from klaviyo_assets_tests.faults.folders import Folders
from klaviyo_assets_tests.faults.story import exists

DAYS = 4
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
BEGAN = dt.datetime.now(dt.UTC).replace(hour=13, minute=0, second=0, microsecond=0) - 3 * DAY
"""So that the story ends before the real now: later days are no partitions."""

NAMES = ("event", "person", "global_exclusion", "list_exclusion", "list", "list_person", "metric", "campaign_message")
PUBLISHED = ("list", "metric", "campaign_message")
OVERLAP = 3 * HOUR
SETTINGS: dict[str, Any] = {
    "tables": only(*NAMES),
    "memberships": "incremental",
    "history_start": (BEGAN - (DAYS + 1) * DAY).date().isoformat(),
}
EXPECTED = MOST_TABLES | MORE_TABLES | OPTIONAL_TABLES

JOBS = {"klaviyo_sync": 4, "klaviyo_backfill": 3, "klaviyo_full_refresh": 4, "publish": 1, "klaviyo_resync": 1}
"""How often each is begun; `publish` is a run of one table of the full refresh, without its snapshot."""

MOST = {
    "klaviyo_sync": (20, 14, 600, 10),
    "klaviyo_backfill": (5, 10, 250, 4),
    "klaviyo_full_refresh": (25, 10, 450, 8),
    "publish": (1, 1, 60, 1),
    "klaviyo_resync": (1, 1, 10, 1),
}
"""Job -> how often it passes the points of requests, of spools, of statements and of steps, about."""
KINDS = {"request": 0, "answer": 0, "spool": 1, "statement": 2, "executed": 2, "step": 3, "stored": 3}

SCENES = (
    ("klaviyo_backfill", "event", "klaviyo_backfill", ("_event_goes", "_event_goes", "_late_event", "_late_event")),
    ("klaviyo_backfill", "person", "klaviyo_full_refresh", ("_profile_goes", "_profile_goes")),
    ("klaviyo_full_refresh", "person_deletes", "klaviyo_sync", ("_profile_comes", "_profile_goes")),
    ("klaviyo_sync", "global_exclusion", "klaviyo_full_refresh", ("_profile_goes", "_profile_goes")),
    ("klaviyo_full_refresh", "list_person", "klaviyo_full_refresh", ("_leaves", "_leaves", "_joins", "_list_goes")),
    ("klaviyo_full_refresh", "list", "klaviyo_full_refresh", ("_list_goes", "_list_is_renamed", "_list_comes")),
)
"""What a run does to another that stalls between its read and its load, where it matters most: the job that stalls, the
table, the job that overtakes it, and what happens to the account in between. A story begins with one of these."""

Key = tuple[str, tuple[Any, ...]]


@dataclass
class Run:
    """A run under way. began: the number of the step that began it. may_fail: what its errors may say."""

    name: str
    job: str
    began: int
    state: str = "running"
    may_fail: tuple[str, ...] = ()
    failures: list[str] = field(default_factory=list)


@dataclass
class Machine:
    """One seed's story. url: of the sandbox, which serves `account` meanwhile."""

    seed: int
    account: Account
    folders: Folders
    folder: Path
    syncs: Syncs
    url: str
    told: list[str] = field(default_factory=list)
    runs: dict[int, Run] = field(default_factory=dict)
    since: dict[Key, int] = field(default_factory=dict)
    gone: dict[Key, int] = field(default_factory=dict)
    flagged: set[Key] = field(default_factory=set)
    settled: set[Key] = field(default_factory=set)
    landed: dict[Key, int] = field(default_factory=dict)
    appeared_late: set[str] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    step: int = 0
    cpu: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(f"machine {self.seed}")
        self.warehouse = self.folders.warehouse(self.folder)
        self.horizon = self.account.clock.now() + 20 * HOUR
        self._born = 0
        self._tell_time()
        self._note_live(-1)

    # The story

    def play(self) -> None:
        """Tell the whole story; raises AssertionError, with its steps, when something is wrong."""
        try:
            self._look()
            self._overtake(*SCENES[self.seed % len(SCENES)])
            self._overlap(runs=2)
            self._end()
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), f"Seed {self.seed}:", *self.told])) from error
        finally:
            self.syncs.ask("end")

    def _overtake(self, job: str, table: str, other: str, changes: Sequence[str]) -> None:
        self._suppression_comes_or_goes()
        self._live([])
        for self.step in (1, 2):
            stop = {f"load:klaviyo/{table} 1": "SIGSTOP"} if self.step == 1 else {}
            self._start(job if stop else other, stop, first=-DAYS, home=self.step - 1)
            self._look()
            self._live([getattr(self, change) for change in changes])

    def _overlap(self, runs: int) -> None:
        while runs or self._alive():
            self.step += 1
            alive = self._alive()
            moves: list[Callable[[], None]] = []
            if runs and len(alive) < 3:
                moves += [self._begin] * 3
            if stopped := self._stopped():
                moves += [self._wake, self._wake] + [self._kill] * (self.random.random() < 0.5)
                moves += [self._wake_together] * (len(stopped) > 1)
                if self._is_held() and any(run.state == "waits" for run in alive):
                    moves += [self._wake_holder] * 6
            move = self.random.choice(moves)
            runs -= move == self._begin
            move()
            self._look()
            if not self._is_held() and self.random.random() < 0.15:
                self._run_with_wrong_clock()
            if not self._is_held() and self.random.random() < 0.06:
                self._drop_a_table()
            self._live(self.random.choices(self._changes(), k=self.random.randint(2, 6)))

    def _drop_a_table(self) -> None:
        name = self.random.choice(NAMES)
        self.warehouse.query(f"DROP TABLE IF EXISTS klaviyo.{name}")
        self.told.append(f"{self.step}. somebody drops {name}")
        self.settled = {key for key in self.settled if key[0] != name}
        self.landed = {key: step for key, step in self.landed.items() if key[0] != name}

    def _end(self) -> None:
        """Healthy runs; see above."""
        tomorrow = (self.account.clock.now() + DAY).replace(hour=0, minute=40, second=0)
        self.account.clock.set(tomorrow)
        self._tell_time()
        self.told.append("after midnight")
        for _ in range(3):
            self._event()
        self._note_live(self.step)
        self._healthy("klaviyo_sync", first=-DAYS - 2)
        with self._kept_open():
            missing = [problem for problem in self._wrong("event") if " lacks " in problem]
            missing = [problem for problem in missing if not any(id in problem for id in self.appeared_late)]
            missing += [problem for problem in self._wrong("person") if "should be gone" not in problem]
        assert not missing, f"after the sync: {missing[:3]}"
        self._healthy("klaviyo_full_refresh")
        self._healthy("klaviyo_backfill", first=-DAYS - 2)
        self._look()
        with self._kept_open():
            wrong = [problem for name in NAMES for problem in self._wrong(name)]
        assert not wrong, f"in the end: {wrong[:5]}"

    def _wrong(self, name: str) -> list[str]:
        return differences(self.account, self.warehouse, name, table(name).primary_key)

    # Runs

    def _begin(self) -> None:
        job = self.random.choices(list(JOBS), list(JOBS.values()))[0]
        stops = self.random.choice((0, 1, 1, 1, 2))
        if self._stopped() and self.random.random() < 0.6:  # it overtakes those, and sees what is gone meanwhile
            job, stops = self.random.choice(("klaviyo_full_refresh", "klaviyo_backfill")), 0
        plan = {self._point(job): "SIGSTOP" for _ in range(stops)}
        if self.random.random() < 0.2:
            plan[self._point(job)] = "SIGKILL"
        minutes = self.random.choice((0, 0, 50, -50))
        self._start(job, plan, home=self.random.randrange(2), ahead=minutes * 60.0)

    def _point(self, job: str) -> str:
        # Half of the stalls are those that matter most: between a read and its load.
        point = self.random.choice(("step", "step", "step", *KINDS))
        return f"{point} {self.random.randint(1, MOST[job][KINDS[point]])}"

    def _start(
        self,
        job: str,
        plan: Mapping[str, str] | None = None,
        *,
        first: int | None = None,
        home: int = 0,
        ahead: float = 0.0,
        may_fail: tuple[str, ...] = (),
    ) -> Run:
        tags: dict[str, str] = {}
        ops: dict[str, Any] = {}
        assets: list[tuple[str, str]] = []
        if job == "klaviyo_sync":
            tags = self._days(first or -self.random.choice((0, 1)), 0)
        elif job == "klaviyo_backfill":
            start = first or -self.random.choice((DAYS, DAYS, 2, 1, 0))
            tags = self._days(start, 0 if first else self.random.randint(start // 2, 0))
        elif job == "publish":
            assets = [("klaviyo", self.random.choice(PUBLISHED))]
            may_fail += ("SnapshotMissing", "There is no snapshot")
        elif job == "klaviyo_resync":
            tables = sorted(self.random.sample(NAMES, self.random.randint(1, 3)))
            ops = {"klaviyo__forget": {"config": {"confirm": "resync", "tables": tables}}}
            may_fail += ("has not ended",)
        number = len(self.runs) + 1
        process = self.syncs.ask(
            "start",
            settings=SETTINGS | {"api_url": self.url},
            job="klaviyo_full_refresh" if job == "publish" else job,
            folder=str(self.folder),
            home=str(self.folder / f"home{home}"),
            ahead=ahead,
            tags=tags,
            ops=ops,
            only=assets,
            plan=plan or {},
        )
        run = self.runs[process] = Run(f"{job} {number}", job, self.step, may_fail=may_fail)
        details = ", ".join([*tags.values(), *(str(each) for each in (assets, ops, plan) if each)])
        self.active.add(run.began)
        self._settle(f"begin {run.name} in home {home}, clock {ahead / 60:+.0f} min: {details}")
        return run

    def _days(self, first: int, last: int) -> dict[str, str]:
        today = self.account.clock.now()
        days = [(today + offset * DAY).date().isoformat() for offset in (first, last)]
        return dict(zip((RANGE_START, RANGE_END), days, strict=True))

    def _wake(self) -> None:
        self._signal([self.random.choice(self._stopped())], "SIGCONT", "wake")

    def _wake_together(self) -> None:
        self._signal(self.random.sample(self._stopped(), 2), "SIGCONT", "wake together")

    def _wake_holder(self) -> None:
        self._signal([process for process in self._stopped() if self._holds(process)], "SIGCONT", "wake the holder")

    def _kill(self) -> None:
        self._signal([self.random.choice(self._stopped())], "SIGKILL", "kill")

    def _signal(self, processes: list[int], signal: str, words: str) -> None:
        for process in processes:
            self.syncs.ask("signal", process=process, name=signal)
            self.active.add(self.runs[process].began)
        self._settle(f"{words} {', '.join(self.runs[process].name for process in processes)}")

    def _settle(self, what: str) -> None:
        """Wait until no run goes on, and look at how those ended that did."""
        became = []
        for process, state in self.syncs.ask("settle").items():
            run = self.runs[int(process)]
            if run.state == state:
                continue
            run.state = state
            assert state != "hung", f"{what}: {run.name} does not go on"
            became.append(f"{run.name} {state}")
            if state == "ended":
                report = self.syncs.ask("report", process=int(process))
                problems = run.failures = report["failures"]
                self.cpu.append(report.get("cpu", 0))
                self.told.append(f"{self.step}. {run.name} took {report.get('cpu', 0):.1f} s: {report.get('counts')}")
                fine = all(any(reason in problem for reason in run.may_fail) for problem in problems)
                assert fine, f"{what}: {run.name} failed: {problems[:2]}"
        self.told.append(f"{self.step}. {self.account.clock.now():%d %H:%M:%S} {what}: {', '.join(became)}")

    def _healthy(self, job: str, first: int | None = None) -> None:
        run = self._start(job, first=first)
        assert run.state == "ended"

    def _run_with_wrong_clock(self) -> None:
        """A run that has to fail and change nothing; the machine's clock is wrong, or Klaviyo's."""
        before = self._contents()
        job = self.random.choice(("klaviyo_sync", "klaviyo_backfill", "klaviyo_full_refresh"))
        hours = self.random.choice((-24, -3, 2, 48, 480))
        theirs = self.random.random() < 0.4
        if theirs:
            self.account.clock.advance(3 * DAY)
        self.told.append(f"{self.step}. {'Klaviyo is 3 days' if theirs else f'the machine is {hours} h'} ahead:")
        ahead = 0 * HOUR if theirs else hours * HOUR  # the machine goes by the file, which tells the right time
        run = self._start(job, first=-2, ahead=ahead.total_seconds(), may_fail=("The clocks are apart", "dependencies"))
        if theirs:
            self.account.clock.advance(-3 * DAY)
        assert run.state == "ended" and run.failures, f"{run.name} has not failed"
        assert self._contents() == before, f"{run.name} has changed something"

    def _alive(self) -> list[Run]:
        return [run for run in self.runs.values() if run.state not in ("ended", "killed", "hung")]

    def _stopped(self) -> list[int]:
        return [process for process, run in self.runs.items() if run.state.startswith("stopped")]

    def _holds(self, process: int) -> bool:
        return self.runs[process].state in ("stopped at statement", "stopped at executed")

    def _is_held(self) -> bool:
        return any(map(self._holds, self.runs))

    # What has to be so after each step

    def _look(self) -> None:
        self.active |= {run.began for run in self._alive() if run.state == "waits"}
        if not self._is_held():
            with self._kept_open():
                self._look_at_tables(min(self.active, default=self.step))
            self.active = set()

    def _look_at_tables(self, oldest: int) -> None:
        flagged, live = set(), set()
        for name in NAMES:
            rows = self._rows(name)
            keys = [key for key, _ in rows]
            assert len(keys) == len(set(keys)), f"{name} has a key twice"
            flagged |= {(name, key) for key, deleted in rows if deleted}
            live |= {(name, key) for key, deleted in rows if not deleted}
        new = flagged - self.flagged
        for key in new & self.since.keys():
            assert self.since[key] >= oldest, f"flagged, though live since before step {oldest}: {key}"
            landed = self.landed.get(key, -1)
            assert self.since[key] >= landed, f"flagged, though live and landed at step {landed}: {key}"
        self.settled |= {key for key in new if self.gone.get(key, self.step) < oldest}
        self.settled &= self.gone.keys()
        undone = self.settled & live
        assert not undone, f"live again, though flagged since they were gone: {sorted(undone)[:3]}"
        self.landed = {key: self.landed.get(key, self.step) for key in live}
        self.flagged = flagged
        now = self.account.clock.now()
        ahead = [state for state in self._states().values() if state.synced_through and state.synced_through > now]
        assert not ahead, f"states are ahead of {now}: {ahead[:2]}"

    def _rows(self, name: str) -> list[tuple[tuple[Any, ...], bool]]:
        if not exists(self.warehouse, name):
            return []
        key = table(name).primary_key
        chosen = ", ".join((*key, "_fivetran_deleted"))
        return [(row[:-1], row[-1]) for row in self.warehouse.query(f"SELECT {chosen} FROM klaviyo.{name}")]

    def _kept_open(self) -> AbstractContextManager[Any]:
        return self.folders.kept_open(self.warehouse)

    def _states(self) -> dict[tuple[str, str], SyncState]:
        states = self.warehouse.states().items()
        return {key: state for key, state in states if "inspected" not in key[1]}

    def _contents(self) -> tuple[Any, ...]:
        with self._kept_open():
            return self._read_contents()

    def _read_contents(self) -> tuple[Any, ...]:
        there = [name for name in NAMES if exists(self.warehouse, name)]
        rows = [sorted(self.warehouse.query(f"SELECT * FROM klaviyo.{name}"), key=repr) for name in there]
        return rows, self._states()

    def _note_live(self, step: int) -> None:
        """Note since which step each object is live, or gone."""
        live = {
            (name, key if isinstance(key, tuple) else (key,)) for name in NAMES for key in EXPECTED[name](self.account)
        }
        self.gone |= dict.fromkeys(self.since.keys() - live, step)
        self.gone = {key: since for key, since in self.gone.items() if key not in live}
        self.since = {key: self.since.get(key, step) for key in live}

    # What happens to the account

    def _live(self, changes: Sequence[Callable[[], None]]) -> None:
        """Let time pass, and things happen."""
        passes = self.random.choice((0, 20, 60 * 3, 3600, 3600 * 4))
        if self.account.clock.now() + dt.timedelta(seconds=passes) < self.horizon:
            self.account.clock.advance(dt.timedelta(seconds=passes))
        self._tell_time()
        for change in changes:
            change()
        self._note_live(self.step)
        names = ", ".join(change.__name__.strip("_") for change in changes)
        self.told.append(f"{self.step}. {self.account.clock.now():%d %H:%M:%S} {names}")

    def _changes(self) -> list[Callable[[], None]]:
        return [
            self._event, self._event, self._late_event, self._event_goes, self._event_goes, self._event_moves,
            self._profile_changes, self._profile_comes, self._profile_goes, self._profiles_merge,
            self._suppression_comes_or_goes, self._suppression_of_a_list,
            self._joins, self._leaves, self._leaves, self._list_comes, self._list_goes, self._list_is_renamed,
            self._metric_is_renamed, self._campaign_is_archived_or_not,
        ]  # fmt: skip

    def _tell_time(self) -> None:
        file = self.folder / "clock.new"
        file.write_text(str((self.account.clock.now() - dt.datetime.now(dt.UTC)).total_seconds()))
        file.replace(self.folder / "clock")

    def _add(self, at: dt.datetime, **options: Any) -> str:
        metric = self.random.choice(self.account.all("metric")).id
        properties = {"n": self.random.randrange(1000)}
        return self.account.add_event(metric, at, profile_id=self._profile(), properties=properties, **options).id

    def _event(self) -> None:
        self._add(self.account.clock.now() - self.random.choice((0, 30, 3600, 9000)) * dt.timedelta(seconds=1))

    def _late_event(self) -> None:
        self.appeared_late.add(self._add(self.account.clock.now() - self.random.uniform(3, 80) * HOUR))

    def _past(self) -> list[Any]:
        now = self.account.clock.timestamp()
        return [event for event in self.account.events if event.occurred_at <= now]

    def _event_goes(self) -> None:
        self.account.remove_event(self.random.choice(self._past()).id)

    def _event_moves(self) -> None:
        event = self.random.choice(self._past())
        moved = self.account.clock.now() - self.random.uniform(0, 80) * HOUR
        self.account.add_event(
            event.metric_id, moved, profile_id=event.profile_id, properties=event.properties_json,
            attribution=event.attribution, id=event.id, uuid=event.uuid,
        )  # fmt: skip
        self.appeared_late.add(event.id)

    def _profile(self) -> str:
        return self.random.choice(self.account.all("profile")).id

    def _profile_changes(self) -> None:
        points = self.random.randint(0, 999)
        self.account.update("profile", self._profile(), properties={"points": points}, title=f"No {points}")

    def _profile_comes(self) -> None:
        self._born += 1
        born = copy.deepcopy(self.random.choice(self.account.all("profile")).attributes)
        now = format_datetime(self.account.clock.now())
        born |= {"email": f"born{self._born}@example.com", "created": now, "updated": now}
        self.account.add(Resource("profile", f"01JBRN{self._born:020d}", born))

    def _profile_goes(self) -> None:
        if len(self.account.all("profile")) > 14:
            self.account.delete("profile", self._profile())

    def _profiles_merge(self) -> None:
        if len(self.account.all("profile")) > 14:
            self.account.merge_profiles(*self.random.sample([profile.id for profile in self.account.all("profile")], 2))

    def _marketing(self, profile: str) -> dict[str, Any]:
        return self.account.resources["profile"][profile].attributes["subscriptions"]["email"]["marketing"]

    def _suppression_comes_or_goes(self) -> None:
        profile = self._profile()
        is_on = self._marketing(profile)["suppression"]
        (self.account.unsuppress if is_on else self.account.suppress)(profile)

    def _suppression_of_a_list(self) -> None:
        profile, group = self._profile(), self._list()
        is_on = any(entry["list_id"] == group for entry in self._marketing(profile)["list_suppressions"])
        (self.account.unsuppress if is_on else self.account.suppress)(profile, list_id=group)

    def _list(self) -> str:
        return self.random.choice(self.account.all("list")).id

    def _joins(self) -> None:
        self.account.join(self._list(), self._profile())

    def _leaves(self) -> None:
        group = max(self.account.all("list"), key=lambda group: len(self.account.memberships[group.id])).id
        if self.account.memberships[group]:
            self.account.leave(group, self.random.choice(list(self.account.memberships[group])))

    def _list_goes(self) -> None:
        if len(self.account.all("list")) > 8:  # of 12: fewer than what `delete_guard` wonders about
            smallest = sorted(self.account.all("list"), key=lambda group: len(self.account.memberships[group.id]))
            self.account.delete("list", self.random.choice(smallest[:3]).id)

    def _list_comes(self) -> None:
        self._born += 1
        twin = copy.deepcopy(self.account.all("list")[0].attributes)
        now = format_datetime(self.account.clock.now())
        born = twin | {"name": f"Born {self._born}", "created": now, "updated": now}
        self.account.add(Resource("list", f"Born{self._born:02d}", born))

    def _list_is_renamed(self) -> None:
        self.account.rename("list", self._list(), f"List {self.random.random()}")

    def _metric_is_renamed(self) -> None:
        metric = self.random.choice(self.account.all("metric")).id
        self.account.rename("metric", metric, f"Metric {self.random.random()}")

    def _campaign_is_archived_or_not(self) -> None:
        campaign = self.random.choice(self.account.all("campaign"))
        self.account.update("campaign", campaign.id, archived=not campaign.attributes["archived"])


def an_account(later: dt.timedelta = 0 * HOUR) -> Account:
    """The account as it is before the stories begin."""
    account = generate_account(events=200, profiles=22, days=DAYS, seed=5, now=BEGAN)
    for campaign in account.all("campaign")[8:]:
        account.delete("campaign", campaign.id)
    narrowed(account).clock.advance(later)
    return account


def begin(folders: Folders, template: Path, syncs: Syncs, url: str) -> None:
    """Make the warehouse and the DAGSTER_HOME that the stories begin with."""
    (template / "temporary").mkdir()
    folders.begin(template)
    machine = Machine(0, an_account(), folders, template, syncs, url)
    machine._healthy("klaviyo_sync", first=-DAYS)
    machine._healthy("klaviyo_full_refresh")
    syncs.ask("end")


def copied(folders: Folders, template: Path, folder: Path) -> Path:
    """Copy what the stories begin with; return the folder."""
    (folder / "temporary").mkdir()
    folders.copy(template, folder)
    for home in ("home0", "home1"):
        shutil.copytree(template / "home0", folder / home)
    return folder
