"""What a comparison of numbers of events leads to."""

from __future__ import annotations

import datetime as dt

from klaviyo_assets.assets.history import DayRange, ranges
from klaviyo_assets.assets.reconciliation import as_table, compare, not_compared
from klaviyo_assets.warehouse.results import Difference

DAY = dt.date(2026, 5, 10)
COMPARED = (dt.date(2026, 5, 1), DAY)


def day(offset: int) -> dt.date:
    return DAY + dt.timedelta(days=offset)


def test_differences_are_those_of_either_side_and_of_known_metrics() -> None:
    theirs = {"A": {day(0): 3, day(-1): 2, day(-2): 0}, "B": {day(0): 1}}
    ours = {("A", day(0)): 3, ("A", day(-2)): 5, ("B", day(0)): 4, ("gone", day(0)): 9}
    assert compare(theirs, ours) == [
        Difference(day(-2), "A", 0, 5),
        Difference(day(-1), "A", 2, 0),
        Difference(day(0), "B", 1, 4),
    ]


def test_ranges_are_exactly_the_days_oldest_first_and_not_too_long() -> None:
    wanted = [(-9, -9), (-3, -1), (0, 0)]
    found = ranges([day(-n) for n in (0, 1, 2, 3, 9, 0, 1, 2, 3, 9)], 3)
    assert found == [DayRange(day(first), day(last), ("event",)) for first, last in wanted]


def test_of_a_sea_of_differences_those_are_shown_first_that_are_read_again() -> None:
    found = [Difference(day(-n), "A", 1, 0, reads=3) for n in range(2000)]
    table = as_table([*found, Difference(day(0), "B", 7, 0, reads=1, wanted=True)], {"A": "Placed | Order"}, COMPARED)
    lines = table.splitlines()
    assert lines[2] == "| 2026-05-10 | B | 7 | 0 | once |" and lines[3].endswith(
        "| Placed \\| Order | 1 | 0 | 3 times |"
    )
    assert len(lines) < 110 and lines[-1] == "... and 1,901 more."


def test_nothing_is_said_to_be_equal_that_was_not_compared() -> None:
    assert as_table([], {}, COMPARED).endswith("the same number of events on each day from 2026-05-01 to 2026-05-10.")
    names, theirs = {"A": "Placed Order", "B": "Odd"}, {"A": {}}
    later, unread, others = not_compared(names, theirs, COMPARED, day(-3650))
    assert "after 2026-05-10" in later and "2016-05-12 to 2026-04-30 have not been read" in unread and "Odd" in others
    assert not_compared({"A": "Placed Order"}, theirs, COMPARED, COMPARED[0]) == [later]
