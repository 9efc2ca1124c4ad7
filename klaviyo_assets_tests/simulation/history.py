"""A seed is a history: an account, what happens to it and to the machine, and the syncs in between."""

from __future__ import annotations

import copyreg
import datetime as dt
import gc
import io
import os
import pickle
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import requests

from klaviyo_assets import clock
from klaviyo_assets.api import KlaviyoClient, KlaviyoError
from klaviyo_assets.api import client as client_module
from klaviyo_assets.assets import resources
from klaviyo_assets.assets.ahead import ReadsAhead
from klaviyo_assets.assets.days import RANGE_END, RANGE_START
from klaviyo_assets.assets.history import NEXT_RANGE, RANGES
from klaviyo_assets.assets.io_manager import WarehouseIOManager
from klaviyo_assets.assets.step import INCREMENTAL, UNREAD_ONLY
from klaviyo_assets.build import build_definitions
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.api.errors import ApiError
from klaviyo_assets.sandbox.app import App
from klaviyo_assets.sandbox.faults import Call, Document, Fault, Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.sync.scopes import RECONCILIATION, REREAD, SWEEP
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.state import SNAPSHOT, WAITING, States
from klaviyo_assets_tests.conftest import frozen, narrowed, only, without_campaigns
from klaviyo_assets_tests.simulation.happenings import happen, meddling
from klaviyo_assets_tests.simulation.model import REREAD as REREAD_DAYS
from klaviyo_assets_tests.simulation.model import Model
from klaviyo_assets_tests.simulation.plan import DAY, HOUR, MINUTE, QUIET_DAYS, SECOND, Step
from klaviyo_assets_tests.simulation.process import Context, Op, Output, ops_of
from klaviyo_assets_tests.simulation.tiers import TIERS, Tier
from klaviyo_assets_tests.simulation.transport import InProcess
from klaviyo_assets_tests.simulation.turns import Turns

BEGAN = dt.datetime(2026, 3, 20, 9, 30, tzinfo=dt.UTC)
CAMPAIGN_TABLES = ("campaign", "campaign_message")
SNAPSHOTS = ("metric", "list", *CAMPAIGN_TABLES)
TABLES = ("event", "person", "global_exclusion", "list_exclusion", *SNAPSHOTS)
KEYS = {name: table(name).primary_key for name in TABLES}
CAMPAIGNS = 2
"""Of either kind, as there are when it begins."""

READERS = (1, 2, 5)
"""How many requests may be under way at a time."""

MOST_OLD = {
    **{(name, ""): 0 * DAY for name in ("event", "person", "global_exclusion", "list_exclusion", "metric", "list")},
    **{(name, ""): DAY for name in CAMPAIGN_TABLES},
    **{(name, REREAD): DAY for name in ("event", "person")},
    ("person", SWEEP): 7 * DAY,
    ("event", RECONCILIATION): 7 * DAY,
}
"""Table and scope -> how old it may be once a sync has ended well, and `SLACK` more."""

SLACK = 2 * MINUTE
"""A watermark lies a minute before its read, and is cut to seconds."""

NOTHING_TO_COMPARE = ("event", RECONCILIATION)
"""Is not there as long as no day is old enough."""

SNAPSHOTS_TAKE = 2
"""Days after which snapshots have all changes: where many rows would be flagged at once, the next one has to agree."""

MOST_REQUESTS, MOST_OF_A_PAGE = 40, 5
"""Requests of a run, and for each page of events and profiles that there is."""

PAGE = 11
"""Rows that Klaviyo gives at once, at most."""


@cache
def _pickled_account(seed: int) -> bytes:
    """An account, of which a copy takes a tenth of the time that it takes to make it."""
    account = narrowed(generate_account(events=30, profiles=7, days=5, seed=seed, now=BEGAN), metrics=3)
    account = without_campaigns(account, but=CAMPAIGNS)
    pickled = io.BytesIO()
    pickler = pickle.Pickler(pickled)
    pickler.dispatch_table = {**copyreg.dispatch_table, type(threading.RLock()): lambda lock: (threading.RLock, ())}
    pickler.dump(frozen(account, BEGAN))  # what shows later is an event of the history's own
    return pickled.getvalue()


_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def _until(time: dt.datetime | None, last: dt.datetime | None) -> bool:
    return bool(time and last and time <= last)


def _empty(document: dict[str, Any]) -> None:
    document |= {"data": [], "included": []}
    document.get("links", {}).pop("next", None)


def _without_attributes(document: dict[str, Any]) -> None:
    for resource in document["data"][:1]:
        resource["attributes"] = None


_WHOLE = ("get_metrics", "get_lists", "get_campaigns", "get_campaign_messages")
ANSWERS: dict[str, dict[str | None, Fault]] = {
    "empty": dict.fromkeys(_WHOLE, Document(_empty)),
    "without attributes": dict.fromkeys(_WHOLE, Document(_without_attributes)),
    "of no event": {"get_event": Status(503)},
}
"""What may be wrong with the answers in a step -> operation -> how it is answered."""


class Killed(BaseException):
    """The process is gone: what has not been committed never was."""


@dataclass(frozen=True)
class Before:
    """What was known when a sync began, and when that was, by the right clock."""

    began: dt.datetime
    states: States


@dataclass
class Wrong(Exception):
    """What a history has shown, and how it came to it."""

    seed: int
    problems: list[str]
    told: list[str]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *self.told, "-- wrong:", *self.problems[:8]])


class History:
    """One history. ops: job -> its steps. account: one that has lived already, instead of that of the seed."""

    def __init__(
        self,
        seed: int,
        definitions: dg.Definitions,
        ops: Mapping[str, list[Op]],
        tier: Tier,
        account: Account | None = None,
    ) -> None:
        self.seed = seed
        self.turns = Turns(lambda count: self.chance.randrange(count))
        self.chance = random.Random(seed)
        self.kept_open = ExitStack()
        self.definitions, self.ops = definitions, ops
        self.account: Account = account or pickle.loads(_pickled_account(seed % 25))
        self.app = App(self.account)
        self.app.faults.append(self._fault)
        self.told: list[str] = []
        self.ahead = dt.timedelta(0)
        self.model = Model(self.account, KEYS)
        self.watch: Callable[[], object] = lambda: None
        """Is told whenever the tables are looked at."""
        self.ticks = self.requests = 0
        self.kill_at: int | None = None
        self.trouble = 0.0
        self.virtual = 0.0
        self.tier, self.warehouse, self.scale = tier, tier.warehouse, tier.steps
        self.loads = WarehouseIOManager(warehouse=self.warehouse)
        self.number = 0
        self.several = False
        self.last: Mapping[str, Any] = {}
        self.meanwhile: list[int | str] = []
        self.answers = ""
        self.misled: dt.datetime | None = None
        """When the last sync with such answers ended."""
        self.overlapped: dt.datetime | None = None
        """When runs that overlap ended last: what one has written again the other does not flag."""
        self.gone: list[Callable[[], object]] = []
        self.last_good: dt.datetime | None = None
        """When the last sync began, if it ended well."""
        self.removed = False
        """Whether somebody has removed rows by hand, which are not there until they are read again."""

    # The seams

    def tick(self, *_: object) -> None:
        self.ticks += 1
        if self.ticks == self.kill_at:
            raise Killed

    def meets(self, url: str, answered: bool) -> None:
        if not answered:
            self.turns.wait()
            self.requests += 1
        self.tick()
        if self.trouble and self.chance.random() < self.trouble / 2:
            raise requests.ConnectionError("reset")

    def _fault(self, call: Call) -> Fault | None:
        if int(call.query.get("page[size]", 0)) > PAGE:  # so that small tables have pages
            return Status(400, body=ApiError(400, "invalid", f"Page size must be between 1 and {PAGE}").body())
        if self.trouble and self.chance.random() < self.trouble:
            return Status(self.chance.choice((429, 500, 503, 504, 520)), retry_after=self.chance.choice((None, 1, 7)))
        return ANSWERS.get(self.answers, {}).get(call.operation)

    def sleep(self, seconds: float) -> None:
        self.virtual += seconds
        self.account.clock.advance(dt.timedelta(seconds=seconds))

    def machine_time(self) -> dt.datetime:
        return self.account.clock.now() + self.ahead

    # Runs

    def process(self) -> SimpleNamespace:
        """A new process: nothing is known in it."""
        given = {"warehouse": self.warehouse, "max_concurrency": self.chance.choice(READERS)}
        klaviyo = (self.definitions.resources or {})["klaviyo_account"].model_copy(update=given)
        klaviyo._client, klaviyo._shared_limits, klaviyo._identity = None, None, None
        klaviyo._asked = klaviyo._confirmed = False
        klaviyo._ahead = ReadsAhead(decided=True)
        return SimpleNamespace(klaviyo_account=klaviyo, klaviyo_warehouse=self.warehouse)

    def run(self, job: str, tags: Mapping[str, str], wanted: set[str] | None = None) -> Iterator[str]:
        """Run a job step by step; yields before each load, so that another run may go on meanwhile."""
        self.number += 1
        run_id, process, requests = f"run{self.number}", self.process(), self.requests
        alone = not self.trouble and not self.several
        failed: set[dg.AssetKey] = set()
        ops = [op for op in self.ops[job] if wanted is None or wanted & {op.name, *op.assets}]
        of_run = {key for op in ops for key in op.assets.values()}
        for op in ops:
            if failed & op.upstream & of_run:
                failed |= set(op.assets.values())
                continue
            context = Context(process, tags, run_id, op, set(op.assets))
            given = set()
            try:
                config = (op.config(),) if op.config else ()
                for out in op.body(context, *config):
                    if isinstance(out, dg.Output):
                        yield op.name
                        self.tick()
                        self.loads.handle_output(Output(op.assets[out.output_name], run_id), out.value)
                        given.add(op.assets[out.output_name])
                        self.tick()
                        self.look(f"{run_id} {op.name}")
                    elif isinstance(out, dg.MaterializeResult):
                        if op.name.endswith("__history"):
                            self.last = out.metadata or {}
                        given.add(out.asset_key)
            except (dg.Failure, KlaviyoError, WarehouseError) as error:
                self.tell(f"  {op.name} fails: {str(error)[:140]}")
                if not self.trouble and not self.ahead:
                    raise Wrong(self.seed, [f"{op.name} failed for no reason: {error}"], self.told) from error
            failed |= set(op.assets.values()) - given
        klaviyo = process.klaviyo_account
        if klaviyo._client is not None:
            klaviyo._client.close()
        rows = len(self.account.events) + len(self.account.all("profile"))
        if alone and self.requests - requests > MOST_REQUESTS + MOST_OF_A_PAGE * rows / PAGE:
            self.judge([f"{run_id} has made {self.requests - requests} requests for less than {rows} rows"])

    def look(self, when: str) -> None:
        """Compare with the model, now and then; more often while there are several runs."""
        if self.chance.random() < (0.5 if self.several else 0.2):
            self.check(when)

    def check(self, when: str) -> None:
        self.watch()
        states = self.warehouse.states()
        problems = []
        for name in TABLES:
            own = states.get((name, ""))
            if own is None:
                continue
            if table(name).partitioned_by or name.endswith("exclusion"):
                problems += self.model.ahead(name, own.synced_through)
            rows = self.rows(name)
            waits = (name, WAITING) in states or _until(own.synced_through, self.overlapped)
            problems += self.model.wrong(name, rows, self.read(name, states), waiting=waits)
            if not self.removed:
                problems += self.model.undone(name, rows)
                if name == "event" and (reread := states.get((name, REREAD))):
                    problems += self.model.not_read_again(rows, own.synced_from, reread.synced_through)
        if problems:
            self.tell(f"  looked after {when}")
        self.judge(problems)

    def read(self, name: str, states: States) -> tuple[dt.datetime | None, dt.datetime | None] | None:
        """The range of time of a table that counts as read, if what is there says so."""
        own, snapshot = states[name, ""], states.get((name, SNAPSHOT))
        if name in SNAPSHOTS:
            is_whole = snapshot and snapshot.complete and snapshot.synced_through == own.synced_through
            if not is_whole or self.answers or _until(own.synced_through, self.misled):
                return None
        return None if self.removed else (own.synced_from, own.synced_through)

    def judge_sync(self, before: Before, skew: dt.timedelta = 0 * DAY, *, is_still: bool = True) -> None:
        """Say what a sync has left undone that nothing has kept from anything.

        skew: how far the clocks were apart. is_still: nothing has happened meanwhile.
        """
        states, began = self.warehouse.states(), before.began - skew - SLACK
        problems = []
        for key, age in MOST_OLD.items():
            through = states[key].synced_through if key in states else None
            if (through is None or through < began - age) and not (through is None and key == NOTHING_TO_COMPARE):
                problems.append(f"{' '.join(key)} is of {through}, after a sync of {before.began}")
        for name in CAMPAIGN_TABLES:
            changed, through = self.model.last_update(name), states[name, ""].synced_through
            if self.last_good and through and through + skew < changed < self.last_good:
                problems.append(f"{name} is of {through}, and has changed at {changed}: two syncs ago")
        self.last_good = before.began
        if not (skew or self.removed or self.answers):
            problems += self._unread(before, states, is_still)
        self.judge(problems)

    def judge_nothing_read(self, before: Before) -> None:
        """Say what has been read though the clocks are apart."""
        after = {key: state for key, state in self.warehouse.states().items() if not key[1]}
        self.judge(
            [f"{key[0]} was read while the clocks were apart" for key in after if after[key] != before.states.get(key)]
        )

    def _unread(self, before: Before, states: States, is_still: bool) -> Iterator[str]:
        """What a sweep, or a re-read of the latest days, should have found that a sync brought."""

        def is_new(name: str, scope: str) -> bool:
            through, waits = states[name, scope].synced_through, (name, WAITING) in states
            return bool(not waits and through and through >= before.began - SLACK)

        if is_new("person", SWEEP):
            named = {name: self.rows(name) for name in ("person", "global_exclusion", "list_exclusion")}
            yield from self.model.not_swept(before.began, named)
        own, last = states["event", ""], before.states.get(("event", REREAD))
        if is_still and is_new("event", REREAD) and last and last.synced_through and own.synced_from:
            back_to = max(last.synced_through.date() - REREAD_DAYS, (own.synced_from + DAY - SECOND).date())
            yesterday = (before.began - SLACK).date() - DAY
            yield from self.model.not_as_read(self.rows("event"), back_to, yesterday)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a table, none if somebody has dropped it."""
        return self.tier.rows(name) if name in self.tier.tables() else []

    def meddle(self, seed: int | str) -> None:
        """A user does something to the tables."""
        if known := [name for name in TABLES if name in self.tier.tables()]:
            done = meddling(known, KEYS, seed)
            self.tell(str(done))
            self.tier.meddle(done)
            self.removed |= done.what.startswith("removal")

    def resync(self, name: str) -> None:
        """Somebody has tables imported anew."""
        self.tell(f"resync of {name}")
        self.warehouse.forget(TABLES if name == "all" else [name])
        if name in ("all", "event"):
            self.model.reread = None  # the next sync is the first again, and goes back less far
        self.last_good = None

    def tell(self, line: str) -> None:
        self.told.append(f"{self.account.clock.now():%m-%d %H:%M:%S} {line}")

    def happen(self, seed: int | str) -> None:
        self.tell(happen(self.account, seed, self.gone))
        self.model.observe()

    def days(self, first: int, last: int = 0) -> dict[str, str]:
        today = self.account.clock.now().date()
        return {
            RANGE_START: (today - dt.timedelta(days=first)).isoformat(),
            RANGE_END: (today - dt.timedelta(days=last)).isoformat(),
        }

    def sync(self) -> Iterator[str]:
        return self.run("klaviyo_sync", {INCREMENTAL: "true", **self.days(1)})

    def refresh(self) -> Iterator[str]:
        return self.run("klaviyo_full_refresh", {})

    def drive(self, *runs: Iterator[str]) -> None:
        """Run to the end; of several, one or the other goes on, as chance has it. A kill ends all."""
        left = list(runs)
        try:
            while left:
                self.several = len(left) > 1
                run = self.chance.choice(left)
                if next(run, None) is None:
                    left.remove(run)
                if self.meanwhile and self.chance.random() < 0.3:
                    self.happen(self.meanwhile.pop())
        except Killed:
            self.tell("  killed")
        for run in left:
            run.close()

    def backfills(self) -> None:
        """What the backfill sensor would ask for, each range once."""
        asked = []
        while True:
            wanted = [(days, {}) for days in self.value(RANGES) or []]
            if following := self.value(NEXT_RANGE):
                wanted.append((following, {UNREAD_ONLY: "true"}))
            days, tags = next((each for each in wanted if each not in asked), (None, None))
            if days is None:
                return
            asked.append((days, tags))
            self.tell(f"backfill {days['first_day']} to {days['last_day']} of {', '.join(days['tables'])}")
            given = {RANGE_START: days["first_day"], RANGE_END: days["last_day"], **tags}
            self.drive(self.run("klaviyo_backfill", given, {*days["tables"], "klaviyo__history"}))

    def read_by_hand(self, first: int, last: int) -> None:
        """Read days from so many before today to so many; what Klaviyo has of them is there then."""
        days = self.days(first, last)
        self.tell(f"{days[RANGE_START]} to {days[RANGE_END]} is read by hand")
        self.drive(self.run("klaviyo_backfill", days))
        if not (self.trouble or self.ahead or self.answers):
            today = self.account.clock.now().date()
            read = today - first * DAY, today - max(last, 1) * DAY
            self.judge(self.model.not_as_read(self.rows("event"), *read))

    def value(self, name: str) -> Any:
        found = self.last.get(name)
        return found.value if found is not None else None

    # What happens

    def live(self, steps: Sequence[Step]) -> None:
        """Live through the steps, and then so long that all is read that is to be."""
        try:
            with self.kept_open:
                self._live(steps)
            self.turns.finish()
        except Wrong:
            raise
        except Exception as error:
            raise Wrong(self.seed, traceback.format_exception(error)[-7:], self.told) from error

    def _live(self, steps: Sequence[Step]) -> None:
        for number, step in enumerate(steps):
            if number == 1:
                self.tier.keep_open(self.kept_open)
            self.chance = random.Random(step.seed)
            for seed in step.happenings:  # the last at the moment of the sync
                self.account.clock.advance(step.pause / len(step.happenings))
                self.happen(seed)
            if not step.happenings:
                self.account.clock.advance(step.pause)
            self.meanwhile = list(step.meanwhile)
            self.trouble, self.ahead, self.answers = step.trouble, step.ahead - step.klaviyo_ahead, step.answers
            if step.klaviyo_ahead:
                self.meanwhile = []  # at times that have not come yet
            if step.beside:
                self.overlapped = _LAST
            before = Before(self.account.clock.now(), self.warehouse.states())
            self.kill_at = self.ticks + step.kill // self.scale + 1 if step.kill else None
            os.environ["TZ"] = step.zone
            time.tzset()
            self.tell(str(step))
            beside = {"klaviyo_sync": self.sync, "klaviyo_full_refresh": self.refresh}.get(step.beside)
            self.account.clock.advance(step.klaviyo_ahead)
            self.drive(self.sync(), *([beside()] if beside else []))
            self.account.clock.advance(-step.klaviyo_ahead)
            self.ahead = step.ahead
            self.kill_at, self.meanwhile, self.several = None, [], False
            if step.beside:
                self.overlapped = self.account.clock.now()
            skew = abs(step.ahead) + abs(step.klaviyo_ahead)
            if skew > HOUR:
                self.judge_nothing_read(before)
            if step.trouble or step.kill or step.beside or skew > HOUR:
                self.last_good = None
            else:
                self.judge_sync(before, skew, is_still=not step.meanwhile)
            if step.resync:
                self.resync(step.resync)
            if step.backfills:
                self.backfills()
            if step.meddling is not None:
                self.meddle(step.meddling)
            if step.by_hand:
                self.read_by_hand(*step.by_hand)
            self.trouble, self.ahead = 0.0, dt.timedelta(0)
            if step.answers:
                self.misled, self.answers = self.account.clock.now(), ""
            self.check("the sync")
        self.quiet(QUIET_DAYS)

    def quiet(self, days: int) -> None:
        """Nothing happens any more: so long that all is read that is to be; then the tables equal the account."""
        for day in range(1, days + 1):
            self.account.clock.advance(DAY)
            self.tell("quiet sync")
            before = Before(self.account.clock.now(), self.warehouse.states())
            self.drive(self.sync())
            self.judge_sync(before)
            self.backfills()
            if day == SNAPSHOTS_TAKE:
                self.compare(SNAPSHOTS)
        self.check("the quiet")
        self.compare(TABLES)

    def compare(self, tables: Sequence[str]) -> None:
        """Compare tables with the account: they hold what it has now."""
        self.judge([problem for name in tables for problem in self.model.differs(name, self.rows(name))])

    def judge(self, problems: list[str]) -> None:
        """Raise Wrong if there are problems."""
        if problems:
            raise Wrong(self.seed, problems, self.told)


@contextmanager
def simulated(folder: Path, tier: int = 2) -> Iterator[Callable[..., History]]:
    """Give what makes histories of a tier in a folder, one after the other."""
    settings = Settings(
        api_url="http://127.0.0.1:1/api",
        warehouse=str(folder / "warehouse.duckdb"),
        rate_limits="none",
        tables=only(*TABLES),
        models=False,
        processes=1,
        first_sync_days=3,
        history_chunk_days=3,
    )
    definitions = build_definitions(settings)
    ops = {f"klaviyo_{job}": ops_of(definitions, f"klaviyo_{job}") for job in ("sync", "backfill", "full_refresh")}

    def make(seed: int, account: Account | None = None) -> History:
        patch.undo()  # what keeps the history before from being forgotten
        patch.setenv("KLAVIYO_API_KEY", "pk_sandbox")
        random.seed(seed)
        history = History(seed, definitions, ops, place, account)
        place.begin(history.tick)
        history.turns.take_the_place_of_threads(patch)
        patch.setattr(clock, "machine_time", history.machine_time)
        patch.setattr(client_module, "new_session", lambda key, _: InProcess(history.app, key, history.meets))
        client = partial(KlaviyoClient, clock=lambda: history.virtual, sleep=history.sleep)
        patch.setattr(resources, "KlaviyoClient", client)
        return history

    gc.freeze()  # all that is there now stays: it need not be looked through again and again
    with pytest.MonkeyPatch.context() as patch:
        place = TIERS[tier]((definitions.resources or {})["klaviyo_warehouse"], patch)
        yield make
