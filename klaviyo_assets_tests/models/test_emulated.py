"""The models and the report at Snowflake, at BigQuery and on ClickHouse, on emulators: what they say on DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from klaviyo_assets.models import assets
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.models.run import Result, dbt_build
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.location import located
from klaviyo_assets_tests.models import test_targets
from klaviyo_assets_tests.models.dbt import forked
from klaviyo_assets_tests.models.servers import check_same, check_taken_along
from klaviyo_assets_tests.warehouse.bigquery import guard as bigquery_guard
from klaviyo_assets_tests.warehouse.bigquery import server as bigquery
from klaviyo_assets_tests.warehouse.clickhouse import server as clickhouse
from klaviyo_assets_tests.warehouse.snowflake import guard as snowflake_guard
from klaviyo_assets_tests.warehouse.snowflake import server as snowflake

pytestmark = pytest.mark.emulators

SECRET = "very-s3cret"
"""Which the emulator of Snowflake takes for a password; that of ClickHouse has one of its own."""


def at_snowflake(folder: Path) -> str:
    return os.environ[snowflake.variable(folder)].replace(":secret@", f":{SECRET}@")


def on_clickhouse(folder: Path) -> str:
    warehouse = clickhouse.warehouse_in(folder)
    with warehouse.connect() as client:
        client.command("DROP DATABASE IF EXISTS shop SYNC")
    return clickhouse.url()


def readable(statement: str) -> list[str]:
    """Return nothing; raise, if it is no SQL of ClickHouse's, whose own engine tells the rest."""
    sqlglot.parse_one(statement, read="clickhouse")
    return []


SERVERS: Mapping[str, tuple[Callable[[Path], str], Callable[[str], list[str]]]] = {
    "snowflake": (at_snowflake, snowflake_guard.broken_rules),
    "bigquery": (bigquery.address, bigquery_guard.broken_rules),
    "clickhouse": (on_clickhouse, readable),
}
"""Where each is, and what it would refuse that the emulator takes."""


def needs_dbt(kind: str) -> None:
    if not is_installed(kind):
        pytest.skip(f"the extra `models-{kind}` is not installed")


@pytest.mark.parametrize("kind", SERVERS)
def test_the_models_say_what_they_say_on_duckdb(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Built anew, and once more after news; every SELECT of them is one that the real database reads."""
    needs_dbt(kind)
    caplog.set_level("DEBUG", "klaviyo_assets")
    address, broken_rules = SERVERS[kind]
    built: list[Result] = []

    def noted(*given: Any, **options: Any) -> list[Result]:
        results = dbt_build(*given, **options)
        built.extend(results if given[0].kind == kind else [])
        return results

    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    monkeypatch.setattr(assets, "dbt_build", noted)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address(tmp_path))
    variables = {"klaviyo__source_relation": "one"}
    settings = Settings(shopify_schema="shop", model_variables=variables)
    assert settings.warehouse == located(address(tmp_path)) and SECRET not in settings.warehouse
    in_duckdb = Settings(shopify_schema="shop", model_variables=variables, warehouse="w.duckdb")
    check_same(settings, in_duckdb, tmp_path / "home")

    selects = {result.name: result.sql for result in built if result.sql}
    assert len(selects) > 40
    refused = {name: broken_rules(f"CREATE OR REPLACE TABLE x AS {sql}") for name, sql in selects.items()}
    assert {name: rules for name, rules in refused.items() if rules} == {}
    written = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".duckdb"]
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in caplog.text


READ = """
import argparse, json, os, sys
from dbt.config.profile import Profile
from dbt.config.renderer import ProfileRenderer
from dbt.flags import set_from_args
from dbt_common.context import set_invocation_context

set_invocation_context(os.environ)
set_from_args(argparse.Namespace(), None)
found = Profile.from_raw_profiles(json.load(sys.stdin), "klaviyo_models", ProfileRenderer({})).credentials
if found.type == "bigquery":
    from dbt.adapters.bigquery.credentials import create_google_credentials
    print(create_google_credentials(found).service_account_email)
if found.type == "snowflake":
    print(len(found.auth_args()["private_key"]) > 1000)
if found.type == "clickhouse":
    print(type(found.password).__name__, found.password, found.secure)
"""
"""Reads a profile as dbt does, and its keys as dbt's adapters do."""


def test_dbt_reads_the_profiles_and_the_keys(tmp_path: Path) -> None:
    for kind in SERVERS:
        needs_dbt(kind)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    def pem(encryption: serialization.KeySerializationEncryption) -> str:
        kind = serialization.PrivateFormat.PKCS8
        return made.private_bytes(serialization.Encoding.PEM, kind, encryption).decode()

    made = rsa.generate_private_key(65537, 2048)
    file = tmp_path / "key.p8"
    file.write_text(pem(serialization.BestAvailableEncryption(b"123456")))
    account = {
        "type": "service_account", "client_email": "me@acme.example", "token_uri": "https://acme.example",
        "private_key": pem(serialization.NoEncryption()),
    }  # fmt: skip
    for target, wanted in (
        (test_targets.at_bigquery("bigquery://acme-1", account), "me@acme.example"),
        (
            test_targets.at_snowflake(f"snowflake://me@acme/shop?private_key_file={file}&private_key_file_pwd=123456"),
            "True",
        ),
        (test_targets.on_clickhouse("clickhouses://me:123456@ch.example"), "str 123456 True"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", READ],
            input=json.dumps(target.profile()),
            env={**os.environ, **target.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == wanted, done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_columns_to_take_along_of_which_accounts_have_other_ones(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_dbt(kind)
    monkeypatch.setattr("klaviyo_assets.models.run._dbt", forked)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", SERVERS[kind][0](tmp_path))
    check_taken_along(tmp_path)
