"""`klaviyo-assets init`: what it asks, tries and writes, against a sandbox."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from dotenv import dotenv_values

from klaviyo_assets.cli.main import main
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

KEY = "pk_sandbox"
NAMES = ("KLAVIYO_API_KEY", "KLAVIYO_WAREHOUSE", "KLAVIYO_SETTINGS", "KLAVIYO_API_URL", "DAGSTER_HOME")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(generate_account(events=60, profiles=8, days=3, seed=3)) as served:
        yield served


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository whose `.env` says where the sandbox is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)  # the sandbox has no limits
    forget(monkeypatch)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / ".env").write_text(f"# the shop\nexport OTHER='as it was'\nKLAVIYO_API_URL={sandbox.url}")
    (tmp_path / ".env").chmod(0o644)
    return tmp_path


def forget(patch: pytest.MonkeyPatch) -> None:
    """A shell that has none of the variables, as each command is started from."""
    for name in (*NAMES, "OTHER"):
        patch.setenv(name, "")  # what a command loads from `.env` goes when the test ends
        patch.delenv(name)


def init(*arguments: str, typed: str = "", code: int = 0) -> str:
    done = CliRunner().invoke(main, ["init", *arguments], input=typed)
    assert done.exit_code == code, done.output
    assert KEY not in done.output and "s3cr" not in done.output
    return done.output


def unwritten(folder: Path) -> bool:
    names = {file.name for file in folder.iterdir()} - {".git"}
    return names == {".env"} and dotenv_values(folder / ".env").keys() == {"OTHER", "KLAVIYO_API_URL"}


def test_what_it_writes_is_all_that_a_sync_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "taken").write_text("")
    said = init(typed=f"not a key\npk_wrong\n{KEY}\ntaken/w.duckdb\n\n")
    (folder / "taken").unlink()
    assert said.count("does not accept the API key") == 2 and "nothing can be made in" in said
    assert said.index("Acme Tea") < said.index("klaviyo-assets sync")

    text = (folder / ".env").read_text()
    assert text.startswith("# the shop\nexport OTHER='as it was'\nKLAVIYO_API_URL=")
    assert text.endswith(f"\nKLAVIYO_API_KEY={KEY}\nKLAVIYO_SETTINGS=klaviyo.yaml\n")
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert (folder / ".gitignore").read_text() == ".env\n"
    assert yaml.safe_load((folder / "klaviyo.yaml").read_text()) == {"warehouse": "data/warehouse.duckdb"}
    assert not (folder / "data").exists(), "it was only tried whether it can be made"
    forget(monkeypatch)

    before = {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}
    assert "stays as it was" in init(typed="y\n\n"), "again: the key is kept, and so is the warehouse"
    assert {file.name: file.read_text() for file in folder.iterdir() if file.is_file()} == before
    forget(monkeypatch)

    for command in (["check"], ["sync", "--tables", "event,list"]):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        forget(monkeypatch)
    assert DuckDBWarehouse(database="data/warehouse.duckdb").rows("list", ["id"])


def test_examples_in_the_settings_file_are_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init("--warehouse", "w.duckdb", typed=f"{KEY}\n")
    file = folder / "klaviyo.yaml"
    file.write_text(file.read_text().replace("#: ", ""))
    monkeypatch.setenv("KLAVIYO_SETTINGS", "klaviyo.yaml")
    settings = Settings()
    assert (settings.warehouse, str(settings.history_start)) == (str(folder / "w.duckdb"), "2020-01-01")
    assert settings.tables and settings.blocked_columns


def test_without_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "KLAVIYO_API_KEY is not set" in init("--from-env", code=1)
    monkeypatch.setenv("KLAVIYO_API_KEY", "pk_wrong")
    said = init("--from-env", code=1)
    assert "does not accept the API key" in said and "pk_wrong" not in said
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    assert "in memory" in init("--from-env", "--warehouse", ":memory:", code=1)
    assert "leave it out" in init("--warehouse", "postgresql://me:s3cret@here/shop", code=2)
    refused = init("--from-env", "--warehouse", "postgresql://me@127.0.0.1:1/shop", code=1)
    assert "Connection refused" in refused
    assert "Aborted" in init(typed="n\npk_wrong\n", code=1), "nothing more is typed"
    assert unwritten(folder)

    init("--from-env", "--warehouse", "w.duckdb")
    assert dotenv_values(".env")["KLAVIYO_API_KEY"] == KEY

    (folder / ".env").write_text((folder / ".env").read_text().replace(KEY, "pk_other"))
    assert "has another KLAVIYO_API_KEY, which --yes replaces" in init("--from-env", code=1)
    assert "Nothing was written" in init(typed="y\n\nn\n", code=1), "it asks"
    assert dotenv_values(".env")["KLAVIYO_API_KEY"] == "pk_other"
    init("--from-env", "--yes")
    assert dotenv_values(".env")["KLAVIYO_API_KEY"] == KEY


def test_what_env_has_is_replaced_by_one_answer_each(folder: Path) -> None:
    with (folder / ".env").open("a") as file:
        file.write("\nKLAVIYO_API_KEY=pk_old\nKLAVIYO_WAREHOUSE=old.duckdb\n")
    said = init(typed=f"n\n{KEY}\nnew.duckdb\n")
    assert "Replace it?" not in said and "WARNING" not in said, "the shell has none of them"
    written = dotenv_values(".env")
    assert (written["KLAVIYO_API_KEY"], written["KLAVIYO_WAREHOUSE"]) == (KEY, "new.duckdb")


def test_a_settings_file_and_what_git_has_stay(folder: Path) -> None:
    (folder / "klaviyo.yaml").write_text("tables: {image: true}\nwarehouse: mine.duckdb\n")
    (folder / ".gitignore").write_text("*.duckdb")
    subprocess.run(["git", "add", ".env"], check=True)
    said = init(typed=f"{KEY}\nother.duckdb\n")
    assert "mine.duckdb" in said and ".env is in the git repository" in said and "will be skipped" not in said
    assert (folder / "klaviyo.yaml").read_text() == "tables: {image: true}\nwarehouse: mine.duckdb\n"
    assert (folder / ".gitignore").read_text() == "*.duckdb\n.env\n"
    assert dotenv_values(".env")["KLAVIYO_WAREHOUSE"] == "other.duckdb", "which wins over the file"


@pytest.mark.parametrize(
    "at", ["postgresql://me@db.example/shop", "clickhouses://me@db.example", "snowflake://me@acme-x1/shop?warehouse=wh"]
)
def test_a_password_is_asked_for_and_stays_in_env(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Without a server: what a check of one finds, others test."""
    from klaviyo_assets.cli import check as checking

    tried: list[str | None] = []

    def check(settings: Settings) -> checking.CheckReport:
        tried.append(settings.url_variable)
        problems = [] if len(tried) > 1 else ["The server does not know you."]
        return checking.CheckReport(problems=problems, warehouse=settings.warehouse)

    monkeypatch.setattr(checking, "check", check)
    said = init(typed=f"{KEY}\n{at}\nwrong\n{at}\ns3cr@t/\n")
    assert "does not know you" in said and tried == ["KLAVIYO_WAREHOUSE"] * 2
    assert dotenv_values(".env")["KLAVIYO_WAREHOUSE"] == at.replace("@", ":s3cr%40t%2F@")
    assert "me@" not in (folder / "klaviyo.yaml").read_text()
    assert json.dumps(at) not in said


@pytest.mark.parametrize(
    "at",
    [
        "snowflake://me@acme-x1/shop?private_key_file=/keys/k.p8",
        "snowflake://me@acme-x1/shop?authenticator=externalbrowser",
        "bigquery://acme-1?location=EU",
        "connection=prod",
    ],
)
def test_no_password_is_asked_for_where_none_is_needed(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from klaviyo_assets.cli import check as checking

    found = checking.CheckReport(warehouse=at)
    monkeypatch.setattr(checking, "check", lambda settings: found)
    assert "Password" not in init(typed=f"{KEY}\n{at}\n")
    said = yaml.safe_load((folder / "klaviyo.yaml").read_text()) or {}
    assert (dotenv_values(".env").get("KLAVIYO_WAREHOUSE") or said["warehouse"]) == at
