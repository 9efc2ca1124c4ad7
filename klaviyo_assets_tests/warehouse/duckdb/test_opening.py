"""Where the database is, and who holds it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from klaviyo_assets.models.project import PROJECT_NAME
from klaviyo_assets.models.report.asset import default_path
from klaviyo_assets.models.targets import duckdb as models_in_duckdb
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings, require_distinct
from klaviyo_assets.warehouse.duckdb import warehouse as database
from klaviyo_assets.warehouse.duckdb.location import file_of, located
from klaviyo_assets.warehouse.duckdb.opening import opened
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.errors import WarehouseLocked
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.warehouse.helpers import load, rows, warehouse_at


class Time:
    """A clock that waiting moves on."""

    def __init__(self) -> None:
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        self.waited += seconds

    def clock(self) -> float:
        return self.waited


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Make waiting for a file take no time."""
    time = Time()

    def without_waiting(*given: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        return opened(*given, **{**options, "sleep": time.sleep, "clock": time.clock})

    monkeypatch.setattr(database, "opened", without_waiting)
    return time


@contextmanager
def held(file: str) -> Iterator[None]:
    """Let another process hold a database, as somebody who looks at it does."""
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "\n"
        yield
        holder.communicate("")


@pytest.mark.parametrize("options", [{"read_only": True}, {"config": {"threads": 1}}], ids=["read_only", "config"])
def test_a_connection_of_the_same_process_is_waited_for_and_named(
    options: dict[str, Any], tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    with duckdb.connect(warehouse.database, **options):
        with pytest.raises(WarehouseLocked, match=r"a connection of this same process .*read_only=True"):
            load(warehouse, [{"id": "2"}])
        assert time.waited >= warehouse.lock_timeout
    reader = duckdb.connect(warehouse.database, **options)
    monkeypatch.setattr(Time, "sleep", lambda self, seconds: reader.close())
    load(warehouse, [{"id": "2"}])
    assert [row["id"] for row in rows(warehouse)] == ["1", "2"]


def test_a_run_waits_once_for_a_file_that_is_held(project: Callable[..., Project], time: Time) -> None:
    klaviyo = project(generate_account(events=60, profiles=20, days=2, seed=1), tables=only("metric", "list", "flow"))
    klaviyo.sync()
    timeout = klaviyo.warehouse.lock_timeout
    for runs in (1, 2):
        with held(klaviyo.settings.duckdb_path):
            result = klaviyo.run("klaviyo_sync", 0)
        steps = failures(result)
        assert len(steps) >= 4 and all("WarehouseLocked" in step for step in steps)
        assert sum("waited for it before" in step for step in steps) == len(steps) - 1
        assert runs * timeout <= time.waited < runs * timeout + 5
    klaviyo.sync()
    assert klaviyo.differences("person", "metric", "list") == []


def test_a_run_that_got_the_file_after_all_waits_again(tmp_path: Path, time: Time) -> None:
    file = str(tmp_path / "w.duckdb")
    options: dict[str, Any] = {"timeout": 30, "run_id": "a", "sleep": time.sleep, "clock": time.clock}
    duckdb.connect(file).close()
    with held(file):
        for total in (30, 30):
            with pytest.raises(WarehouseLocked):
                opened(file, {}, **options)
            assert total <= time.waited < total + 5
    opened(file, {}, **options).close()
    with held(file), pytest.raises(WarehouseLocked, match="for 30 s"):
        opened(file, {}, **options)


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("data:shop.duckdb", "{here}/data:shop.duckdb"),
        ("md.duckdb", "{here}/md.duckdb"),
        ("~/shop/k.duckdb", "{home}/shop/k.duckdb"),
        ("~/data/../shop:dk.duckdb", "{home}/shop:dk.duckdb"),
        ("data/../k.duckdb", "{here}/k.duckdb"),
        ("md:shop", None),
        ("motherduck:shop?motherduck_token=x", None),
    ],
)
def test_a_path_means_the_same_file_everywhere(
    given: str, file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    wanted = None if file is None else file.format(home=home, here=here)
    settings = Settings(duckdb_path=given)
    assert settings.duckdb_path == located(given) == (wanted or given)
    assert file_of(given) == (None if wanted is None else Path(wanted))
    profile = models_in_duckdb.target(given, "klaviyo", {}).profile()
    assert profile[PROJECT_NAME]["outputs"]["duckdb"]["path"] == (wanted or given)
    assert default_path(settings).parent == (Path(wanted).parent if wanted else Path("data"))
    with pytest.raises(ValueError, match="would both write"):
        require_distinct([settings, Settings(name="other", duckdb_path=wanted or given)])
    if wanted:
        warehouse = DuckDBWarehouse(database=given)
        load(warehouse, [{"id": "1"}])
        assert len(rows(warehouse)) == 1 and warehouse.rows("event", ["id"]) == [("1",)]
        assert "copied to a new file" in warehouse.copy_to_new_file()
        assert {str(path) for path in tmp_path.rglob("*") if path.is_file()} == {wanted}
        assert not (here / "~").exists()


def test_a_sync_into_a_file_with_a_colon(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    account = generate_account(events=60, profiles=20, days=2, seed=1)
    klaviyo = project(account, tables=only("metric"), duckdb_path="~/warehouse/shop:dk.duckdb")
    klaviyo.sync(first=-2)
    assert klaviyo.differences("person", "metric") == []
    assert (tmp_path / "warehouse" / "shop:dk.duckdb").is_file()
    event = klaviyo.instance.get_latest_materialization_event(dg.AssetKey(["klaviyo", "history"]))
    assert event is not None


def test_no_message_holds_the_token_of_an_address() -> None:
    warehouse = DuckDBWarehouse(database="md:shop?motherduck_token=verysecret&x=1")
    assert warehouse.place == "The schema klaviyo of md:shop?motherduck_token=***&x=1"
