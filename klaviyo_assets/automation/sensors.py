"""The sensor that has older days read: the history, and days whose numbers of events differ."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
import msgspec

from klaviyo_assets.assets.described import HISTORY, DescribedAssets
from klaviyo_assets.assets.history import NEXT_RANGE, RANGES, DayRange
from klaviyo_assets.assets.reconciliation import MOST_TIMES
from klaviyo_assets.assets.specs import backfill_sensor_name
from klaviyo_assets.assets.step import UNREAD_ONLY
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.automation.run_status import MAX_RUNTIME, run_in_progress
from klaviyo_assets.automation.selection import latest_record
from klaviyo_assets.clock import Clock, machine_time
from klaviyo_assets.sync.scopes import RECONCILIATION

SENSOR_INTERVAL = dt.timedelta(minutes=1)
COMPLETE = "The history is complete."


def build_sensor(
    described: DescribedAssets,
    *,
    backfill: dg.UnresolvedAssetJobDefinition,
    others: Collection[str],
    incremental: Sequence[dg.AssetsDefinition],
    clock: Clock = machine_time,
) -> dg.SensorDefinition:
    """Return `klaviyo_backfill_sensor`, stopped until the user starts it.

    It reads what the assets `history` and `event_reconciliation` last said, asks neither the warehouse nor Klaviyo,
    and requests one run at a time. others: jobs that it waits for. incremental: event and person.
    clock: tells how long a run has been silent.
    """
    settings = described.settings
    keys = {key for asset in incremental for key in asset.keys}
    history_key, reconciliation_key = map(described.key, (HISTORY, RECONCILIATION))

    @dg.sensor(
        name=backfill_sensor_name(settings),
        job=backfill,
        minimum_interval_seconds=int(SENSOR_INTERVAL.total_seconds()),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Has days read that are missing: those that {reconciliation_key.to_user_string()} found to "
        "differ, then the history, newest first. Waits while a sync or another backfill is in progress, also one from "
        "the UI.",
    )
    def backfill_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        instance = context.instance
        running = run_in_progress(instance, [backfill.name, *others], clock(), assets=keys)
        if running:
            return _skip(context, f"Run {running.run_id} of {running.job_name} has not ended.")
        latest, compared = (latest_record(instance, key) for key in (history_key, reconciliation_key))
        said = [record for record in (latest, compared) if record]
        if not said:
            return _skip(context, "There has been no sync yet: start the schedule, or launch a sync.")
        asked = _Asked.of(context.cursor)
        if compared:
            asked.notice_comparison(compared.storage_id)
        run = instance.get_run_by_id(latest.run_id) if latest else None
        if latest and run and run.job_name != backfill.name:
            asked.after = latest.storage_id
        newest = max(said, key=lambda record: record.storage_id)
        requests = [_request(days) for days in _metadata(newest, RANGES) or []]
        wanted = [request for request in requests if asked.times(request) < MOST_TIMES]
        following = _metadata(latest, NEXT_RANGE) if latest else None
        if following:
            wanted.append(_request(following, UNREAD_ONLY))
        asked.keep([*requests, *wanted])
        ready = [request for request in wanted if not asked.is_recent(request)]
        if ready:
            # What failed waits until what has never been asked for has had its turn.
            request = asked.note(min(ready, key=asked.times))
            return dg.SensorResult(run_requests=[request], cursor=asked.cursor())
        if unread := wanted or requests:
            then = "sync" if wanted else "comparison"
            return _skip(context, f"{_words(unread)} could not be read; trying again after the next {then}.", asked)
        return _skip(context, COMPLETE, asked)

    def _request(value: dict[str, object], *flags: str) -> dg.RunRequest:
        days = DayRange.from_json(value)
        wanted = {described.key(table) for table in days.tables}
        return dg.RunRequest(
            asset_selection=[*sorted(keys & wanted), history_key],
            tags={
                RANGE_START: max(days.first_day, settings.first_partition).isoformat(),
                RANGE_END: max(days.last_day, settings.first_partition).isoformat(),
                **MAX_RUNTIME,
                **dict.fromkeys(flags, "true"),
            },
        )

    return backfill_sensor


@dataclass
class _Asked:
    """What the sensor has asked for; its cursor. A range that was read is asked for no more by the assets.

    after: the last sync. comparison: the last comparison. ranges: key -> how often they have been asked for since
    that comparison, and after which sync the last time: after each sync at most once.
    """

    after: int = 0
    comparison: int = 0
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """Return what a cursor holds; nothing, if another version wrote it."""
        try:
            return msgspec.json.decode(cursor or "{}", type=cls)
        except msgspec.DecodeError:
            return cls()

    def cursor(self) -> str:
        return msgspec.json.encode(self).decode()

    def notice_comparison(self, comparison: int) -> None:
        if comparison != self.comparison:
            self.comparison = comparison
            self.ranges = {days: (0, after) for days, (_, after) in self.ranges.items()}

    def keep(self, requests: Iterable[dg.RunRequest]) -> None:
        """Forget the others."""
        wanted = set(map(_key, requests))
        self.ranges = {days: asked for days, asked in self.ranges.items() if days in wanted}

    def times(self, request: dg.RunRequest) -> int:
        return self.ranges.get(_key(request), (0, 0))[0]

    def is_recent(self, request: dg.RunRequest) -> bool:
        return _key(request) in self.ranges and self.ranges[_key(request)][1] == self.after

    def note(self, request: dg.RunRequest) -> dg.RunRequest:
        """Take note that a run is asked for; return it with its key."""
        key = _key(request)
        self.ranges[key] = (self.times(request) + 1, self.after)
        run_key = f"{key}-{self.comparison}-{self.after}"
        return dg.RunRequest(run_key=run_key, asset_selection=request.asset_selection, tags=request.tags)


def _key(request: dg.RunRequest) -> str:
    """Return what stays the same of a range when it is asked for again.

    Of the history that is its end: what is left of a range that was read in part may begin earlier.
    """
    return f"history/{request.tags[RANGE_END]}" if UNREAD_ONLY in request.tags else _days(request)


def _days(request: dg.RunRequest) -> str:
    return f"{request.tags[RANGE_START]}/{request.tags[RANGE_END]}"


def _words(requests: Sequence[dg.RunRequest]) -> str:
    days = ", ".join(map(_days, requests[:3]))
    return f"{days} and {len(requests) - 3:,} more ranges" if len(requests) > 3 else days


def _skip(context: dg.SensorEvaluationContext, reason: str, asked: _Asked | None = None) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=asked.cursor() if asked else context.cursor)


def _metadata(record: dg.EventLogRecord, name: str) -> Any:
    materialization = record.asset_materialization
    value = materialization.metadata.get(name) if materialization else None
    return value.value if value else None
