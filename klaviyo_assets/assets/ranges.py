"""Which time range a run reads, and what is known once it has."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from klaviyo_assets.warehouse.extract import SyncState

MARGIN = dt.timedelta(seconds=60)
"""A watermark stays this far behind the server's clock: Klaviyo shows the latest rows late, and refuses bounds that
are too close to now."""


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
    run_id: str | None = None,
) -> ReadRange:
    """Decide what to read for a range of partitions.

    A range of past days is read from its beginning to its end. A range that contains today continues from the
    watermark, minus `overlap`, up to now; it starts earlier only where its past days have never been read or, with
    `reread`, at its first day.

    partitions: [start, end) of the range, whole UTC days.
    known: the table's state so far. now: the server's time. reread: read past days again although they were read.
    """
    start, end = partitions
    through = (now - MARGIN).replace(microsecond=0)
    if end <= through:
        return ReadRange(start, end, (start, end), SyncState(table, "", start, end, run_id=run_id, extends=True))
    watermark = known.synced_through if known else None
    if watermark is not None:
        only_today = start + dt.timedelta(days=1) >= end
        unread = known is not None and known.synced_from is not None and start < known.synced_from
        resume = min(watermark, through) - overlap
        start = min(start, resume) if unread or (reread and not only_today) else resume
    today = through.replace(hour=0, minute=0, second=0)
    complete = (partitions[0], today) if start <= partitions[0] < today else None
    since = min(start, through)
    return ReadRange(start, None, complete, SyncState(table, "", since, through, run_id=run_id))
