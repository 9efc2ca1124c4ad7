"""Warehouses on ClickHouse for tests: on chdb, the engine itself, which each test process starts for itself."""

from __future__ import annotations

import datetime as dt
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

from klaviyo_assets.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets_tests.warehouse.emulated import environment, started, tell

CHDB = ("chdb-core==26.9.0",)
"""The engine, which is half a gigabyte: it has an environment of its own."""

ENVIRONMENT = "KLAVIYO_TEST_CHDB"
"""Variable with the folder of that environment; else it is made once, beside the project."""

SERVER = "KLAVIYO_TEST_CLICKHOUSE"
"""Variable with the URL of a server to test on instead, on which the databases `klaviyo*` and `s0*` are dropped."""

URL = "KLAVIYO_TEST_CLICKHOUSE_URL"
"""Variable in which warehouses find the URL."""


class TimedClickHouse(ClickHouseWarehouse):
    """Stamps rows with a time that tests choose, not with the server's."""

    _time: dt.datetime | None = PrivateAttr(default=None)

    def set_clock(self, now: dt.datetime) -> None:
        self._time = now

    def query(self, statement: str, parameters: Any = ()) -> Any:
        return super().query(said(statement), parameters)

    def _session(self, client: Any) -> Any:
        return tell(super()._session(client), self._time)


def said(statement: str) -> str:
    """Return what a user of another database would write as one of ClickHouse does."""
    statement = re.sub(r"\b(?:VARCHAR|DECIMAL\([\d, ]+\))", r"Nullable(\g<0>)", statement)
    if found := re.match(r"ALTER TABLE (\S+) ALTER (\S+) SET DATA TYPE (\S+)$", statement):
        native = {"TIMESTAMP_S": "DateTime64(0, 'UTC')", "TIMESTAMP_MS": "DateTime64(3, 'UTC')"}.get(found[3], found[3])
        native = "DateTime64(6, 'UTC')" if native == "TIMESTAMPTZ" else native
        return (
            f"ALTER TABLE {found[1]} MODIFY COLUMN {found[2]} {native if 'Null' in native else f'Nullable({native})'}"
        )
    if found := re.match(r"ALTER TABLE (\w+)\.(\S+) RENAME TO (\S+)$", statement):
        return f"RENAME TABLE {found[1]}.{found[2]} TO {found[1]}.{found[3]}"
    statement = re.sub(r"^CREATE SCHEMA", "CREATE DATABASE", statement)
    if found := re.match(r"UPDATE (\S+) SET (.*?)(?: WHERE (.*))?$", statement):
        return f"ALTER TABLE {found[1]} UPDATE {found[2]} WHERE {found[3] or 'true'}"
    return statement if " WHERE " in statement else re.sub(r"^DELETE FROM", "TRUNCATE TABLE", statement)


@cache
def url() -> str:
    """The URL of the server of this process."""
    pytest.importorskip("clickhouse_connect", reason="the extra `clickhouse` is not installed")
    if given := os.environ.get(SERVER):
        return given
    port = started(environment("chdb", CHDB, ENVIRONMENT), Path(__file__).parent / "engine.py")
    return f"clickhouse://tester:secret@127.0.0.1:{port}?compress=false"


_folders: list[Path] = []


def warehouse_in(folder: Path, **options: Any) -> TimedClickHouse:
    """A warehouse on the server, which has one database of a name: they are dropped when another folder is named."""
    os.environ[URL] = url()
    warehouse = TimedClickHouse(address=url(), url_variable=URL, **options)
    if _folders[-1:] != [folder]:
        _folders.append(folder)
        with warehouse.connect() as client:
            own = "name LIKE 'klaviyo%' OR match(name, '^s[0-9]+')"
            for (name,) in client.query(f"SELECT name FROM system.databases WHERE {own}").result_rows:
                client.command(f"DROP DATABASE {quote(name)} SYNC")
    return warehouse


def rows(client: Any, table: str, order: str) -> list[dict[str, Any]]:
    """What a table holds, as a user sees it who does not write FINAL."""
    return list(client.query(f"SELECT * FROM {table} ORDER BY {order}", settings={"final": 0}).named_results())
