"""The simulated account and a real one never meet: places of their own, whatever the settings say."""

from __future__ import annotations

import datetime as dt
import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from klaviyo_assets import environment
from klaviyo_assets.cli.demo import sandbox_process
from klaviyo_assets.cli.main import main
from klaviyo_assets.cli.places import NotSimulated, SimulatedAccount, default_home, in_use
from klaviyo_assets.sandbox.control import SandboxControl
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.commands import COMMAND, ELSEWHERE, SMALL, real_account, run
from klaviyo_assets_tests.commands import environment as clean
from klaviyo_assets_tests.conftest import only
from klaviyo_assets_tests.webserver import PATIENCE, answers, launched, served

OPTIONS = {"events": 120, "profiles": 20, "days": 3, "seed": 1}


@contextmanager
def dev(folder: Path, options: Sequence[str] = (), **variables: str) -> Iterator[str]:
    """`klaviyo-assets dev` on a small simulated account; gives the address of its UI once that answers."""
    with served([*COMMAND, "dev", *SMALL, *options], folder, clean(**variables), in_background=True) as url:
        yield url


@pytest.mark.soak  # the demo has the same places, and a test
@pytest.mark.parametrize(
    "exported",
    [
        pytest.param(["KLAVIYO_WAREHOUSE", "KLAVIYO_NAME", "DAGSTER_HOME"], id="half of them in the shell too"),
        pytest.param([], id="in .env"),
        pytest.param([*ELSEWHERE], id="in .env and the shell"),
    ],
)
def test_dev_on_the_sandbox_writes_to_its_own_places_only(exported: list[str], real_folder: Path) -> None:
    shell = {name: real_account(real_folder)[name] for name in exported}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    with dev(
        real_folder, **shell, KLAVIYO_TABLES=json.dumps(only()), KLAVIYO_MODELS="false", options=["--host=0.0.0.0"]
    ) as url:
        if sys.platform == "linux":
            assert answers(url.replace("127.0.0.1", "127.0.0.2")), "it listens on all addresses"
        status = launched(url, "klaviyo_sandbox", "klaviyo_sync", {"dagster/partition": today}, ["klaviyo", "event"])
    said = (real_folder / "log").read_text()
    assert status == "SUCCESS", said
    assert "simulated account" in said and f"The UI will be at {url}, and at every" in said
    assert not (real_folder / "real.duckdb").exists() and list((real_folder / "real_home").iterdir()) == []
    assert DuckDBWarehouse(database=str(real_folder / "data/demo.duckdb")).state("event")
    assert (real_folder / "data/demo_dagster/history").is_dir()


def test_dev_says_where_nobody_can_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KLAVIYO_API_KEY", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host, at, other in (
            ("127.0.0.1", port, "--port"),
            ("0.0.0.0", port, "--port"),
            ("192.0.2.1", 0, "--host"),
            ("nowhere.invalid", 0, "--host"),
        ):
            done = CliRunner().invoke(main, ["dev", f"--host={host}", f"--port={at}"])
            assert done.exit_code == 1 and done.output.startswith(f"Error: {host}:{at} can't be used ("), done.output
            assert done.output.endswith(f"choose another {other}.\n")


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "real.duckdb"
    file.write_bytes(b"precious")
    (tmp_path / "real.duckdb_backup").write_bytes(b"precious, too")
    for command in ("demo", "dev"):
        done = run(command, *SMALL, f"--database={file}", "--port=0" if command == "dev" else "--seed=1", cwd=tmp_path)
        assert done.returncode == 1 and "holds no simulated account" in done.stderr
    assert file.read_bytes() == b"precious"
    file.unlink()
    SimulatedAccount.begin(file, OPTIONS)
    SimulatedAccount.begin(file, OPTIONS)
    assert (tmp_path / "real.duckdb_backup").read_bytes() == b"precious, too"


def test_what_dagster_would_write_over_the_environment(real_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` says what the sandbox says, the shell something else: that is not taken for what the shell wants."""
    monkeypatch.chdir(real_folder)
    account = SimulatedAccount.begin(Path("data/demo.duckdb"), OPTIONS)
    (real_folder / ".env").write_text(f"KLAVIYO_WAREHOUSE={account.database.absolute()}\nKLAVIYO_SCHEMA=klaviyo\n")
    monkeypatch.setattr(environment, "_at_start", lambda: real_account(real_folder))
    with account.environment("http://127.0.0.1:9/api", str(account.database.absolute())):
        settings = Settings()
    assert (settings.duckdb_path, settings.schema_name) == (str(account.database.absolute()), "klaviyo")


@pytest.mark.soak
def test_the_account_is_the_same_over_days_and_what_happened_to_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "demo.duckdb"
    account = SimulatedAccount.begin(file, OPTIONS)
    account.now -= dt.timedelta(days=3)
    account._store()
    headers = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
    seen = []
    for day in range(2):
        resumed = SimulatedAccount.resume(file, {**OPTIONS, "seed": 2}, {})
        with sandbox_process(resumed) as url:
            served = dt.datetime.fromisoformat(SandboxControl(url).tell("now"))
            assert abs(served - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5), "its clock is right"
            lists = requests.get(f"{url}/lists", headers=headers, timeout=PATIENCE).json()["data"]
            events = requests.get(f"{url}/events", headers=headers, timeout=PATIENCE).json()["data"]
            seen.append(([row["id"] for row in events], [row["attributes"]["datetime"] for row in events]))
            if day == 0:
                gone = lists[0]["id"]
                resumed.remember("delete", type="list", id=gone)
    assert seen[0] == seen[1] and len(seen[0][0]) > 10
    assert gone not in [row["id"] for row in lists]
    with pytest.raises(NotSimulated, match="with 1 seed"):
        SimulatedAccount.resume(file, OPTIONS, {"seed": 2})
    assert SimulatedAccount.begin(file, OPTIONS).now == account.now
    old = SimulatedAccount.begin(file, OPTIONS)
    old.now -= dt.timedelta(days=5)
    old._store()
    assert SimulatedAccount.begin(file, OPTIONS).now > account.now, "a new one, with a recent past"


def test_one_at_a_time(tmp_path: Path) -> None:
    with in_use(tmp_path / "demo.duckdb"):
        done = run("demo", *SMALL, f"--database={tmp_path}/demo.duckdb", cwd=tmp_path)
    assert done.returncode == 1 and "Another `klaviyo-assets demo` or `dev` is using" in done.stderr


def test_each_real_account_has_a_home_of_its_own() -> None:
    accounts = [
        Settings(duckdb_path="data/warehouse.duckdb"),
        Settings(duckdb_path="data/other.duckdb"),
        Settings(duckdb_path="elsewhere/warehouse.duckdb"),
        Settings(duckdb_path="data/warehouse.duckdb", schema="shop_dk"),
        Settings(duckdb_path="data/demo.duckdb"),
        Settings(duckdb_path="md:shop?motherduck_token=secret"),
    ]
    homes = [str(default_home(settings)) for settings in accounts]
    assert homes[0] == str(Path("data/warehouse_dagster").absolute()) and len(set(homes)) == len(homes)
    assert "secret" not in str(homes)
