"""Dagster's event log with its files kept open."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage

from klaviyo_assets import definitions
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.dagster_storage.default import keep_open, store_together
from klaviyo_assets.dagster_storage.event_log import BATCH, BATCH_VARIABLE, KEPT_OPEN, OpenEventLogStorage, store_batch
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
Opened = Callable[[], int]


@pytest.fixture(autouse=True)
def as_dagster_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what `store_together` has done in this process for another test."""
    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", EventLogStorage.store_event_batch)
    monkeypatch.delenv(BATCH_VARIABLE, raising=False)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """How often files of the event log have been opened so far."""
    count = 0
    connect = sqlite3.dbapi2.connect

    def counting(file: str, **options: object) -> object:
        nonlocal count
        count += Path(file).parent.name == "runs"
        return connect(file, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("sqlite3.dbapi2.connect", counting)
    return lambda: count


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + KEPT_OPEN)
    with dg.DagsterInstance.get() as made:
        assert isinstance(made.event_log_storage, OpenEventLogStorage)
        yield made


@pytest.fixture
def with_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance whose dagster.yaml says nothing of the event log."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.get() as made:
        yield made


def test_each_run_of_an_account_keeps_the_files_open(with_defaults: dg.DagsterInstance) -> None:
    account = KlaviyoAccount(warehouse=DuckDBWarehouse(database="unused.duckdb"))
    account.setup_for_execution(dg.build_init_resource_context(instance=with_defaults))
    assert isinstance(with_defaults.event_log_storage, OpenEventLogStorage)


def test_an_event_log_that_a_user_has_chosen_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = instance.event_log_storage
        keep_open(instance)
        assert instance.event_log_storage is before
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    module = "{module: dagster._core.storage.event_log, class: ConsolidatedSqliteEventLogStorage"
    (tmp_path / "dagster.yaml").write_text(f"event_log_storage: {module}, config: {{base_dir: {tmp_path}}}}}\n")
    with dg.DagsterInstance.get() as instance:
        before = instance.event_log_storage
        keep_open(instance)
        assert instance.event_log_storage is before


def test_nothing_is_overridden_in_an_untested_version_of_dagster(
    with_defaults: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster.__version__", "1.14.0")
    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", SqliteEventLogStorage.store_event_batch)
    keep_open(with_defaults)
    store_together()
    assert type(with_defaults.event_log_storage) is SqliteEventLogStorage
    assert SqliteEventLogStorage.store_event_batch is EventLogStorage.store_event_batch


def test_the_account_of_the_environment_stores_events_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `dagster job execute -m klaviyo_assets.definitions` does before it makes a run."""
    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", SqliteEventLogStorage.store_event_batch)
    monkeypatch.setenv(BATCH_VARIABLE, "")
    monkeypatch.delenv(BATCH_VARIABLE)
    monkeypatch.delitem(vars(definitions), "defs", raising=False)
    assert definitions.defs
    assert SqliteEventLogStorage.store_event_batch is store_batch
    assert os.environ[BATCH_VARIABLE] == BATCH


def test_with_an_untested_version_of_dagster_its_own_log_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + KEPT_OPEN)
    with dg.DagsterInstance.get() as before:
        assert isinstance(before.event_log_storage, OpenEventLogStorage)
        run = materialize(before).run_id
    monkeypatch.setattr("dagster.__version__", "1.14.0")
    with pytest.warns(UserWarning, match=r"tested with dagster.*1\.13.*, this is 1\.14\.0"):
        after = dg.DagsterInstance.get()
    with after:
        assert type(after.event_log_storage) is SqliteEventLogStorage
        assert after.all_logs(run, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION), "the same files"
        assert materialize(after).success


def materialize(instance: dg.DagsterInstance, assets: int = 20) -> dg.ExecuteInProcessResult:
    @dg.multi_asset(specs=[dg.AssetSpec(f"a{n}") for n in range(assets)])
    def made() -> Iterator[dg.MaterializeResult[object]]:
        for n in range(assets):
            yield dg.MaterializeResult(asset_key=f"a{n}", metadata={"n": n})

    return dg.materialize([made], instance=instance, run_config=QUIET)


DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-04-01")


def materialize_a_quarter(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Materialize two assets for each of 91 days, in one run."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(name, partitions_def=DAYS) for name in ("a", "b")],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def made() -> Iterator[dg.MaterializeResult[object]]:
        for name in ("a", "b"):
            yield dg.MaterializeResult(asset_key=name, metadata={"rows": 1})

    tags = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-03-31"}
    return dg.materialize([made], instance=instance, run_config=QUIET, tags=tags)


def of_a_quarter(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    """What Dagster and its UI know about the run and the assets."""
    known: list[Any] = [[(each.dagster_event_type, each.step_key) for each in instance.all_logs(run_id)]]
    for key in (dg.AssetKey("a"), dg.AssetKey("b")):
        latest = instance.get_latest_materialization_event(key)
        assert latest is not None and latest.asset_materialization is not None
        assert latest.run_id == run_id
        (record,) = instance.get_asset_records([key])
        assert record.asset_entry.last_run_id == run_id
        planned = instance.get_latest_planned_materialization_info(key)
        assert planned is not None and planned.run_id == run_id
        known.append(latest.asset_materialization.partition)
        known.append(sorted(instance.get_materialized_partitions(key)))
        records = instance.fetch_materializations(key, limit=1000).records
        known.append([each.partition_key for each in records])
    return known


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("said by dagster.yaml", marks=pytest.mark.soak),
        pytest.param("kept open", marks=pytest.mark.soak),
        "stored together",
    ],
)
def test_the_events_of_many_partitions_are_stored_together(
    how: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", SqliteEventLogStorage.store_event_batch)
    monkeypatch.setenv(BATCH_VARIABLE, "")
    monkeypatch.delenv(BATCH_VARIABLE)
    instance: dg.DagsterInstance = request.getfixturevalue(
        "instance" if how == "said by dagster.yaml" else "with_defaults"
    )
    if how == "kept open":
        keep_open(instance)
        assert isinstance(instance.event_log_storage, OpenEventLogStorage)
    if how == "stored together":
        store_together()
        assert type(instance.event_log_storage) is SqliteEventLogStorage
    commits: list[sa.Connection] = []

    def count(connection: sa.Connection) -> None:
        commits.append(connection)

    sa.event.listen(sa.Engine, "commit", count)
    try:
        run_id = materialize_a_quarter(instance).run_id
    finally:
        sa.event.remove(sa.Engine, "commit", count)
    assert len(commits) < 150, "Dagster commits more than five hundred times"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.delenv(BATCH_VARIABLE)
    with dg.DagsterInstance.from_config(str(tmp_path / "other")) as dagsters:
        expected = of_a_quarter(dagsters, materialize_a_quarter(dagsters).run_id)
    assert of_a_quarter(instance, run_id) == expected
    assert len(expected[2]) == 91


@pytest.mark.parametrize("when", ["at first", pytest.param("never", marks=pytest.mark.soak)])
def test_events_that_can_not_be_stored_together_are_there_once(
    when: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The index of all runs is busy, when the log of the run has them already."""
    store, refused = OpenEventLogStorage._store_asset_event_tags, []

    def busy(storage: OpenEventLogStorage, index: sa.Connection, events: Any, ids: Any) -> None:
        if when == "at first" and len(events) > 1:
            refused.append(len(events))
            raise sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))
        store(storage, index, events, ids)

    monkeypatch.setattr(OpenEventLogStorage, "_store_asset_event_tags", busy)
    run_id = materialize_a_quarter(instance).run_id
    assert bool(refused) == (when == "at first") == ("Falling back" in capfd.readouterr().err)
    for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED):
        keys = [event.get_dagster_event().asset_key for event in instance.all_logs(run_id, of_type=kind)]
        partitions = [event.get_dagster_event().partition for event in instance.all_logs(run_id, of_type=kind)]
        assert len(keys) == len(set(zip(keys, partitions, strict=True))), kind
    for key in (dg.AssetKey("a"), dg.AssetKey("b")):
        assert len(instance.fetch_materializations(key, limit=1000).records) == 91


def seen_by_dagster(home: Path, run_id: str) -> tuple[int, int, dg.DagsterRunStatus]:
    """What Dagster's own storage reads from the files: materialized assets, events of a run, its status."""
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as other:
        run = other.get_run_by_id(run_id)
        assert run and not isinstance(other.event_log_storage, OpenEventLogStorage)
        found = sum(other.get_latest_materialization_event(key) is not None for key in other.all_asset_keys())
        return found, len(other.all_logs(run_id)), run.status


def test_the_files_are_opened_once_a_run_and_are_those_of_dagster(
    instance: dg.DagsterInstance, opened: Opened, tmp_path: Path
) -> None:
    materialize(instance)
    before = opened()
    result = materialize(instance)
    assert opened() - before <= 3, "Dagster opens them more than a hundred times"
    events = instance.all_logs(result.run_id)
    assert len(events) > 60
    assert seen_by_dagster(tmp_path, result.run_id) == (20, len(events), dg.DagsterRunStatus.SUCCESS)


def test_few_files_stay_open(instance: dg.DagsterInstance) -> None:
    runs = [materialize(instance, 1).run_id for _ in range(6)]
    assert all(len(instance.all_logs(run_id)) > 5 for run_id in runs)
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    logs = {link.name for link in links if link.parent.name == "runs" and link.suffix == ".db"}
    assert "index.db" in logs and len(logs) <= 4
    instance.dispose()


def test_threads_and_forks_write_to_the_same_files(instance: dg.DagsterInstance, opened: Opened) -> None:
    run = materialize(instance).run_id

    def report(n: int) -> None:
        instance.report_engine_event(f"note {n}", instance.get_run_by_id(run))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(40)))

    def report_from_a_fork() -> None:
        before = opened()
        report(40)
        assert opened() > before, "a fork opens files of its own"

    child = multiprocessing.get_context("fork").Process(target=report_from_a_fork)
    child.start()
    child.join(60)
    report(41)
    assert child.exitcode == 0
    notes = [entry.message for entry in instance.all_logs(run)]
    assert all(sum(f"note {n}" == note.split(" - ")[-1] for note in notes) == 1 for n in range(42))


def test_wiping_leaves_nothing(instance: dg.DagsterInstance) -> None:
    materialize(instance)
    instance.wipe()
    run = materialize(instance).run_id
    assert len(instance.all_logs(run)) > 60
    assert [record.run_id for record in instance.get_runs()] == [run]
