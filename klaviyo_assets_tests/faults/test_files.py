"""What files do to a load: a full disk, no right to write, another DuckDB's file, another user's spool, a reader."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.warehouse import spool
from klaviyo_assets.warehouse.errors import DiskFull, WarehouseUnusable
from klaviyo_assets_tests.conftest import Project, failures, only, without_campaigns
from klaviyo_assets_tests.warehouse.helpers import load, rows, warehouse_at

SMALL = 300_000


def fill(folder: Path, database: bool) -> None:
    """Load more than a file may hold: into the database, as its log is not compressed, or into the spool."""
    warehouse = warehouse_at(folder)
    load(warehouse, [{"id": "1", "note": "before"}])
    largest = Path(warehouse.database).stat().st_size + SMALL if database else SMALL
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    with pytest.raises(DiskFull) as caught:
        load(warehouse, [{"id": str(n), "note": "x" * 400 if database else os.urandom(400).hex()} for n in range(9000)])
    wanted = warehouse.database if database else f"temporary files in {tempfile.gettempdir()}"
    assert wanted in str(caught.value) and "nothing was written" in str(caught.value)
    assert caught.value.__cause__ is not None, "what the operating system said is kept"


@pytest.mark.parametrize("place", ["database", pytest.param("spool", marks=pytest.mark.soak)])
def test_a_full_disk_changes_nothing(place: str, tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow: no file system has to be filled, nor mounted."""
    (tmp_path / "temporary").mkdir()
    program = f"from {__name__} import *; fill(Path({str(tmp_path)!r}), {place == 'database'})"
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [row["note"] for row in rows(warehouse_at(tmp_path))] == ["before"]
    assert list((tmp_path / "temporary").iterdir()) == []
    load(warehouse_at(tmp_path), [{"id": "1", "note": "after"}])
    assert [row["note"] for row in rows(warehouse_at(tmp_path))] == ["after"]


def test_a_step_spools_no_more_than_it_may(project: Callable[..., Project]) -> None:
    account = without_campaigns(generate_account(events=2000, profiles=20, days=2))
    klaviyo = project(account, tables=only(), spool_limit="100kB")
    (said,) = failures(klaviyo.run("klaviyo_sync", -2, only=["klaviyo", "event"]))
    assert "Nothing was written" in said and "raise the setting `spool_limit`" in said
    assert klaviyo.warehouse.state("event") is None
    again = project(account, tables=only(), spool_limit="100MB")
    again.sync(first=-2)
    assert again.differences("event", "person") == []


def test_what_a_step_may_spool_has_to_be_free_before_it_reads(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    klaviyo = project(generate_account(events=20, profiles=5, days=1), tables=only(), spool_limit="1GB")
    usage = namedtuple("usage", "total used free")(10**10, 10**10 - 10**8, 10**8)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    said = failures(klaviyo.run("klaviyo_sync", -1))
    assert any("100.0 MB are free in" in text and "lower the setting `spool_limit`" in text for text in said)
    assert klaviyo.sandbox.requests.of("get_events") == []


def test_a_file_that_may_not_be_written() -> None:
    """Without the rights of root, for whom everything may be written, and where everybody may look."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = warehouse_at(Path(folder))
        load(warehouse, [{"id": "1"}])
        Path(folder).chmod(0o755)
        Path(warehouse.database).chmod(0o444)
        program = f"""
import os
from klaviyo_assets.assets.advice import advised
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
if os.geteuid() == 0:
    os.setegid(65534), os.seteuid(65534)
with advised():
    DuckDBWarehouse(database={warehouse.database!r}).try_to_write()
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "WarehouseUnusable" in done.stderr and "the right to write the file" in done.stderr, done.stderr
        assert [row["id"] for row in rows(warehouse)] == ["1"]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (
            'Cannot open file "/srv/a b.duckdb": Permission denied',
            "/srv/a b.duckdb can't be opened: permission denied. A sync writes: give its user the right to write the "
            "file and its folder.",
        ),
        ("Cannot open file it: Permission denied", "/srv/a b.duckdb can't be opened: permission denied. A sync writes"),
        (
            "Could not read from file it: Is a directory",
            "can't be opened: is a directory. Check the setting `warehouse`.",
        ),
        (
            "The file it exists, but it is not a valid DuckDB database file!",
            "can't be opened: it is not a valid DuckDB database file. Check",
        ),
    ],
)
def test_what_duckdb_says_of_a_file_becomes_a_sentence(reason: str, message: str) -> None:
    with pytest.raises(WarehouseUnusable) as caught, advised():
        raise WarehouseUnusable("/srv/a b.duckdb", reason)
    assert message in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WarehouseUnusable, match=r"its folder can't be made: File exists. Check the setting `warehouse`"),
        advised(),
    ):
        load(warehouse_at(tmp_path / "file"), [{"id": "1"}])


def test_trying_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path / "new" / "folder")
    warehouse.try_to_write()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").write_text("")
    with (
        pytest.raises(WarehouseUnusable, match=r"nothing can be made in .*new: Not a directory\. Check the setting"),
        advised(),
    ):
        warehouse.try_to_write()


def test_a_file_of_a_newer_duckdb(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    file = Path(warehouse.database)
    header = bytearray(file.read_bytes())
    struct.pack_into("<Q", header, 12, 100_000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", header[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    struct.pack_into("<Q", header, 0, checksum)
    file.write_bytes(header)
    wanted = rf"newer version of DuckDB than {duckdb.__version__}.*Upgrade duckdb"
    with pytest.raises(WarehouseUnusable, match=wanted), advised():
        load(warehouse, [{"id": "2"}])
    assert file.read_bytes() == header


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Its name does not make it a locked one."""
    warehouse = warehouse_at(tmp_path / "blocked")
    file = Path(warehouse.database)
    file.parent.mkdir()
    file.write_bytes(b"something else " * 1000)
    with pytest.raises(WarehouseUnusable, match="`warehouse`"), advised():
        load(warehouse, [{"id": "1"}])
    assert file.read_bytes() == b"something else " * 1000


def test_another_users_spool_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders are shared, and folders in them may not be looked into."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = tmp_path / f"{spool._PREFIX}of_somebody_else"
    other.mkdir()
    real = Path.exists

    def exists(path: Path) -> bool:
        if other in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "exists", exists)
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    assert other.is_dir() and [row["id"] for row in rows(warehouse)] == ["1"]
