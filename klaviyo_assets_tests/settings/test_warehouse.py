"""The address of the warehouse: what it may be, what it may hold, and where two addresses mean one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.cli.main import main
from klaviyo_assets.models.report.asset import default_path
from klaviyo_assets.settings import Settings, SettingsError, require_distinct
from klaviyo_assets.settings.describe import json_schema
from klaviyo_assets.warehouse.location import located, place_of, server, shown

SECRET = "very-s3cret"
URL = f"postgresql://loader:{SECRET}@db.example:6432/shop?sslmode=require"
SHOWN = "postgresql://loader@db.example:6432/shop?sslmode=require"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("KLAVIYO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("place", ["shell", ".env"])
def test_the_environment_may_hold_the_password_and_nothing_shows_it(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if place == ".env":
        (tmp_path / ".env").write_text(f"KLAVIYO_WAREHOUSE={URL}\n")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", URL)  # Dagster and the commands load .env into it
    settings = Settings()
    assert (settings.warehouse, settings.url_variable) == (SHOWN, "KLAVIYO_WAREHOUSE")
    assert SECRET not in repr(settings) + settings.model_dump_json()
    text = CliRunner().invoke(main, ["settings"]).output
    assert yaml.safe_load(text)["warehouse"] == SHOWN and SECRET not in text


@pytest.mark.parametrize(
    ("address", "url_variable"),
    [(SHOWN, None), ("service=klaviyo", None), ("postgresql://h/db", None), ("postgres:///db?host=/tmp/pg", None)],
)
def test_an_address_without_a_password(address: str, url_variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address)
    assert (Settings().warehouse, Settings().url_variable) == (address, url_variable)
    assert Settings(warehouse=address).warehouse == address


@pytest.mark.parametrize("name", ["warehouse", "duckdb_path"])
@pytest.mark.parametrize(
    "address",
    [URL, *(f"postgres:///shop?{name}={SECRET}" for name in ("password", "sslpassword", "Password", "pwd"))],
)
def test_a_password_in_a_file_or_in_code_is_refused(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"a password does not belong here.*KLAVIYO_WAREHOUSE, in \.env") as raised:
        Settings(**{name: address})
    assert "warehouse:" in str(raised.value) and SECRET not in str(raised.value)
    (tmp_path / "klaviyo.yaml").write_text(f"{name}: {address}\n")
    monkeypatch.setenv("KLAVIYO_SETTINGS", "klaviyo.yaml")
    for command in ("settings", "check"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 1 and SECRET not in done.output
        assert r"warehouse (klaviyo.yaml): a password does not belong here" in done.output


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"postgresql://loader:{SECRET}/x@h/db", "`/` %2F"),
        (f"postgresql://loader:{SECRET}@x@h/db", "`@` is written %40"),
        (f"postgresql://loader:{SECRET}%@h/db", "`%` %25"),
        (f"host=h user=loader password={SECRET}", "it has to be a URL"),
        (f"service=x password={SECRET}", "it has to be a URL"),
        (f"mysql://loader:{SECRET}@h/db", "it has to be a DuckDB file"),
        (f"postgresql//loader:{SECRET}@h/db", "it looks like the URL of a server"),
        (f"postgres:/loader:{SECRET}@h/db", "it looks like the URL of a server"),
        (f"postgresql+psycopg://loader:{SECRET}@h/db", "it has to be a DuckDB file"),
    ],
)
@pytest.mark.parametrize("variable", ["KLAVIYO_WAREHOUSE", "KLAVIYO_DUCKDB_PATH"])
def test_what_is_no_address_is_refused_without_repeating_it(
    address: str, said: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(SettingsError) as raised:
        Settings()
    assert said in str(raised.value) and SECRET not in str(raised.value)
    assert f"warehouse ({variable})" in str(raised.value)


def test_the_older_name_is_the_same_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "klaviyo.yaml").write_text("duckdb_path: older.duckdb\n")
    jsonschema.validate({"duckdb_path": "older.duckdb"}, json_schema())
    monkeypatch.setenv("KLAVIYO_SETTINGS", "klaviyo.yaml")
    assert Settings().warehouse == Settings().duckdb_path == located("older.duckdb")
    assert "older.duckdb" in CliRunner().invoke(main, ["settings"]).output.split("# klaviyo.yaml")[0]
    assert Settings(duckdb_path="md:shop").warehouse == "md:shop"
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", SHOWN)
    assert Settings().warehouse == SHOWN, "the environment wins over the file, whichever name is used"
    with pytest.raises(SettingsError, match="`warehouse` and `duckdb_path` are one setting"):
        Settings(warehouse="a.duckdb", duckdb_path="b.duckdb")


# Several accounts


def test_each_account_has_an_address_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "postgresql://h/all")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE_DK", URL)
    monkeypatch.setenv("KLAVIYO_WAREHOUSE_SE", f"postgresql://loader:{SECRET}@db.example/se")
    danish, swedish = (
        Settings(name=name, warehouse_variable=f"KLAVIYO_WAREHOUSE_{name.upper()}") for name in ("dk", "se")
    )
    assert (danish.warehouse, danish.url_variable) == (SHOWN, "KLAVIYO_WAREHOUSE_DK")
    assert (swedish.warehouse, swedish.url_variable) == ("postgresql://loader@db.example/se", "KLAVIYO_WAREHOUSE_SE")
    assert Settings().warehouse == "postgresql://h/all"
    require_distinct([danish, swedish])
    (tmp_path / "klaviyo.yaml").write_text("warehouse_variable: KLAVIYO_WAREHOUSE_DK\n")
    monkeypatch.setenv("KLAVIYO_SETTINGS", "klaviyo.yaml")
    assert Settings().warehouse == SHOWN
    with pytest.raises(SettingsError, match="NOWHERE, which the setting `warehouse_variable` names, is not set"):
        Settings(warehouse_variable="NOWHERE")
    monkeypatch.setenv("KLAVIYO_WAREHOUSE_VARIABEL", "X")
    with pytest.raises(SettingsError, match="did you mean warehouse_variable"):
        Settings()


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("postgresql://h/db", "postgres://other@H:5432/db", True),
        ("postgresql://h/db", "postgresql://h/db?sslmode=require", True),
        ("postgresql:///db?host=h", "postgresql://h/db", True),
        ("postgresql://me@h", "postgresql://h/me", True),
        ("postgresql://h/my%20db", "postgresql://h?dbname=my%20db", True),
        ("postgresql://h:5433/db", "postgresql://h/db", False),
        ("postgresql://h/db", "postgresql://h/DB", False),
        ("service=a", "service=b", False),
        ("service=a", "service = a", True),
    ],
)
def test_two_accounts_never_share_a_schema_of_a_server(first: str, second: str, is_one: bool) -> None:
    accounts = [Settings(name=name, warehouse=address) for name, address in (("a", first), ("b", second))]
    if is_one:
        with pytest.raises(ValueError, match=r"would both write to the schema klaviyo of .*`warehouse` of its own"):
            require_distinct(accounts)
    else:
        require_distinct(accounts)
    apart = [account.model_copy(update={"schema_name": account.name}) for account in accounts]
    require_distinct(apart)
    cases = [account.model_copy(update={"schema_name": case}) for account, case in zip(accounts, "xX", strict=True)]
    require_distinct(cases)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schema": "é" * 28}, "may have 55 bytes"),
        ({"schema": "pg_klaviyo"}, "may not begin with pg_"),
    ],
)
def test_a_schema_that_postgres_would_cut_or_refuse(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings(warehouse=SHOWN, **given)
    Settings(warehouse="w.duckdb", **given)
    Settings(warehouse=SHOWN, schema="x" * 55)


PART = st.text(st.characters(codec="utf-8", exclude_characters="'"), max_size=12)


@given(st.sampled_from(["postgresql://", "postgres://", "mysql://", "POSTGRESQL://"]), PART, PART, PART)
def test_nothing_that_is_shown_holds_a_password(scheme: str, user: str, before: str, rest: str) -> None:
    address = f"{scheme}{user}:{before}{SECRET}@{rest}"
    assert SECRET not in shown(address)
    try:
        found = server(address)
    except ValueError as error:
        assert SECRET not in str(error)
    else:
        assert found and SECRET not in repr(found) and SECRET not in place_of(address)
        again = server(found.text)
        assert again and not again.has_secret and (again.text, again.place) == (found.text, found.place)


def test_the_report_of_a_servers_database_has_its_name() -> None:
    for address, name in (("postgresql://h/klaviyo_demo", "klaviyo_demo"), ("service=x", "warehouse")):
        assert default_path(Settings(warehouse=address)) == Path(f"data/{name}_campaign_report.html")
