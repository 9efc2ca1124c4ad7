"""The DuckDB that stays in memory: between two uses of a file it is as if the file had been closed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from klaviyo_assets.warehouse.duckdb.attached import MOST_IDLE, _instances, attached
from klaviyo_assets.warehouse.duckdb.session import DuckDBSession
from klaviyo_assets_tests.warehouse.helpers import EVENT, load, rows, warehouse_at

WRITE = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"


def write_elsewhere(file: Path | str, statement: str) -> None:
    """Run a statement in another process, which needs the file for itself."""
    subprocess.run([sys.executable, "-c", WRITE, str(file), statement], check=True, timeout=60, capture_output=True)


def setting(file: Path, name: str) -> str:
    with attached(file) as connection:
        return str(connection.execute(f"SELECT current_setting('{name}')").fetchall()[0][0])


def test_a_file_is_free_and_complete_between_two_loads(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "here"}])
    assert [file.name for file in tmp_path.iterdir() if "warehouse" in file.name] == [Path(warehouse.database).name]
    write_elsewhere(warehouse.database, "UPDATE klaviyo.event SET note = 'there'")
    assert [row["note"] for row in rows(warehouse)] == ["there"]
    load(warehouse, [{"id": "2"}])
    Path(warehouse.database).unlink()
    load(warehouse, [{"id": "3"}])
    assert [row["id"] for row in rows(warehouse)] == ["3"], "a file of that name, and not the one that was there"


def test_a_file_that_this_process_has_open_is_shared(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    with duckdb.connect(warehouse.database) as mine:
        load(warehouse, [{"id": "1"}])
        assert mine.execute("SELECT id FROM klaviyo.event").fetchall() == [("1",)]


def test_an_error_and_a_full_memory_leave_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "a b's.duckdb"
    usual = setting(file, "memory_limit")
    with attached(file) as connection:
        connection.execute("SET memory_limit = '50MB'; CREATE TABLE kept AS SELECT 1 AS x")
        connection.execute("CREATE TABLE large AS SELECT hash(i) AS x FROM range(3_000_000) AS r(i) ORDER BY x")
        assert list(tmp_path.glob("*.tmp")), "it did not need its folder"
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    with pytest.raises(duckdb.CatalogException), attached(file) as connection:
        connection.execute("SET memory_limit = '50MB'; BEGIN; CREATE TABLE lost (x INTEGER); FROM unknown")
    assert not any(path == file for _, path in _instances), "a DuckDB that failed may be unusable from then on"
    write_elsewhere(file, "FROM kept")
    with attached(file) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        assert tables == [("kept",), ("large",)]
        connection.execute("SET memory_limit = '50MB'")
    assert setting(file, "memory_limit") == usual


@pytest.mark.parametrize(("properties", "one_thread"), [(3, False), (101, True)])
def test_many_columns_are_written_by_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, properties: int, one_thread: bool
) -> None:
    seen: list[int] = []
    write = DuckDBSession.write

    def looking(self: DuckDBSession, *args: Any, **options: Any) -> tuple[int, int]:
        seen.extend(value for (value,) in self.sql("SELECT current_setting('threads')"))
        return write(self, *args, **options)

    monkeypatch.setattr(DuckDBSession, "write", looking)
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"} | {f"p{n}": n for n in range(properties)}])
    ((usual,),) = duckdb.execute("SELECT current_setting('threads')").fetchall()
    assert seen == [1 if one_thread else usual]
    assert setting(Path(warehouse.database), "threads") == str(usual)


def test_only_the_latest_files_keep_a_duckdb(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.duckdb" for n in range(MOST_IDLE + 2)]
    for file in [*files, files[2]]:
        setting(file, "threads")
    assert [path for _, path in _instances] == [*files[3:], files[2]]


@pytest.mark.parametrize("name", ["memory", "main", "temp", "system", "klaviyo"])
def test_names_need_no_database_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    warehouse = warehouse_at(tmp_path).model_copy(update={"database": str(tmp_path / f"{name}.duckdb")})
    load(warehouse, [{"id": "1"}])
    assert warehouse.read("event")["id"].to_pylist() == ["1"]


def test_threads_share_it_and_the_last_one_leaves(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path, lock_timeout=30.0)
    load(warehouse, [{"id": "0"}])

    def use(thread: int) -> None:
        for _ in range(15):
            if thread == 2:
                assert len(rows(warehouse)) == 1
            else:
                assert warehouse.live_rows(EVENT) == 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(use, range(3)))
    assert not any(instance.users for instance in _instances.values())
    write_elsewhere(warehouse.database, "DROP TABLE klaviyo.event")
