"""Which days of the history come next."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.assets.history import DayRange, TableHistory, describe, next_range, table_history
from klaviyo_assets.warehouse.state import SyncState

TODAY = dt.date(2026, 5, 10)
START = dt.date(2012, 1, 1)
MIDNIGHT = dt.datetime(2026, 5, 3, tzinfo=dt.UTC)


def day(offset: int) -> dt.date:
    return TODAY + dt.timedelta(days=offset)


def test_a_tables_history_begins_with_its_first_row_or_where_the_settings_say() -> None:
    known = SyncState("event", synced_from=MIDNIGHT, synced_through=MIDNIGHT)
    noon = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
    assert table_history(known, [None, noon], START) == TableHistory("event", noon.date(), MIDNIGHT.date())
    assert table_history(known, [noon], day(-30)) == TableHistory("event", day(-30), MIDNIGHT.date())
    assert table_history(known, [None], START) == TableHistory("event", MIDNIGHT.date(), MIDNIGHT.date())
    assert table_history(None, [noon], START) is None
    early = dt.datetime(2003, 3, 3, tzinfo=dt.UTC)
    assert table_history(known, [early], START) == TableHistory("event", START, MIDNIGHT.date()), "a limit"
    assert table_history(known, [early, noon], None) == TableHistory("event", early.date(), MIDNIGHT.date())
    half = SyncState("event", synced_from=MIDNIGHT + dt.timedelta(hours=1), synced_through=MIDNIGHT)
    assert table_history(half, [noon], START) == TableHistory("event", noon.date(), day(-6)), "only whole days count"


@given(
    behind=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=1, max_size=3),
    chunk=st.integers(1, 50),
)
def test_every_day_is_read_once_newest_first(behind: list[tuple[int, int]], chunk: int) -> None:
    histories = [TableHistory(f"t{n}", day(-wanted), day(-read)) for n, (wanted, read) in enumerate(behind)]
    wanted = {(h.table, h.first + dt.timedelta(days=n)) for h in histories for n in range(h.days_left)}
    read: list[tuple[str, dt.date]] = []
    last = dt.date.max
    while following := next_range(histories, chunk):
        days = (following.last_day - following.first_day).days + 1
        assert 0 < days <= chunk and following.last_day < last
        last = following.first_day
        read += [(t, following.first_day + dt.timedelta(days=n)) for t in following.tables for n in range(days)]
        histories = [
            TableHistory(h.table, h.first, following.first_day) if h.table in following.tables else h for h in histories
        ]
    assert len(read) == len(set(read)) and set(read) == wanted


def test_the_metadata_speaks_of_the_table_that_is_furthest_behind() -> None:
    described = describe(
        [TableHistory("event", day(-40), day(-9)), TableHistory("person", day(-20), day(-7))], TODAY, 5
    )
    assert described["days_done"] == 7 and described["days_left"] == 31
    assert described["oldest_day_complete"] == day(-7).isoformat() and described["first_day"] == day(-40).isoformat()
    assert DayRange.from_json(described["next_range"].value) == DayRange(day(-9), day(-8), ("person",))
    assert "next_range" not in describe([TableHistory("event", day(-9), day(-9))], TODAY, 5)
    assert describe([], TODAY, 5) == {}
