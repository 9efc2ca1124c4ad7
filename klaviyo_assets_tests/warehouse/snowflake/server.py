"""Warehouses at Snowflake for tests: in the emulator, which each test process starts for itself."""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

from klaviyo_assets.warehouse.location import located
from klaviyo_assets.warehouse.snowflake.text import swapped
from klaviyo_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from klaviyo_assets_tests.warehouse.emulated import environment, started, tell
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
        return tell(super()._session(GuardedConnection(connection)), self._time)  # type: ignore[arg-type]


@cache
def port() -> int:
    """The port of the emulator of this process."""
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    python = environment("fakesnow", FAKESNOW, ENVIRONMENT)
    return started(python, Path(__file__).parent / "emulator.py")


@cache
def variable(folder: Path) -> str:
    """The variable with the address of a database that is empty when a folder is first named."""
    name = f"KLAVIYO_TEST_SNOWFLAKE_{abs(hash(folder)):X}"
    where = f"localhost:{port()}/of_{abs(hash(folder)):x}?account=emulated&protocol=http"
    os.environ[name] = f"snowflake://tester:secret@{where}"
    return name


def chosen(folder: Path, patch: pytest.MonkeyPatch, password: str) -> str:
    """Choose an empty database by the environment, on connections that refuse what Snowflake would; the address."""
    patch.setenv("KLAVIYO_WAREHOUSE", os.environ[variable(folder)].replace(":secret@", f":{password}@"))
    original = SnowflakeWarehouse._session
    guarded = lambda self, connection: original(self, GuardedConnection(connection))  # type: ignore[arg-type]  # noqa: E731
    patch.setattr(SnowflakeWarehouse, "_session", guarded)
    return located(os.environ["KLAVIYO_WAREHOUSE"])


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
