"""Periods of time: the timeframes that reports name, and the intervals that they are divided into."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.api.errors import invalid
from klaviyo_assets.sandbox.api.filters import parse_datetime

YEAR = timedelta(days=366)
POINTER = "/data/attributes/timeframe"


def floor(moment: datetime, interval: str) -> datetime:
    """The beginning of the hour, day, week (Monday) or month of a moment, in its own time zone."""
    if interval == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def periods(start: datetime, end: datetime, interval: str) -> Iterator[datetime]:
    """The beginning of every hour, day, week or month from that of `start` until `end`."""
    current = floor(start, interval)
    while current < end:
        yield current
        if interval == "hour":
            current = (current.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
        elif interval == "month":
            current = floor(current + timedelta(days=32), "month")
        else:
            current += timedelta(days=7 if interval == "week" else 1)


def timeframe(named: Any, now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of a report's timeframe: `{"key": ...}`, or `{"start": ..., "end": ...}` of a year at most.

    Both are in the time zone of `now`, which is the account's: Klaviyo ignores offsets here. Raises `ApiError` 400.
    """
    try:
        if "key" in named:
            return _named(now)[named["key"]]
        start, end = (parse_datetime(named[name]).replace(tzinfo=now.tzinfo) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        raise invalid("A valid timeframe is required.", pointer=POINTER) from None
    if end <= start or end - start > YEAR:
        raise invalid("The timeframe must be positive and at most one year.", pointer=POINTER)
    return start, end


def _named(now: datetime) -> dict[str, tuple[datetime, datetime]]:
    today = floor(now, "day")
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    week, month, year = floor(today, "week"), floor(today, "month"), today.replace(month=1, day=1)
    return {
        "today": (today, tomorrow),
        "yesterday": (yesterday, today),
        "this_week": (week, tomorrow),
        "last_week": (week - timedelta(days=7), week),
        "this_month": (month, tomorrow),
        "last_month": (floor(month - timedelta(days=1), "month"), month),
        "this_year": (year, tomorrow),
        "last_year": (year.replace(year=year.year - 1), year),
        **{f"last_{days}_days": (tomorrow - timedelta(days=days), tomorrow) for days in (7, 30, 90, 365)},
        "last_3_months": (tomorrow - timedelta(days=91), tomorrow),
        "last_12_months": (tomorrow - timedelta(days=365), tomorrow),
    }
