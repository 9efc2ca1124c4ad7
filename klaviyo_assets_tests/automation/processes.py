"""Jobs in processes of their own, as a scheduler starts them: `dagster job execute`."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import klaviyo_assets_tests
from klaviyo_assets.settings import Settings


def start_job(
    job: str,
    *,
    home: Path,
    settings: Settings,
    key: str,
    tags: Mapping[str, str],
    folder: Path,
    now: dt.datetime | None = None,
) -> subprocess.Popen[str]:
    """Start a run in a process.

    home: its DAGSTER_HOME. key: the API key. folder: where it works. now: the time of its machine, if not the real one.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    given = settings.model_dump(mode="json", exclude_defaults=True)
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    module = "klaviyo_assets_tests.automation.virtual" if now else "klaviyo_assets.definitions"
    ahead = now - dt.datetime.now(dt.UTC) if now else dt.timedelta(0)
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", module, "-j", job]
    return subprocess.Popen(
        [*command, "--tags", json.dumps(dict(tags))] if tags else command,
        env={
            **kept,
            **{f"KLAVIYO_{name.upper()}": value for name, value in values.items()},
            "KLAVIYO_API_KEY": key,
            "DAGSTER_HOME": str(home),
            "MACHINE_AHEAD": str(ahead.total_seconds()),
            "PYTHONPATH": str(Path(klaviyo_assets_tests.__file__).parents[1]),
        },
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
