"""Tests marked `every_database` run on each database that is there, those marked `of_duckdb` on DuckDB only.

Of databases that are emulated `make test` runs every other test on one, each in turn, for they take long; all run with
`make test-emulators`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from klaviyo_assets_tests.warehouse import helpers
from klaviyo_assets_tests.warehouse.bigquery.server import port as bigquery_server
from klaviyo_assets_tests.warehouse.databases import DATABASES, postgres_server, stop_servers
from klaviyo_assets_tests.warehouse.snowflake.server import port as snowflake_server

EMULATED = tuple(name for name in DATABASES if name not in ("duckdb", "postgres"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_database: run once on each database that is there")
    config.addinivalue_line("markers", "of_duckdb: about DuckDB alone")
    config.addinivalue_line("markers", "of_postgres: about Postgres alone")
    config.addinivalue_line("markers", "not_of(*names): about what these databases do not have, or do in another way")
    config.addinivalue_line("markers", "of_snowflake: about Snowflake alone")
    config.addinivalue_line("markers", "of_bigquery: about BigQuery alone")


def pytest_sessionfinish() -> None:
    stop_servers()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    node = metafunc.definition
    uses_one = {"tmp_path", "warehouse"} & set(metafunc.fixturenames) or hasattr(metafunc.function, "hypothesis")
    if uses_one and node.get_closest_marker("every_database") and not node.get_closest_marker("of_duckdb"):
        without = {name for mark in node.iter_markers("not_of") for name in mark.args}
        chosen = [_in_turn(name, node.nodeid) for name in DATABASES if name not in without]
        metafunc.parametrize("database", chosen, indirect=True)


def _in_turn(name: str, test: str) -> Any:
    turn = zlib.crc32(test.encode()) % (2 * max(1, len(EMULATED)))
    if name in EMULATED and EMULATED.index(name) != turn:
        return pytest.param(name, marks=pytest.mark.emulators)
    return name


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the database that `warehouse_at` makes warehouses in."""
    marked = [name for name in DATABASES if request.node.get_closest_marker(f"of_{name}")]
    name: str = getattr(request, "param", (marked or ["duckdb"])[0])
    if name == "postgres":
        postgres_server()
    if name == "snowflake":
        snowflake_server()
    if name == "bigquery":
        bigquery_server()
    helpers.in_use.append(name)
    yield name
    helpers.in_use.pop()
