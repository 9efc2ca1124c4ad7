"""What `make dist` has built, in new environments: what is in it, what it needs, a newcomer's way to a table."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.commands import environment
from klaviyo_assets_tests.documents import README
from klaviyo_assets_tests.webserver import launched, served

pytestmark = pytest.mark.dist

ROOT = README.parent
VERSION = version("klaviyo-assets")
WHEEL = ROOT / "dist" / f"klaviyo_assets-{VERSION}-py3-none-any.whl"
SDIST = ROOT / "dist" / f"klaviyo_assets-{VERSION}.tar.gz"
EXTRAS = {"altair", "dagster_webserver", "dbt", "pgpq", "polars", "psycopg", "sqlglot", "starlette", "uvicorn"}
PATIENCE = 300


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Run a command as in a new shell and return what it prints."""
    done = subprocess.run(
        command, cwd=cwd, env=shell(**variables), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def shell(**variables: str) -> dict[str, str]:
    kept = environment(**variables)
    return {name: value for name, value in kept.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def tracked() -> set[str]:
    return set(run("git", "ls-files", cwd=ROOT).split())


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked() if name.startswith("klaviyo_assets/")}


def test_the_sdist_holds_the_repository() -> None:
    with tarfile.open(SDIST) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert tracked() - names == set()
    of_setuptools = {name for name in names if name.startswith("klaviyo_assets.egg-info/")}
    assert names - tracked() - of_setuptools == {"PKG-INFO"}


def test_the_core_alone_is_installed_and_works(tmp_path: Path) -> None:
    run("uv", "venv", cwd=tmp_path)
    run("uv", "pip", "install", str(WHEEL), cwd=tmp_path)
    bin = tmp_path / ".venv" / "bin"
    assert run(str(bin / "klaviyo-assets"), "--help", cwd=tmp_path).startswith("Usage: klaviyo-assets ")
    shows = (
        "import json, klaviyo_assets as k; from importlib.util import find_spec;"
        f"print(json.dumps([k.__version__, k.__file__, [name for name in {sorted(EXTRAS)} if find_spec(name)]]))"
    )
    found, file, extras = json.loads(run(str(bin / "python"), "-c", shows, cwd=tmp_path))
    assert (found, extras) == (VERSION, []) and file.startswith(str(tmp_path))
    tables = json.dumps({"tables": {"image": True}})
    (tmp_path / "klaviyo.yaml").write_text(tables)
    told = {"KLAVIYO_SETTINGS": "klaviyo.yaml", "KLAVIYO_API_KEY": "pk_sandbox", "NO_COLOR": "1"}
    with Sandbox(generate_account(events=20, profiles=5, days=2)) as klaviyo:
        told["KLAVIYO_API_URL"] = klaviyo.url
        assert "PROBLEM" not in run(str(bin / "klaviyo-assets"), "check", cwd=tmp_path, **told)


def newcomer() -> list[str]:
    """The commands that the README gives to whoever begins with an empty folder."""
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL) if "uvx" in block)
    return [line.partition("    #")[0].strip() for line in block.splitlines()]


def test_a_newcomer_comes_from_an_empty_folder_to_a_table(tmp_path: Path) -> None:
    commands = newcomer()
    assert len(commands) == 5
    (tmp_path / WHEEL.name).write_bytes(WHEEL.read_bytes())
    project = tmp_path / "my-shop"
    for command in commands[:-1]:
        # The project is to have the Dagster that is tested here, not the latest.
        typed = command.replace("create-dagster", f"create-dagster@{version('dagster')}")
        run("bash", "-ec", typed, cwd=tmp_path if command.startswith(("uvx", "cd")) else project)
    assert "klaviyo_assets.KlaviyoComponent" in run("uv", "run", "dg", "list", "components", cwd=project)
    with Sandbox(generate_account(events=300, profiles=30, days=3)) as klaviyo:
        (project / ".env").write_text(f"KLAVIYO_API_KEY=pk_sandbox\nKLAVIYO_API_URL={klaviyo.url}\n")
        with served(commands[-1].split(), project, shell()) as url:
            assert launched(url, "my-shop", "shop_sync", {}) == "SUCCESS", (project / "log").read_text()
    with duckdb.connect(project / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        rows = {
            table: warehouse.table(f"shop.{table}").count("*").fetchall()[0][0] for table in ("event", "person", "list")
        }
    assert rows["event"] == 300 and rows["person"] and rows["list"], rows
