"""The commands that sync the account of the settings, against a sandbox: `sync`, `backfill`, `resync`, `status` ..."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from klaviyo_assets.cli.main import main
from klaviyo_assets.cli.places import home_of
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

DAYS = 20


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account that is served, and the key of which is in `.env`, in the working directory."""
    made = generate_account(events=120, profiles=15, days=DAYS, seed=3)
    monkeypatch.chdir(tmp_path)
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_WAREHOUSE", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("klaviyo_assets.api.limiter._SLACK", 0)  # the sandbox has no limits
    with Sandbox(made) as sandbox:
        monkeypatch.setenv("KLAVIYO_API_URL", sandbox.url)
        Path(".env").write_text("KLAVIYO_API_KEY=pk_sandbox\n")
        yield made


def command(*arguments: str, code: int = 0, typed: str | None = None) -> Result:
    done = CliRunner().invoke(main, arguments, input=typed)
    assert done.exit_code == code, done.output
    return done


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(*arguments, "--json", code=code).stdout)
    return found


def ids(table: str = "event", file: str = "data/warehouse.duckdb") -> set[str]:
    rows = DuckDBWarehouse(database=file).rows(table, ["id"])
    assert len(rows) == len(set(rows))
    return {id for (id,) in rows}


def test_a_sync_the_history_and_what_came_late(account: Account) -> None:
    (first,) = told("sync", "--tables", "event,person,metric")["runs"]
    assert first["assets"]["klaviyo/metric"]["rows_inserted"] == len(account.all("metric"))
    assert 0 < len(ids()) < 120 and "klaviyo/list" not in first["assets"]
    assert {row["table"]: row["rows"] for row in json.loads(command("status", "--json").stdout)}["event"] == len(ids())

    assert "are still to be read: `klaviyo-assets backfill`" in command("sync", "--tables", "event,person").stderr
    done = command("backfill")
    assert "The history is complete." in done.stderr and "klaviyo/event" in done.stdout
    assert ids() == {event.id for event in account.events}

    late = account.add_event(account.all("metric")[0].id, account.clock.now() - dt.timedelta(days=12))
    day = (account.clock.now() - dt.timedelta(days=12)).date().isoformat()
    (again,) = told("sync", "--from", day, "--to", day, "--tables", "event")["runs"]
    assert late.id in ids() and set(again["assets"]) == {"klaviyo/event", "klaviyo/history"}

    assert "Aborted" in command("resync", "--tables", "metric", code=1, typed="n\n").output
    account.rename("metric", account.all("metric")[0].id, "Renamed")
    command("resync", "--tables", "metric", "--yes")
    assert "klaviyo/metric" in command("sync", "--tables", "metric").output
    assert ("Renamed",) in DuckDBWarehouse(database="data/warehouse.duckdb").rows("metric", ["name"])


def test_nothing_is_due(account: Account) -> None:
    assert "klaviyo/account_history" in command("sync", "--tables", "account_history").output
    assert "No table was due." in command("sync", "--tables", "account_history").output


def test_another_warehouse_and_everything_at_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_TABLES", json.dumps({"campaign_message": False, "campaign": False}))
    runs = told("sync", "--full", "--tables", "event,list", "--to-database", "other.duckdb")["runs"]
    assert [sorted(run["assets"]) for run in runs] == [
        ["klaviyo/event", "klaviyo/history", "klaviyo/list", "klaviyo_staging/list"],
        ["klaviyo/list", "klaviyo_staging/list"],
    ]
    assert ids("list", "other.duckdb") == {each.id for each in account.all("list")}
    assert not Path("data/warehouse.duckdb").exists()


def test_the_report_is_opened(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    made = dg.AssetMaterialization(["klaviyo_models", "campaign_report"], metadata={"path": "data/report.html"})
    with home_of(Settings()), dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(made)
    assert command("report").output == "data/report.html\n" and opened == []
    command("report", "--open")
    assert opened == [Path("data/report.html").resolve().as_uri()]


def _open_instances(patch: pytest.MonkeyPatch) -> list[dg.DagsterInstance]:
    """Instances of Dagster that are opened from now on, until they are closed."""
    enter, leave, left = dg.DagsterInstance.__enter__, dg.DagsterInstance.__exit__, []

    def opened(instance: dg.DagsterInstance) -> dg.DagsterInstance:
        left.append(instance)
        return enter(instance)

    def closed(instance: dg.DagsterInstance, *error: Any) -> None:
        left.remove(instance)
        leave(instance, *error)

    patch.setattr(dg.DagsterInstance, "__enter__", opened)
    patch.setattr(dg.DagsterInstance, "__exit__", closed)
    return left


def test_what_can_not_be_done_is_said(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no table evnt." in command("sync", "--tables", "evnt", code=1).output
    assert "--to needs --from" in command("sync", "--to", "2026-01-01", code=2).output
    assert "not after today" in command("backfill", "--from", "2999-01-01", code=2).output
    assert (
        "account_history is read as a whole"
        in command("sync", "--from", "2026-01-01", "--tables", "account_history", code=2).output
    )
    assert "There has been no sync yet" in told("backfill", code=1)["problem"]
    assert "`klaviyo-assets models` makes it" in command("report", code=1).output
    with home_of(Settings()), dg.DagsterInstance.get() as instance:
        instance.add_run(
            dg.DagsterRun(job_name="klaviyo_sync", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.NOT_STARTED)
        )
    left = _open_instances(monkeypatch)
    for each in ("sync", "backfill"):
        assert "has not ended" in told(each, code=1)["problem"]
    assert left == []
    Path("file").touch()
    assert "can't be kept in" in command("sync", "--to-database", "file/w.duckdb", code=1).output
    Path("no.duckdb").write_bytes(b"no database" * 1000)
    assert command("sync", "--to-database", "no.duckdb", code=1).output.count("can't be opened") == 1
    monkeypatch.setenv("KLAVIYO_API_KEY", "wrong")
    failed = told("sync", "--from", account.clock.now().date().isoformat(), "--tables", "event", code=1)
    assert failed["success"] is False and "KLAVIYO_API_KEY" in failed["problem"] and failed["runs"] == []
    monkeypatch.delenv("KLAVIYO_API_KEY")
    Path(".env").unlink()
    assert "KLAVIYO_API_KEY is not set" in command("sync", code=1).output


@pytest.mark.usefixtures("account")
def test_a_history_of_runs_that_can_not_be_read_is_named_without_a_traceback() -> None:
    with home_of(Settings()) as home, dg.DagsterInstance.get():
        (home / "history" / "runs.db").write_bytes(b"no database" * 1000)
    said = command("sync", code=1)
    assert isinstance(said.exception, SystemExit) and "DAGSTER_HOME" in said.output
    assert f"history of runs, of {home}, can't be read or written: file is not a database." in said.output
