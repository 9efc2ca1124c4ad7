"""Databases that run in a process beside each test process, from a Python environment of their own."""

from __future__ import annotations

import atexit
import datetime as dt
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]


@cache
def environment(name: str, needs: Sequence[str], variable: str) -> Path:
    """The Python that has what an emulator needs; the test is skipped if it can't be installed.

    variable: with the folder of that environment; else it is made once, beside the project.
    """
    folder = Path(os.environ.get(variable) or ROOT / f".venv-{name}")
    python = folder / "bin" / "python"
    done = folder / ".installed"
    with FileLock(Path(tempfile.gettempdir()) / f"klaviyo_assets_tests_{name}.lock"):
        if not done.exists() and variable not in os.environ:
            venv.create(folder, with_pip=True, clear=True)
            command = [str(python), "-m", "pip", "install", "-q", *needs]
            made = subprocess.run(command, check=False, capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"{name} can't be installed: {made.stderr.strip().splitlines()[-1:]}")
            done.touch()
    return python


def started(python: Path, script: Path, *, stderr: int | IO[str] = sys.stderr) -> int:
    """The port of an emulator, which ends with this process."""
    emulator = subprocess.Popen(
        [str(python), "-I", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    atexit.register(emulator.communicate)  # its standard input ends, and with it the emulator
    assert emulator.stdout
    return int(emulator.stdout.readline())


def tell(session: Any, moment: dt.datetime | None) -> Any:
    """Have a session stamp rows with a time that tests choose, if they do; return it."""
    if moment:
        told = moment.astimezone(dt.UTC).replace(tzinfo=None)
        session.now = lambda: told
    return session
