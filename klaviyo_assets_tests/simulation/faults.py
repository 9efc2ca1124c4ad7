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
from klaviyo_assets.schema.decoding import Lenient
from klaviyo_assets.sync.ranges import DAY, midnight
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.state import SyncState
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
}
"""Fault -> its number among those that were once reported."""


def _several(what: str, times: int) -> tuple[str, ...]:
    return tuple(f"{what}/{number}" for number in range(times))


_FIRST, _LATER = Step(0, HOUR), Step(0, 13 * DAY)
_MEANWHILE = ("a list is gone", "an event is gone") * 2
_DROP_PERSON, _OTHER_CASE_OF_EVENT, _ZONED_EVENT = 21, 14, 28
"""Seeds of what a user does."""

DIRECTED: dict[Fault, Steps] = {
    the_machines_clock_decides: (_FIRST, Step(1, HOUR, ahead=48 * HOUR)),
    an_older_read_undoes_a_newer_flag: (
        Step(1, HOUR),
        Step(2, DAY, beside="klaviyo_sync", meanwhile=_MEANWHILE),
        Step(3, DAY, beside="klaviyo_full_refresh", meanwhile=_MEANWHILE),
    ),
    back_from_today: (_FIRST, Step(1, 13 * DAY, _several("a very late event", 8))),
    healing_gives_up: (_FIRST, _LATER, Step(1, HOUR, _several("a very late event", 8))),
    bounds_near_now: (_FIRST, Step(1, HOUR, meanwhile=_several("an event some minutes ago", 8))),
    a_dropped_table_keeps_its_state: (_FIRST, replace(_LATER, meddling=_DROP_PERSON), Step(1, HOUR)),
    names_are_compared_by_case: (replace(_FIRST, meddling=_OTHER_CASE_OF_EVENT), Step(1, HOUR)),
    sessions_are_in_the_zone_of_the_machine: (replace(_FIRST, meddling=_ZONED_EVENT), Step(1, DAY)),
    a_value_stops_its_table: (_FIRST, Step(1, HOUR, ("a profile of another shape",))),
    the_guard_blocks_what_is_new: (_FIRST, Step(1, HOUR, _several("an event is gone", 20))),
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
