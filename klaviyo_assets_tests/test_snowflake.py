"""Snowflake as the warehouse, as users meet it, on an emulator: check, runs, and no secret."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.verification.promises import PROMISES, a_killed_process_leaves_nothing
from klaviyo_assets.warehouse.location import kind_of, located, place_of, server, shown
from klaviyo_assets_tests.conftest import Project
from klaviyo_assets_tests.test_postgres import check_tells_no_secret, run_twice_at_once, tell_the_story
from klaviyo_assets_tests.verification.test_verification import verify_everything
from klaviyo_assets_tests.warehouse.snowflake.server import chosen

SECRET = "very-s3cret"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty database, on a connection that refuses what Snowflake would; the password is in the environment."""
    return chosen(tmp_path, monkeypatch, SECRET)


@pytest.mark.emulators
def test_changes_deletes_late_events_a_resync_and_hidden_columns(
    project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_the_story(project, address, monkeypatch)


@pytest.mark.emulators
def test_two_runs_at_once_follow_each_other(project: Callable[..., Project], address: str) -> None:
    run_twice_at_once(project, address)


@pytest.mark.emulators
def test_check_says_where_and_no_secret(
    project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_tells_no_secret(
        project,
        address,
        monkeypatch,
        says=f"{address}, schema klaviyo, Snowflake ",
        secret=SECRET,
        unreachable=(f"snowflake://me:{SECRET}@127.0.0.1:1/db?protocol=http&login_timeout=1", "`warehouse`"),
    )


@pytest.mark.emulators
def test_all_promises_hold(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a process that dies: the emulator never ends the transaction of a client that has gone."""
    left = tuple(promise for promise in PROMISES if promise is not a_killed_process_leaves_nothing)
    monkeypatch.setattr("klaviyo_assets.verification.run.PROMISES", left)
    assert verify_everything(SECRET)["database"] == "snowflake"


def test_the_asset_graph_says_which_database_it_is() -> None:
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    for warehouse, name in (("snowflake://me@acme-x1/shop", "shop.raw.event"), ("connection=prod", "raw.event")):
        definitions = build_definitions(Settings(warehouse=warehouse, schema="raw"))
        dg.Definitions.validate_loadable(definitions)
        event = definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo", "event"]))
        assert event.metadata["dagster/table_name"] == name and "snowflake" in event.kinds
        models = [spec for spec in definitions.resolve_all_asset_specs() if "dbt" in spec.kinds]
        assert bool(models) == is_installed("snowflake") and all("snowflake" in spec.kinds for spec in models)


def test_addresses() -> None:
    address = f"snowflake://Me:{SECRET}@Acme-X1.eu-west-1/Shop?warehouse=wh&role=r&token={SECRET}&private_key={SECRET}"
    told = "snowflake://Me@Acme-X1.eu-west-1/Shop?warehouse=wh&role=r"
    address += f"&proxy_password={SECRET}&session_token={SECRET}&Pwd={SECRET}"
    told += "&client_request_mfa_token=true"
    address += "&client_request_mfa_token=true"
    found = server(address)
    assert found and (found.text, found.has_secret, found.database) == (told, True, "Shop")
    assert shown(address) == located(address) == told and kind_of(address) == "snowflake"
    assert place_of(address) == place_of("snowflake://other@acme-x1.EU-west-1/SHOP?warehouse=x")
    assert server("connection=prod") == server(" connection = prod ")
    for wrong in (
        f"snowflake://me:{SECRET}@acme",
        f"snowflake://{SECRET}@/db",
        "connection=a b",
        "snowflake://a/b/c/d",
        f"snowflake://a/b?port={SECRET}",
    ):
        with pytest.raises(ValueError) as error:
            server(wrong)
        assert SECRET not in str(error.value) + shown(wrong)


def test_a_secret_is_refused_outside_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"connections\.toml") as error:
        Settings(warehouse=f"snowflake://me:{SECRET}@acme-x1/db")
    assert SECRET not in str(error.value)
    monkeypatch.setenv("WHERE", f"snowflake://me@acme-x1/db?private_key_file=k.p8&private_key_file_pwd={SECRET}")
    settings = Settings(warehouse_variable="WHERE")
    assert settings.url_variable == "WHERE" and SECRET not in repr(settings)
    pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
    assert SECRET not in repr(warehouse_of(settings))


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules  # type: ignore[assignment]
    monkeypatch.setitem(modules, "snowflake.connector", None)
    with pytest.raises(SettingsError, match=r"pip install 'klaviyo-assets\[snowflake\]'"):
        build_definitions(Settings(warehouse="connection=prod"))
