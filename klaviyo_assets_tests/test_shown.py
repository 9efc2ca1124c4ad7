"""What README and docs show besides Python code is true: commands, options, variables, files, YAML and SQL.

Python code is run by test_documents.py; test_readme.py binds the tables of the README, test_graphql.py docs/api.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli.main import main
from klaviyo_assets.models.project import is_installed, read_variables
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.command_lines import parse
from klaviyo_assets_tests.documents import ALL, README, blocks, lines
from klaviyo_assets_tests.warehouse.databases import postgres_database

ROOT = README.parent
TESTS = Path(__file__).parent
VARIABLES = {f"KLAVIYO_{name.upper()}" for name in Settings.model_fields} | {
    "KLAVIYO_API_KEY",
    "KLAVIYO_HASH_SALT",
    "KLAVIYO_SCHEMA",
    "KLAVIYO_SETTINGS",
    "KLAVIYO_TEST_BQEMULATOR",
    "KLAVIYO_TEST_CHDB",
    "KLAVIYO_TEST_SDK",
    "KLAVIYO_TEST_CLICKHOUSE",
    "KLAVIYO_TEST_FAKESNOW",
    "KLAVIYO_TEST_MACHINES",
    "KLAVIYO_TEST_POSTGRES",
    "KLAVIYO_DUCKDB_PATH",  # of earlier versions
}
OF_EXAMPLES = {"KLAVIYO_KEY_DK", "KLAVIYO_KEY_SE", "KLAVIYO_WAREHOUSE_DK"}


# Commands


def test_commands_exist_with_these_options() -> None:
    known = Counter(parse(line) for document in ALL for line in lines(document) if is_command(line))
    assert min(known[name] for name in ("klaviyo-assets", "make", "dagster")) > 5, known


def is_command(line: str) -> bool:
    return bool(re.match(r"(uv run |\S*/bin/)?(make|klaviyo-assets|dagster(-daemon|-webserver)?)( |$)", line))


@pytest.mark.parametrize(
    "line",
    [
        "klaviyo-assets synk",
        "klaviyo-assets sync --form 2026-01-01",
        "make demos",
        "make demo WAREHOUS=x",
        "dagster up",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        parse(line)


def test_every_command_and_option_is_explained_and_known_to_a_test() -> None:
    tests = "".join(file.read_text() for file in TESTS.rglob("*.py"))
    for name, command in main.commands.items():
        assert command.help and f'"{name}"' in tests, name
        for option in command.params:
            assert isinstance(option, click.Option) and option.help, f"{name} {option.name}"
            unknown = [word for word in (*option.opts, *option.secondary_opts) if word not in tests]
            assert unknown == [], f"{name}: no test speaks of {unknown}"


def test_every_setting_is_known_to_a_test() -> None:
    tests = "".join(file.read_text() for file in TESTS.rglob("*.py") if file != Path(__file__))
    assert [name for name in Settings.model_fields if not re.search(rf"\b{name}\b", tests)] == []


def test_variables_extras_and_files_exist() -> None:
    extras = set(metadata("klaviyo-assets").get_all("Provides-Extra") or ())
    for document in ALL:
        text = document.read_text()
        assert set(re.findall(r"\bKLAVIYO_[A-Z_]*[A-Z]\b", text)) <= VARIABLES | OF_EXAMPLES, document.name
        named = re.findall(r"klaviyo[-_]assets[^\s\[]*\[([\w,-]+)\]", text)
        assert {extra for each in named for extra in each.split(",")} <= extras, document.name
        versions = re.findall(r"klaviyo[-_]assets[-:](\d[\w.]*?)-py3", text)
        assert set(versions) <= {metadata("klaviyo-assets")["Version"]}, document.name
        files = {word for word in re.findall(r"(?<![\w/.-])deploy/[\w./*-]*\w", text) if "klaviyo.env" not in word}
        assert [file for file in files if not list(ROOT.glob(file))] == [], document.name
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        assert [link for link in links if not (document.parent / link).exists()] == [], document.name


# YAML

EVERYTHING = [(document, block) for document in ALL for block in blocks(document, "yaml")]
ELSEWHERE = {"type": "test_component.py", "sources": "test_downstream.py", "sync": "test_graphql.py"}
"""First key of what another test tries -> where."""


@pytest.mark.parametrize("block", [block for _, block in EVERYTHING], ids=lambda block: block.split("\n")[0])
def test_yaml_is_what_it_is_said_to_be(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = yaml.safe_load(block)
    first = next(iter(shown))
    if first in ELSEWHERE:
        assert (TESTS / ELSEWHERE[first]).exists() or list(TESTS.rglob(ELSEWHERE[first]))
    elif first == "ops":
        (op,) = shown["ops"]
        (job,) = (job for job in build_definitions(Settings()).resolve_all_job_defs() if job.name == JOBS[op])
        assert dg.validate_run_config(job, shown)
    elif first == "event_log_storage":
        (tmp_path / "dagster.yaml").write_text(block)
        dagster_instance_config(str(tmp_path))
    elif first == "vars":
        assert shown["vars"].keys() <= read_variables().keys()
    elif isinstance(shown[first], dict) and "target" in shown[first]:
        profile(shown[first])
    else:
        (tmp_path / "klaviyo.yaml").write_text(block)
        monkeypatch.setenv("KLAVIYO_SETTINGS", str(tmp_path / "klaviyo.yaml"))
        assert shown.keys() <= Settings().model_fields_set


JOBS = {
    "klaviyo__forget": "klaviyo_resync",
    "klaviyo__rewrite": "klaviyo_rewrite",
    "klaviyo_models__campaign_report": "klaviyo_models_job",
}
PROFILE = """
import json, sys
from pathlib import Path
from dbt.adapters.duckdb.credentials import DuckDBCredentials
given = json.loads(sys.argv[1])
assert given.pop("type") == "duckdb"
given = {"database": Path(given["path"]).stem, "schema": "main", **given}
DuckDBCredentials.validate(given)
DuckDBCredentials.from_dict(given)
"""


def profile(shown: dict[str, Any]) -> None:
    """Let dbt read the profile of a DuckDB file."""
    if not is_installed():
        pytest.skip("the extra `models` is not installed")
    output = json.dumps(shown["outputs"][shown["target"]])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROFILE, output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# SQL: of the tables by test_downstream.py, of the models by test_models.py


def test_what_a_postgres_role_is_granted(tmp_path: Path) -> None:
    role, readers = blocks(README.with_name("docs") / "postgres.md", "sql")
    address = postgres_database(tmp_path)
    import psycopg

    database = psycopg.conninfo.conninfo_to_dict(address)["dbname"]
    names = {"klaviyo": f"loader_{database}", "analysts": f"readers_{database}", "shop": database}

    def renamed(statement: str) -> bytes:
        """Roles are those of a server that other tests use, too."""
        for name, other in names.items():
            statement = re.sub(rf"(ROLE|TO|DATABASE) {name}\b", rf"\1 {other}", statement)
        return statement.encode()

    with psycopg.connect(address, autocommit=True) as owner:
        for statement in (*role.split(";\n"), f"CREATE ROLE {names['analysts']}"):
            owner.execute(renamed(statement))
        owner.execute(f"SET ROLE {names['klaviyo']}".encode())
        for statement in ("CREATE SCHEMA klaviyo", "CREATE TABLE klaviyo.event (id text)", *readers.split(";\n")):
            owner.execute(renamed(statement))
        owner.execute(b"CREATE TABLE klaviyo.person (id text)")
        owner.execute(f"RESET ROLE; SET ROLE {names['analysts']}".encode())
        for table in ("event", "person"):
            assert owner.execute(f"SELECT * FROM klaviyo.{table}".encode()).fetchall() == []
