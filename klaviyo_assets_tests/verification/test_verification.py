"""`verify-warehouse`: whatever database keeps its promises is said to, and one that breaks one is caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from klaviyo_assets.cli.main import main
from klaviyo_assets.verification import promises, run
from klaviyo_assets.verification.promises import PROMISES, Broken
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
    monkeypatch.setattr(run, "PROMISES", (promises.rows_are_written_by_key, promises.writers_wait_for_each_other))
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
