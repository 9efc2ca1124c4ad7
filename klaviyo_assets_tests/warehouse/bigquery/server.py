"""Warehouses in BigQuery for tests: in the emulator, which each test process starts for itself."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr
from sqlglot import transpile

from klaviyo_assets.warehouse.bigquery.text import written
from klaviyo_assets.warehouse.bigquery.warehouse import BigQueryWarehouse
from klaviyo_assets.warehouse.location import located
from klaviyo_assets.warehouse.sql import literal
from klaviyo_assets_tests.warehouse.bigquery.guard import GuardedSession
from klaviyo_assets_tests.warehouse.emulated import environment, started, tell

BQEMULATOR = (
    "bqemulator==1.4.0",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-spatial==1.5.5",
    "numpy",
)
"""What the emulator needs: another DuckDB than the project's, so that it has an environment of its own."""

ENVIRONMENT = "KLAVIYO_TEST_BQEMULATOR"
"""Variable with the folder of that environment; else it is made once, beside the project."""

_RENAMED = re.compile(r"ALTER TABLE (\w+)\.(\w+) RENAME TO (\w+)")


class TimedBigQuery(BigQueryWarehouse):
    """Stamps rows with a time that tests choose, and sends no statement that the guard refuses."""

    _time: dt.datetime | None = PrivateAttr(default=None)
    _sent: list[tuple[str, tuple[Any, ...]]] = PrivateAttr(default_factory=list)

    @property
    def sent(self) -> list[tuple[str, tuple[Any, ...]]]:
        """The statements that were sent, with their parameters."""
        return self._sent

    def set_clock(self, now: dt.datetime) -> None:
        self._time = now

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement of a test, which has words of DuckDB's."""
        if renamed := _RENAMED.fullmatch(statement):  # which the emulator does only half
            schema, old, new = renamed.groups()
            self.query(f"CREATE TABLE {schema}.{new} AS SELECT * FROM {schema}.{old}")
            statement = f"DROP TABLE {schema}.{old}"
        for value in parameters:
            statement = statement.replace("?", literal(value), 1)
        if statement.startswith("ALTER"):
            return super().query(written(statement))
        (translated,) = transpile(statement, read="duckdb", write="bigquery")
        return super().query(translated)

    def _session(self, client: Any) -> Any:
        session = super()._session(client)
        GuardedSession(session, self.sent)
        return tell(session, self._time)


@cache
def port() -> int:
    """The port of the emulator of this process."""
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
    python = environment("bqemulator", BQEMULATOR, ENVIRONMENT)
    script = Path(__file__).parent / "emulator.py"
    return started(python, script, stderr=subprocess.DEVNULL)  # it logs each statement that fails


@cache
def address(folder: Path) -> str:
    """The address of a project that is empty when a folder is first named."""
    return f"bigquery://of-{abs(hash(folder)):x}a?endpoint=http://127.0.0.1:{port()}"


def chosen(folder: Path, patch: pytest.MonkeyPatch, key: str) -> str:
    """Choose an empty project by the environment, in sessions that refuse what BigQuery would; return its address."""
    found = address(folder)
    patch.setenv("KLAVIYO_WAREHOUSE", f"{found}&credentials_base64={key}")
    original = BigQueryWarehouse._session

    def guarded(self: Any, client: Any) -> Any:
        session = original(self, client)
        GuardedSession(session, [])
        return session

    patch.setattr(BigQueryWarehouse, "_session", guarded)
    return located(found)


def rows(client: Any, table: str, order: str) -> list[dict[str, Any]]:
    """What a table holds, in the values that the other databases have for it."""
    found = client.query_and_wait(f"SELECT * FROM {table} ORDER BY {order}")
    kinds = {field.name: field.field_type for field in found.schema}
    return [{name: _plain(value, kinds[name]) for name, value in row.items()} for row in found]


def _plain(value: Any, kind: str) -> Any:
    if kind == "JSON" and value is not None:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value
