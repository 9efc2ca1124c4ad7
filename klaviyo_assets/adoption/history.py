"""How much of EVENT counts as read, and how long the first syncs take."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from klaviyo_assets.sync.ranges import first_whole_day, midnight
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.warehouse.results import TableSurvey
from klaviyo_assets.warehouse.state import SyncState

EVENTS_A_SECOND = (5_000, 30_000)
"""On two cores: of 60 properties each, and of few (benchmarks/RESULTS.md)."""

PROFILES_A_SECOND = 750 * 100 / 60
"""Klaviyo's limit of 750 pages a minute, of 100 profiles each, is reached (benchmarks/RESULTS.md)."""

COMPARISONS_A_SECOND = 1
"""Klaviyo's limit of 60 a minute: each has the numbers of events of one metric in a year."""

_FAR = dt.timedelta(days=31)

_START = dt.timedelta(seconds=30)


@dataclass(frozen=True)
class KeptHistory:
    """Days of EVENT, UTC, that count as read: [start, end), midnights."""

    start: dt.datetime
    end: dt.datetime

    @property
    def state(self) -> SyncState:
        """What is stored of them: syncs go on from their end."""
        return SyncState(EVENT.name, "", self.start, self.end)


def beginning(events: Mapping[dt.date, int]) -> dt.date | None:
    """Return the day with which a history begins, if a few events lie far ahead of it; None if none do.

    Shops date orders back from before they came to Klaviyo: that one of them landed late, by an update, does not mean
    that the days after it were read. Few are less than one event in a hundred, far is more than a month.

    events: UTC day -> their number, of days that have any.
    """
    days, most, ahead = sorted(events), sum(events.values()) / 100, 0
    found = None
    for day, following in pairwise(days):
        ahead += events[day]
        if ahead >= most:
            break
        if following - day > _FAR:
            found = following
    return found


def kept_history(found: TableSurvey | None, since: dt.datetime | None = None) -> KeptHistory | None:
    """Return the days that a connector has read to their ends; None if there are none.

    That is until the midnight before its newest event, or before it last wrote one if that was earlier: how far it had
    come on that day nobody knows. What came late after that is found as always: by the daily re-read, which goes back
    from there, and by the comparison with Klaviyo's own numbers of events, which covers all of these days.

    since: a midnight; days before are not kept.
    """
    if found is None or found.first is None or found.last is None:
        return None
    start = first_whole_day(found.first)
    end = midnight(min(found.last, found.synced_at or found.last))
    start = max(start, since) if since else start
    return KeptHistory(start, end) if start < end else None


def duration(events: int, profiles: int, comparisons: int = 0) -> tuple[dt.timedelta, dt.timedelta]:
    """Return how long it takes to read and to compare so many, at least and at most, on two cores."""
    compared = comparisons / COMPARISONS_A_SECOND
    least, most = (
        _START + dt.timedelta(seconds=max(events / rate, profiles / PROFILES_A_SECOND) + compared)
        for rate in reversed(EVENTS_A_SECOND)
    )
    return least, most
