"""Which range a run reads, for every kind of partition range and state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.assets.days import RANGE_END, RANGE_START
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sync.ranges import MARGIN, first_whole_day, midnight, plan, reread_from, sync_back_to
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import QUIET, Project, only

DAY = dt.timedelta(days=1)
TODAY = dt.datetime(2026, 5, 10, tzinfo=dt.UTC)
NOW = TODAY + dt.timedelta(hours=14, seconds=0.5)
THROUGH = TODAY + dt.timedelta(hours=13, minutes=59)
OVERLAP = dt.timedelta(hours=3)


def read(days: tuple[int, int], known: tuple[dt.datetime | None, dt.datetime] | None = None, **options: Any) -> Any:
    """Plan a range of days, first and last counted from today; `known` is (synced_from, synced_through)."""
    partitions = (TODAY + days[0] * DAY, TODAY + (days[1] + 1) * DAY)
    state = SyncState("event", synced_from=known[0], synced_through=known[1]) if known else None
    return plan(
        "event", partitions, state, **{"now": NOW, "overlap": OVERLAP, "reread": True, "reread_days": 7, **options}
    )


def test_past_days_are_read_from_beginning_to_end() -> None:
    chosen = read((-5, -2))
    assert (chosen.start, chosen.end) == (TODAY - 5 * DAY, TODAY - DAY)
    assert chosen.state.extends


@pytest.mark.parametrize(
    ("days", "known", "counts"),
    [
        ((-20, -3), None, -7),
        ((-20, -10), None, -9),
        ((-5, -2), None, None),
        ((-20, -6), (-4, 0), -7),
        ((-20, -5), (-4, 0), -4),
        ((-20, -2), (-4, 0), -1),
        ((-3, -2), (-4, 0), -1),
        ((-3, -2), (-9, -4), None),
        ((-5, -2), (None, -4), -1),
    ],
)
def test_days_apart_from_the_syncs_count_as_read_once_nothing_late_is_promised(
    days: tuple[int, int], known: tuple[int | None, int] | None, counts: int | None
) -> None:
    """Days counted from today: the first re-read goes back `reread_days` from itself, not from when they were read."""
    own = known and (None if known[0] is None else TODAY + known[0] * DAY, TODAY + known[1] * DAY)
    through = read(days, own).state.synced_through
    assert through == (None if counts is None else TODAY + counts * DAY)
    assert read(days, own, reread_days=0).state.synced_through == TODAY + (days[1] + 1) * DAY


def test_the_first_sync_reads_its_whole_range_and_beyond_now() -> None:
    chosen = read((-5, 0), reread=False)
    assert (chosen.start, chosen.end) == (TODAY - 5 * DAY, None)
    assert (chosen.state.synced_from, chosen.state.synced_through) == (TODAY - 5 * DAY, THROUGH)


@pytest.mark.parametrize("reread", [True, False])
def test_today_continues_from_the_watermark_also_after_days_of_downtime(reread: bool) -> None:
    since = TODAY - 90 * DAY
    assert read((0, 0), (since, TODAY + DAY / 2), reread=reread).start == TODAY + DAY / 2 - OVERLAP
    assert read((0, 0), (since, TODAY - 4 * DAY), reread=reread).start == TODAY - 4 * DAY - OVERLAP


def test_past_days_up_to_now_are_read_again_unless_only_the_rest_is_wanted() -> None:
    known = (TODAY - 90 * DAY, TODAY + DAY / 2)
    assert read((-9, 0), known).start == TODAY - 9 * DAY
    assert read((-9, 0), known, reread=False).start == TODAY + DAY / 2 - OVERLAP


def test_days_that_were_never_read_are_read_even_by_a_sync() -> None:
    assert read((-9, 0), (TODAY - 2 * DAY, TODAY + DAY / 2), reread=False).start == TODAY - 9 * DAY


def test_just_after_midnight_the_watermark_stays_behind_the_clock() -> None:
    chosen = read((0, 0), now=TODAY + dt.timedelta(seconds=20))
    assert chosen.end is None
    assert chosen.state.synced_through == TODAY - dt.timedelta(seconds=40)


def test_whole_days_that_are_read_up_to_now_are_complete() -> None:
    since = TODAY - 90 * DAY
    assert read((0, 0), (since, TODAY - 4 * DAY)).complete == (TODAY - 4 * DAY, TODAY)
    assert read((0, 0), (since, TODAY - 4 * DAY + 4 * OVERLAP)).complete == (TODAY - 3 * DAY, TODAY)
    assert read((0, 0), (since, TODAY + DAY / 2)).complete is None
    assert read((0, 0), (since, TODAY + DAY / 2), back_to=TODAY - 7 * DAY).complete == (TODAY - 7 * DAY, TODAY)


def back_to(
    known: tuple[dt.datetime | None, dt.datetime] | None = None, reread: dt.datetime | None = None, **options: Any
) -> dt.datetime | None:
    state = SyncState("event", synced_from=known[0], synced_through=known[1]) if known else None
    last = SyncState("event", "reread", synced_through=reread) if reread else None
    defaults = {"now": NOW, "first_days": 5, "reread_days": 7, "interval": DAY / 24}
    return sync_back_to(state, last, **{**defaults, **options})


def test_a_sync_goes_back_first_and_once_a_day() -> None:
    known = (TODAY - 90 * DAY, NOW - DAY / 24)
    assert back_to() == TODAY - 5 * DAY
    assert back_to(known) == back_to((None, NOW)) == TODAY - 7 * DAY
    assert back_to(known, reread=NOW - DAY) == TODAY - 8 * DAY, "seven days before the last one"
    assert back_to(known, reread=NOW - DAY * 23 / 24) is None
    assert back_to(known, reread_days=0) is None
    assert back_to((TODAY - 2 * DAY, NOW)) == TODAY - 2 * DAY, "what was never read is left to the history"


def test_the_daily_reread_goes_back_from_the_last_one_however_long_ago_that_was() -> None:
    watermark = TODAY - 11 * DAY + DAY / 2
    known = (TODAY - 90 * DAY, watermark)
    assert back_to(known, reread=watermark - DAY / 2) == TODAY - (11 + 7) * DAY
    assert back_to(known) == TODAY - (11 + 7) * DAY, "if that is not known, from the watermark"
    assert back_to((TODAY - 90 * DAY, NOW - DAY / 24), reread=TODAY - 5 * DAY) == TODAY - (5 + 7) * DAY
    assert back_to(known, reread=watermark, reread_days=0) is None
    assert back_to((TODAY - 13 * DAY, watermark), reread=watermark) == TODAY - 13 * DAY


@given(last=st.integers(0, 60 * 24), gap=st.integers(24, 40 * 24), days=st.integers(1, 9), late=st.integers(0, 9 * 24))
def test_what_is_up_to_reread_days_late_is_found_by_the_next_reread(last: int, gap: int, days: int, late: int) -> None:
    """Events that appear at any time between two re-reads; what is later is for the comparison, which ends there."""
    hours = dt.timedelta(hours=1)
    reread = NOW - last * hours
    since = back_to((None, reread), reread=reread, reread_days=days, now=reread + gap * hours)
    assert since == reread_from(reread, SyncState("event", "reread", synced_through=reread), days)
    if late <= days * 24:
        assert since is not None and since <= reread - late * hours


def test_days_begin_at_midnight_utc() -> None:
    evening = dt.datetime(2026, 5, 9, 22, 30, tzinfo=dt.timezone(-OVERLAP))
    assert midnight(evening) == TODAY and first_whole_day(evening) == TODAY + DAY
    assert midnight(TODAY) == first_whole_day(TODAY) == TODAY


@given(
    first=st.integers(-30, 0),
    length=st.integers(0, 30),
    known=st.none() | st.tuples(st.integers(-2000, 0), st.integers(0, 2000)),
    reread=st.booleans(),
    back=st.none() | st.integers(0, 40),
)
def test_no_state_claims_what_was_not_read(
    first: int, length: int, known: tuple[int, int] | None, reread: bool, back: int | None
) -> None:
    """What is known afterwards lies within what was known before and what this run reads."""
    last = min(first + length, 0)
    hours = dt.timedelta(hours=1)
    before = (NOW + (known[0] - known[1]) * hours, NOW + known[0] * hours) if known else None
    chosen = read((first, last), before, reread=reread, back_to=None if back is None else TODAY - back * DAY)
    if chosen.complete:
        assert chosen.start <= chosen.complete[0] < chosen.complete[1] <= (chosen.end or THROUGH)
        assert chosen.complete == (midnight(chosen.complete[0]), midnight(chosen.complete[1]))
    after = chosen.state.after(SyncState("event", synced_from=before[0], synced_through=before[1]) if before else None)
    if after is None:
        return
    assert after.synced_from is not None and after.synced_through is not None
    assert after.synced_through <= NOW - MARGIN or (before and after.synced_through == before[1])
    start = min([chosen.start, *([before[0]] if before else [])])
    assert after.synced_from >= start
    if before and chosen.start > before[1]:
        assert (after.synced_from, after.synced_through) == before


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({RANGE_START: "2026-05-05", RANGE_END: "2026-05-01"}, (RANGE_START, RANGE_END, "ends before it starts")),
        ({RANGE_START: "2025-12-31", RANGE_END: "2026-01-02"}, ("2025-12-31", "`history_start` (2026-01-01)")),
        ({RANGE_START: "2026-5-1", RANGE_END: "2026-05-02"}, (RANGE_START, "'2026-5-1'", "YYYY-MM-DD")),
        ({RANGE_START: "2026-05-01", RANGE_END: "2026-05-2"}, (RANGE_END, "'2026-05-2'", "YYYY-MM-DD")),
        ({"dagster/partition": "2026-5-01"}, ("dagster/partition", "'2026-5-01'", "YYYY-MM-DD")),
        ({"dagster/partition": "2019-01-01"}, ("The partition 2019-01-01", "`history_start` (2026-01-01)")),
    ],
)
def test_days_that_do_not_exist_are_refused(
    project: Callable[..., Project], tags: dict[str, str], words: tuple[str, ...]
) -> None:
    klaviyo = project(Account(), tables=only(), models=False, history_start="2026-01-01")
    result = klaviyo.definitions.resolve_job_def("klaviyo_backfill").execute_in_process(
        instance=klaviyo.instance, tags=tags, run_config=QUIET, raise_on_error=False
    )
    assert not result.success
    said = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert len(said) == 2  # event and person
    for failure in said:
        assert failure.user_failure_data is not None
        assert all(word in str(failure.user_failure_data.description) for word in words)
    assert klaviyo.warehouse.state("event") is None
