"""The sensor that has older days read: the history, and days whose numbers of events differ."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from klaviyo_assets.assets.due import UNREAD_ONLY
from klaviyo_assets.assets.history import HISTORY, NEXT_RANGE, DayRange
from klaviyo_assets.assets.reconciliation import RANGES, RECONCILIATION
from klaviyo_assets.assets.specs import table_key
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.automation.running import MAX_RUNTIME, run_in_progress
from klaviyo_assets.clock import Clock, machine_time
from klaviyo_assets.settings import Settings

EVERY = dt.timedelta(minutes=1)


def build_sensor(
    settings: Settings,
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
    keys = {key for asset in incremental for key in asset.keys}
    history_key, reconciliation_key = (table_key(settings, name) for name in (HISTORY, RECONCILIATION))

    @dg.sensor(
        name=f"{settings.name}_backfill_sensor",
        job=backfill,
        minimum_interval_seconds=int(EVERY.total_seconds()),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Has days read that are missing: those that klaviyo/event_reconciliation found to differ, then the "
        "history, newest first. Waits while a sync or another backfill is in progress, also one from the UI.",
    )
    def backfill_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        instance = context.instance
        running = run_in_progress(instance, [backfill.name, *others], clock(), assets=keys)
        if running:
            return _skip(context, f"Run {running.run_id} of {running.job_name} has not ended.")
        compared = _latest(instance, reconciliation_key)
        if compared:
            wanted = _metadata(compared, RANGES) or []
            done = _position(context.cursor, compared.storage_id)
            if done < len(wanted):
                request = _request(wanted[done], f"reconciliation-{compared.storage_id}-{done}")
                return dg.SensorResult(run_requests=[request], cursor=json.dumps([compared.storage_id, done + 1]))
        latest = _latest(instance, history_key)
        if latest is None:
            return _skip(context, "There has been no sync yet: start the schedule, or launch a sync.")
        following = _metadata(latest, NEXT_RANGE)
        if not following:
            return _skip(context, "The history is complete.")
        request = _request(following, f"history-{latest.storage_id}", UNREAD_ONLY)
        run = instance.get_run_by_id(latest.run_id)
        if run and run.status != dg.DagsterRunStatus.SUCCESS and _range(run.tags) == _range(request.tags):
            return _skip(context, f"Run {run.run_id} could not read these days; trying again after the next sync.")
        return dg.SensorResult(run_requests=[request], cursor=context.cursor)

    def _request(value: dict[str, object], run_key: str, *flags: str) -> dg.RunRequest:
        days = DayRange.from_json(value)
        wanted = {table_key(settings, table) for table in days.tables}
        return dg.RunRequest(
            run_key=run_key,
            asset_selection=[*sorted(keys & wanted), history_key],
            tags={
                RANGE_START: days.first_day.isoformat(),
                RANGE_END: days.last_day.isoformat(),
                **MAX_RUNTIME,
                **dict.fromkeys(flags, "true"),
            },
        )

    return backfill_sensor


def _skip(context: dg.SensorEvaluationContext, reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=context.cursor)


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(key, limit=1).records
    return records[0] if records else None


def _metadata(record: dg.EventLogRecord, name: str) -> Any:
    materialization = record.asset_materialization
    value = materialization.metadata.get(name) if materialization else None
    return value.value if value else None


def _position(cursor: str | None, storage_id: int) -> int:
    """Return how many of a reconciliation's ranges have been requested."""
    seen, done = json.loads(cursor) if cursor else (None, 0)
    return int(done) if seen == storage_id else 0


def _range(tags: Mapping[str, str]) -> tuple[str | None, str | None]:
    return tags.get(RANGE_START), tags.get(RANGE_END)
