"""Where requests are counted: what the setting may say, and what a run says if nobody counts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.assets.step import EXPECTED
from klaviyo_assets.cli.check import check
from klaviyo_assets.component import KlaviyoComponent
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.shared_limits.counting import NobodyCounts, account_of
from klaviyo_assets.shared_limits.making import shared_limits
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.location import located
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.warehouse.databases import postgres_database

SECRET = "very-s3cret"
NOWHERE = f"postgresql://me:{SECRET}@127.0.0.1:9/db"
REPORT = ["klaviyo_staging", "campaign_report"]
REPORTS = only("campaign_report", "campaign_message")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (NOWHERE, "postgresql://me@127.0.0.1:9/db"),
        (f"redis://:{SECRET}@h", "redis://h:6379/0"),
        (f"rediss://me:{SECRET}@h:7000/3", "rediss://h:7000/3"),
        (f"redis://{SECRET}@h", "redis://h:6379/0"),
        (f"redis://:{SECRET}@[::1]/2", "redis://[::1]:6379/2"),
    ],
)
def test_the_environment_may_hold_the_password_and_nothing_shows_it(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=r"a password does not belong here.*KLAVIYO_RATE_LIMITS") as raised:
        Settings(rate_limits=address)
    assert SECRET not in str(raised.value)
    monkeypatch.setenv("KLAVIYO_RATE_LIMITS", address)
    settings = Settings()
    assert (settings.rate_limits, settings.rate_limits_variable) == (shown, "KLAVIYO_RATE_LIMITS")
    assert SECRET not in repr(settings) + settings.model_dump_json()
    assert Settings(rate_limits="redis://other").rate_limits_variable is None
    given = (
        Settings(rate_limits=dg.EnvVar("KLAVIYO_RATE_LIMITS")),
        KlaviyoComponent.resolve_from_yaml("rate_limits: '{{ env.KLAVIYO_RATE_LIMITS }}'").settings,
    )
    assert [(each.rate_limits, each.rate_limits_variable) for each in given] == [(shown, "KLAVIYO_RATE_LIMITS")] * 2
    monkeypatch.delenv("KLAVIYO_RATE_LIMITS")
    with pytest.raises(SettingsError, match="the variable KLAVIYO_RATE_LIMITS, which is to hold it, is not set"):
        Settings(rate_limits=dg.EnvVar("KLAVIYO_RATE_LIMITS"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"mysql://me:{SECRET}@h/db", "it has to be `warehouse`"),
        ("snowflake://me@h/db", "it has to be `warehouse`"),
        ("data/limits.duckdb", "it has to be `warehouse`"),
        (f"redis://:{SECRET}@h:port/0", "no address of a Redis server"),
        (f"redis://h/0?password={SECRET}", "no `\\?` here"),
        ("redis:///0", "no address of a Redis server"),
        ("warehouse", "`warehouse` can only be in Postgres"),
    ],
)
def test_what_can_not_count_is_refused(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_RATE_LIMITS", address)
    with pytest.raises(SettingsError, match=said) as raised:
        Settings()
    assert SECRET not in str(raised.value)
    for given in ("warehouse", " warehouse "):
        assert Settings(warehouse="service=x", rate_limits=given).rate_limits == "warehouse"
    with pytest.raises(SettingsError, match="`none` is for an account that is simulated"):
        Settings(warehouse="service=x", rate_limits=" none ")


def test_nobody_waits_for_the_limits_of_a_simulated_account(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("https://a.klaviyo.com/api", "http://10.0.0.1/api", "http://localhost.example/api"):
        with pytest.raises(SettingsError, match="`none` is for an account that is simulated on this machine"):
            Settings(api_url=url, rate_limits="none")
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 1.05)
    klaviyo = project(generate_account(events=0, profiles=5), tables=only("flow_message"), rate_limits="none")
    waited = {
        event.step_materialization_data.materialization.metadata["seconds_waited_for_rate_limits"].value
        for event in klaviyo.refresh().get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["klaviyo_staging", "flow_message"])
    }
    assert waited == {0} and len(klaviyo.sandbox.requests.of("get_flow_action_messages")) > 3
    assert check(klaviyo.settings).problems == []


def test_an_account_is_known_by_its_key_which_nobody_learns() -> None:
    assert account_of("pk_one") == account_of("pk_one") != account_of("pk_two")
    assert "pk" not in account_of("pk_one")


@pytest.mark.parametrize(("extra", "address"), [("redis", "redis://h"), ("psycopg", "service=x")])
def test_without_the_extra_the_error_names_it(extra: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    for module in ("redis", "postgres"):
        monkeypatch.delitem(sys.modules, f"klaviyo_assets.shared_limits.{module}", raising=False)
    monkeypatch.delitem(sys.modules, "klaviyo_assets.warehouse.postgres.connecting", raising=False)
    name = {"psycopg": "postgres"}.get(extra, extra)
    with pytest.raises(NobodyCounts, match=rf"pip install 'klaviyo-assets\[{name}\]'"):
        shared_limits(address, None, DuckDBWarehouse(database="w.duckdb"), "pk_x")


def test_if_nobody_counts_run_and_check_name_the_setting_and_no_password(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_RATE_LIMITS", NOWHERE)
    klaviyo = project(generate_account(events=5, profiles=5, days=1), tables=only())
    result = klaviyo.run("klaviyo_sync", -1)
    (problem,) = check(klaviyo.settings).problems
    for said in (*failures(result), problem):
        assert "as the setting `rate_limits` says" in said and SECRET not in said
    assert not result.success and NobodyCounts in EXPECTED


def test_runs_count_in_the_schema_of_the_warehouse(project: Callable[..., Project], tmp_path: Path) -> None:
    address = located(postgres_database(tmp_path))
    account = generate_account(events=30, profiles=8, days=1)
    klaviyo = project(account, tables=REPORTS, duckdb_path=address, rate_limits="warehouse")
    result = klaviyo.run("klaviyo_full_refresh", only=REPORT)
    assert result.success, failures(result)
    counted = dict(
        klaviyo.warehouse.query("SELECT split_part(\"limit\", ' ', 2), cardinality(day) FROM klaviyo._rate_limits")
    )
    assert counted["get_accounts"] == 0 and counted["query_campaign_values"] > 0
    assert check(klaviyo.settings).problems == []


def test_without_a_server_the_reports_of_a_day_are_counted_in_the_warehouse(project: Callable[..., Project]) -> None:
    klaviyo = project(generate_account(events=30, profiles=8, days=1), tables=REPORTS)
    result = klaviyo.run("klaviyo_full_refresh", only=REPORT)
    assert result.success, failures(result)
    ((name, count),) = klaviyo.warehouse.query('SELECT name, count(*) FROM warehouse.klaviyo."_requests" GROUP BY name')
    assert name == "query_campaign_values" and count > 0
