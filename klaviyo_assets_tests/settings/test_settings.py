"""Settings: where they come from, what is said of wrong ones, and how they are described."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given as of
from hypothesis import settings as tried
from hypothesis import strategies as st

from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli.main import main
from klaviyo_assets.settings import Settings, SettingsError
from klaviyo_assets.settings.columns import are_columns
from klaviyo_assets.settings.describe import effective, example, json_schema
from klaviyo_assets.tables.naming import column_names
from klaviyo_assets.warehouse.duckdb.location import located

WRONG = """\
overlapp: PT1H
api_key: pk_verysecret
sync_interval: PT7M
delete_guard: 0.5
memberships: sometimes
history_start: 2022-13-01
api_url: a.klaviyo.com
tables: {evnt: true, image: maybe}
blocked_columns:
  person: [emial, id, "*", updated, "custom_*x", email, custom_homePhone, "*Line1*", custom__overflow]
  events: [a]
  metric: name
hashed_columns:
  event: [datetime, "property_*", _fivetran_synced, metric_id, "emial*"]
model_variables:
  klaviyo__email_attribution_lokback: 1
  klaviyo__count_metrics: Placed Order
  klaviyo_sources: [{schma: klaviyo_dk}, klaviyo]
  klaviyo__event_pass_through_columns: [a, {name: b, transform: c}, {alias: d}]
  klaviyo__sms_attribution_lookback: "24"
  klaviyo_event_identifier: events
  klaviyo__text_click_attribution_window: -1
  klaviyo__text_delivery_attribution_window: null
  klaviyo__push_open_attribution_window: null
  klaviyo__marts: "no"
  klaviyo__unexplained_tolerance: 5
  klaviyo__timezone: Copenhagen
  klaviyo__conversion_metric: [Placed Order]
  klaviyo_schema: ""
  using_native_attribution: "false"
"""
PROBLEMS = [
    "KLAVIYO_DELETE_GUARD): it has to be less than or equal to 1, not '7'",
    "KLAVIYO_OWNERS): it has to be a valid tuple, not '[team:data'",
    "api_key ({file}): a secret does not belong here, where it is kept in the clear: put it into the environment "
    "variable KLAVIYO_API_KEY, in .env for example",
    "api_url ({file}): it has to be an address such as https://a.klaviyo.com/api, without a user, a password or a "
    "query in it, not 'a.klaviyo.com'",
    "history_start ({file}): it has to be a valid date",
    "blocked_columns.events ({file}): there is no such table; did you mean event?",
    "blocked_columns.metric ({file}): it has to be a list of columns, or of patterns such as custom_*phone*, "
    "not 'name'",
    "blocked_columns.person[0] ({file}): person has no column emial; did you mean email?",
    "blocked_columns.person[1] ({file}): id can be neither blocked nor hashed: it is the key",
    "blocked_columns.person[2] ({file}): * also names ",
    "blocked_columns.person[3] ({file}): updated can be neither blocked nor hashed: the sync goes by it",
    "blocked_columns.person[6] ({file}): no property's column is called custom_homePhone; did you mean "
    "custom_home_phone?",
    "blocked_columns.person[7] ({file}): no property's column is called *Line1*; did you mean *line_1*?",
    "blocked_columns.person[8] ({file}): custom__overflow holds the properties that the table has no column for: name "
    "those",
    "hashed_columns.event[0] ({file}): datetime can be neither blocked nor hashed",
    "hashed_columns.event[2] ({file}): _fivetran_synced can be neither blocked nor hashed: the sync itself writes it",
    "hashed_columns.event[3] ({file}): metric_id can be neither blocked nor hashed: the reconciliation counts by it",
    "hashed_columns.event[4] ({file}): event has no column that it matches",
    "memberships ({file}): it has to be 'off', 'weekly' or 'incremental', not 'sometimes'",
    "model_variables.klaviyo__conversion_metric ({file}): it has to be a name",
    "model_variables.klaviyo__count_metrics ({file}): it has to be a list",
    "model_variables.klaviyo__email_attribution_lokback ({file}): the models have no such variable; did you mean "
    "klaviyo__email_attribution_lookback?",
    "model_variables.klaviyo__event_pass_through_columns[1].transform ({file}): there is no such member; did you mean "
    "transform_sql?",
    "model_variables.klaviyo__event_pass_through_columns[2] ({file}): it needs the name of a column",
    "model_variables.klaviyo__marts ({file}): it has to be true or false",
    "model_variables.klaviyo__push_open_attribution_window ({file}): it has to be a number of hours; 0 for a touch "
    "that earns no credit",
    "model_variables.klaviyo__sms_attribution_lookback ({file}): it has to be a number",
    "model_variables.klaviyo__text_click_attribution_window ({file}): it has to be a number of hours; 0 for a touch "
    "that earns no credit",
    "model_variables.klaviyo__timezone ({file}): it has to be a time zone, Europe/Copenhagen for one",
    "model_variables.klaviyo__unexplained_tolerance ({file}): it has to be a share, from 0 to 1",
    "model_variables.klaviyo_event_identifier ({file}): dbt_klaviyo has it, these models do without",
    "model_variables.klaviyo_schema ({file}): it has to be a name",
    "model_variables.klaviyo_sources[0].schma ({file}): there is no such member; did you mean schema?",
    "model_variables.klaviyo_sources[1] ({file}): it has to be a mapping",
    "model_variables.using_native_attribution ({file}): it has to be true or false",
    "overlapp ({file}): there is no such setting; did you mean overlap?",
    "sync_interval ({file}): it must be 5 to 60 minutes that divide an hour, or hours that divide a day, not 'PT7M'",
    "tables.evnt ({file}): there is no such table; did you mean event?",
    "tables.image ({file}): it has to be true or false, not 'maybe'",
]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KLAVIYO_")]:
        monkeypatch.delenv(name)


def settings_file(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = folder / "klaviyo.yaml"
    file.write_text(text)
    monkeypatch.setenv("KLAVIYO_SETTINGS", str(file))
    return file


def test_one_error_lists_every_problem_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = settings_file(tmp_path, WRONG, monkeypatch)
    monkeypatch.setenv("KLAVIYO_DELETE_GUARD", "7")
    monkeypatch.setenv("KLAVIYO_OWNERS", "[team:data")
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_of_the_environment")  # says nothing of the file's
    with pytest.raises(SettingsError) as raised:
        Settings()
    message = str(raised.value)
    for problem in PROBLEMS:
        assert problem.format(file=file) in message
    lines = message.splitlines()
    assert lines[0] == f"{len(PROBLEMS)} settings are wrong:" and len(lines) == 1 + len(PROBLEMS)
    assert "pk_verysecret" not in message

    done = CliRunner().invoke(main, ["settings"])
    assert done.exit_code == 1 and done.output == f"Error: {message}\n"
    assert CliRunner().invoke(main, ["check"]).output == f"Error: {message}\n"
    loaded = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "klaviyo_assets.definitions"],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert loaded.returncode != 0
    assert f"{len(PROBLEMS)} settings are wrong:" in loaded.stdout + loaded.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "is no YAML"),
        ("- a\n", "has to hold settings"),
        (None, "which does not exist"),
    ],
)
def test_a_file_that_can_not_be_read(
    text: str | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings_file(tmp_path, text or "", monkeypatch)
    if text is None:
        file.unlink()
    monkeypatch.setenv("KLAVIYO_DELETE_GUARD", "many")
    with pytest.raises(SettingsError, match=problem) as raised:
        Settings()
    assert str(file) in str(raised.value) and "delete_guard (KLAVIYO_DELETE_GUARD)" in str(raised.value)


def test_python_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file(
        tmp_path, "schema: from_file\nreread_days: 3\noverlap: PT2H\nblocked_columns: {person: [email]}\n", monkeypatch
    )
    monkeypatch.setenv("KLAVIYO_SCHEMA", "from_environment")
    monkeypatch.setenv("KLAVIYO_REREAD_DAYS", "4")
    monkeypatch.setenv("KLAVIYO_HASHED_COLUMNS", '{"event": ["property_*phone*"], "person": ["last_name"]}')
    monkeypatch.setenv("KLAVIYO_TABLES", '{"image": true}')
    monkeypatch.setenv("KLAVIYO_ONLY_ACTIVE_PROFILES", "true")
    found = Settings(reread_days=5)
    assert (found.schema_name, found.reread_days, found.overlap.total_seconds()) == ("from_environment", 5, 7200)
    assert found.blocked_columns == {"person": ["email"]} and found.tables == {"image": True}
    assert found.hashed_columns == {"event": ["property_*phone*"], "person": ["last_name"]}
    assert found.only_active_profiles is True
    assert Settings(schema="mine").schema_name == "mine"
    with pytest.raises(SettingsError, match=r"^One setting is wrong:\n- reread_days: it has to be"):
        Settings(reread_days=-1)


def test_the_example_is_valid_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CliRunner().invoke(main, ["settings", "--example"]).output
    assert text == example() and len(yaml.safe_load(text)) == len(Settings.model_fields)
    jsonschema.validate(yaml.safe_load(text), json_schema())
    defaults = Settings()
    settings_file(tmp_path, text, monkeypatch)
    assert Settings() == defaults
    # The examples in its comments are valid, too.
    lines = [line.removeprefix("#: ") for line in text.splitlines() if line.startswith("#: ")]
    examples = yaml.safe_load("\n".join(lines))
    assert {"blocked_columns", "hashed_columns", "tables"} <= examples.keys()
    settings_file(tmp_path, "\n".join(lines), monkeypatch)
    assert Settings().blocked_columns == examples["blocked_columns"]
    jsonschema.validate(examples, json_schema())


def test_the_schema_knows_the_names_and_values_that_users_write() -> None:
    schema = json.loads(CliRunner().invoke(main, ["settings", "--schema"]).output)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "schema" in schema["properties"] and "KLAVIYO_SCHEMA" not in json.dumps(schema)
    assert {*yaml.safe_load(example()), "duckdb_path"} == schema["properties"].keys()
    bad: list[Any] = [{"overlapp": 1}, {"packing": "tight"}, {"delete_guard": 2}, {"blocked_columns": {"person": "x"}}]
    for wrong in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_settings_in_effect_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_verysecret")
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "verysalty")
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "md:shop?motherduck_token=abcdef&x=1")
    monkeypatch.setenv("KLAVIYO_SYNC_INTERVAL", "1800")
    text = CliRunner().invoke(main, ["settings"]).output
    assert text == effective(Settings()) and not any(s in text for s in ("pk_verysecret", "verysalty", "abcdef"))
    found = yaml.safe_load(text)
    assert found["sync_interval"] == "PT30M" and found["warehouse"] == "md:shop?motherduck_token=***&x=1"
    settings_file(tmp_path, text, monkeypatch)
    assert Settings().sync_interval.total_seconds() == 1800


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "My Shop"}, "not 'My Shop'"),
        ({"schema": ""}, "not ''"),
        ({"history_start": "2022-13-01"}, "not '2022-13-01'"),
        (
            {"duckdb_path": ":memory:"},
            "warehouse: it has to be a file or `md:name`: of a database in memory nothing ",
        ),
        ({"duckdb_path": ":Memory:shop"}, "outlives the process, not ':Memory:shop'"),
        ({"duckdb_path": " "}, "outlives the process, not ' '"),
        ({"duckdb_path": ""}, "outlives the process, not ''"),
        ({"duckdb_path": ":default:"}, "outlives the process, not ':default:'"),
        ({"overlap": dt.timedelta(hours=-1)}, "not '-1 day, 23:00:00'"),
        ({"packing": "tight"}, "not 'tight'"),
        ({"max_concurrency": 65}, "not 65"),
        ({"tables": ["image"]}, "not ['image']"),
        ({"blocked_columns": {"person": [7]}}, "not 7"),
        ({"owners": "x" * 5000}, " ..."),
    ],
)
def test_an_error_names_the_value_that_was_given(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**given)
    assert said in str(raised.value) and len(str(raised.value)) < 300


@tried(deadline=None, max_examples=200)
@of(st.sets(st.text(max_size=300), min_size=1, max_size=3))
def test_every_name_that_a_property_gets_may_be_hidden(keys: set[str]) -> None:
    keys |= {key.upper() for key in keys}  # some share a name
    names = [*column_names(keys, "custom_").values(), "custom_*2*", "custom_*[Pp]hone", "custom_phone_ab12cd34", "*_?"]
    assert list(are_columns({"person": names})) == []


@pytest.mark.parametrize("given", [{"schema": ["pk_verysecret"]}, {"api_key_variable": ["verysecret"]}])
def test_an_error_names_no_secret(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**given)
    assert "verysecret" not in str(raised.value)


def test_the_warehouse_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "md:shop")
    assert Settings().duckdb_path == "md:shop"
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "md:shop")
    assert Settings().duckdb_path == "md:shop"
    monkeypatch.setenv("KLAVIYO_DUCKDB_PATH", "data/older.duckdb")
    with pytest.raises(
        SettingsError, match="KLAVIYO_WAREHOUSE in the shell and KLAVIYO_DUCKDB_PATH in the shell are one"
    ):
        Settings()
    monkeypatch.delenv("KLAVIYO_WAREHOUSE")
    assert Settings().duckdb_path == located("data/older.duckdb")


def test_the_default_file_of_earlier_versions_is_still_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().duckdb_path == located("data/warehouse.duckdb")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/klaviyo.duckdb").touch()
    assert Settings().duckdb_path == located("data/klaviyo.duckdb")
    assert Settings(duckdb_path="other.duckdb").duckdb_path == located("other.duckdb")
    assert "data/klaviyo.duckdb" in CliRunner().invoke(main, ["settings"]).output.split("# the default in earlier")[0]
    (tmp_path / "data/warehouse.duckdb").touch()
    assert Settings().duckdb_path == located("data/warehouse.duckdb")


def test_the_settings_in_effect_say_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = settings_file(tmp_path, "schema: shop\nreread_days: 3\n", monkeypatch)
    (tmp_path / ".env").write_text("KLAVIYO_OVERLAP=PT4H\nKLAVIYO_DELETE_GUARD=0.1\n")
    monkeypatch.setenv("KLAVIYO_DELETE_GUARD", "0.2")
    monkeypatch.setenv("KLAVIYO_OVERLAP", "PT4H")
    lines = {line.split(":")[0]: line for line in CliRunner().invoke(main, ["settings"]).output.splitlines()}
    assert lines["delete_guard"].split() == ["delete_guard:", "0.2", "#", "KLAVIYO_DELETE_GUARD", "in", "the", "shell"]
    assert lines["overlap"].endswith("# KLAVIYO_OVERLAP in .env")
    assert lines["schema"].endswith(f"# {file}") and lines["reread_days"].endswith(f"# {file}")
    assert lines["memberships"].split() == ["memberships:", "'off'", "#", "default"]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("KLAVIYO_SYNC_INTERVALL", "sync_interval"),
        ("KLAVIYO_BLOCKED_COLUMN", "blocked_columns"),
        ("KLAVIYO_SCHEMAS", "schema"),
        ("KLAVIYO_DUCKDBPATH", "duckdb_path"),
    ],
)
def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, variable: str, meant: str) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError) as raised:
        Settings()
    assert f"({variable}" in str(raised.value) and f"there is no such setting; did you mean {meant}?" in str(
        raised.value
    )


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("API_KEY", "KEY_DK", "API_KEY_SE", "HASH_SALT", "HASH_SALT_2")
    for name in (*ours, "PUBLIC_KEY", "PRIVATE_API_KEY", "LIST_ID", "API_REVISION", "ENABLED", "TIMEOUT", "USERNAME"):
        monkeypatch.setenv(f"KLAVIYO_{name}", "x")
    monkeypatch.setenv("KLAVIYO_OWNERS", "")
    monkeypatch.setenv("KLAVIYO_OWNER", "")
    assert Settings().owners == ()


@pytest.mark.parametrize(
    "url",
    ["a.klaviyo.com", "ftp://a.klaviyo.com/api", "https://u:geheim@a.klaviyo.com/api", "https://a.klaviyo.com/?x=1"],
)
def test_an_address_that_is_none_is_one_line_in_every_command(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_URL", url)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_any")
    for command in ("settings", "check"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 1 and "api_url (KLAVIYO_API_URL): it has to be an address" in done.output
        assert "Traceback" not in done.output and "geheim" not in done.output and len(done.output.splitlines()) == 2


# What processes share


@pytest.mark.parametrize("given", ["1/3", 0.25, 1, "1", "0.5"])
def test_a_share_is_a_fraction_and_reaches_the_client(given: Any) -> None:
    settings = Settings(rate_share=given)
    (account,) = [each for name, each in (build_definitions(settings).resources or {}).items() if "account" in name]
    assert account.rate_share == str(given)
    jsonschema.validate({"rate_share": given}, json_schema())


@pytest.mark.parametrize("given", ["0", "1/0", "3/2", -1, "half", True, "1/17", "1e999999999", "0.5/1", "1/-1"])
def test_what_is_no_share_is_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="rate_share: it has to be "):
        Settings(rate_share=given)
