"""Rows on a boundary: equal times and versions, the largest numbers, missing values, rows that are deleted already."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.lost import Lost
from klaviyo_assets.schema.spec import Column, ForeignKey, Lookup, Type
from klaviyo_assets.warehouse.batches import typed_batch, typed_batches
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Coverage, Extract, Publication, Sweep
from klaviyo_assets.warehouse.spool import SpoolWriter, temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, begin, event_columns, load, rows, warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import DAY, METRIC, column_types, snapshot

pytestmark = pytest.mark.every_database

VERSIONED = replace(EVENT, version="datetime")


def notes(warehouse: DuckDBWarehouse) -> dict[str, Any]:
    return {row["id"]: row["note"] for row in rows(warehouse)}


def at(day: int) -> dt.datetime:
    return dt.datetime(2026, 5, day, tzinfo=dt.UTC)


def days(*numbers: int) -> list[dict[str, Any]]:
    """One event at the beginning of each day, with the day as its id."""
    return [{"id": str(day), "datetime": at(day).isoformat()} for day in numbers]


def flagged(warehouse: DuckDBWarehouse, table: str = "klaviyo.event") -> set[str]:
    return {row["id"] for row in rows(warehouse, table) if row["_fivetran_deleted"]}


@pytest.mark.parametrize("later", [1, "text"])
@pytest.mark.also_without_sql
def test_the_last_row_counts_wherever_it_lies_in_its_file(tmp_path: Path, later: Any) -> None:
    """Files whose types differ are read apart from each other."""
    warehouse = warehouse_at(tmp_path)
    first = [*({"id": str(n), "x": n} for n in range(5)), {"id": "9", "note": "first", "x": 0}]
    load(warehouse, first, [{"id": "9", "note": "last", "x": later}, {"id": "8", "x": later}])
    assert (notes(warehouse)["9"], len(rows(warehouse))) == ("last", 7)


@pytest.mark.also_without_sql
def test_versions_that_are_equal_missing_or_of_a_deleted_row(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    dated = {"id": "1", "datetime": "2026-05-03T00:00:00Z"}
    undated = {"id": "1", "note": "undated"}
    load(warehouse, [undated, {**dated, "note": "a"}, {**dated, "note": "b"}, undated], spec=VERSIONED)
    assert notes(warehouse) == {"1": "b"}
    result = load(warehouse, [{**dated, "note": "c"}], spec=VERSIONED)
    assert (result.older, result.updated, notes(warehouse)) == (0, 1, {"1": "c"})
    load(warehouse, coverage=WHOLE_TABLE)
    assert flagged(warehouse) == {"1"}
    older = {"id": "1", "datetime": "2026-05-02T00:00:00Z", "note": "back again"}
    assert load(warehouse, [older], spec=VERSIONED).older == 0
    assert notes(warehouse) == {"1": "back again"} and not flagged(warehouse)


@pytest.mark.also_without_sql
def test_a_range_contains_its_start_and_not_its_end(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, days(1, 2, 3, 4, 5))
    assert warehouse.read("event", column="datetime", windows=[(at(2), at(4))])["id"].to_pylist() == ["2", "3"]
    assert load(warehouse, coverage=Coverage("datetime", at(2), at(4))).deleted == 2
    assert flagged(warehouse) == {"2", "3"}
    assert load(warehouse, coverage=Coverage("datetime", at(3), at(4))).deleted == 0, "it was already"
    assert warehouse.daily_counts("event", "note", "datetime", at(1), at(5)) == {
        (None, dt.date(2026, 5, 1)): 1,
        (None, dt.date(2026, 5, 4)): 1,
    }
    assert warehouse.live_rows(EVENT) == 3
    load(warehouse, coverage=Coverage("datetime", at(1), at(2)))
    assert warehouse.earliest("event", "datetime") == at(4)


@pytest.mark.also_without_sql
def test_a_patch_neither_adds_nor_brings_back_nor_touches_what_is_right(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "gone", "note": "x"}, {"id": "null"}, {"id": "old", "note": "x"}, {"id": "other"}])
    load(warehouse, [{"id": "null"}, {"id": "old"}, {"id": "other"}], coverage=WHOLE_TABLE)

    def patch(values: dict[str, Any], synced_at: dt.datetime) -> int:
        with temporary_spool() as spool:
            spool.write(typed_batch(Columns(len(values), {"id": [*values], "note": [*values.values()]}), EVENT))
            warehouse.set_clock(synced_at)
            return warehouse.patch(Extract(EVENT, patch=True), spool).updated

    values = {"gone": "y", "null": "y", "old": None, "unknown": "y"}
    assert patch(values, NOON + DAY) == 2
    assert notes(warehouse) == {"gone": "x", "null": "y", "old": None, "other": None} and flagged(warehouse) == {"gone"}
    assert patch(values, NOON + 2 * DAY) == 0
    assert {row["id"]: row["_fivetran_synced"].day for row in rows(warehouse)} == {
        "gone": 1, "null": 2, "old": 2, "other": 1,
    }  # fmt: skip


@pytest.mark.also_without_sql
def test_a_sweep_flags_what_was_there_when_it_began_and_nothing_else(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    began = NOON + DAY  # by the source's clock
    child = replace(METRIC, name="child")
    load(warehouse, [{"id": "flagged"}], at=NOON - DAY)
    load(warehouse, coverage=WHOLE_TABLE, at=NOON - DAY)
    old = ["seen", "gone", "alive", "back"]
    load(warehouse, [{"id": id, "datetime": "2026-04-01T00:00:00Z"} for id in old])
    load(warehouse, [{"id": "undated"}, {"id": "young", "datetime": began.isoformat()}])
    load(warehouse, [{"id": "of nobody", "note": "removed by hand, and gone"}], spec=child)
    number = begin(warehouse)
    load(warehouse, [{"id": "written", "datetime": "2026-04-01T00:00:00Z"}])
    everything = [*old, "undated", "young", "written", "come meanwhile"]
    load(warehouse, [{"id": f"of {id}", "note": id} for id in everything], spec=child)
    asked: list[str] = []

    def still_there(ids: list[str]) -> set[str]:
        asked.extend(ids)
        load(warehouse, [{"id": "back"}], at=began + DAY)  # by another run, while Klaviyo is asked
        return {"alive"}

    with temporary_spool() as keys:
        keys.write_all(typed_batches([event_columns([{"id": "seen"}])], EVENT))
        sweep = Sweep(EVENT, keys, number, "datetime", began, still_there, children=((child, "note"),))
        result = warehouse.sweep(sweep, guard=1.0)
    assert sorted(asked) == ["alive", "back", "gone", "undated"]
    assert (result.deleted, flagged(warehouse)) == (2, {"flagged", "gone", "undated"})
    assert flagged(warehouse, "klaviyo.child") == {"of gone", "of undated", "of nobody"}
    synced = {row["id"]: row["_fivetran_synced"] for row in rows(warehouse)}
    assert synced["flagged"].day == 30 and synced["gone"].day == 3


@pytest.mark.also_without_sql
def test_of_two_runs_at_once_none_flags_what_the_other_saw_nor_writes_over_what_is_newer(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "gone"}, {"id": "changed", "note": "old"}])

    long, short = begin(warehouse), begin(warehouse)
    # The long read begins first and ends last, but loads before the other: it alone saw what came in between.
    load(warehouse, [{"id": "changed"}, {"id": "appeared"}], began=long)
    result = load(warehouse, [{"id": "changed"}], began=short, coverage=WHOLE_TABLE)
    assert (result.deleted, flagged(warehouse)) == (1, {"gone"})

    first, second, third, last = (begin(warehouse) for _ in range(4))
    load(warehouse, [{"id": "changed", "note": "new"}], began=third)
    older = [{"id": "changed", "note": "old"}, {"id": "gone"}, {"id": "late"}]
    result = load(warehouse, older, began=first)
    assert (result.older, notes(warehouse)["changed"], flagged(warehouse)) == (1, "new", set())
    result = load(warehouse, older[:1], began=second)
    assert (result.older, notes(warehouse)["changed"]) == (1, "new")
    load(warehouse, [{"id": "changed", "note": "newest"}], began=last)
    assert notes(warehouse) == {"changed": "newest", "gone": None, "late": None, "appeared": None}


@pytest.mark.also_without_sql
def test_a_lookup_fills_what_is_missing_and_empties_nothing(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    event = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    load(warehouse, [{"id": "1", "metric": "named"}, {"id": "2", "metric": "nameless", "note": "kept"}])
    snapshot(warehouse, [{"id": "named", "note": "name"}, {"id": "nameless"}])
    assert warehouse.publish(Publication(METRIC, dependents=(event,)), guard=0.5).corrected == 1
    assert notes(warehouse) == {"1": "name", "2": "kept"}


@pytest.mark.also_without_sql
def test_a_snapshot_of_the_same_time_replaces_and_half_of_one_flags_nothing(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    snapshot(warehouse, [{"id": "a"}])
    snapshot(warehouse, [{"id": "b"}])
    assert [row["id"] for row in rows(warehouse, "klaviyo_staging.metric")] == ["b"]
    warehouse.publish(Publication(METRIC, infers_deletes=False), guard=0.5)
    state = warehouse.state("metric")
    assert state is not None and (state.synced_through, state.complete, state.rows) == (NOON, True, 1)
    with temporary_spool() as spool:
        half = SyncState("metric", "snapshot", synced_through=NOON + DAY)
        warehouse.store_snapshot(Extract(METRIC, snapshot=True, states=(half,)), spool)
    assert warehouse.publish(Publication(METRIC), guard=1.0).deleted == 0
    assert not flagged(warehouse, "klaviyo.metric")


@pytest.mark.parametrize("few", [{"foreign_keys": (ForeignKey("id", "parent"),)}, {"partitioned_by": "datetime"}])
@pytest.mark.also_without_sql
def test_ten_rows_may_always_go_and_eleven_may_not(few: dict[str, Any], tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    spec = replace(EVENT, **few)
    load(warehouse, [{"id": str(n)} for n in range(11)])
    assert load(warehouse, spec=spec, coverage=WHOLE_TABLE, guard=0.5).deleted == 0
    assert load(warehouse, [{"id": "0"}], spec=spec, coverage=WHOLE_TABLE, guard=0.5).deleted == 10
    assert load(warehouse, coverage=WHOLE_TABLE, guard=0.5).deleted == 0
    assert len(flagged(warehouse)) == 10


def test_what_a_state_covers() -> None:
    state = SyncState("event", synced_from=at(2), synced_through=at(4))
    assert state.covers(at(2), at(4)) and not state.covers(at(1), at(4)) and not state.covers(at(2), at(5))
    assert replace(state, synced_from=None).covers(at(1), at(4)) and not SyncState("event").covers(at(1), at(1))
    beginning = replace(state, synced_from=None, synced_through=at(3)).after(state)
    assert beginning is not None and (beginning.synced_from, beginning.synced_through) == (None, at(4))
    assert SyncState("event").after(state) is None


@pytest.mark.also_without_sql
def test_every_row_is_spooled_once_however_it_is_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.spool.BATCH_ROWS", 3)
    warehouse = warehouse_at(tmp_path)
    with temporary_spool() as spool:
        writer = SpoolWriter(EVENT, spool)
        for number in range(10):
            writer.add(event_columns([{"id": str(number), "datetime": "never", "x": number}]))
            writer.add(event_columns([]))
        writer.close()
        writer.close()
        assert ([file.rows for file in spool.files], spool.rows) == ([3, 3, 3, 1], 10)
        assert writer.lost == {"datetime": 10}
        warehouse.load(Extract(EVENT), spool)
    assert [(row["id"], row["property_x"]) for row in rows(warehouse)] == [(str(n), n) for n in range(10)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**53, -(2**53), 0.5], Type.DOUBLE),
        ([2**53 + 1, 0.5], Type.TEXT),
        ([-(2**53) - 1, 0.5], Type.TEXT),
        ([2**63 - 1, None], Type.BIGINT),
        ([2**63], Type.TEXT),
        (["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"], Type.TIMESTAMP),
        (["0000-01-01T00:00:00Z"], Type.TEXT),
        (["2026-01-02T03:04:05.1234567Z"], Type.TEXT),
        (["2026-01-02T03:04:05"], Type.TEXT),
    ],
)
def test_the_type_of_the_largest_values(values: list[Any], kind: Type, tmp_path: Path) -> None:
    with temporary_spool() as spool:
        spool.write(typed_batch(event_columns([{"id": str(n), "x": value} for n, value in enumerate(values)]), EVENT))
        assert spool.files[0].types["property_x"] is kind
    # The same when they come one by one.
    warehouse = warehouse_at(tmp_path)
    for n, value in enumerate(values):
        load(warehouse, [{"id": str(n), "x": value}])
    names = {Type.TEXT: "VARCHAR"}
    assert column_types(warehouse)["property_x"] == names.get(kind, kind.name)


def test_the_largest_values_of_declared_columns() -> None:
    spec = replace(METRIC, columns=(*METRIC.columns, *EVENT.columns[1:2]), version=None)
    first, last = -62_135_596_800, 253_402_300_799
    lost = Lost()
    batch = typed_batch(
        Columns(5, {"id": ["a"] * 5, "datetime": [first, last, first - 1, last + 1, None]}),
        spec,
        on_lost=lost.add,
    )
    assert batch["datetime"].to_pylist() == [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59), *[None] * 3]
    assert lost == {"datetime": 2}


BEYOND = ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"]


@pytest.mark.parametrize("beyond", [*BEYOND, "0000-12-31T23:59:59Z", "9999-12-31 23:59:59.5-00:01"])
@pytest.mark.also_without_sql
def test_times_beyond_the_calendar_are_text_or_null(beyond: str, tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": "2026-01-01T00:00:00Z", "datetime": "2026-01-01T00:00:00Z"}])
    load(warehouse, [{"id": "2", "x": beyond, "datetime": beyond}])
    assert [(row["property_x"], row["datetime"]) for row in rows(warehouse)] == [
        ("2026-01-01T00:00:00+00:00", dt.datetime(2026, 1, 1)),
        (beyond, None),
    ]
    spec = replace(EVENT, columns=(*EVENT.columns, Column("day", Type.DATE)))
    lost = Lost()
    days = [beyond, "2026-01-01", "2026-01-01T23:00:00-05:00"]
    batch = typed_batch(Columns(3, {"id": ["a", "b", "c"], "day": days}), spec, on_lost=lost.add)
    assert batch["day"].to_pylist() == [None, dt.date(2026, 1, 1), dt.date(2026, 1, 2)]
    assert str(lost) == "day (1 value; id a)"


@pytest.mark.parametrize("beyond", [*BEYOND, "never", True])
def test_a_row_without_its_key_is_left_out(beyond: Any) -> None:
    spec = replace(EVENT, primary_key=("datetime", "id"))
    lost = Lost()
    columns = Columns(2, {"id": ["a", "b"], "datetime": [beyond, 5]}, {"property_x": [b"1", b"2"]})
    batch = typed_batch(columns, spec, on_lost=lost.add)
    assert batch.to_pylist() == [{"id": "b", "datetime": dt.datetime(1970, 1, 1, 0, 0, 5), "property_x": 2}]
    assert dict(lost) == {"datetime": 1}


def test_declared_booleans_come_as_values_or_as_text() -> None:
    spec = replace(METRIC, columns=(*METRIC.columns, Column("on", Type.BOOLEAN)))
    lost = Lost()
    values = [True, False, None, "true", " FALSE ", "maybe", 1]
    batch = typed_batch(Columns(7, {"id": ["a"] * 7, "on": values}), spec, on_lost=lost.add)
    assert batch["on"].to_pylist() == [True, False, None, True, False, None, None]
    assert lost == {"on": 2}


@pytest.mark.also_without_sql
def test_rows_of_what_is_not_there_yet(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    assert warehouse.rows("event", ["id"]) == [], "no database"
    load(warehouse, [{"id": "1", "note": "a"}])
    assert warehouse.rows("event", ["note", "id"]) == [("a", "1")]
    assert warehouse.rows("event", ["id", "property_x"]) == warehouse.rows("metric", ["id"]) == []


def test_a_column_of_every_kind_holds_their_texts() -> None:
    values = [1.50, "a", None, {"b": [1]}, True, ""]
    batch = typed_batch(event_columns([{"id": str(n), "x": value} for n, value in enumerate(values)]), EVENT)
    assert batch["property_x"].to_pylist() == ["1.5", "a", None, '{"b": [1]}', "true", ""]
