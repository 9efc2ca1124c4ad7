"""Runs that never started: how long the others wait for them."""

from __future__ import annotations

import datetime as dt
import uuid

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from klaviyo_assets.automation.run_status import run_in_progress

MINUTE = dt.timedelta(minutes=1)
NO_QUEUE = {"run_coordinator": {"module": "dagster.core.run_coordinator", "class": "DefaultRunCoordinator"}}


ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("klaviyo"), "repository"), "klaviyo_sync")


@pytest.mark.parametrize(
    ("status", "queue", "waited_for"),
    [
        (dg.DagsterRunStatus.NOT_STARTED, True, [0]),
        (dg.DagsterRunStatus.NOT_STARTED, False, [0]),
        (dg.DagsterRunStatus.QUEUED, True, [0, 10, 11 * 60]),
        (dg.DagsterRunStatus.QUEUED, False, [0]),
    ],
)
def test_a_run_that_never_started_blocks_nobody(
    status: dg.DagsterRunStatus, queue: bool, waited_for: list[int]
) -> None:
    with dg.instance_for_test(overrides={} if queue else NO_QUEUE) as instance:
        run = instance.add_run(
            dg.DagsterRun("klaviyo_sync", run_id=str(uuid.uuid4()), status=status, remote_job_origin=ORIGIN)
        )
        made = instance.get_run_record_by_id(run.run_id)
        assert made is not None
        for minutes in (0, 10, 11 * 60, 13 * 60):
            found = run_in_progress(instance, ["klaviyo_sync"], made.create_timestamp + minutes * MINUTE)
            assert (found is not None) == (minutes in waited_for), minutes
        if not queue or status == dg.DagsterRunStatus.NOT_STARTED:
            earlier = made.create_timestamp - 600 * MINUTE
            assert run_in_progress(instance, ["klaviyo_sync"], earlier) is None, "the clock was set back"
