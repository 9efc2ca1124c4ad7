"""The demo, as a user runs it: in a terminal and in a pipe, and what `dev` serves afterwards.

A demo takes long, so each serves for all that there is to see of it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.build import build_definitions
from klaviyo_assets.cli.demo import sandbox_process
from klaviyo_assets.cli.places import SimulatedAccount
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets_tests.commands import SMALL, Terminal, counts, real_account, run
from klaviyo_assets_tests.conftest import QUIET, failures, only

OPTIONS = ["--events=1200", "--profiles=50", "--days=3"]
TABLES = ("metric", "integration", "campaign", "campaign_list", "campaign_message", "list")
DELETED = "Now two campaigns are deleted"

Contents = Mapping[str, tuple[int, int, str]]


def test_a_demo_twice_and_what_dev_serves_then(real_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second demo replaces what the first has left, and `dev` goes on with its account."""
    warehouse = DuckDBWarehouse(database=str(real_folder / "data/demo.duckdb"))

    shown = in_a_terminal(real_folder)
    assert_the_steps_and_reads_are_shown(shown)
    assert_the_guard_is_told_of(shown)
    before = contents(warehouse)

    printed = in_a_pipe(real_folder)
    assert_what_landed_is_printed(printed)
    assert_nothing_is_printed_but_what_is_for_a_log(printed)
    assert_the_tables_the_models_and_the_report_are_there(printed, real_folder)
    assert_the_account_is_the_same(shown, printed, before, contents(warehouse))

    assert_the_real_places_are_left_alone(real_folder)
    assert_a_backfill_and_a_refresh_of_it_find_nothing_new(real_folder, monkeypatch)


def in_a_terminal(folder: Path) -> str:
    """Run a demo without models, whose guard lets nothing be deleted; return what it shows."""
    tables = json.dumps(only("campaign"))
    more = {"KLAVIYO_TABLES": tables, "KLAVIYO_MODELS": "false", "KLAVIYO_DELETE_GUARD": "0"}
    terminal = Terminal("demo", *OPTIONS, cwd=folder, **real_account(folder), **more)
    try:
        assert terminal.status() == 0, terminal.text
        return terminal.text
    finally:
        terminal.close()


def in_a_pipe(folder: Path) -> str:
    """Run a demo with models, but without marts, which take long; return what it prints."""
    more = {"KLAVIYO_TABLES": json.dumps(only(*TABLES)), "KLAVIYO_MODEL_VARIABLES": '{"klaviyo__marts": false}'}
    done = run("demo", *OPTIONS, cwd=folder, **real_account(folder), **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def assert_the_steps_and_reads_are_shown(shown: str) -> None:
    for what in ("Making the simulated account", "klaviyo_sync", "klaviyo event", "klaviyo_full_refresh"):
        assert what in shown, shown
    read = [int(rows.replace(",", "")) for rows in re.findall(r"([\d,]+) rows read", shown)]
    assert max(read) > 1000
    assert "1,200" in shown.split("asset ")[1], "the table stays when the bars are gone"


def assert_the_guard_is_told_of(shown: str) -> None:
    assert "warn: not_suspiciously_small: 2 of the" in shown and "`accept_shrink: true`" in shown
    assert counts(shown.split(DELETED)[1])["campaign"][-1] == 0


def assert_what_landed_is_printed(printed: str) -> None:
    first, second = printed.split(DELETED)
    synced, refreshed = counts(first), counts(second)
    assert synced.keys() >= {"event", "person", *TABLES}
    assert refreshed.keys() >= set(TABLES) and "event" not in refreshed
    assert synced["event"][:3] == [1200, 1200, 0] and synced["person"][:3] == [50, 50, 0]
    live = synced["campaign"][0] - 2
    assert refreshed["campaign"] == [live, 0, live, 0, 2]
    assert "flagged _fivetran_deleted: 2 of klaviyo/campaign" in second and "_fivetran_deleted" not in first


def assert_nothing_is_printed_but_what_is_for_a_log(printed: str) -> None:
    """No bars, no codes of a terminal."""
    assert printed.isascii() and all(c.isprintable() or c == "\n" for c in printed)
    known = ("A simulated Klaviyo account", "asset  ", "klaviyo/", "Now two campaigns", "The tables are in")
    known += ("Rows deleted", "Building the models", "klaviyo_models/", "The report is")
    others = [line for line in printed.splitlines() if line and not line.startswith(known)]
    assert len(others) == 1 and re.fullmatch(r"(\d+) of \1 tests passed\.", others[0])


def assert_the_tables_the_models_and_the_report_are_there(printed: str, folder: Path) -> None:
    warehouse = DuckDBWarehouse(database=str(folder / "data/demo.duckdb"))
    found = warehouse.query("SELECT count(*), count(*) FILTER (_fivetran_deleted) FROM klaviyo.campaign")
    assert found == [(counts(printed.split(DELETED)[0])["campaign"][0], 2)]
    models = warehouse.query("SELECT count(*) FROM klaviyo_models.klaviyo__events")
    assert models == [(1200,)] and re.search(r"^klaviyo_models/klaviyo__events +1,200 rows$", printed, re.MULTILINE)
    assert "<svg" in (folder / "data/demo_campaign_report.html").read_text()


def assert_the_account_is_the_same(shown: str, printed: str, before: Contents, after: Contents) -> None:
    rows = [counts(text.split(DELETED)[0]) for text in (shown, printed)]
    for table in ("event", "person", "campaign"):
        assert rows[0][table] == rows[1][table]
        assert (before[table][0], before[table][2]) == (after[table][0], after[table][2]), "the same ids and times"


def assert_the_real_places_are_left_alone(folder: Path) -> None:
    assert not (folder / "real.duckdb").exists() and list((folder / "real_home").iterdir()) == []


def assert_a_backfill_and_a_refresh_of_it_find_nothing_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `dev` serves, a day later: the first backfill by hand, of all days, and all other tables."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps(only("campaign", "campaign_message")))
    monkeypatch.setenv("KLAVIYO_MODELS", "false")
    other = {"events": 50_000, "profiles": 20, "days": 3, "seed": 1}
    account = SimulatedAccount.resume(Path("data/demo.duckdb"), other, {})
    first = account.now.date() - dt.timedelta(days=3)
    with (
        sandbox_process(account) as url,
        account.environment(url, str(account.database.absolute())),
        dg.DagsterInstance.get() as instance,
    ):
        definitions = build_definitions(Settings())
        warehouse = DuckDBWarehouse(database="data/demo.duckdb")
        before = contents(warehouse)
        for job, tags in (
            ("klaviyo_backfill", {"dagster/asset_partition_range_start": first.isoformat(),
                                  "dagster/asset_partition_range_end": account.now.date().isoformat()}),
            ("klaviyo_full_refresh", {}),
        ):  # fmt: skip
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags=tags, run_config=QUIET, raise_on_error=False
            )
            assert result.success, failures(result)
        assert contents(warehouse) == before, "nothing came, nothing went, two campaigns stay deleted"
        assert contents(warehouse)["campaign"][1] == 2


def contents(warehouse: DuckDBWarehouse) -> dict[str, tuple[int, int, str]]:
    """Table -> rows, deleted ones, and a digest of ids and times."""
    times = {"event": "datetime", "person": "updated", "campaign": "updated"}
    return {
        table: warehouse.query(
            "SELECT count(*), count(*) FILTER (_fivetran_deleted), "
            f"md5(string_agg(id || {time} ORDER BY id)) FROM klaviyo.{table}"
        )[0]
        for table, time in times.items()
    }


def test_demo_whose_sync_fails_says_why(tmp_path: Path) -> None:
    hashed = {"KLAVIYO_HASHED_COLUMNS": '{"person": ["email"]}'}  # and no salt
    done = run("demo", *SMALL, cwd=tmp_path, KLAVIYO_TABLES=json.dumps(only()), **hashed)
    assert done.returncode == 1
    assert "Error: klaviyo_sync failed" in done.stderr
    assert "KLAVIYO_HASH_SALT" in done.stderr
