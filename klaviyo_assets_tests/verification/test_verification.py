"""`verify-warehouse`: whatever database keeps its promises is said to, and one that breaks one is caught."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from klaviyo_assets.cli.main import main
from klaviyo_assets.settings import Settings
from klaviyo_assets.verification import promises, run
from klaviyo_assets.verification.promises import PROMISES, Broken
from klaviyo_assets.verification.report import masked
from klaviyo_assets.warehouse.duckdb.session import DuckDBSession
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.location import located
from klaviyo_assets_tests.warehouse.databases import postgres_database

SECRET = "very-s3cret"


def verify_everything(secret: str, *options: str) -> dict[str, Any]:
    """Run the command on the warehouse of the environment; all has to hold, and nothing to stay."""
    done = CliRunner().invoke(main, ["verify-warehouse", "--json", *options], catch_exceptions=False)
    report: dict[str, Any] = json.loads(done.stdout)
    assert not [verdict for verdict in report["verdicts"] if verdict["outcome"] != "holds"], done.output
    assert {verdict["name"] for verdict in report["verdicts"]} == {promise.__name__ for promise in run.PROMISES}
    assert (done.exit_code, report["left"]) == (0, []) and secret not in done.output
    return report


def test_a_server_that_keeps_all_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = located(postgres_database(tmp_path))
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres@", f"postgres:{SECRET}@"))
    report = verify_everything(SECRET)
    assert report["database"] == "postgres" and report["server"].startswith("PostgreSQL")
    assert {"klaviyo-assets", "psycopg", "pgpq"} <= report["versions"].keys()
    import psycopg

    with psycopg.connect(address) as connection:
        assert not connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'klaviyo%'").fetchall()


def test_a_duckdb_file_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PROMISES", (promises.rows_are_written_by_key, promises.states_are_kept))
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", str(tmp_path / "mine.duckdb"))
    done = CliRunner().invoke(main, ["verify-warehouse"], catch_exceptions=False)
    assert (done.exit_code, list(tmp_path.iterdir())) == (0, []), done.output
    assert "2 holds" in done.output and promises.rows_are_written_by_key.__doc__ in done.output


def test_what_breaks_is_told_without_saying_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(warehouse: Any) -> None:
        """It fails."""
        with warehouse.session(writes=True) as session:
            session.sql('SELECT * FROM "not_there"')

    def tells(warehouse: Any) -> None:
        """It tells."""
        raise Broken(f"at {warehouse.address} with {SECRET}")

    address = located(postgres_database(tmp_path))
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres@", f"somebody:{SECRET}@"))
    monkeypatch.setattr(run, "PROMISES", (tells,))
    done = CliRunner().invoke(main, ["verify-warehouse"], catch_exceptions=False)
    assert done.exit_code == 1 and "can't be used" in done.output, "somebody may not connect"
    assert SECRET not in done.output
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address.replace("postgres@", f"postgres:{SECRET}@"))
    monkeypatch.setattr(run, "PROMISES", (fails, tells))
    done = CliRunner().invoke(main, ["verify-warehouse", "--at-once", "1"], catch_exceptions=False)
    assert done.exit_code == 1 and "2 broken" in done.output
    assert 'last step: SELECT * FROM "not_there"' in done.output and "UndefinedTable" in done.output
    database = address.rpartition("/")[2]
    assert SECRET not in done.output and database not in done.output and "Broken: at postgresql://" in done.output


def test_what_tells_whose_it_is_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", "postgresql://anna:p%40ss-w0rd@db.acme.io:5433/xy?sslmode=require")
    told = "\n".join(
        [
            'connection to server at "db2.internal" (10.11.12.13), port 5433 failed: password "p@ss-w0rd"',
            'or to (2001:db8:0:1::77), by anna or loader@acme.iam.gserviceaccount.com to "xy"',
            'File "/home/otto/shop/.venv/klaviyo_assets/warehouse/warehouse.py", line 118',
            f"written by klaviyo_assets at {socket.gethostname()} (pid 1), until 2026-11-29 16:24:53 UTC",
            "database SHOP at https://ab12345.eu-west-1.snowflakecomputing.com:443/session",
        ]
    )
    found = masked(told, Settings(), ["SHOP"])
    secret = r"db2|10\.11|ss-w0|5433|db8|77|anna|acme|loader|xy|otto|/home|SHOP|ab12345|eu-west"
    assert re.findall(rf"{secret}|\b{re.escape(socket.gethostname())}\b", found) == [], found
    assert 'warehouse.py", line 118' in found and "until 2026-11-29 16:24:53 UTC" in found


def schemas(address: str) -> list[str]:
    import psycopg

    with psycopg.connect(address) as connection:
        return [name for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'klav%'")]


def test_what_does_not_end_leaves_no_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = threading.Event()

    def quick(warehouse: Any) -> None:
        """It holds."""

    def waits(warehouse: Any) -> None:
        """It waits for somebody."""
        promises.load(warehouse, [{"id": "1"}])
        going_on.wait()

    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address := located(postgres_database(tmp_path)))
    monkeypatch.setattr(run, "PROMISES", (waits, quick))
    monkeypatch.setattr(run, "GRACE", 0.01)
    verdicts = run.Verification(Settings(), at_once=2, seconds=60).verdicts()
    next(verdicts)
    while not schemas(address):
        pass
    verdicts.close()
    assert schemas(address) == []
    going_on.set()


@pytest.mark.soak
def test_a_command_that_is_ended_leaves_no_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", address := located(postgres_database(tmp_path)))
    command = [sys.executable, "-c", "from klaviyo_assets.cli.main import main; main(['verify-warehouse'])"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert b"Trying it" in process.stderr.readline()
        while not schemas(address):
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 130
    assert schemas(address) == []


def test_what_there_is_no_time_for_was_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_WAREHOUSE", str(tmp_path / "mine.duckdb"))
    done = CliRunner().invoke(main, ["verify-warehouse", "--minutes", "1e-9"], catch_exceptions=False)
    assert done.exit_code == 1 and f"{len(PROMISES)} not tried" in done.output


# Databases that break a promise


def _commits_rows_at_once(patch: pytest.MonkeyPatch) -> None:
    original = DuckDBSession.write

    def write(self: DuckDBSession, *arguments: Any, **options: Any) -> tuple[int, int]:
        written = original(self, *arguments, **options)
        self.sql("COMMIT")
        self.sql("BEGIN")
        return written

    patch.setattr(DuckDBSession, "write", write)


def _returns(function: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(f"klaviyo_assets.warehouse.{function}", lambda *_, **__: value)


@pytest.mark.parametrize(
    ("promise", "breaks"),
    [
        (promises.an_interrupted_load_is_whole_or_not_there, _commits_rows_at_once),
        (promises.what_a_complete_read_lacks_is_flagged, _returns("steps.loading.flag_vanished", (0, None))),
        (promises.too_many_flags_wait, _returns("steps.flags.is_suspicious", False)),
        (promises.older_versions_change_nothing, _returns("steps.loading._leave_newer", 0)),
        (promises.a_read_that_began_before_changes_nothing_newer, _returns("steps.loading._leave_newer", 0)),
        (promises.columns_widen_without_loss, _returns("duckdb.dialect.DuckDBDialect.convert", "NULL")),
        (promises.snapshots_are_published, _returns("warehouse.correct", 0)),
        (promises.states_are_kept, _returns("warehouse.admit", False)),
    ],
)  # fmt: skip
def test_a_database_that_breaks_a_promise_is_caught(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    promise: Callable[[Any], None],
    breaks: Callable[[pytest.MonkeyPatch], None],
) -> None:
    breaks(monkeypatch)
    with pytest.raises((Broken, KeyError, WarehouseError)):
        promise(DuckDBWarehouse(database=str(tmp_path / "broken.duckdb")))
