"""What a comparison of numbers of events leads to."""

from __future__ import annotations

import datetime as dt

from klaviyo_assets.assets.history import DayRange
from klaviyo_assets.assets.reconciliation import MOST, MOST_TIMES, Difference, as_table, compare, ranges

DAY = dt.date(2026, 5, 10)


def day(offset: int) -> dt.date:
    return DAY + dt.timedelta(days=offset)


def test_differences_are_those_of_either_side_and_of_known_metrics() -> None:
    theirs = {"A": {day(0): 3, day(-1): 2, day(-2): 0}, "B": {day(0): 1}}
    ours = {("A", day(0)): 3, ("A", day(-2)): 5, ("B", day(0)): 4, ("gone", day(0)): 9}
    assert compare(theirs, ours) == [
        Difference(day(0), "B", 1, 4),
        Difference(day(-1), "A", 2, 0),
        Difference(day(-2), "A", 0, 5),
    ]


def test_the_same_difference_is_acted_on_only_so_often() -> None:
    found: list[Difference] = []
    asked = []
    for _ in range(MOST_TIMES + 2):
        found = compare({"A": {DAY: 3}}, {("A", DAY): 2}, found)
        asked.append(len(ranges(found, 30)))
    assert asked == [1] * MOST_TIMES + [0, 0]
    assert len(ranges(compare({"A": {DAY: 4}}, {("A", DAY): 2}, found), 30)) == 1, "the numbers changed"


def test_ranges_are_exactly_the_days_newest_first_and_not_too_long() -> None:
    found = [Difference(day(-n), metric, 1, 0) for n in (0, 1, 2, 3, 9) for metric in "AB"]
    wanted = [(-2, 0), (-3, -3), (-9, -9)]
    assert ranges(found, 3) == [DayRange(day(first), day(last), ("event",)) for first, last in wanted]


def test_a_sea_of_differences_is_bounded() -> None:
    found = compare({"A": {day(-n): 1 for n in range(MOST + 5)}}, {})
    assert len(found) == MOST and found[0].day == DAY
    table = as_table(found, {"A": "Placed | Order"})
    assert table.count("\n") < 110 and "Placed \\| Order" in table and "1,900 more" in table
    assert "same number" in as_table([], {})
