"""What dbt's profile says of each database: all that the warehouse connects with, and no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from klaviyo_assets.models.project import PROJECT_NAME
from klaviyo_assets.models.targets import bigquery, snowflake
from klaviyo_assets.models.targets.choosing import target_of
from klaviyo_assets.models.targets.target import Target
from klaviyo_assets.warehouse.bigquery import address as bigquery_address
from klaviyo_assets.warehouse.bigquery.warehouse import BigQueryWarehouse
from klaviyo_assets.warehouse.clickhouse import address as clickhouse_address
from klaviyo_assets.warehouse.errors import WarehouseUnusable
from klaviyo_assets.warehouse.snowflake import address as snowflake_address

SECRET = "very-s3cret"


def at_snowflake(address: str, *, database: str = "SHOP", schema: str = "klaviyo_models") -> Target:
    found = snowflake_address.parsed(address)
    return snowflake.target(found.parameters, database, schema, place=found.text)


def on_clickhouse(address: str) -> Target:
    pytest.importorskip("clickhouse_connect", reason="the extra `clickhouse` is not installed")
    from klaviyo_assets.models.targets import clickhouse

    return clickhouse.target(clickhouse_address.parsed(address), "klaviyo_models")


def at_bigquery(address: str, key: Mapping[str, Any] | None = None, **more: Any) -> Target:
    given = {"location": None, "most_billed": None, **more}
    return bigquery.target(bigquery_address.parsed(address), "klaviyo_models", key=key, **given)


def check(target: Target, wanted: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Check what the profile has, and that a secret is only where dbt masks it."""
    output = target.profile()[PROJECT_NAME]["outputs"][target.kind]
    assert {name: output.get(name) for name in wanted} == dict(wanted)
    assert SECRET not in json.dumps(target.profile()) + repr(target)
    masked = {name: value for name, value in target.environment().items() if name.startswith("DBT_ENV_SECRET_")}
    assert masked == {f"DBT_ENV_SECRET_KLAVIYO_{name}": value for name, value in secrets.items()}
    assert [name for name, value in target.environment().items() if SECRET in value] == list(masked)
    for name in masked:
        assert f"{{{{ env_var('{name}') }}}}" in json.dumps(target.profile())


def test_snowflake_by_password_key_and_token() -> None:
    check(
        at_snowflake(f"snowflake://Me:{SECRET}@acme-x1/Shop?warehouse=wh&role=r"),
        {"account": "acme-x1", "user": "Me", "database": "shop", "warehouse": "wh", "role": "r", "authenticator": None},
        {"PASSWORD": SECRET},
    )
    check(
        at_snowflake(
            "snowflake://me@acme-x1/shop?authenticator=SNOWFLAKE_JWT&private_key_file=/keys/k.p8"
            f"&private_key_file_pwd={SECRET}"
        ),
        {"private_key_path": "/keys/k.p8", "authenticator": None, "password": None},
        {"PRIVATE_KEY_PASSPHRASE": SECRET},
    )
    check(
        at_snowflake(f"snowflake://me@acme-x1/shop?authenticator=OAUTH&token={SECRET}"),
        {"authenticator": "oauth"},
        {"TOKEN": SECRET},
    )


def test_snowflake_by_the_name_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    from klaviyo_assets.warehouse.snowflake.connecting import parameters_of

    monkeypatch.setenv("SNOWFLAKE_CONNECTIONS", f'[prod]\naccount = "acme-x1"\nuser = "me"\npassword = "{SECRET}"\n')
    given = parameters_of("connection=prod", None)
    target = snowflake.target(given, "SHOP", "klaviyo_models", place="connection=prod")
    check(target, {"account": "acme-x1", "user": "me", "database": "shop"}, {"PASSWORD": SECRET})
    with pytest.raises(WarehouseUnusable, match="connection=nowhere"):
        parameters_of("connection=nowhere", None)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("authenticator=OAUTH_CLIENT_CREDENTIALS&oauth_client_secret=very-s3cret", "authenticator=OAUTH_CLIENT_CREDEN"),
        ("passcode=very-s3cret", "passcode"),
    ],
)
def test_snowflake_as_dbt_can_not_connect(more: str, named: str) -> None:
    with pytest.raises(WarehouseUnusable, match=f"can't connect with {named}.*`models: false`") as error:
        at_snowflake(f"snowflake://me@acme-x1/shop?{more}")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("names", [{"schema": "Shop's DK"}, {"database": "Shop"}])
def test_snowflake_names_that_dbt_can_not_write(names: dict[str, str]) -> None:
    with pytest.raises(WarehouseUnusable, match="without quotes"):
        at_snowflake("snowflake://me@acme-x1/shop", **names)


def test_bigquery_by_default_credentials_and_by_a_key() -> None:
    check(
        at_bigquery("bigquery://acme-1?quota_project=bills-1", location="EU", most_billed=10**9),
        {
            "database": "acme-1", "method": "oauth", "location": "EU", "quota_project": "bills-1",
            "maximum_bytes_billed": 10**9,
        },
        {},
    )  # fmt: skip
    key = {"type": "service_account", "client_email": "me@acme-1.example", "private_key": f"{SECRET}\nlines"}
    target = at_bigquery("bigquery://acme-1?credentials_path=/keys/k.json", key)
    check(target, {"method": "service-account-json"}, {"KEYFILE_JSON_PRIVATE_KEY": f"{SECRET}\nlines"})
    assert key["private_key"].startswith(SECRET), "what was given stays as it is"
    told = target.profile()[PROJECT_NAME]["outputs"]["bigquery"]["keyfile_json"]
    assert told["client_email"] == "me@acme-1.example"


def test_what_the_address_of_a_warehouse_says_of_bigquery_reaches_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = BigQueryWarehouse(address="bigquery://acme-1?endpoint=http://localhost&maximum_bytes_billed=5")
    session = lambda self, writes: nullcontext(SimpleNamespace(location="EU"))  # noqa: E731
    monkeypatch.setattr(BigQueryWarehouse, "session", session)
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
    target = target_of(warehouse, "bigquery", "klaviyo_models")
    check(target, {"database": "acme-1", "location": "EU", "maximum_bytes_billed": 5}, {})


def test_clickhouse_with_tls_and_without_a_token() -> None:
    target = on_clickhouse(f"clickhouses://me:{SECRET}@ch.example?ca_cert=/ca.pem&client_cert=/c.pem&verify=false")
    check(
        target,
        {"host": "ch.example", "port": 8443, "secure": True, "verify": False, "user": "me", "client_cert": "/c.pem"},
        {"PASSWORD": SECRET},
    )
    assert target.environment()["SSL_CERT_FILE"] == "/ca.pem"
    settings = target.profile()[PROJECT_NAME]["outputs"]["clickhouse"]["custom_settings"]
    assert (settings["final"], settings["join_use_nulls"], settings["session_timezone"]) == (1, 1, "UTC")
    with pytest.raises(WarehouseUnusable, match=r"no `access_token`.*`models: false`") as error:
        on_clickhouse(f"clickhouse://ch.example?access_token={SECRET}")
    assert SECRET not in str(error.value)
