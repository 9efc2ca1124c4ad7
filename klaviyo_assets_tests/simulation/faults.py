"""Faults that the product has had, put back: what a simulation has to find. `python -m ... 100 1` looks for them in the
first 100 seeds of the first tier; numbers after that choose some.

Each replaces a function by what stood there, or by the nearest to it that there is still a place for.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import click
import pytest

from klaviyo_assets import clock
from klaviyo_assets.assets import incremental
from klaviyo_assets.assets.step import Step as StepOfRun
from klaviyo_assets.schema.decoding import Lenient
from klaviyo_assets.sync import ranges
from klaviyo_assets.sync.ranges import DAY, ReadRange, midnight
from klaviyo_assets.sync.vanished import Answer, ask_for_events
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.transaction import Transaction
from klaviyo_assets_tests.simulation.plan import HOUR, Step, Steps

Fault = Callable[[pytest.MonkeyPatch], None]

STEPS = "klaviyo_assets.warehouse.steps"


def the_machines_clock_decides(patch: pytest.MonkeyPatch) -> None:
    """Whatever Klaviyo says: the watermark of a machine that is days ahead is ahead of the data."""
    patch.setattr("klaviyo_assets.assets.resources.KlaviyoAccount.now", lambda account: clock.machine_time())


def an_older_read_undoes_a_newer_flag(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{STEPS}.loading.written_by_later_read", lambda *given: "false")


def back_from_today(patch: pytest.MonkeyPatch) -> None:
    """Re-reads go back from today, not from the last one."""

    def back_to(known: SyncState | None, last: SyncState | None, *, now: dt.datetime, **given: Any) -> dt.datetime:
        return midnight(now) - (given["reread_days"] if known else given["first_days"]) * DAY

    patch.setattr("klaviyo_assets.assets.incremental.sync_back_to", back_to)


def healing_gives_up(patch: pytest.MonkeyPatch) -> None:
    """Days that differ from Klaviyo's numbers are never read again."""
    patch.setattr("klaviyo_assets.assets.reconciliation.MOST_TIMES", 0)


def bounds_near_now(patch: pytest.MonkeyPatch) -> None:
    """Klaviyo refuses bounds within seconds of its time."""
    patch.setattr("klaviyo_assets.sync.ranges.MARGIN", dt.timedelta(0))


def a_dropped_table_keeps_its_state(patch: pytest.MonkeyPatch) -> None:
    for module in ("beginning", "ensuring"):
        patch.setattr(f"{STEPS}.{module}.why_void", lambda *given: None)
        patch.setattr(f"{STEPS}.{module}.void", lambda *given: None)


def names_are_compared_by_case(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("klaviyo_assets.warehouse.duckdb.catalog.fold", str)


def sessions_are_in_the_zone_of_the_machine(patch: pytest.MonkeyPatch) -> None:
    for module in ("attached", "warehouse"):
        patch.setattr(f"klaviyo_assets.warehouse.duckdb.{module}.IN_UTC", "SET TimeZone = 'America/New_York'")


def the_guard_blocks_what_is_new(patch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **more: Any) -> bool:
        from klaviyo_assets.warehouse.guard import is_suspicious

        if is_suspicious(*given, **more):
            raise WarehouseError("Too many rows would be flagged.")
        return False

    patch.setattr(f"{STEPS}.flags.is_suspicious", refuse)


def a_value_stops_its_table(patch: pytest.MonkeyPatch) -> None:
    """A page is decoded as strictly as its columns are."""

    def decode(decoder: Lenient[Any], content: bytes, note: object = None) -> Any:
        return decoder._decoder.decode(content)

    patch.setattr(Lenient, "decode", decode)


def _planned(patch: pytest.MonkeyPatch, change: Callable[[ReadRange], ReadRange], **given: Any) -> None:
    """Have something else read than what is planned."""

    def plan(*of: Any, **more: Any) -> ReadRange:
        return change(ranges.plan(*of, **(more | given)))

    patch.setattr("klaviyo_assets.assets.incremental.plan", plan)


def nothing_overlaps(patch: pytest.MonkeyPatch) -> None:
    """A sync reads on from the watermark."""
    _planned(patch, lambda read: read, overlap=dt.timedelta(0))


def a_chunk_counts_a_day_earlier(patch: pytest.MonkeyPatch) -> None:
    """Of past days that were read, the day before the first one counts as read."""

    def longer(read: ReadRange) -> ReadRange:
        state = read.state
        earlier = replace(state, synced_from=read.start - DAY) if state.extends else state
        return replace(read, state=earlier)

    _planned(patch, longer)


def a_gap_counts_as_read(patch: pytest.MonkeyPatch) -> None:
    """Days that somebody reads move the watermark, whatever lies between."""
    after = SyncState.after

    def across(new: SyncState, before: SyncState | None) -> SyncState | None:
        found = after(new, before)
        if found or not (before and before.synced_through and new.is_range and new.synced_from):
            return found
        return after(replace(new, synced_from=min(new.synced_from, before.synced_through)), before)

    patch.setattr(SyncState, "after", across)


def a_backfill_counts_as_a_reread(patch: pytest.MonkeyPatch) -> None:
    """Whoever reads some past days has read the latest ones again."""
    extract = incremental._extract

    def reread(*given: Any) -> Any:
        read, went_back = given[4:6]
        return extract(*given[:5], went_back or read.end is not None, *given[6:])

    patch.setattr(incremental, "_extract", reread)


def a_reread_begins_a_day_late(patch: pytest.MonkeyPatch) -> None:
    def back_to(*of: Any, **given: Any) -> dt.datetime | None:
        found = ranges.sync_back_to(*of, **given)
        return found and found + DAY

    patch.setattr("klaviyo_assets.assets.incremental.sync_back_to", back_to)


def klaviyos_clock_decides(patch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's says: while it is ahead the watermark is ahead of the data."""
    patch.setattr("klaviyo_assets.assets.resources.KlaviyoAccount.now", lambda account: account.client.now())


def what_an_answer_lacks_is_gone(patch: pytest.MonkeyPatch) -> None:
    """A snapshot counts as complete though some of its rows could not be read."""
    state = StepOfRun.state
    patch.setattr(StepOfRun, "state", lambda step, *of, **given: state(step, *of, **{**given, "complete": True}))


def no_read_is_suspicious(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{STEPS}.flags.is_suspicious", lambda *given, **more: False)


def campaigns_wait_a_day(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether they have changed."""
    patch.setattr("klaviyo_assets.assets.history.with_changes", lambda settings, account, states, run_id: states)


def what_moved_is_gone(patch: pytest.MonkeyPatch) -> None:
    """An event that its day does not return any more is flagged, and nobody asks for it."""
    patch.setattr(incremental, "ask_about_events", lambda *given: lambda ids, spool: set(ids))


def no_answer_says_gone(patch: pytest.MonkeyPatch) -> None:
    """An event that Klaviyo said nothing about is flagged."""

    def ask(client: Any, ids: Sequence[str], **given: Any) -> Answer:
        answer = ask_for_events(client, ids, **given)
        return replace(answer, gone=frozenset(ids) - answer.found)

    patch.setattr(incremental, "ask_for_events", ask)


def a_flag_has_no_stamp(patch: pytest.MonkeyPatch) -> None:
    """A row that is flagged keeps the time at which it was written before."""
    update = Transaction.update

    def unstamped(
        transaction: Transaction, table: str, values: Any, where: str, parameters: Sequence[Any] = (), **more: Any
    ) -> int:
        if values == {"_fivetran_deleted": "true", "_fivetran_synced": "?"}:
            values, parameters = {"_fivetran_deleted": "true"}, parameters[1:]
        return update(transaction, table, values, where, parameters, **more)

    patch.setattr(Transaction, "update", unstamped)


FAULTS: dict[Fault, int] = {
    the_machines_clock_decides: 1,
    an_older_read_undoes_a_newer_flag: 2,
    back_from_today: 3,
    healing_gives_up: 4,
    bounds_near_now: 6,
    a_dropped_table_keeps_its_state: 9,
    names_are_compared_by_case: 10,
    sessions_are_in_the_zone_of_the_machine: 11,
    a_value_stops_its_table: 14,
    the_guard_blocks_what_is_new: 16,
    **{
        fault: 100 + number
        for number, fault in enumerate(
            (
                nothing_overlaps,
                a_chunk_counts_a_day_earlier,
                a_gap_counts_as_read,
                a_backfill_counts_as_a_reread,
                a_reread_begins_a_day_late,
                klaviyos_clock_decides,
                what_an_answer_lacks_is_gone,
                no_read_is_suspicious,
                campaigns_wait_a_day,
                what_moved_is_gone,
                no_answer_says_gone,
                a_flag_has_no_stamp,
            )
        )
    },
}
"""Fault -> its number among those that were once reported; from 100 on those that somebody could make."""


def _several(what: str, times: int) -> tuple[str, ...]:
    return tuple(f"{what}/{number}" for number in range(times))


_FIRST, _LATER = Step(0, HOUR), Step(0, 13 * DAY)
_READ = replace(_FIRST, backfills=True)
_MOVED = Step(1, 5 * HOUR, _several("an event of yesterday is moved away", 3))
_MEANWHILE = ("a list is gone", "an event is gone") * 2

DIRECTED: dict[Fault, Steps] = {
    the_machines_clock_decides: (_FIRST, Step(1, HOUR, ahead=48 * HOUR)),
    an_older_read_undoes_a_newer_flag: (
        Step(18, HOUR),
        Step(118, DAY, beside="klaviyo_sync", meanwhile=_MEANWHILE),
        Step(218, DAY, beside="klaviyo_full_refresh", meanwhile=_MEANWHILE),
    ),
    back_from_today: (_FIRST, Step(1, 13 * DAY, _several("a very late event", 8))),
    healing_gives_up: (_FIRST, _LATER, Step(1, HOUR, _several("a very late event", 8))),
    bounds_near_now: (_FIRST, Step(1, HOUR, meanwhile=_several("an event some minutes ago", 8))),
    a_dropped_table_keeps_its_state: (_READ, replace(_LATER, meddling="removal of person"), Step(1, HOUR)),
    names_are_compared_by_case: (replace(_FIRST, meddling="other letters for the key of event"), Step(1, HOUR)),
    sessions_are_in_the_zone_of_the_machine: (replace(_FIRST, meddling="zoned times of event"), Step(1, DAY)),
    a_value_stops_its_table: (_FIRST, Step(1, HOUR, ("a profile of another shape",))),
    the_guard_blocks_what_is_new: (_READ, Step(1, HOUR, _several("an event is gone", 20))),
    nothing_overlaps: (_FIRST, Step(1, HOUR, _several("an event within the overlap", 8))),
    a_chunk_counts_a_day_earlier: (replace(_FIRST, by_hand=(3, 3)),),
    a_gap_counts_as_read: (
        _FIRST,
        Step(1, 3 * DAY, _several("an event now", 8), kill=1, by_hand=(1, 1)),
    ),
    a_backfill_counts_as_a_reread: (
        _READ,
        Step(1, DAY, _several("a late event", 8), kill=1, by_hand=(1, 1)),
    ),
    a_reread_begins_a_day_late: (_READ, Step(1, 4 * DAY), Step(2, DAY, _several("an event of a week ago", 8))),
    klaviyos_clock_decides: (_FIRST, Step(1, HOUR, klaviyo_ahead=0.7 * HOUR)),
    what_an_answer_lacks_is_gone: (_FIRST, Step(1, DAY, answers="without attributes")),
    no_read_is_suspicious: (_FIRST, Step(1, DAY, answers="empty")),
    campaigns_wait_a_day: (
        _FIRST,
        Step(1, HOUR, ("a campaign is renamed", "an event now")),
        Step(2, HOUR),
    ),
    what_moved_is_gone: (_READ, replace(_MOVED, by_hand=(1, 1))),
    no_answer_says_gone: (_READ, replace(_MOVED, by_hand=(1, 1), answers="of no event")),
    a_flag_has_no_stamp: (_READ, Step(1, DAY, _several("an event is gone", 4))),
}
"""Fault -> the shortest history in which it shows; without the fault nothing is wrong with it."""


def search(seeds: int, tier: int, numbers: Sequence[int]) -> None:
    """Print of some faults, or all of them, which of the first seeds of a tier finds each."""
    from klaviyo_assets_tests.simulation.__main__ import lived
    from klaviyo_assets_tests.simulation.plan import history

    for fault, number in FAULTS.items():
        if numbers and number not in numbers:
            continue
        with pytest.MonkeyPatch.context() as patch:
            fault(patch)
            found = next((seed for seed in range(seeds) if lived(seed, history(seed), tier)), None)
        click.echo(f"{number}: {fault.__name__}: " + (f"not found by {seeds}" if found is None else f"seed {found}"))


if __name__ == "__main__":
    search(int(sys.argv[1]), int(sys.argv[2]), [*map(int, sys.argv[3:])])
