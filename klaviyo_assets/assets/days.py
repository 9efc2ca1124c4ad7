"""The days that a run was asked for."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from klaviyo_assets.sync.ranges import DAY, midnight

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
"""Run tags with the first and the last partition key of a range; both count."""

PARTITION = "dagster/partition"
"""Run tag with the partition key of a run of one day."""

MANY = 366
"""Days from which on Dagster takes long to store what is said of each: a run is told that there is a cheaper way."""


def has_days(context: dg.AssetExecutionContext) -> bool:
    """Return whether the run has a partition, or a range of them."""
    return bool(context.has_partition_key or context.has_partition_key_range)


def days_of_run(
    context: dg.AssetExecutionContext, history_start: dt.date, now: dt.datetime, *, is_sync: bool
) -> tuple[dt.datetime, dt.datetime]:
    """Return the run's range of days, [start, end), UTC; today, for a run that was launched without one.

    A sync goes up to today, which Klaviyo's clock tells: its range was chosen by the clock of another machine.
    history_start: the first partition. now: the server's time.
    Raises dagster.Failure, which names tags and setting, if a day is not written as partition keys are, and if the
    range ends before it starts, or begins before `history_start`.
    """
    today = midnight(now)
    if not has_days(context):
        context.log.info("The run has no range of days: it is a sync of today, from the watermark on.")
        return today, today + DAY
    tags = context.run.tags
    if RANGE_START in tags:
        first, last = _day(RANGE_START, tags[RANGE_START]), _day(RANGE_END, tags[RANGE_END])
        given = f"{RANGE_START} ({first}) to {RANGE_END} ({last})"
    else:
        first = last = _day(PARTITION, context.partition_key)
        given = f"The partition {first}"
    if last < first:
        raise dg.Failure(
            f"The run's range of days ends before it starts, {given}: swap the two tags.", allow_retries=False
        )
    if first < history_start:
        raise dg.Failure(
            f"{given} is not within the days that there are: they begin with the setting `history_start` "
            f"({history_start}). Choose later days, or set `history_start` to {first} or before.",
            allow_retries=False,
        )
    if (last - first).days >= MANY:
        context.log.warning(
            f"Dagster stores two events for each of these {(last - first).days + 1:,} days and each table, which may "
            "take minutes. `history_start` set to the account's first day makes them fewer, and the backfill "
            "sensor brings the history in the background, newest days first, up to the first event."
        )
    window = context.partition_time_window
    return (min(window.start, today), today + DAY) if is_sync else (window.start, window.end)


def _day(tag: str, value: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:  # Python reads 20260501 and 2026-W18-5 as well
        raise dg.Failure(
            f"The run's tag {tag} is {value!r}: it has to be a day, written YYYY-MM-DD as partition keys are, such as "
            "2026-05-01.",
            allow_retries=False,
        )
    return day
