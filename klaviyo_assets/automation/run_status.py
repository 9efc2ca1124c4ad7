"""Which runs are under way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import dagster as dg
from dagster._core.run_coordinator import DefaultRunCoordinator

from klaviyo_assets.clock import machine_time

LONGEST_RUN = dt.timedelta(hours=12)
"""How long a run may take: Dagster's run monitoring ends it, and nothing waits for it any longer."""

UNSTARTED = dt.timedelta(minutes=5)
"""Dagster makes a run and hands it to its queue, or starts it, within seconds. One that is older and is still to be
handed over was given up by who made it."""

SILENCE = dt.timedelta(hours=1)
"""A run that began and has logged nothing for so long is taken for dead: its process was killed. If it lives after all
and another one runs beside it, that costs requests and does no harm."""

MAX_RUNTIME = {"dagster/max_runtime": str(int(LONGEST_RUN.total_seconds()))}
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

    A run that waits in the queue of the instance counts for as long as runs may take: its turn comes. Where there is no
    queue, or it never got there, it counts for a few minutes only.

    now: this machine's time.
    """
    queue = not isinstance(instance.run_coordinator, DefaultRunCoordinator)
    filters = dg.RunsFilter(statuses=[*UNFINISHED], created_after=now - LONGEST_RUN)
    for record in instance.get_run_records(filters):
        run = record.dagster_run
        of_assets = run.job_name == ASSET_JOB and not (run.asset_selection or set()).isdisjoint(assets)
        if run.job_name not in jobs and not of_assets:
            continue
        if run.status in _WAITING:
            in_queue = queue and run.status == dg.DagsterRunStatus.QUEUED
            # A run from the future is one from before the clock was set back.
            if in_queue or abs(now - record.create_timestamp.replace(tzinfo=dt.UTC)) < UNSTARTED:
                return run
            continue
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
