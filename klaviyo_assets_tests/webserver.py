"""A command that serves Dagster's UI, in a process of its own, and runs that are launched there as a user would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import requests

PATIENCE = 900.0

_LAUNCH = "mutation ($run: ExecutionParams!) { launchPipelineExecution(executionParams: $run) { __typename } }"
_STATUS = "{ runsOrError { ... on Runs { results { status } } } }"


@contextmanager
def served(command: Sequence[str], cwd: Path, env: Mapping[str, str], *, in_background: bool = False) -> Iterator[str]:
    """Run a command that takes `--port`; gives the address of its UI once that answers. It writes to the file `log`.

    in_background: ended by one SIGTERM, and deaf to Ctrl-C, as what a script starts with `&`. Else it hears Ctrl-C,
    also if these tests themselves were started so.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (cwd / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--port={port}"],
            cwd=cwd,
            env=env,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN if in_background else signal.SIG_DFL),
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(url):
                assert process.poll() is None and time.monotonic() < deadline, (cwd / "log").read_text()
                time.sleep(0.2)
            yield url
        finally:
            if in_background:
                process.send_signal(signal.SIGTERM)
            else:
                os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE)


def answers(url: str) -> bool:
    """Whether a UI does."""
    try:
        return requests.get(f"{url}/server_info", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


def launched(url: str, location: str, job: str, tags: Mapping[str, str], asset: Sequence[str] = ()) -> str:
    """Launch the only run that there is, of a job or an asset of it; wait for its end and return its status."""
    selector: dict[str, Any] = {
        "repositoryLocationName": location,
        "repositoryName": "__repository__",
        "pipelineName": job,
    }
    if asset:
        selector |= {"assetSelection": [{"path": list(asset)}], "assetCheckSelection": []}
    told = [{"key": key, "value": value} for key, value in tags.items()]
    run = {"selector": selector, "mode": "default", "executionMetadata": {"tags": told}}
    answer = _graphql(url, _LAUNCH, run=run)
    assert answer["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess", answer
    deadline = time.monotonic() + PATIENCE
    status = ""
    while status not in ("SUCCESS", "FAILURE", "CANCELED"):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
        (found,) = _graphql(url, _STATUS)["runsOrError"]["results"]
        status = found["status"]
    return status


def _graphql(url: str, query: str, **variables: Any) -> Any:
    answer = requests.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=PATIENCE).json()
    assert not answer.get("errors"), answer
    return answer["data"]
