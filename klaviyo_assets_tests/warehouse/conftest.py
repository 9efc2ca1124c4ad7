"""Tests marked `every_database` run on each database that is there, those marked `of_duckdb` on DuckDB only.

Those on databases that are emulated take long, and run with `make test-emulators` only.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from klaviyo_assets_tests.warehouse import helpers
from klaviyo_assets_tests.warehouse.bigquery.server import port as bigquery_server
from klaviyo_assets_tests.warehouse.clickhouse.server import url as clickhouse_server
from klaviyo_assets_tests.warehouse.databases import DATABASES, postgres_server, stop_servers
from klaviyo_assets_tests.warehouse.snowflake.server import port as snowflake_server

EMULATED = tuple(name for name in DATABASES if name not in ("duckdb", "postgres"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_database: run once on each database that is there")
    config.addinivalue_line("markers", "also_without_sql: run also on the warehouse of dictionaries")
    config.addinivalue_line("markers", "of_duckdb: about DuckDB alone")
    config.addinivalue_line("markers", "of_postgres: about Postgres alone")
    config.addinivalue_line("markers", "not_of(*names): about what these databases do not have, or do in another way")
    config.addinivalue_line("markers", "of_snowflake: about Snowflake alone")
    config.addinivalue_line("markers", "of_bigquery: about BigQuery alone")
    config.addinivalue_line("markers", "of_clickhouse: about ClickHouse alone")


def pytest_sessionfinish() -> None:
    stop_servers()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    node = metafunc.definition
    uses_one = {"tmp_path", "warehouse"} & set(metafunc.fixturenames) or hasattr(metafunc.function, "hypothesis")
    if uses_one and node.get_closest_marker("every_database") and not node.get_closest_marker("of_duckdb"):
        without = {name for mark in node.iter_markers("not_of") for name in mark.args}
        marks = dict.fromkeys(EMULATED, pytest.mark.emulators)
        chosen = [pytest.param(name, marks=marks.get(name, ())) for name in DATABASES if name not in without]
        if node.get_closest_marker("also_without_sql"):
            chosen.append(pytest.param("dictionaries"))
        metafunc.parametrize("database", chosen, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(f"of_{name}") for name in EMULATED):
            item.add_marker(pytest.mark.emulators)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the database that `warehouse_at` makes warehouses in."""
    marked = [name for name in DATABASES if request.node.get_closest_marker(f"of_{name}")]
    name: str = getattr(request, "param", (marked or ["duckdb"])[0])
    if name == "postgres":
        postgres_server()
    if name == "clickhouse":
        clickhouse_server()
    if name == "snowflake":
        snowflake_server()
    if name == "bigquery":
        bigquery_server()
    helpers.in_use.append(name)
    yield name
    helpers.in_use.pop()
