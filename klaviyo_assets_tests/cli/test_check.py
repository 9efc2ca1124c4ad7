"""The connection test, as users and scripts see it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from klaviyo_assets.api import REVISION
from klaviyo_assets.cli.check import PROBES, check
from klaviyo_assets.cli.main import main
from klaviyo_assets.sandbox.faults import Status
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.tables.registry import TABLES
from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.reference import openapi


@pytest.fixture
def klaviyo(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    made = project(
        generate_account(events=50, profiles=20, days=2, seed=1), tables=only("metric", "integration", "list")
    )
    monkeypatch.setenv("KLAVIYO_API_URL", made.sandbox.url)
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", made.settings.duckdb_path)
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps(made.settings.tables))
    return made


def test_everything_works(klaviyo: Project) -> None:
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 0, result.output
    assert f"revision   {REVISION} of the API" in result.output
    assert "Acme Tea" in result.output and "events:read" in result.output and "never" in result.output
    klaviyo.sync(first=-2)
    report = json.loads(CliRunner().invoke(main, ["check", "--json"]).output)
    assert report["problems"] == []
    metric = next(table for table in report["tables"] if table["table"] == "metric")
    assert metric["rows"] == len(klaviyo.account.all("metric")) and metric["next_due"] == "every sync"
    assert metric["due"] and report["key_variable"] == "KLAVIYO_API_KEY"
    assert "pk_sandbox" not in json.dumps(report)
    event = next(table for table in report["tables"] if table["table"] == "event")
    assert event["rows"] == len(klaviyo.account.events)
    state = klaviyo.warehouse.state("event")
    assert state and state.synced_through and event["synced_through"] == state.synced_through.isoformat()
    shown = klaviyo.instance.get_latest_materialization_event(dg.AssetKey(["klaviyo", "history"]))
    assert shown and shown.asset_materialization
    of_asset = {name: value.value for name, value in shown.asset_materialization.metadata.items()}
    assert report["history"] == {name: of_asset[name] for name in report["history"]}
    text = CliRunner().invoke(main, ["check"]).output
    assert f"complete from {report['history']['oldest_day_complete']} on: 7 days done, " in text


def test_a_terminal_gets_no_commands(klaviyo: Project) -> None:
    (account,) = klaviyo.account.all("account")
    account.attributes["contact_information"]["organization_name"] = "Acme\x1b]0;Tea\x9b31m"
    output = CliRunner().invoke(main, ["check"]).output
    assert "Acme\ufffd]0;Tea\ufffd31m" in output and not {"\x1b", "\x9b"} & set(output)


def test_what_is_due_is_said(klaviyo: Project) -> None:
    settings = klaviyo.settings.model_copy(update={"tables": only("campaign", "list")})
    fresh = Project(klaviyo.sandbox, settings, klaviyo.instance)
    assert {table.due for table in check(settings).tables} == {True}, "nothing was synced yet"
    fresh.sync(first=-2)
    assert {table.table: table.due for table in check(settings).tables} == {
        "event": True, "person": True, "list": True, "campaign": False
    }  # fmt: skip


def test_the_end_of_the_revision_is_announced(klaviyo: Project) -> None:
    assert check(klaviyo.settings).warnings == []
    (warning,) = check(klaviyo.settings, today=dt.date(2028, 4, 17)).warnings
    assert "revision 2026-07-15" in warning and "for 89 more days: update" in warning


def test_a_key_for_the_earlier_revision_alone(klaviyo: Project) -> None:
    settings = klaviyo.settings.model_copy(update={"tables": only("campaign", "coupon", "email_template")})
    klaviyo.sandbox.faults.append(lambda call: Status(400) if call.headers["revision"] == "2026-10-15" else None)
    report = check(settings)
    told = [
        f"Of {name}, only what revision 2026-07-15 shows" for name in ("get_campaigns", "get_templates", "get_coupons")
    ]
    assert report.problems == [] and [warning.partition(" is read")[0] for warning in report.warnings] == told
    problems = {scope.scope: scope.problem for scope in report.scopes}
    assert [problems[f"{name}:read"] for name in ("campaigns", "coupons", "templates")] == [None] * 3


def test_a_missing_scope_is_named_with_its_tables(klaviyo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    klaviyo.account.keys["pk_sandbox"] = frozenset({"events:read", "metrics:read", "profiles:read"})
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 0
    assert "missing    lists:read         list" in result.output
    monkeypatch.setenv("KLAVIYO_MISSING_SCOPE", "fail")
    strict = CliRunner().invoke(main, ["check"])
    assert strict.exit_code == 1
    assert (
        "PROBLEM    The setting `missing_scope: fail` lets no table be skipped. Missing: lists:read, " in strict.output
    )


def test_problems_say_what_to_do(klaviyo: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", str(tmp_path / "folder"))
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 1
    assert "KLAVIYO_API_KEY" in result.output and "can't be written" in result.output
    assert "pk_wrong" not in result.output
    monkeypatch.delenv("KLAVIYO_API_KEY")
    assert "is not set" in CliRunner().invoke(main, ["check"]).output


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KLAVIYO_API_KEY": "pk_wrong"}, "does not accept the API key"),
        ({"KLAVIYO_API_URL": "http://127.0.0.1:9/api"}, "did not answer get_accounts"),
        ({"KLAVIYO_API_URL": "{url}"}, "the setting `api_url` is not that of Klaviyo's API"),
        ({"KLAVIYO_API_URL": "{url}/api/v3"}, "the setting `api_url` is not that of Klaviyo's API"),
    ],
)
def test_ok_is_said_only_of_what_was_answered(
    variables: dict[str, str], said: str, klaviyo: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(url=klaviyo.sandbox.url.removesuffix("/api")))
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 1, result.output
    assert not [line for line in result.output.splitlines() if line.startswith("ok")]
    assert result.output.startswith("PROBLEM    ") and said in result.output.partition("\n")[0]
    assert result.output.count("PROBLEM") == 1 and "never" not in result.output, "what matters is not lost in tables"
    assert not Path(klaviyo.settings.duckdb_path).exists(), "it was tried whether it can be made"
    report = json.loads(CliRunner().invoke(main, ["check", "--json"]).stdout)
    assert report["scopes"] == [] and len(report["problems"]) == 1


def test_a_question_that_fails_later_is_not_ok_either(klaviyo: Project) -> None:
    klaviyo.sandbox.faults.append(lambda call: Status(404) if call.operation == "get_events" else None)
    report = check(klaviyo.settings)
    assert [scope.scope for scope in report.scopes] == ["accounts:read"] and len(report.problems) == 1


def test_each_value_is_shown_with_where_it_comes_from(klaviyo: Project) -> None:
    text = CliRunner().invoke(main, ["check"]).output
    assert "key in KLAVIYO_API_KEY, the shell" in text
    assert f'api_url: "{klaviyo.sandbox.url}", from KLAVIYO_API_URL in the shell' in text
    assert "schema:" not in text, "it has its default"


def test_every_family_is_probed_and_every_scope_is_the_documents() -> None:
    assert {scope for table in TABLES for scope in table.family.scopes} == PROBES.keys()
    paths = openapi()["paths"]
    for scope, probe in PROBES.items():
        operation = paths[f"/api{probe.path}"]["get"]
        assert operation["operationId"] == probe.operation
        assert scope in json.dumps(operation)


def test_the_probes_agree_with_the_sandbox(project: Callable[..., Project]) -> None:
    everything = {table.name: True for table in TABLES}
    account = generate_account(events=50, profiles=20, days=2, seed=1)
    klaviyo = project(account, tables=everything, memberships="weekly")
    report = check(klaviyo.settings)
    assert [scope.problem for scope in report.scopes if scope.problem] == []
    assert {scope.scope for scope in report.scopes} == set(PROBES)
