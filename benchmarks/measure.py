"""One measured run: a fresh process, from its start to its end, with all that it used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from klaviyo_assets.dagster_storage.event_log import KEPT_OPEN

QUIET = "telemetry:\n  enabled: false\n" + KEPT_OPEN


RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of `ru_maxrss`."""


@dataclass(frozen=True)
class Used:
    """What a process used: seconds of wall time, CPU seconds and peak memory in MB, its children included."""

    wall: float
    cpu: float
    peak: float


def measured(command: Sequence[str], environment: Mapping[str, str], output: Path) -> Used:
    """Run a command; raise RuntimeError with the end of its output if it fails."""
    began = time.monotonic()
    with output.open("w") as file:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed ({process.returncode}):\n{output.read_text()[-2000:]}")
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT / 1e6)


def asked_for(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the assets that the schedule would ask for now; none if it is all of them. There has been a run."""
    answer = folder / "asked.json"
    _run({"ask": True, "answer": str(answer)}, folder, environment)
    found: list[str] = json.loads(answer.read_text())
    return found


def run_job(
    job: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    days: tuple[str, str] | None = None,
    only: Sequence[str] = (),
) -> tuple[Used, dict[str, Any]]:
    """Run a Dagster job as a user would; return what it used and what `run` says.

    The warehouse is `folder/warehouse.duckdb`, if the environment names no other.

    only: keys of assets, such as `klaviyo/event`; all if there are none.
    """
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(QUIET)
    answer = folder / "answer.json"
    tags = dict(
        zip(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), days or (), strict=False)
    )
    wanted = {"job": job, "tags": tags, "answer": str(answer), "only": list(only)}
    used = _run(wanted, folder, environment)
    found = json.loads(answer.read_text())
    return replace(used, peak=found["peak"]), found


def launch(job: str, folder: Path, environment: Mapping[str, str], *, days: tuple[str, str]) -> Used:
    """Run a job by `dagster job execute`, with a DAGSTER_HOME in which there has been no run and nothing is set."""
    home = folder / "fresh"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    tags = dict(zip(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), days, strict=True))
    command = ["-W", "ignore", "-m", "dagster", "job", "execute", "-m", "klaviyo_assets.definitions", "-j", job]
    return measured(
        [sys.executable, *command, "--tags", json.dumps(tags)],
        {"DAGSTER_HOME": str(home), "KLAVIYO_WAREHOUSE": str(folder / "warehouse.duckdb"), **environment},
        folder / "output.txt",
    )


def _run(wanted: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> Used:
    return measured(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.run", json.dumps(wanted)],
        {
            "DAGSTER_HOME": str(folder / "dagster"),
            "KLAVIYO_WAREHOUSE": str(folder / "warehouse.duckdb"),
            **environment,
        },
        folder / "output.txt",
    )
