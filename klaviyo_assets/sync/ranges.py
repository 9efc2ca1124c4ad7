"""Which time range a run reads, and what is known once it has."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from klaviyo_assets.api import MARGIN
from klaviyo_assets.warehouse.state import SyncState

DAY = dt.timedelta(days=1)

LONGEST_COMPARED = dt.timedelta(days=365)
"""Klaviyo aggregates at most a year at a time."""


@dataclass(frozen=True)
class ReadRange:
    """A range of time to read: [start, end), UTC; `end` None reads up to the newest row, future-dated ones included.

    complete: the part of it, whole days, that is read from its beginning to its end; None if there is none.
    state: what is stored in the transaction of the rows.
    """

    start: dt.datetime
    end: dt.datetime | None
    complete: tuple[dt.datetime, dt.datetime] | None
    state: SyncState


def plan(
    table: str,
    partitions: tuple[dt.datetime, dt.datetime],
    known: SyncState | None,
    *,
    now: dt.datetime,
    overlap: dt.timedelta,
    reread: bool,
    reread_days: int,
    back_to: dt.datetime | None = None,
    run_id: str | None = None,
) -> ReadRange:
    """Decide what to read for a range of partitions.

    A range of past days is read from its beginning to its end. A range that contains today continues from the
    watermark, minus `overlap`, up to now; it starts earlier only where its past days have never been read or, with
    `reread`, at its first day; and where `back_to` says so (`sync_back_to`).

    partitions: [start, end) of the range, whole UTC days.
    known: the table's state so far. now: the server's time. reread: read past days again although they were read.
    reread_days: how late an event may be that the daily re-reads find.
    """
    start, end = partitions
    through = (now - MARGIN).replace(microsecond=0)
    if end <= through:
        counts = end if _touches(known, start, end) else min(end, midnight(through) - reread_days * DAY)
        read = SyncState(table, "", start, counts if counts > start else None, run_id=run_id, extends=True)
        return ReadRange(start, end, (start, end), read)
    watermark = known.synced_through if known else None
    if watermark is not None:
        only_today = start + DAY >= end
        unread = known is not None and known.synced_from is not None and start < known.synced_from
        resume = min(watermark, through) - overlap
        start = min(start, resume) if unread or (reread and not only_today) else resume
    since = min(start, through, back_to or start)
    complete = (first_whole_day(since), midnight(through))
    return ReadRange(
        since,
        None,
        complete if complete[0] < complete[1] else None,
        SyncState(table, "", since, through, run_id=run_id),
    )


def _touches(known: SyncState | None, start: dt.datetime, end: dt.datetime) -> bool:
    """Return whether a range joins what the syncs have read, and their re-reads go back into it.

    Of days apart from it those that an event may still come to do not count as read: the first re-read that goes back
    to them would go back from a later time than that of this read.
    """
    if known is None or known.synced_through is None:
        return False
    return start <= known.synced_through and (known.synced_from is None or known.synced_from <= end)


def sync_back_to(
    known: SyncState | None,
    last_reread: SyncState | None,
    *,
    now: dt.datetime,
    first_days: int,
    reread_days: int,
    interval: dt.timedelta,
) -> dt.datetime | None:
    """Return the midnight from which on a sync has to read, whatever its watermark; None: it needs not go back.

    The first sync of a table goes back `first_days`, and once a day one goes back to `reread_from`, but not into the
    history that has not been read yet.

    known, last_reread: the table's states. now: the server's time. interval: between two syncs.
    """
    if known is None or known.synced_through is None:
        return midnight(now - MARGIN) - first_days * DAY
    if last_reread and last_reread.synced_through and now < last_reread.synced_through + DAY - interval / 2:
        return None
    if not reread_days:
        return None
    back_to = reread_from(known.synced_through, last_reread, reread_days)
    return max(back_to, known.synced_from) if known.synced_from else back_to


def reread_from(watermark: dt.datetime, last_reread: SyncState | None, reread_days: int) -> dt.datetime:
    """Return the midnight from which on the next daily re-read reads: `reread_days` before the last one.

    Counted from the last one, not from today: whatever has appeared since, and is up to `reread_days` late, is found,
    however long that was. If nothing is known of a last one, from the watermark; without re-reads, the day of that.
    """
    last = last_reread.synced_through if last_reread and reread_days else None
    return midnight(last or watermark) - reread_days * DAY


def midnight(moment: dt.datetime) -> dt.datetime:
    """Return the beginning of a UTC day."""
    return moment.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def first_whole_day(moment: dt.datetime) -> dt.datetime:
    """Return the first midnight, UTC, at or after a moment."""
    day = midnight(moment)
    return day if day == moment else day + DAY
