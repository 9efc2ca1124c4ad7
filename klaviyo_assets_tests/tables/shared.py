"""What the tests of the tables share; above all the folder with reference material, where there is one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

FOLDER = Path(os.environ.get("KLAVIYO_ASSETS_SHARED") or Path(__file__).parents[2] / "../shared")

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Settings of property tests: a busy machine is no failure."""


def shared_file(path: str) -> Path:
    file = FOLDER / path
    if not file.exists():
        pytest.skip(f"needs {path} of the shared folder, which is not here")
    return file


def recorded(name: str) -> dict[str, Any]:
    """The body of a recorded response of the real API."""
    return json.loads(shared_file(f"recorded/{name}.json").read_text())["response"]["body"]
