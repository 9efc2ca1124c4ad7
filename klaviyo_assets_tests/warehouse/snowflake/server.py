"""Warehouses at Snowflake for tests: in the emulator, which each test process starts for itself."""

from __future__ import annotations

import atexit
import datetime as dt
import os
import subprocess
import sys
import tempfile
import venv
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pydantic import PrivateAttr

from klaviyo_assets.warehouse.snowflake.text import swapped
from klaviyo_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from klaviyo_assets_tests.warehouse.snowflake.guard import GuardedConnection

FAKESNOW = ("fakesnow[server]==0.12.1", "snowflake-connector-python<5")
"""What the emulator needs: another sqlglot than the project's, so that it has an environment of its own."""

ENVIRONMENT = "KLAVIYO_TEST_FAKESNOW"
"""Variable with the folder of that environment; else it is made once, beside the project."""


class TimedSnowflake(SnowflakeWarehouse):
    """Stamps rows with a time that tests choose, not with the account's. What the guard refuses is not sent."""

    _time: dt.datetime | None = PrivateAttr(default=None)

    def set_clock(self, now: dt.datetime) -> None:
        self._time = now

    def _session(self, connection: Any) -> Any:
        session = super()._session(GuardedConnection(connection))  # type: ignore[arg-type]
        if self._time:
            told = self._time.astimezone(dt.UTC).replace(tzinfo=None)
            session.now = lambda: told  # type: ignore[method-assign]
        return session


@cache
def environment() -> Path:
    """The Python that has fakesnow; the test is skipped if it can't be installed."""
    folder = Path(os.environ.get(ENVIRONMENT) or Path(__file__).parents[3] / ".venv-fakesnow")
    python = folder / "bin" / "python"
    done = folder / ".installed"
    with FileLock(Path(tempfile.gettempdir()) / "klaviyo_assets_tests_fakesnow.lock"):
        if not done.exists() and ENVIRONMENT not in os.environ:
            venv.create(folder, with_pip=True, clear=True)
            command = [str(python), "-m", "pip", "install", "-q", *FAKESNOW]
            made = subprocess.run(command, check=False, capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"fakesnow can't be installed: {made.stderr.strip().splitlines()[-1:]}")
            done.touch()
    return python


@cache
def port() -> int:
    """The port of the emulator of this process."""
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    emulator = subprocess.Popen(
        [str(environment()), "-I", str(Path(__file__).parent / "emulator.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    atexit.register(emulator.communicate)  # its standard input ends, and with it the emulator
    assert emulator.stdout
    return int(emulator.stdout.readline())


@cache
def variable(folder: Path) -> str:
    """The variable with the address of a database that is empty when a folder is first named."""
    name = f"KLAVIYO_TEST_SNOWFLAKE_{abs(hash(folder)):X}"
    where = f"localhost:{port()}/of_{abs(hash(folder)):x}?account=emulated&protocol=http"
    os.environ[name] = f"snowflake://tester:secret@{where}"
    return name


def rows(connection: Any, table: str, order: str) -> list[dict[str, Any]]:
    """What a table holds, in the names and values that the other databases have for it."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM {table} ORDER BY {order}")
    names = [_called(column.name) for column in cursor.description]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]


def _called(name: str) -> str:
    """Our name of a column; those that a user has put in quotes stay as they are."""
    ours = name.startswith("PROPERTY_") or (name.isascii() and name == name.upper())
    return swapped(name) if ours else name


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value
