"""Launches runs of several accounts on Celery's workers, and again those whose machine died, until all have succeeded.

Runs in the environment of the machines, which has other packages than that of the tests. What it is to know comes as
JSON; then each line that it reads has jobs for it. It writes one when it is ready, and once all of them have succeeded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._cli.job import _create_run
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._grpc.types import ExecuteRunArgs

SILENCE = 30.0
"""Seconds without an event after which a run is taken for dead here; the schedule waits an hour."""

MOST = 8
"""Times that a job may be launched."""


@dataclass
class Account:
    """What is to be run for an account, one after the other."""

    name: str
    jobs: list[tuple[str, dict[str, str]]]
    run: str | None = None
    heard: float = 0.0
    tries: int = 0


class Coordinator:
    """Does what schedule, sensor and daemon do, without their pauses.

    spread: names of accounts whose runs are here, and whose steps are tasks of their own.
    """

    def __init__(
        self, instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, spread: tuple[str, ...]
    ) -> None:
        self._instance, self._workspace, self._spread = instance, workspace, spread
        self._here: dict[str, subprocess.Popen[bytes]] = {}
        (entry,) = workspace.get_code_location_entries().values()
        if entry.code_location is None:
            raise RuntimeError(str(entry.load_error))
        self._location = entry.code_location
        (self._repository,) = self._location.get_repositories().values()

    def run(self, accounts: Sequence[Account], at_once: int) -> Iterator[str]:
        """Yield what happens, in words, until every job of every account has succeeded; at most so many run at once."""
        while any(account.jobs for account in accounts):
            for account in accounts:
                if account.run or (account.jobs and sum(each.run is not None for each in accounts) < at_once):
                    yield from self._look(account)
            time.sleep(0.25)
        for name in list(self._here):
            self._end(name)

    def _look(self, account: Account) -> Iterator[str]:
        job, tags = account.jobs[0]
        name = f"{account.name}_{job}"
        run = self._instance.get_run_by_id(account.run) if account.run else None
        if run and run.status == dg.DagsterRunStatus.SUCCESS:
            account.jobs.pop(0)
            account.run, account.tries = None, 0
            yield f"{name} has succeeded"
            return
        if run and not run.is_finished:
            if time.time() - account.heard < SILENCE:
                return
            for record in self._instance.get_records_for_run(run.run_id, limit=1, ascending=False).records:
                account.heard = max(account.heard, record.event_log_entry.timestamp)
            if time.time() - account.heard < SILENCE:
                return
            self._instance.report_run_failed(run, "Its machine died.")
        if run:
            yield f"{name} has {'died' if not run.is_finished else 'failed'}"
        account.tries += 1
        if account.tries > MOST:
            raise RuntimeError(f"{name} does not succeed: {list(self._failures(account.run or ''))}")
        account.run, account.heard = self._launch(name, tags), time.time()
        yield f"{name} was launched"

    def _launch(self, name: str, tags: dict[str, str]) -> str:
        job = self._repository.get_full_job(name)
        run = _create_run(self._instance, self._location, self._repository, job, {}, tags, None, None)
        if name in self._here:
            self._end(name)
        if name.startswith(self._spread):  # a task of Celery's may not wait for others
            launched = ExecuteRunArgs(run.job_code_origin, run.run_id, self._instance.get_ref(), True)
            self._here[name] = subprocess.Popen([sys.executable, "-m", *launched.get_command_args()])
        else:
            self._instance.launch_run(run.run_id, self._workspace)
        return run.run_id

    def _end(self, name: str) -> None:
        """End the process of a run that is over, or waits for a step that nobody has any longer."""
        process = self._here.pop(name)
        process.kill()
        process.wait()

    def _failures(self, run: str) -> Iterator[str]:
        for record in self._instance.get_records_for_run(run).records:
            event = record.event_log_entry.dagster_event
            if event and event.is_step_failure:
                yield str(event.step_failure_data.error)[:2000]


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what processes of its own say is for the log
    code = PythonFileTarget(order["code"], attribute=None, working_directory=None, location_name="klaviyo")
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, code) as process:
        workspace = process.create_request_context()
        coordinator = Coordinator(instance, workspace, tuple(order["spread"]))
        answers.write("ready\n")
        for line in sys.stdin:
            asked = json.loads(line)
            accounts = [Account(name, [(job, tags) for job, tags in jobs]) for name, jobs in asked["jobs"].items()]
            for said in coordinator.run(accounts, asked["at_once"]):
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {said}\n")
                sys.stderr.flush()
            answers.write("done\n")


if __name__ == "__main__":
    main()
