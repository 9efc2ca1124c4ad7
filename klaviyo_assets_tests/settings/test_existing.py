"""A resource of Dagster's integrations in the place of the warehouse's address.

Those of Snowflake and BigQuery are stood in for by resources with the fields that theirs have: the integrations are no
part of what is installed here.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster_duckdb import DuckDBResource

from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.warehouse.errors import WarehouseUnusable


class SnowflakeResource(dg.ConfigurableResource[Any]):
    account: str | None = None
    user: str
    password: str | None = None
    database: str | None = None
    schema_: str | None = None
    role: str | None = None
    warehouse: str | None = None
    private_key: str | None = None
    private_key_password: str | None = None
    private_key_path: str | None = None
    authenticator: str | None = None
    additional_snowflake_connection_args: dict[str, Any] | None = None


class BigQueryResource(dg.ConfigurableResource[Any]):
    project: str | None = None
    location: str | None = None
    gcp_credentials: str | None = None


SNOWFLAKE = {"account": "acme-x1", "user": "me@acme", "database": "SHOP", "warehouse": "LOADING", "schema_": "theirs"}


def address(resource: Any) -> str:
    return Settings(**{"warehouse": resource, "models": False}).warehouse


def test_the_address_is_that_of_the_resource_and_secrets_stay_in_their_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SF_ACCOUNT", "acme-x1")
    monkeypatch.setenv("SF_PASSWORD", "hushhush")
    by_password = SnowflakeResource(
        **{**SNOWFLAKE, "account": dg.EnvVar("SF_ACCOUNT"), "password": dg.EnvVar("SF_PASSWORD")}
    )
    assert address(by_password) == "snowflake://me%40acme@acme-x1/SHOP?warehouse=LOADING&password_variable=SF_PASSWORD"
    by_key = SnowflakeResource(
        **SNOWFLAKE,
        private_key_path="/keys/k.p8",
        private_key_password=dg.EnvVar("SF_KEY"),
        additional_snowflake_connection_args={"host": "h.example"},
    )
    assert address(by_key).endswith(
        "&private_key_file=%2Fkeys%2Fk.p8&private_key_file_pwd_variable=SF_KEY&host=h.example"
    )
    google = BigQueryResource(project="acme-1", location="EU", gcp_credentials=dg.EnvVar("GCP_CREDENTIALS"))
    assert address(google) == "bigquery://acme-1?location=EU&credentials_variable=GCP_CREDENTIALS"
    assert address(BigQueryResource(project="acme-1")) == "bigquery://acme-1"
    assert address(DuckDBResource(database=str(tmp_path / "shop.duckdb"))) == str(tmp_path / "shop.duckdb")


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        (SnowflakeResource(**SNOWFLAKE, password="hushhush"), "password has to be a `dg.EnvVar`"),
        (SnowflakeResource(**SNOWFLAKE, private_key="hushhush"), "give it a private_key_path"),
        (SnowflakeResource(user="me", account="acme-x1"), "the SnowflakeResource has no database"),
        (SnowflakeResource(**{**SNOWFLAKE, "account": dg.EnvVar("NOT_SET")}), "NOT_SET, which is to hold the account"),
        (
            SnowflakeResource(**SNOWFLAKE, additional_snowflake_connection_args={"a": {}}),
            "a has no place in an address",
        ),
        (
            SnowflakeResource(**SNOWFLAKE, additional_snowflake_connection_args={"token": "hushhush"}),
            "a password does not belong",
        ),
        (BigQueryResource(location="EU"), "the BigQueryResource has no project"),
        (BigQueryResource(project="acme-1", gcp_credentials="hushhush"), "gcp_credentials has to be a `dg.EnvVar`"),
    ],
)
def test_what_can_not_be_taken_over_is_said_without_secrets(resource: Any, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        address(resource)
    assert says in str(caught.value) and "hushhush" not in str(caught.value)


def test_a_secret_comes_from_its_variable_when_a_run_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    connecting = pytest.importorskip("klaviyo_assets.warehouse.snowflake.connecting")
    at = address(SnowflakeResource(**SNOWFLAKE, password=dg.EnvVar("SF_PASSWORD")))
    with pytest.raises(WarehouseUnusable, match="SF_PASSWORD with its password is not set"):
        connecting.parameters_of(at, None)
    monkeypatch.setenv("SF_PASSWORD", "hushhush")
    found = connecting.parameters_of(at, None)
    assert (found["password"], found["user"], found["database"]) == ("hushhush", "me@acme", "SHOP")
    assert "password_variable" not in found
