"""Snapshots that came as they were: nothing is written again, and whatever else has changed since still is mended."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.schema.spec import Column, Lookup, TableSpec, Type
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.extract import Extract, Publication
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState
from klaviyo_assets_tests.warehouse.databases import NOON
from klaviyo_assets_tests.warehouse.helpers import EVENT, begin, event_columns, load, rows, warehouse_at

pytestmark = pytest.mark.every_database

HOUR = dt.timedelta(hours=1)
METRIC = TableSpec(
    name="metric",
    columns=(Column("id", Type.TEXT), Column("note", Type.TEXT), Column("x", Type.BIGINT)),
    primary_key=("id",),
)
FIRST = [{"id": "m1", "note": "one"}, {"id": "m2", "note": "two"}, {"id": "m3", "note": "three"}]


def sync(
    warehouse: Any,
    came: list[dict[str, Any]],
    hours: int = 0,
    *,
    spec: TableSpec = METRIC,
    complete: bool = True,
    guard: float = 0.7,
    **publication: Any,
) -> LoadResult:
    """Store a snapshot, so many hours after noon, and publish it."""
    now = NOON + hours * HOUR
    warehouse.set_clock(now)
    number = begin(warehouse)
    with temporary_spool() as spool:
        spool.write_all(typed_batches([event_columns(came)], spec))
        state = SyncState("metric", SNAPSHOT, synced_through=now, complete=complete)
        warehouse.store_snapshot(Extract(spec, began=number, snapshot=True, states=(state,)), spool)
    published: LoadResult = warehouse.publish(Publication(spec, **publication), guard=guard)
    return published


def table(warehouse: Any, schema: str = "klaviyo") -> list[tuple[Any, ...]]:
    """Key, note, whether it is deleted, and the hour after noon at which it was last written."""
    return [
        (row["id"], row["note"], row["_fivetran_deleted"], (row["_fivetran_synced"].hour - 12))
        for row in rows(warehouse, f"{schema}.metric")
    ]


AS_IT_CAME = [("m1", "one", False), ("m2", "two", False), ("m3", "three", False)]


@pytest.mark.of_duckdb
def test_what_came_as_it_was_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = warehouse_at(tmp_path)
    first = sync(warehouse, FIRST)
    assert (first.inserted, first.updated) == (3, 0)
    monkeypatch.setattr("klaviyo_assets.warehouse.warehouse.upsert", None)
    for hours in (1, 2):
        again = sync(warehouse, FIRST, hours)
        assert (again.rows, again.inserted, again.updated, again.deleted, again.row_count) == (3, 0, 3, 0, 3)
        assert table(warehouse) == [(*row, hours) for row in AS_IT_CAME]
        assert table(warehouse, "klaviyo_staging") == [(*row, 0) for row in AS_IT_CAME], "the snapshot is not"


@pytest.mark.also_without_sql
def test_its_rows_are_stamped_as_those_of_the_new_read(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    sync(warehouse, FIRST, 3)
    assert table(warehouse) == [(*row, 3) for row in AS_IT_CAME]
    states = warehouse.states()
    assert states["metric", ""].synced_through == states["metric", SNAPSHOT].synced_through == NOON + 3 * HOUR
    assert states["metric", ""].read_number == states["metric", SNAPSHOT].read_number
    assert len({row["_fivetran_synced"] for row in rows(warehouse, "klaviyo.metric")}) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE klaviyo.metric SET note = 'mine' WHERE id = 'm2'",
        "UPDATE klaviyo.metric SET note = NULL WHERE id = 'm2'",
        "UPDATE klaviyo.metric SET _fivetran_deleted = true WHERE id = 'm2'",
        "UPDATE klaviyo.metric SET note = CASE id WHEN 'm1' THEN 'two' WHEN 'm2' THEN 'one' ELSE note END",
        "DELETE FROM klaviyo.metric WHERE id = 'm2'",
        "DELETE FROM klaviyo.metric",
        "DROP TABLE klaviyo.metric",
        "UPDATE klaviyo_staging.metric SET note = 'mine' WHERE id = 'm2'",
        "DELETE FROM klaviyo_staging.metric WHERE id = 'm2'",
        "DELETE FROM klaviyo_staging.metric",
        "DROP TABLE klaviyo_staging.metric",
        "DELETE FROM klaviyo._sync_state",
    ],
)
def test_what_somebody_has_changed_is_mended(statement: str, tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    sync(warehouse, FIRST, 1)
    warehouse.query(statement)
    sync(warehouse, FIRST, 2)
    assert table(warehouse) == [(*row, 2) for row in AS_IT_CAME]
    assert [row[:3] for row in table(warehouse, "klaviyo_staging")] == AS_IT_CAME
    sync(warehouse, FIRST, 3)
    assert table(warehouse) == [(*row, 3) for row in AS_IT_CAME]


def test_a_row_that_somebody_added_is_flagged_and_a_column_stays(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    warehouse.query("ALTER TABLE klaviyo.metric ADD COLUMN mine INTEGER")
    warehouse.query("UPDATE klaviyo.metric SET mine = 5")
    warehouse.query(
        "INSERT INTO klaviyo.metric (id, note, _fivetran_synced, _fivetran_deleted) "
        "VALUES ('mine', 'mine', TIMESTAMP '2026-04-01 00:00:00', false)"
    )
    for hours in (1, 2):
        sync(warehouse, FIRST, hours)
        assert [row[:3] for row in table(warehouse)] == [*AS_IT_CAME, ("mine", "mine", True)]
        found = rows(warehouse, "klaviyo.metric")
        assert [row["mine"] for row in found if row["id"] != "mine"] == [5, 5, 5]


@pytest.mark.of_duckdb
def test_a_column_of_somebody_does_not_stand_for_the_row(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    warehouse.query("ALTER TABLE klaviyo.metric ADD COLUMN own INTEGER")
    sync(warehouse, FIRST, 1)
    warehouse.query("UPDATE klaviyo.metric SET note = 'mine'")
    sync(warehouse, FIRST, 2)
    assert table(warehouse) == [(*row, 2) for row in AS_IT_CAME]


@pytest.mark.also_without_sql
def test_what_changes_goes_and_comes_back_is_seen(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    sync(warehouse, FIRST, 1)
    assert sync(warehouse, FIRST[:2], 2).deleted == 1
    assert table(warehouse)[2] == ("m3", "three", True, 2)
    sync(warehouse, FIRST[:2], 3)
    assert table(warehouse)[2] == ("m3", "three", True, 2), "a deleted row keeps the time at which it went"
    assert [row[3] for row in table(warehouse)[:2]] == [3, 3]
    sync(warehouse, FIRST, 4)
    assert table(warehouse) == [(*row, 4) for row in AS_IT_CAME]
    sync(warehouse, [*FIRST[:2], {"id": "m3", "note": "new"}], 5)
    assert table(warehouse)[2] == ("m3", "new", False, 5)


@pytest.mark.also_without_sql
def test_rows_that_wait_to_be_flagged_are_flagged_by_the_same_snapshot_later(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    for hours in (1, 2):
        assert sync(warehouse, FIRST[:1], hours, guard=0.5).waiting, "nobody knows yet"
    assert sync(warehouse, FIRST[:1], 8, guard=0.5).deleted == 2


@pytest.mark.also_without_sql
def test_what_a_partial_answer_left_open_is_settled_by_the_next_one(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    for hours in (1, 2):
        assert sync(warehouse, FIRST[:2], hours, complete=False).deleted == 0
        assert table(warehouse)[2] == ("m3", "three", False, 0), "it did not come"
    assert sync(warehouse, FIRST[:2], 3).deleted == 1


@pytest.mark.also_without_sql
def test_a_snapshot_that_was_not_published_still_is(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    warehouse.set_clock(NOON + HOUR)
    changed = [{"id": "m1", "note": "uno"}, *FIRST[1:]]
    with temporary_spool() as spool:
        spool.write_all(typed_batches([event_columns(changed)], METRIC))
        state = SyncState("metric", SNAPSHOT, synced_through=NOON + HOUR, complete=True)
        warehouse.store_snapshot(Extract(METRIC, began=begin(warehouse), snapshot=True, states=(state,)), spool)
    sync(warehouse, changed, 2)
    assert table(warehouse)[0] == ("m1", "uno", False, 2)


@pytest.mark.also_without_sql
def test_columns_of_other_tables_that_repeat_it_are_corrected_each_time(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    event = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    sync(warehouse, FIRST, dependents=(event,))
    load(warehouse, [{"id": "e1", "note": "before it had a name", "metric": "m1"}], at=NOON + HOUR)
    assert sync(warehouse, FIRST, 2, dependents=(event,)).corrected == 1
    assert rows(warehouse)[0]["note"] == "one"


@pytest.mark.also_without_sql
def test_another_declaration_writes_everything_again(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    sync(warehouse, FIRST)
    more = replace(METRIC, columns=(*METRIC.columns, Column("later", Type.TEXT)))
    sync(warehouse, FIRST, 1, spec=more)
    assert [row["later"] for row in rows(warehouse, "klaviyo.metric")] == [None, None, None]
