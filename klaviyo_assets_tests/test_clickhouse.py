"""A ClickHouse server as the warehouse, as users meet it, on its own engine: check, runs, and no secret."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.warehouse.location import located
from klaviyo_assets_tests.conftest import Project
from klaviyo_assets_tests.test_postgres import check_tells_no_secret, run_twice_at_once, tell_the_story
from klaviyo_assets_tests.verification.test_verification import verify_everything
from klaviyo_assets_tests.warehouse.clickhouse.server import URL, warehouse_in

PASSWORD = ":secret@"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a server without our databases; the password is in the environment."""
    warehouse_in(tmp_path)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", os.environ[URL])
    return located(os.environ[URL])


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
        says=f"{address}, schema klaviyo, ClickHouse ",
        secret=PASSWORD,
        unreachable=("clickhouse://me:very-s3cret@127.0.0.1:1", "`warehouse`"),
    )


@pytest.mark.emulators
def test_all_promises_hold(address: str) -> None:
    assert verify_everything(PASSWORD)["database"] == "clickhouse"


def test_the_asset_graph_says_which_database_it_is() -> None:
    pytest.importorskip("clickhouse_connect", reason="the extra `clickhouse` is not installed")
    definitions = build_definitions(Settings(warehouse="clickhouse://me@ch.example", schema="raw"))
    dg.Definitions.validate_loadable(definitions)
    event = definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo", "event"]))
    assert event.metadata["dagster/table_name"] == "raw.event" and "clickhouse" in event.kinds
    models = [spec for spec in definitions.resolve_all_asset_specs() if "dbt" in spec.kinds]
    assert bool(models) == is_installed("clickhouse") and all("clickhouse" in spec.kinds for spec in models)


def test_a_password_belongs_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="a password does not belong here") as error:
        Settings(warehouse="clickhouse://me:very-s3cret@ch.example")
    assert "s3cret" not in str(error.value)
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(SettingsError, match=r"pip install 'klaviyo-assets\[clickhouse\]'"):
        warehouse_of(Settings(warehouse="clickhouse://me@ch.example"))
