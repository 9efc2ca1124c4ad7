"""Ranges that have been read: those that touch become one, none is forgotten, and one of them has the watermark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.warehouse.state import RANGE, SyncState, is_read, joined, with_rows
from klaviyo_assets_tests.warehouse.helpers import warehouse_at

MIDNIGHT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

DAYS = st.tuples(st.integers(0, 30), st.integers(1, 6)).map(lambda drawn: (drawn[0], sum(drawn)))


def state(days: tuple[int, int], *, extends: bool = True) -> SyncState:
    start, end = (MIDNIGHT + day * DAY for day in days)
    return SyncState("event", synced_from=start, synced_through=end, extends=extends)


def days_of(states: Sequence[SyncState]) -> list[int]:
    """The days that were read, each as often as a range has it."""
    found: list[int] = []
    for each in states:
        assert each.synced_from and each.synced_through
        found += range((each.synced_from - MIDNIGHT).days, (each.synced_through - MIDNIGHT).days)
    return sorted(found)


@given(st.lists(st.tuples(DAYS, st.booleans()), max_size=12))
def test_no_day_that_was_read_is_forgotten_and_none_is_there_twice(reads: list[tuple[tuple[int, int], bool]]) -> None:
    known: list[SyncState] = []
    read: set[int] = set()
    for days, is_sync in reads:
        known = joined(known, state(days, extends=not is_sync))
        read |= set(range(*days))
        assert days_of(known) == sorted(read)
        ends = sorted((each.synced_from, each.synced_through) for each in known)
        assert all(one[1] < other[0] for one, other in pairwise(ends)), "those that touch are one"
        assert len({each.scope for each in known}) == len(known)
        assert all(each.scope.startswith(RANGE) for each in known if each.scope)
    assert any(not each.scope for each in known) == any(is_sync for _, is_sync in reads), "only a sync has a watermark"


def test_chunks_of_history_that_end_in_any_order_are_kept(tmp_path: Path) -> None:
    """On an empty warehouse, before the first sync and beside it."""
    chunks = [state((0, 7)), state((7, 14)), state((14, 21)), state((21, 28))]
    sync = state((28, 30), extends=False)
    for number, order in enumerate(permutations([*chunks, sync])):
        if number % 12:
            continue
        warehouse = warehouse_at(tmp_path, schema_name=f"s{number}")
        for each in order:
            warehouse.remember(each)
            start, end = each.synced_from, each.synced_through
            assert start and end and is_read(warehouse.states(), "event", start, end)
        (whole,) = warehouse.states().values()
        assert (whole.scope, whole.synced_from, whole.synced_through) == ("", MIDNIGHT, MIDNIGHT + 30 * DAY)


def test_ranges_in_any_order_know_the_latest_number_of_rows() -> None:
    for order in permutations([state((0, 7)), state((7, 14)), state((20, 21)), state((28, 30), extends=False)]):
        known: list[SyncState] = []
        for number, each in enumerate(order, 1):
            known = joined(known, replace(each, rows=number * 10))
            found = with_rows({(one.table, one.scope): one for one in known}, "event")
            assert found and found.rows == number * 10, (order, known)
