"""The days that a report is about, and those that it compares them with."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["days", "week", "month"]
Step = Literal["day", "week"]

USUAL_DAYS = 90
MOST_DAYS = 3660

_DAY, _WEEK, _MONTH = (dt.timedelta(days=number) for number in (1, 7, 31))
_EARLIEST = dt.date(2000, 1, 1)


@dataclass(frozen=True)
class Period:
    """The days from `since` until before `until`, UTC, and those before it: from `before` until before `before_end`."""

    since: dt.date
    until: dt.date
    before: dt.date
    before_end: dt.date

    @property
    def last_day(self) -> dt.date:
        """The last of its days."""
        return self.until - _DAY

    @property
    def last_day_before(self) -> dt.date:
        """The last day of the period before."""
        return self.before_end - _DAY

    @property
    def step(self) -> Step:
        """What the charts go by: days up to a month of them, else weeks."""
        return "day" if self.until - self.since <= _MONTH else "week"

    @property
    def steps(self) -> list[dt.date]:
        """The first day of each step."""
        first, length = (self.since, _DAY) if self.step == "day" else (self.monday, _WEEK)
        return [first + length * number for number in range(-(-(self.until - first) // length))]

    @property
    def monday(self) -> dt.date:
        """The Monday of the week in which it begins."""
        return self.since - dt.timedelta(days=self.since.weekday())

    def within(self, first: dt.date, last: dt.date) -> Period:
        """Return the part of it that lies between two days; all of it if none does.

        If it ends earlier, so does the period before: as many days are compared.
        """
        if last < self.since or first > self.last_day:
            return self
        until = min(self.until, last + _DAY)
        before_end = self.before_end
        if until < self.until:
            before_end = min(before_end, self.before + (until - self.since))
        return replace(self, since=max(self.since, first), until=until, before_end=before_end)


def of_days(since: dt.date, until: dt.date) -> Period:
    """Return the period of some days; that before has as many."""
    return Period(since, until, since - (until - since), since)


def of_month(first: dt.date) -> Period:
    """Return the period of a calendar month, by its first day; that before is the month before."""
    return Period(first, (first + 31 * _DAY).replace(day=1), (first - _DAY).replace(day=1), first)


def chosen_period(kind: Kind, first_day: str, days: int | None, today: dt.date) -> Period:
    """Return the period that a run's config asks for, see `ReportConfig`; raise ValueError, which names the field."""
    first = _first_day(first_day, today) if first_day else None
    if kind != "days" and days is not None:
        raise ValueError(f"days: leave it out, a {kind} has the days that it has")
    if kind == "week":
        monday = first or today - dt.timedelta(days=today.weekday()) - _WEEK
        if monday.weekday():
            earlier = monday - dt.timedelta(days=monday.weekday())
            raise ValueError(f"first_day: a week begins on a Monday: {earlier} or {earlier + _WEEK}, not {monday}")
        return of_days(monday, monday + _WEEK)
    if kind == "month":
        begin = first or (today.replace(day=1) - _DAY).replace(day=1)
        if begin.day != 1:
            raise ValueError(f"first_day: a month begins on its first day: {begin.replace(day=1)}, not {begin}")
        return of_month(begin)
    length = dt.timedelta(days=days or USUAL_DAYS)
    since = first or today + _DAY - length
    return of_days(since, since + length)


def _first_day(text: str, today: dt.date) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"first_day: {text!r} is no day such as {today}") from None
    if not _EARLIEST <= day <= today:
        raise ValueError(f"first_day: {day} is not between {_EARLIEST} and today, {today}")
    return day
