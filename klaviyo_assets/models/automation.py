"""When the models are built: a job, and a sensor that launches it after a sync."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from klaviyo_assets.automation.run_status import MAX_RUNTIME, run_in_progress
from klaviyo_assets.automation.sensors import SENSOR_INTERVAL
from klaviyo_assets.settings import Settings


def build_models_job(
    settings: Settings, assets: Sequence[dg.AssetsDefinition], executor: dg.ExecutorDefinition
) -> dg.UnresolvedAssetJobDefinition:
    """Return `klaviyo_models_job`."""
    keys = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(
        f"{settings.name}_models_job",
        keys | dg.AssetSelection.checks_for_assets(*assets),
        description="Builds and tests the models of campaigns, flows and people, and renders the report.",
        executor_def=executor,
    )


def build_models_sensor(
    settings: Settings, job: dg.UnresolvedAssetJobDefinition, watched: Sequence[dg.AssetKey]
) -> dg.SensorDefinition:
    """Return `klaviyo_models_sensor`, stopped until the user starts it.

    It requests one run after a sync, however many tables and partitions the sync has materialized: it waits until
    nothing that writes tables is in progress, and remembers the latest materialization. watched: the tables.
    """
    writers = [f"{settings.name}_{name}" for name in ("sync", "backfill", "full_refresh")]

    @dg.sensor(
        name=f"{settings.name}_models_sensor",
        job=job,
        minimum_interval_seconds=int(SENSOR_INTERVAL.total_seconds()),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Builds the models once after each sync.",
    )
    def models_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        records = [context.instance.fetch_materializations(key, limit=1).records for key in watched]
        latest = max((found[0].storage_id for found in records if found), default=None)
        if latest is None:
            return dg.SkipReason("There has been no sync yet: start the schedule, or launch a sync.")
        if latest <= int(context.cursor or 0):
            return dg.SkipReason("No table has been written since the models were last built.")
        running = run_in_progress(context.instance, [*writers, job.name], dt.datetime.now(dt.UTC), assets=watched)
        if running:
            return dg.SkipReason(f"Run {running.run_id} of {running.job_name} has not ended.")
        request = dg.RunRequest(run_key=f"models-{latest}", tags=MAX_RUNTIME)
        return dg.SensorResult(run_requests=[request], cursor=str(latest))

    return models_sensor
