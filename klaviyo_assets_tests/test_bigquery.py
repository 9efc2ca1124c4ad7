"""BigQuery as the warehouse, as users meet it, on an emulator: check, runs, and no secret."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli.main import main
from klaviyo_assets.models.project import is_installed
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.warehouse.bigquery.address import parsed
from klaviyo_assets.warehouse.errors import WarehouseUnusable
from klaviyo_assets.warehouse.location import kind_of, located, place_of, server, shown
from klaviyo_assets_tests.conftest import Project
from klaviyo_assets_tests.test_postgres import check_tells_no_secret, tell_the_story
from klaviyo_assets_tests.verification.test_verification import verify_everything
from klaviyo_assets_tests.warehouse.bigquery.server import chosen

KEY = base64.b64encode(json.dumps({"private_key": "very-s3cret"}).encode()).decode().rstrip("=")


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty project, in sessions that refuse what BigQuery would."""
    return chosen(tmp_path, monkeypatch, KEY)


@pytest.mark.emulators
def test_changes_deletes_late_events_a_resync_and_hidden_columns(
    project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_the_story(project, address, monkeypatch)


@pytest.mark.emulators
def test_check_says_where_and_no_secret(
    project: Callable[..., Project], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_tells_no_secret(
        project,
        address,
        monkeypatch,
        says=f"{address}, schema klaviyo",
        secret=KEY,
        unreachable=(f"bigquery://shop-1?credentials_base64={KEY}", "credentials"),
    )


def test_no_way_to_bigquery_is_said_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog: Any = pytest.importorskip("klaviyo_assets.warehouse.bigquery.catalog", reason="the extra is not installed")
    assert catalog._FIRST.timeout == 60
    monkeypatch.setattr(catalog, "_FIRST", catalog._FIRST.with_timeout(0.1))
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", f"bigquery://shop-1?endpoint=http://127.0.0.1:1&credentials_base64={KEY}")
    done = CliRunner().invoke(main, ["verify-warehouse"])
    assert done.exit_code == 1 and "The warehouse can't be used: " in done.output and KEY not in done.output


def test_what_is_no_key_is_said() -> None:
    connecting: Any = pytest.importorskip("klaviyo_assets.warehouse.bigquery.connecting", reason="no extra `bigquery`")
    for told in ("[1]", "1", "no key"):
        coded = base64.b64encode(told.encode()).decode()
        with pytest.raises(WarehouseUnusable, match="no key of a service account"):
            connecting.connect(f"bigquery://shop-1?credentials_base64={coded}", None)


@pytest.mark.emulators
def test_all_promises_hold(address: str) -> None:
    assert verify_everything(KEY, "--at-once", "1")["database"] == "bigquery"


def test_the_asset_graph_says_which_database_it_is() -> None:
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
    definitions = build_definitions(Settings(warehouse="bigquery://acme-1?location=EU", schema="raw"))
    dg.Definitions.validate_loadable(definitions)
    event = definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo", "event"]))
    assert event.metadata["dagster/table_name"] == "acme-1.raw.event" and "bigquery" in event.kinds
    models = [spec for spec in definitions.resolve_all_asset_specs() if "dbt" in spec.kinds]
    assert bool(models) == is_installed("bigquery") and all("bigquery" in spec.kinds for spec in models)


def test_addresses() -> None:
    given = f"BigQuery://Acme-1?location=EU&credentials_path=/keys/k.json&credentials_base64={KEY}"
    told = "bigquery://acme-1?location=EU&credentials_path=/keys/k.json"
    found = server(given)
    assert found and (found.text, found.has_secret, found.database) == (told, True, "acme-1")
    assert shown(given) == located(given) == told and kind_of(given) == "bigquery"
    assert place_of(given) == place_of("bigquery://acme-1")
    assert parsed("bigquery://acme-1?maximum_bytes_billed=5").most_billed == 5 and parsed(given).most_billed is None
    with pytest.raises(ValueError, match="a number of bytes"):
        server("bigquery://acme-1?maximum_bytes_billed=5GB")
    for wrong in ("bigquery://", f"bigquery://me:{KEY}@acme", f"bigquery://acme?password={KEY}", "bigquery://a b"):
        with pytest.raises(ValueError) as error:
            server(wrong)
        assert KEY not in str(error.value) + shown(wrong)


def test_a_secret_is_refused_outside_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="a key does not belong here") as error:
        Settings(warehouse=f"bigquery://acme-1?credentials_base64={KEY}")
    assert KEY not in str(error.value)
    monkeypatch.setenv("WHERE", f"bigquery://acme-1?credentials_base64={KEY}")
    settings = Settings(warehouse_variable="WHERE")
    assert settings.url_variable == "WHERE" and KEY not in repr(settings)
    pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
    assert KEY not in repr(warehouse_of(settings))


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules  # type: ignore[assignment]
    monkeypatch.setitem(modules, "google.cloud.bigquery", None)
    with pytest.raises(SettingsError, match=r"pip install 'klaviyo-assets\[bigquery\]'"):
        build_definitions(Settings(warehouse="bigquery://acme-1"))
