"""Which runs are under way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import dagster as dg

from klaviyo_assets.clock import machine_time

LONGEST = dt.timedelta(hours=12)
"""How long a run may take: Dagster's run monitoring ends it, and nothing waits for it any longer."""

SILENCE = dt.timedelta(hours=1)
"""A run that began and has logged nothing for so long is taken for dead: its process was killed. If it lives after all
and another one runs beside it, that costs requests and does no harm."""

MAX_RUNTIME = {"dagster/max_runtime": str(int(LONGEST.total_seconds()))}
"""Tag for Dagster's run monitoring, seconds."""

_WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
_BEGUN = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)

UNFINISHED = (*_WAITING, *_BEGUN)
"""What a run is until it has ended, or if its process was killed."""


ASSET_JOB = "__ASSET_JOB"
"""Dagster's own job, in which assets are materialized that were chosen in the UI, backfills among them."""


def run_in_progress(
    instance: dg.DagsterInstance, jobs: Collection[str], now: dt.datetime, *, assets: Collection[dg.AssetKey] = ()
) -> dg.DagsterRun | None:
    """Return a run of one of the jobs, or of one of the assets alone, that has not ended, unless it looks dead.

    now: this machine's time.
    """
    filters = dg.RunsFilter(statuses=[*UNFINISHED], created_after=now - LONGEST)
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        of_assets = run.job_name == ASSET_JOB and not (run.asset_selection or set()).isdisjoint(assets)
        if run.job_name not in jobs and not of_assets:
            continue
        if run.status in _WAITING:
            return run
        last = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        if last and now.timestamp() - last[0].event_log_entry.timestamp < SILENCE.total_seconds():
            return run
    return None


def require_idle(instance: dg.DagsterInstance, jobs: Collection[str], assets: Collection[dg.AssetKey]) -> None:
    """Raise dagster.Failure if a run of the jobs, or one of the UI that touches the assets, is in progress."""
    running = run_in_progress(instance, jobs, machine_time(), assets=assets)
    if running:
        raise dg.Failure(
            f"Run {running.run_id} of {running.job_name} has not ended. Wait for it, or cancel it.",
            allow_retries=False,
        )
