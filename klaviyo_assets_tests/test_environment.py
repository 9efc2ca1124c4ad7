"""The shell wins over `.env`, which wins over the settings file: in every command, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.commands import environment
from klaviyo_assets_tests.conftest import only

SHOW = (
    "from klaviyo_assets import environment; from klaviyo_assets.settings import Settings; "
    "print(Settings().schema_name, environment.get('KLAVIYO_API_KEY'))"
)
LOADED = f"from klaviyo_assets import environment; environment.load(); {SHOW}"


def run(*command: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose `.env` and settings file say different things."""
    (tmp_path / "klaviyo.yaml").write_text("schema: of_file\nreread_days: 3\ndelete_guard: 0.1\n")
    (tmp_path / ".env").write_text(
        "KLAVIYO_SETTINGS=klaviyo.yaml\nKLAVIYO_API_KEY=pk_dotenv\nKLAVIYO_SCHEMA=of_dotenv\nKLAVIYO_REREAD_DAYS=4\n"
    )
    return tmp_path


def test_our_commands(folder: Path) -> None:
    text = run("-m", "klaviyo_assets.cli.main", "settings", cwd=folder, KLAVIYO_SCHEMA="of_shell")
    found = yaml.safe_load(text)
    assert (found["schema"], found["reread_days"], found["delete_guard"]) == ("of_shell", 4, 0.1)
    places = {line.split(":")[0]: line.partition("# ")[2] for line in text.splitlines()}
    assert places["schema"] == "KLAVIYO_SCHEMA in the shell" and places["delete_guard"] == "klaviyo.yaml"
    assert places["reread_days"] == "KLAVIYO_REREAD_DAYS in .env" and places["overlap"] == "default"
    # Unless it says so itself, `.env` does not tell what is the same in the shell.
    same = run("-m", "klaviyo_assets.cli.main", "settings", cwd=folder, KLAVIYO_SCHEMA="of_dotenv")
    assert "# KLAVIYO_SCHEMA in the shell" in same


def test_check_says_what_differs(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "klaviyo_assets.cli.main", "check"],
        cwd=folder,
        env=environment(KLAVIYO_SCHEMA="of_shell", KLAVIYO_API_URL="http://127.0.0.1:9/api"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "key in KLAVIYO_API_KEY, .env" in done.stdout and "pk_dotenv" not in done.stdout
    assert 'schema: "of_shell", from KLAVIYO_SCHEMA in the shell' in done.stdout
    assert "KLAVIYO_SCHEMA differs between the shell, which counts here, and .env" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody knows what the shell had")
def test_dagster_job_execute(tmp_path: Path) -> None:
    account = generate_account(events=20, profiles=5, days=1, seed=1)
    today = account.clock.now().date().isoformat()
    with Sandbox(account) as sandbox:
        (tmp_path / ".env").write_text(
            f"KLAVIYO_API_KEY=pk_sandbox\nKLAVIYO_API_URL={sandbox.url}\nKLAVIYO_SCHEMA=of_dotenv\n"
            f"KLAVIYO_TABLES={json.dumps(only())}\nKLAVIYO_WAREHOUSE=dotenv.duckdb\n"
        )
        run(
            *("-m", "dagster", "job", "execute", "-m", "klaviyo_assets.definitions", "-j", "klaviyo_sync"),
            *("--tags", json.dumps({"dagster/partition": today})),
            cwd=tmp_path,
            KLAVIYO_SCHEMA="of_shell",
            KLAVIYO_WAREHOUSE="shell.duckdb",
            KLAVIYO_MODELS="false",
        )
    assert not (tmp_path / "dotenv.duckdb").exists()
    assert DuckDBWarehouse(database=str(tmp_path / "shell.duckdb"), schema_name="of_shell").state("event")


def as_dagster_does(folder: Path, **more: str) -> str:
    """Python that writes `.env` over its environment, as `dagster dev` does, and starts a process."""
    variables = {"KLAVIYO_SCHEMA": "of_dotenv", "KLAVIYO_API_KEY": "pk_dotenv", **more}
    return (
        "import os, subprocess, sys;"
        f"os.environ.update({variables!r});"
        f"subprocess.run([sys.executable, '-c', {SHOW!r}], cwd={str(folder)!r}, check=True)"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody knows what the shell had")
def test_processes_of_dagster_dev(folder: Path) -> None:
    script = as_dagster_does(folder, DAGSTER_IS_DEV_CLI="1")
    shown = run("-c", script, cwd=folder, KLAVIYO_SCHEMA="of_shell")
    assert shown.split() == ["of_shell", "pk_dotenv"]
    deeper = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}], check=True)"
    script = script.replace(repr(SHOW), repr(deeper))
    assert run("-c", script, cwd=folder, KLAVIYO_SCHEMA="of_shell").split() == ["of_shell", "pk_dotenv"]


def test_processes_of_klaviyo_assets_dev(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = "from klaviyo_assets import environment; environment.load(); print(*environment.kept().items())"
    name, value = eval(run("-c", kept, cwd=folder, KLAVIYO_SCHEMA="of_shell", KLAVIYO_REREAD_DAYS=""))
    assert os.environ.get(name) is None
    # Whatever the kernel knows: this process is started with what `.env` says.
    dagster = {"KLAVIYO_SCHEMA": "of_dotenv", "KLAVIYO_API_KEY": "pk_dotenv", name: value}
    assert run("-c", SHOW, cwd=folder, **dagster).split() == ["of_shell", "pk_dotenv"]


def refused(folder: Path, content: bytes) -> str:
    (folder / ".env").write_bytes(content)
    command = [sys.executable, "-m", "klaviyo_assets.cli.main", "settings"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not done.stdout, done.stdout
    return done.stderr


@pytest.mark.parametrize(
    "value", ['"{"person": ["phone_number"]}"', '\'{"person": ["phone_number"]}', '"{person: [phone_number]}'], ids=str
)
def test_a_line_of_ours_that_can_not_be_read_is_an_error(tmp_path: Path, value: str) -> None:
    said = refused(tmp_path, f"KLAVIYO_API_KEY=pk_dotenv\nexport KLAVIYO_BLOCKED_COLUMNS={value}\n".encode())
    assert said.startswith("Error: .env, line 2: KLAVIYO_BLOCKED_COLUMNS can't be read.")
    assert "pk_" not in said and "Traceback" not in said


def test_a_line_of_others_that_can_not_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("if true; then\nKLAVIYO_API_KEY=pk_dotenv\nfi\nKLAVIYO_SCHEMA=of_dotenv\n")
    command = [sys.executable, "-c", f"{LOADED}; {SHOW}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.stderr.count(".env, line 1 can't be read, and is left out.") == 1, done.stderr
    assert "python-dotenv" not in done.stderr and "of_dotenv pk_dotenv" in done.stdout


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    windows = "KLAVIYO_API_KEY=pk_dotenv\r\n".encode("utf-16")
    assert refused(tmp_path, windows).startswith("Error: .env has to be UTF-8 text: save it as such\n")
    (tmp_path / ".env").write_bytes("KLAVIYO_API_KEY=pk_dotenv\r\nKLAVIYO_SCHEMA=of_dotenv\r\n".encode("utf-8-sig"))
    assert run("-c", LOADED, cwd=tmp_path) == "of_dotenv pk_dotenv\n"
