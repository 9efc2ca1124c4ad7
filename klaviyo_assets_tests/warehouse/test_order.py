"""Which of two writes counts when reads overlap: the order of the reads, whatever came between them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Lookup
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.errors import OutdatedRead, SnapshotMissing
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract, Publication
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, begin, load, rows, run, warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import DAY, METRIC, snapshot

pytestmark = pytest.mark.every_database

LOOKING_UP = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))


def rename(warehouse: Any) -> None:
    """A lookup corrects the notes of all events."""
    snapshot(warehouse, [{"id": "m", "note": "renamed"}], NOON)
    assert warehouse.publish(Publication(METRIC, dependents=(LOOKING_UP,)), guard=0.5).corrected == 3


def fill(warehouse: DuckDBWarehouse) -> None:
    """A pass fills a column of all events."""
    assert patch(warehouse, dict.fromkeys(["1", "2", "3"], "filled")) == 3


def patch(warehouse: DuckDBWarehouse, notes: dict[str, str], **options: Any) -> int:
    with temporary_spool() as spool:
        spool.write(typed_batch(Columns(len(notes), {"id": [*notes], "note": [*notes.values()]}), EVENT))
        return warehouse.patch(Extract(EVENT, patch=True, **options), spool).updated


def event(id: str, n: int) -> dict[str, Any]:
    return {"id": id, "note": "old", "metric": "m", "n": n}


@pytest.mark.parametrize("touch", [rename, fill])
@pytest.mark.also_without_sql
def test_what_changes_a_column_makes_no_row_older_or_newer(touch: Any, tmp_path: Path) -> None:
    """Neither does an older read undo a newer one, nor is a newer one left out, because of what changed both rows."""
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [event("1", 0), event("2", 0), event("3", 0)], spec=LOOKING_UP, began=begin(warehouse))
    older, newer = begin(warehouse), begin(warehouse)
    load(warehouse, [event("1", 2)], spec=LOOKING_UP, began=newer)
    touch(warehouse)
    touched = {row["id"]: row["_fivetran_synced"] for row in rows(warehouse)}
    assert all(stamp - dt.datetime(2026, 5, 1, 12) < dt.timedelta(seconds=1) for stamp in touched.values())
    result = load(warehouse, [event("1", 1), event("2", 1)], spec=LOOKING_UP, began=older)
    assert (result.older, [row["property_n"] for row in rows(warehouse)]) == (1, [2, 1, 0])
    changed = {row["id"] for row in rows(warehouse) if row["_fivetran_synced"] != touched[row["id"]]}
    assert changed == {"2"}


@pytest.mark.also_without_sql
def test_an_older_pass_over_a_column_changes_nothing_after_a_newer_one(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [event("1", 0)])

    def passed(note: str, began: int) -> int:
        state = SyncState("event", "notes", synced_through=NOON + began * DAY, complete=True)
        return patch(warehouse, {"1": note}, began=began, states=(state,))

    older, newer = begin(warehouse), begin(warehouse)
    load(warehouse, [event("1", 1)], began=begin(warehouse))
    assert (passed("newer", newer), passed("older", older)) == (1, 0)
    state = warehouse.state("event", "notes")
    assert state and state.read_number == newer
    assert [row["note"] for row in rows(warehouse)] == ["newer"]
    assert passed("newest", begin(warehouse)) == 1


VERSIONED = replace(EVENT, version="datetime")


def version(note: str, hours: float) -> dict[str, Any]:
    return {"id": "1", "note": note, "datetime": (NOON + dt.timedelta(hours=hours)).isoformat()}


@pytest.mark.parametrize("ahead", [0.5, 48, 24 * 365])
@pytest.mark.also_without_sql
def test_a_version_from_the_future_freezes_no_row(ahead: float, tmp_path: Path) -> None:
    """Whether it is still to come when the next version is loaded, or has come meanwhile."""
    warehouse = warehouse_at(tmp_path)

    def read(*versions: dict[str, Any], hours: float, began: int | None = None) -> tuple[int, str]:
        result = load(warehouse, list(versions), spec=VERSIONED, at=NOON + dt.timedelta(hours=hours), began=began)
        return result.older, rows(warehouse)[0]["note"]

    assert read(version("ahead", ahead), hours=0, began=begin(warehouse)) == (0, "ahead")
    stalled = begin(warehouse)
    assert read(version("right", 0.2), hours=1, began=begin(warehouse)) == (0, "right")
    assert read(version("ahead again", ahead + 1), hours=1.2, began=stalled) == (1, "right")
    assert read(version("older", 0.1), hours=1.5, began=begin(warehouse)) == (1, "right")
    assert read(version("newer", 1.5), hours=2, began=begin(warehouse)) == (0, "newer")


@pytest.mark.parametrize("loss", ["DROP TABLE klaviyo._loads", "DELETE FROM klaviyo._loads"])
@pytest.mark.parametrize("since", [0, 3])
def test_numbers_that_were_lost_count_on_from_those_of_the_states(loss: str, since: int, tmp_path: Path) -> None:
    """Also if some were taken since from 1 on, as earlier versions did."""
    warehouse = warehouse_at(tmp_path)
    for _ in range(5):
        begin(warehouse)
    snapshot(warehouse, [{"id": "m", "note": "first"}], began=begin(warehouse))
    warehouse.publish(Publication(METRIC), guard=0.5)
    load(warehouse, [event("1", 0)], began=begin(warehouse))
    in_flight = begin(warehouse)
    load(warehouse, [event("2", 0)], began=begin(warehouse))
    warehouse.query(loss)
    if since:
        warehouse.remember()  # makes the table
        run(warehouse, *(f"INSERT INTO klaviyo._loads (number) VALUES ({n})" for n in range(1, since)))
    warehouse.publish(Publication(METRIC), guard=0.5)
    snapshot(warehouse, [{"id": "m", "note": "second"}], NOON + DAY, began=begin(warehouse))
    warehouse.publish(Publication(METRIC), guard=0.5)
    assert [row["note"] for row in rows(warehouse, "klaviyo.metric")] == ["second"]
    with pytest.raises(OutdatedRead):
        load(warehouse, [event("1", 1)], coverage=WHOLE_TABLE, began=in_flight)  # it would flag what came meanwhile
    assert load(warehouse, [event("1", 1)], coverage=WHOLE_TABLE, began=begin(warehouse)).deleted == 1


REMOVED = "DELETE FROM klaviyo.event WHERE id = '2'"
WITHOUT_NOTES = "ALTER TABLE klaviyo.event DROP COLUMN note"
STATE = SyncState("event", synced_from=NOON - DAY, synced_through=NOON)


@pytest.mark.parametrize(("how", "why"), [(REMOVED, "1 of its 3 rows were removed"), (WITHOUT_NOTES, "have no note")])
def test_a_state_is_void_once_somebody_has_changed_the_table(
    how: str, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [event("1", 0), event("2", 0), event("3", 0)], states=(STATE, replace(STATE, scope="reread")))
    load(warehouse, coverage=WHOLE_TABLE, states=(STATE,))
    assert warehouse.begin(tables=[EVENT]).mended == ()
    warehouse.query(how)
    with warehouse.reading() as transaction:
        found_at_once = how != REMOVED or transaction.dialect.capabilities.counts_at_once
    if found_at_once:
        (mended,) = warehouse.begin(tables=[EVENT]).mended
        assert why in mended
    else:
        load(warehouse, states=(STATE,), began=begin(warehouse))
        assert why in caplog.text
    assert warehouse.begin(tables=[EVENT]).states == {}
    assert warehouse.begin(tables=[EVENT]).mended == ()
    load(warehouse, [event("1", 1)], states=(STATE,))
    assert ("event", "") in warehouse.begin(tables=[EVENT]).states


@pytest.mark.of_duckdb
def test_a_row_that_was_there_twice_and_is_there_once_voids_nothing(tmp_path: Path) -> None:
    """A load writes each key once, so that the table has fewer rows than any state knew; nobody has removed one."""
    warehouse = warehouse_at(tmp_path)
    before = replace(STATE, synced_from=NOON - 9 * DAY, synced_through=NOON - 8 * DAY, extends=True)
    load(warehouse, [event("1", 0), event("2", 0), event("3", 0)], states=(STATE, before))
    warehouse.query("INSERT INTO klaviyo.event SELECT * FROM klaviyo.event")
    load(warehouse, [event("1", 1)], states=(before,))
    assert len(warehouse.begin(tables=[EVENT]).states) == 2
    done = load(warehouse, [event("2", 1), event("3", 1)], states=(STATE,), began=begin(warehouse))
    assert (done.inserted, done.updated, done.row_count) == (0, 2, 3)
    found = warehouse.begin(tables=[EVENT])
    assert found.mended == () and {state.rows for state in found.states.values()} == {3}
    warehouse.query(REMOVED)
    assert "1 of its 3 rows were removed" in warehouse.begin(tables=[EVENT]).mended[0]


@pytest.mark.parametrize("how", [REMOVED, WITHOUT_NOTES, "DROP TABLE klaviyo.event"])
def test_a_read_in_whose_time_somebody_changed_the_table_does_not_count_as_one(how: str, tmp_path: Path) -> None:
    """It began where others had ended: what those had brought is gone."""
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [event("1", 0), event("2", 0), event("3", 0)], states=(STATE,))
    began = begin(warehouse)
    warehouse.query(how)
    later = replace(STATE, synced_from=NOON, synced_through=NOON + DAY)
    load(warehouse, [event("4", 0)], began=began, states=(later,))
    assert warehouse.state("event") is None and "4" in {row["id"] for row in rows(warehouse)}


def test_a_snapshot_that_somebody_emptied_is_read_again(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    snapshot(warehouse, [{"id": "m", "note": "here"}])
    warehouse.query("DELETE FROM klaviyo_staging.metric")
    assert warehouse.begin().states == {}
    with pytest.raises(SnapshotMissing):
        warehouse.publish(Publication(METRIC), guard=1.0)
