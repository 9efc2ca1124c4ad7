"""The command line, as a user runs it: in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.conftest import only

# A process that is started in the background inherits that SIGINT is ignored: take it up again, as a terminal does.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from klaviyo_assets.cli.main import main; main(prog_name='klaviyo-assets')"
)
COMMAND = [sys.executable, "-c", MAIN]
SMALL = ["--events=300", "--profiles=50", "--days=3"]
TABLES = ("metric", "integration", "campaign", "campaign_list", "campaign_message", "list")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    return kept | more


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def counts(output: str) -> dict[str, list[int]]:
    """Table -> rows, new, updated, new columns and deleted, from a table that the demo prints."""
    rows = (line.split() for line in output.splitlines() if line.startswith("klaviyo/"))
    return {row[0].removeprefix("klaviyo/"): [int(cell.replace(",", "")) for cell in row[1:6]] for row in rows}


def test_help_names_the_commands(tmp_path: Path) -> None:
    for arguments in (["--help"], ["-h"]):
        done = run(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: klaviyo-assets ")
        for command in ("demo", "dev", "sandbox"):
            assert f"\n  {command} " in done.stdout
    done = run("export", cwd=tmp_path)
    assert done.returncode == 2 and "No such command 'export'" in done.stderr


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_sandbox_serves_until_it_is_stopped(by: signal.Signals) -> None:
    command = [*COMMAND, "sandbox", "--port=0", *SMALL]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.split()[-1]
            assert "API key pk_sandbox" in line and url.startswith("http://127.0.0.1:")
            response = requests.get(
                f"{url}/events",
                params={"page[size]": 1000},
                headers={"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"},
                timeout=10,
            )
            assert len(response.json()["data"]) == 300
            process.send_signal(by)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_demo_syncs_twice_and_prints_what_landed(tmp_path: Path) -> None:
    done = run("demo", *SMALL, cwd=tmp_path, KLAVIYO_TABLES=json.dumps(only(*TABLES)))
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("Now two campaigns are deleted")
    synced, refreshed = counts(first), counts(second)
    assert synced.keys() >= {"event", "person", *TABLES}
    assert refreshed.keys() >= set(TABLES) and "event" not in refreshed
    assert synced["event"][:3] == [300, 300, 0] and synced["person"][:3] == [50, 50, 0]
    live = synced["campaign"][0] - 2
    assert refreshed["campaign"] == [live, 0, live, 0, 2]
    assert "flagged _fivetran_deleted: 2 of klaviyo/campaign" in second and "_fivetran_deleted" not in first

    # Nothing but what is meant to be read in a log: no bars, no codes of a terminal.
    assert done.stdout.isascii() and all(c.isprintable() or c == "\n" for c in done.stdout)
    known = ("A simulated Klaviyo account", "asset  ", "klaviyo/", "Now two campaigns", "The tables are in")
    known += ("Rows deleted", "Building the models", "klaviyo_models/", "32 of 32 tests passed", "The report is")
    assert [line for line in done.stdout.splitlines() if line and not line.startswith(known)] == []

    warehouse = DuckDBWarehouse(database=str(tmp_path / "data/demo.duckdb"))
    found = warehouse.query("SELECT count(*), count(*) FILTER (_fivetran_deleted) FROM klaviyo.campaign")
    assert found == [(live + 2, 2)]
    models = warehouse.query("SELECT count(*) FROM klaviyo_models.klaviyo__events")
    assert models == [(300,)] and re.search(r"^klaviyo_models/klaviyo__events +300 rows$", done.stdout, re.MULTILINE)
    assert "<svg" in (tmp_path / "data/demo_campaign_report.html").read_text()


def test_demo_whose_sync_fails_says_why(tmp_path: Path) -> None:
    hashed = {"KLAVIYO_HASHED_COLUMNS": '{"person": ["email"]}'}  # and no salt
    done = run("demo", *SMALL, cwd=tmp_path, KLAVIYO_TABLES=json.dumps(only()), **hashed)
    assert done.returncode == 1
    assert "Error: klaviyo_sync failed" in done.stderr
    assert "KLAVIYO_HASH_SALT" in done.stderr


def test_demo_says_which_checks_failed(tmp_path: Path) -> None:
    tables = json.dumps(only("campaign"))
    done = run("demo", *SMALL, cwd=tmp_path, KLAVIYO_TABLES=tables, KLAVIYO_MODELS="false", KLAVIYO_DELETE_GUARD="0")
    assert done.returncode == 0
    assert "warn: not_suspiciously_small: 2 of the" in done.stdout and "`accept_shrink: true`" in done.stdout
    assert counts(done.stdout.split("Now two campaigns are deleted")[1])["campaign"][-1] == 0
