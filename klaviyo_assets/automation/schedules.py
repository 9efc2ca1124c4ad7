"""The schedule that syncs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import dagster as dg

from klaviyo_assets.assets.described import DescribedAssets
from klaviyo_assets.automation.jobs import RANGE_END, RANGE_START
from klaviyo_assets.automation.run_status import MAX_RUNTIME, run_in_progress
from klaviyo_assets.automation.selection import assets_to_ask_for
from klaviyo_assets.clock import Clock, machine_time
from klaviyo_assets.tables.events import EVENT
from klaviyo_assets.tables.profiles import PERSON


def build_schedule(
    described: DescribedAssets,
    sync: dg.UnresolvedAssetJobDefinition,
    assets: Collection[dg.AssetKey],
    clock: Clock = machine_time,
) -> dg.ScheduleDefinition:
    """Return `klaviyo_sync_schedule`, stopped until the user starts it.

    It asks Dagster's event log where to begin and what need not be read, and never opens the warehouse: that belongs
    to the runs. assets: those of the job.
    clock: tells how long a run has been silent. (A tick may be evaluated long after the time that it stands for.)
    """
    settings = described.settings

    @dg.schedule(
        name=f"{settings.name}_sync_schedule",
        job=sync,
        cron_schedule=cron(settings.sync_interval),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Syncs event and person from where the last sync ended, and every table that is due. After "
        "downtime one run catches up. Skips while a sync is in progress.",
    )
    def sync_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(dt.UTC)
        running = run_in_progress(context.instance, [sync.name], clock())
        if running:
            return dg.SkipReason(f"Run {running.run_id} of {sync.name} has not ended.")
        today = now.date()
        keys = [described.key(table.name) for table in (EVENT, PERSON)]
        last = last_day(context.instance, keys)
        first = dt.date.fromisoformat(last) if last else today - dt.timedelta(days=settings.first_sync_days)
        first = max(min(first, today), settings.first_partition)
        return dg.RunRequest(
            run_key=now.isoformat(),
            asset_selection=assets_to_ask_for(described, context.instance, assets, now),
            tags={RANGE_START: first.isoformat(), RANGE_END: today.isoformat(), **MAX_RUNTIME},
        )

    return sync_schedule


def last_day(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> str | None:
    """Return the last day that all of the assets have been materialized for; those that never were do not count.

    The last materialization may be that of an old day, by a backfill.
    """
    days = [max(found) for found in map(instance.get_materialized_partitions, keys) if found]
    return min(days, default=None)


def cron(interval: dt.timedelta) -> str:
    """Return the cron schedule of an interval: minutes that divide an hour, or hours that divide a day."""
    minutes = int(interval.total_seconds() // 60)
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return {60: "0 * * * *", 1440: "0 0 * * *"}.get(minutes, f"0 */{minutes // 60} * * *")
