"""What a database says of a value that it can't read does not reach logs, whatever quotes are in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets.warehouse.errors import WarehouseError

pytestmark = pytest.mark.of_duckdb

VALUE = "it's \"O'Brien\" at o@brien.example"


def of_postgres(said: str) -> WarehouseError:
    psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    from klaviyo_assets.warehouse.postgres.connecting import translated

    error = psycopg.errors.InvalidTextRepresentation(f'invalid input syntax for type integer: "{said}"')
    return translated(error, place="p", schema="s", committing=False, lost=False)


def of_snowflake(said: str) -> WarehouseError:
    connector: Any = pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    from klaviyo_assets.warehouse.snowflake.connecting import translated

    message = f"String '{said}' is too long and would be truncated"
    error = connector.errors.ProgrammingError(msg=message, errno=100078, sqlstate="22000")
    return translated(error, place="p", schema="s", committing=False)


def of_bigquery(said: str) -> WarehouseError:
    exceptions: Any = pytest.importorskip("google.api_core.exceptions", reason="the extra is not installed")
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
    from klaviyo_assets.warehouse.bigquery.connecting import translated

    return translated(exceptions.BadRequest(f"Could not cast literal '{said}' to type INT64"), place="p", schema="s")


def of_clickhouse(said: str) -> WarehouseError:
    driver: Any = pytest.importorskip("clickhouse_connect.driver.exceptions", reason="the extra is not installed")
    from klaviyo_assets.warehouse.clickhouse.connecting import translated

    message = f"Code: 691. DB::Exception: Unknown element '{said}' for enum: In scope SELECT 1. (UNKNOWN_ELEMENT)"
    return translated(driver.DatabaseError(message), place="p", schema="s", committing=False)


@pytest.mark.parametrize("error_of", [of_postgres, of_snowflake, of_bigquery, of_clickhouse])
def test_no_value_is_told(error_of: Callable[[str], WarehouseError]) -> None:
    told = str(error_of(VALUE))
    assert "***" in told
    assert "Brien" not in told and "example" not in told
