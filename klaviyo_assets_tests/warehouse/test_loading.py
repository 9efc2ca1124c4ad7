"""Loads into DuckDB: upserts, columns that appear and widen, deletes, state, all or nothing."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.assets.advice import advised
from klaviyo_assets.schema.spec import Column, ForeignKey, Lookup, TableSpec, Type
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.errors import SnapshotMissing, WarehouseError, WarehouseLocked
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Coverage, Extract, Publication, Sweep
from klaviyo_assets.warehouse.guard import Waiting
from klaviyo_assets.warehouse.names import cut
from klaviyo_assets.warehouse.spool import _PREFIX, Room, remove_abandoned_spools, temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import (
    EVENT,
    NOON,
    begin,
    column_types,
    event_columns,
    in_use,
    json_text,
    json_type,
    load,
    rows,
    warehouse_at,
)

pytestmark = pytest.mark.every_database

DAY = dt.timedelta(days=1)


@pytest.mark.also_without_sql
def test_a_load_inserts_and_updates_by_key(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "a", "x": 1}, {"id": "2", "note": "b", "x": 2}])
    result = load(warehouse, [{"id": "2", "note": "B"}, {"id": "3", "note": "c"}], at=NOON + DAY)
    assert (result.inserted, result.updated, result.row_count) == (1, 1, 3)
    first, second, third = rows(warehouse)
    assert (first["note"], first["property_x"], first["_fivetran_synced"].day) == ("a", 1, 1)
    assert (second["note"], second["property_x"], second["_fivetran_synced"].day) == ("B", None, 2)
    assert (third["_fivetran_deleted"], third["_fivetran_synced"]) == (False, dt.datetime(2026, 5, 2, 12))
    nothing = load(warehouse, [], at=NOON + DAY)
    assert (nothing.rows, nothing.inserted, nothing.updated, nothing.deleted, nothing.row_count) == (0, 0, 0, 0, 3)


@pytest.mark.also_without_sql
def test_of_two_copies_the_last_is_kept_and_of_two_versions_the_newest(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "first"}, {"id": "1", "note": "second"}], [{"id": "1", "note": "third"}])
    assert [row["note"] for row in rows(warehouse)] == ["third"]

    versioned = replace(EVENT, version="datetime")
    newest = {"id": "1", "note": "newest", "datetime": "2026-04-03T00:00:00Z"}
    older = {"id": "1", "note": "older", "datetime": "2026-04-02T00:00:00Z"}
    load(warehouse, [newest], [older], spec=versioned)
    assert [row["note"] for row in rows(warehouse)] == ["newest"]
    assert load(warehouse, [older], spec=versioned).older == 1
    assert [row["note"] for row in rows(warehouse)] == ["newest"]


def test_columns_that_a_load_does_not_speak_of_keep_their_values(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "mine", "datetime": "2026-05-03 01:02:03+02:00", "x": 1}])
    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN owner VARCHAR DEFAULT 'user'")
    load(warehouse, [{"id": "1", "datetime": "2026-05-04T00:00:00.5Z"}])
    (row,) = rows(warehouse)
    assert (row["note"], row["owner"], row["property_x"]) == ("mine", "user", None)
    assert row["datetime"] == dt.datetime(2026, 5, 4, 0, 0, 0, 500_000)


@pytest.mark.also_without_sql
def test_a_failed_load_changes_nothing(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}], states=[SyncState("event", synced_through=NOON)])
    before = rows(warehouse)
    with pytest.raises(WarehouseError, match="have no id"):
        load(
            warehouse,
            [{"id": "1", "x": "text", "y": 1}, {"note": "without a key"}],
            states=[SyncState("event", synced_through=NOON + DAY)],
        )
    after = rows(warehouse)
    if in_use[-1] in (
        "snowflake",
        "bigquery",
        "clickhouse",
    ):  # they commit what changes columns
        after = [{name: row[name] for name in before[0]} | {"property_x": int(row["property_x"])} for row in after]
    assert after == before
    state = warehouse.state("event")
    assert state is not None and state.synced_through == NOON


# Columns that appear

NAMES = st.sampled_from(["a", "b", '"); drop table event; --', "😀", "x" * 300, "select"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1e-7, -0.0, 2**53 + 1, 1e300, "2026-01-02T03:04:05Z", "2026-01-02 03:04:05.120+00:00", "", "1"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text("ab", max_size=2), children, max_size=3),
    max_leaves=4,
)


def came_back(sent: Any, found: Any) -> bool:
    """Whether a property has kept its value, in the type of its column or as text."""
    if sent is None or found is None:
        return sent is None and found is None
    if isinstance(sent, str):
        if isinstance(found, dt.datetime):
            return found.replace(tzinfo=dt.UTC) == dt.datetime.fromisoformat(sent)
        return sent == found or dt.datetime.fromisoformat(sent) == dt.datetime.fromisoformat(found)
    if isinstance(sent, (bool, list, dict)):
        return sent is found or json.loads(found) == sent
    return sent == found or type(sent)(json.loads(found)) == sent


@settings(deadline=None, max_examples=20)  # of many values each: a load takes long, whatever its size
@given(st.lists(st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=6), min_size=1, max_size=4))
@pytest.mark.also_without_sql
def test_every_value_of_every_property_comes_back(loads: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = warehouse_at(Path(folder))
        sent: list[dict[str, Any]] = []
        for batch in loads:
            if in_use[-1] == "bigquery":  # which refuses such a name: columns of this project are words
                batch = [{name: value for name, value in row.items() if ";" not in name} for row in batch]
            numbered = [{**row, "id": f"{len(sent) + n:04d}"} for n, row in enumerate(batch)]
            load(warehouse, numbered)
            sent += numbered
        found = rows(warehouse)
    assert [row["id"] for row in found] == [row["id"] for row in sent]
    for row, back in zip(sent, found, strict=True):
        for name, value in row.items():
            if name != "id":
                longest = {"postgres": 63, "snowflake": 255, "bigquery": 300}.get(in_use[-1], 1000)
                column = cut(f"property_{name}", longest)
                if in_use[-1] == "postgres" and isinstance(value, str):
                    value = value.replace("\0", "\ufffd")
                assert came_back(value, back.get(column)), (name, value, back)


def test_types_start_narrow_and_widen_without_loss(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "n": 1, "big": 2**53 + 1, "t": "2026-01-02T03:04:05Z", "o": {"a": 1}, "f": True}])
    assert {name: kind for name, kind in column_types(warehouse).items() if name.startswith("property_")} == {
        "property_n": "BIGINT",
        "property_big": "BIGINT",
        "property_t": "TIMESTAMP",
        "property_o": json_type(),
        "property_f": "BOOLEAN",
    }
    result = load(warehouse, [{"id": "2", "n": 1.5, "big": 1.5, "t": "soon", "o": "text", "f": 0}])
    widened = {"property_n", "property_big", "property_t", "property_o", "property_f"}
    assert set(result.columns_widened) == widened - ({"property_o"} if json_type() == "VARCHAR" else set())
    types = column_types(warehouse)
    assert types["property_n"] == "DOUBLE"
    assert {types[f"property_{name}"] for name in ("big", "t", "o", "f")} == {"VARCHAR"}
    first, second = rows(warehouse)
    assert (first["property_n"], first["property_big"], first["property_f"]) == (1.0, "9007199254740993", "true")
    assert (first["property_t"], first["property_o"]) == ("2026-01-02T03:04:05+00:00", json_text('{"a": 1}'))
    assert (second["property_t"], second["property_o"], second["property_f"]) == ("soon", "text", "0")
    load(warehouse, [{"id": "3", "n": "three"}])
    assert [row["property_n"] for row in rows(warehouse)] == ["1", "1.5", "three"]


def test_columns_beyond_the_limit_go_to_one_json_column(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path, max_dynamic_columns=2)
    assert load(warehouse, [{"id": "0", "a": 1}]).overflow == ()
    wild = {
        "text": 'say "hi"\n',
        "n": 2**53 + 1,
        "d": 1.5,
        "t": "2026-01-02T03:04:05.000006Z",
        "o": {"x": [None]},
        "f": False,
    }
    result = load(warehouse, [{"id": "1", "a": 2, "b": 3}, {"id": "2", **wild}, {"id": "3"}])
    assert result.columns_added == ("property_b",)
    assert set(result.overflow) == {f"property_{name}" for name in wild}
    first, second, third, fourth = rows(warehouse)
    assert (first["property_a"], second["property_a"], second["property_b"]) == (1, 2, 3)
    assert first["property__overflow"] is second["property__overflow"] is fourth["property__overflow"] is None
    held = {name.removeprefix("property_"): value for name, value in json.loads(third["property__overflow"]).items()}
    assert held == {**wild, "t": "2026-01-02T03:04:05.000006+00:00"}

    # What is a column stays one, what is none stays none; a row is written as a whole.
    assert load(warehouse, [{"id": "2", "b": "x", "n": 1}, {"id": "1", "a": 5}]).overflow == ("property_n",)
    _, second, third, _ = rows(warehouse)
    assert (third["property_b"], json.loads(third["property__overflow"])) == ("x", {"property_n": 1})
    assert (second["property_a"], second["property_b"]) == (5, None)
    raised = warehouse_at(tmp_path, max_dynamic_columns=3)
    assert load(raised, [{"id": "2", "n": 7}]).overflow == ()
    assert [(row["property_n"], row["property__overflow"]) for row in rows(raised)[2:3]] == [(7, None)]


def test_columns_left_out_do_not_go_to_the_overflow(tmp_path: Path) -> None:
    """`new_columns: block_all`: what the table or its overflow has is kept up to date, what is new is left out."""
    warehouse = warehouse_at(tmp_path, max_dynamic_columns=1)
    spec = replace(EVENT, takes_new_columns=False)
    first = load(warehouse, [{"id": "1", "a": 1, "b": 2}, {"id": "2", "c": 3}], spec=spec)
    assert (first.columns_added, first.overflow) == (("property_a",), ("property_b", "property_c"))
    again = [{"id": "1", "a": 4, "b": 5, "z": 6}, {"id": "3", "c": [7], "z": 8}, {"id": "4", "z": 9}]
    result = load(warehouse, again, spec=spec)
    assert (result.columns_left_out, result.overflow) == (("property_z",), ("property_b", "property_c"))
    found = [(row["property_a"], row["property__overflow"]) for row in rows(warehouse)]
    assert found == [(4, '{"property_b":5}'), (None, '{"property_c":3}'), (None, '{"property_c":[7]}'), (None, None)]
    assert {name for name in rows(warehouse)[0] if "property" in name} == {"property_a", "property__overflow"}


def test_two_loads_above_a_row_group(tmp_path: Path) -> None:
    """DuckDB 2.0.0 inserts duplicates after `CREATE TABLE AS` and 122,880 rows in one transaction."""
    warehouse = warehouse_at(tmp_path)
    size = 150_000
    for shift in (0, 50_000):
        load(warehouse, [{"id": str(n), "note": str(shift), "x": n} for n in range(shift, shift + size)])
    (counts,) = warehouse.query(
        "SELECT count(*), count(DISTINCT id), min(property_x), max(property_x), sum(property_x), "
        "count(*) FILTER (WHERE note = '0') FROM klaviyo.event"
    )
    total = 200_000
    assert counts == (total, total, 0, total - 1, total * (total - 1) // 2, 50_000)


# Deletes


@pytest.mark.also_without_sql
def test_what_a_complete_read_of_a_scope_does_not_return_is_flagged(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": str(n), "datetime": f"2026-05-0{n}T00:00:00Z"} for n in range(1, 6)])
    coverage = Coverage("datetime", dt.datetime(2026, 5, 2, tzinfo=dt.UTC), dt.datetime(2026, 5, 4, tzinfo=dt.UTC))
    result = load(warehouse, [{"id": "2", "datetime": "2026-05-02T00:00:00Z"}], coverage=coverage, at=NOON + DAY)
    assert result.deleted == 1
    flagged = {row["id"]: row["_fivetran_synced"].day for row in rows(warehouse) if row["_fivetran_deleted"]}
    assert flagged == {"3": 2}
    assert load(warehouse, [{"id": "3", "datetime": "2026-05-03T00:00:00Z"}]).updated == 1
    assert not any(row["_fivetran_deleted"] for row in rows(warehouse))
    with temporary_spool() as read:
        read.write_all(typed_batches([event_columns([{"id": "1"}, {"id": "4"}])], EVENT))
        assert load(warehouse, [{"id": "1"}], coverage=Coverage("id", values=read)).deleted == 1


@pytest.mark.also_without_sql
def test_children_may_lose_a_few_rows_whatever_their_share(tmp_path: Path) -> None:
    tags = replace(EVENT, primary_key=("id", "note"), foreign_keys=(ForeignKey("id", "parent"),))
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "a"}], spec=tags)
    assert load(warehouse, spec=tags, coverage=WHOLE_TABLE, guard=0.5).deleted == 1


# Snapshots

METRIC = TableSpec(
    name="metric",
    columns=(Column("id", Type.TEXT), Column("note", Type.TEXT)),
    primary_key=("id",),
)


def snapshot(
    warehouse: Any, rows_: list[dict[str, Any]], synced_at: dt.datetime = NOON, began: int | None = None
) -> Any:
    warehouse.set_clock(synced_at)
    with temporary_spool() as spool:
        spool.write_all(typed_batches([event_columns(rows_)], METRIC))
        state = SyncState("metric", "snapshot", synced_through=synced_at, complete=True)
        return warehouse.store_snapshot(Extract(METRIC, began=began, snapshot=True, states=(state,)), spool).shrinkage


@pytest.mark.also_without_sql
def test_publishing_a_snapshot_upserts_flags_and_corrects_lookups(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    event = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    publication = Publication(METRIC, dependents=(event,))
    with (
        pytest.raises(SnapshotMissing, match=r"no snapshot of metric yet. Materialize klaviyo_staging/metric"),
        advised("klaviyo_staging/metric"),
    ):
        warehouse.publish(publication, guard=0.5)
    load(warehouse, [{"id": "e1", "note": "Old name", "metric": "m1"}, {"id": "e2", "note": "Other", "metric": "m2"}])
    assert snapshot(warehouse, [{"id": "m1", "note": "Old name"}, {"id": "m2", "note": "Other"}]) == (0, 0, 2)
    assert rows(warehouse, "klaviyo_staging.metric")
    assert warehouse.publish(publication, guard=0.5).corrected == 0

    assert snapshot(warehouse, [{"id": "m1", "note": "New name"}], NOON + DAY) == (2, 1, 1)
    result = warehouse.publish(publication, guard=0.5)
    assert (result.updated, result.deleted, result.corrected) == (1, 1, 1)
    assert [(row["note"], row["_fivetran_deleted"]) for row in rows(warehouse, "klaviyo.metric")] == [
        ("New name", False),
        ("Other", True),
    ]
    assert [(row["note"], row["_fivetran_synced"].day) for row in rows(warehouse)] == [("New name", 2), ("Other", 1)]

    snapshot(warehouse, [], NOON + 2 * DAY)
    result = warehouse.publish(publication, guard=0.5)
    assert (result.deleted, result.waiting) == (0, Waiting(1, 1, suspicious=True, settles=True))
    accepted = replace(publication, accept_shrink=True)
    assert warehouse.publish(accepted, guard=0.5).deleted == 1


@pytest.mark.also_without_sql
def test_an_older_read_neither_replaces_a_snapshot_nor_flags_what_a_later_run_wrote(tmp_path: Path) -> None:
    """Two runs overlap: the one that began first must not delete what came into being in between."""
    warehouse = warehouse_at(tmp_path)
    first, second = begin(warehouse), begin(warehouse)
    snapshot(warehouse, [{"id": "m1"}, {"id": "m2"}], began=second)
    snapshot(warehouse, [{"id": "m1"}], began=first)
    assert len(rows(warehouse, "klaviyo_staging.metric")) == 2
    warehouse.publish(Publication(METRIC), guard=1.0)
    assert not any(row["_fivetran_deleted"] for row in rows(warehouse, "klaviyo.metric"))

    load(warehouse, [{"id": "1"}, {"id": "2"}], began=second)
    assert load(warehouse, [{"id": "1"}], coverage=WHOLE_TABLE, began=first).deleted == 0
    assert load(warehouse, [{"id": "1"}], coverage=WHOLE_TABLE, began=begin(warehouse)).deleted == 1


# State


def test_the_watermark_moves_forward_and_never_over_a_gap() -> None:
    hours = [NOON + dt.timedelta(hours=n) for n in range(8)]
    known = SyncState("event", synced_from=hours[2], synced_through=hours[4])

    def after(start: int, end: int, **options: Any) -> tuple[dt.datetime | None, dt.datetime | None] | None:
        new = SyncState("event", synced_from=hours[start], synced_through=hours[end], **options).after(known)
        return (new.synced_from, new.synced_through) if new else None

    assert after(3, 6) == (hours[2], hours[6])
    assert after(0, 2) == (hours[0], hours[4])
    assert after(3, 3) == (hours[2], hours[4])
    assert after(5, 6) is None
    assert after(0, 1) is None
    assert SyncState("event", synced_from=hours[0], synced_through=hours[1], extends=True).after(None) is None


# Locks


@pytest.mark.of_duckdb
@pytest.mark.parametrize("read_only", [False, True])
def test_a_locked_file_is_waited_for_and_its_holder_named(read_only: bool, tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path, lock_timeout=30.0)
    load(warehouse, [{"id": "1"}])
    script = f"""
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only={read_only})
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, warehouse.database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    time = [0.0]

    def advance(seconds: float) -> None:
        time[0] += seconds

    with (
        pytest.raises(WarehouseLocked, match=rf"PID {holder.pid}.*30 s. Close it there, and run it again"),
        warehouse.connect(sleep=advance, clock=lambda: time[0]),
    ):
        pass

    def let_go(_: float) -> None:
        holder.communicate("")

    with warehouse.connect(sleep=let_go) as connection:
        assert connection.execute("SELECT count(*) FROM klaviyo.event").fetchall() == [(1,)]


@pytest.mark.of_duckdb
def test_threads_of_one_process_open_the_file_at_the_same_time(tmp_path: Path) -> None:
    """DuckDB refuses a file that another thread is just opening or closing."""
    warehouse = warehouse_at(tmp_path)

    def use(_: int) -> None:
        for _ in range(50):
            with warehouse.connect() as connection:
                connection.execute("SELECT 1").fetchall()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(use, range(3)))


@pytest.mark.of_duckdb
def test_no_spool_is_taken_for_abandoned_before_its_lock_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def spool(_: int) -> None:
        for _ in range(200):
            with temporary_spool() as made:
                assert made.folder.exists()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(spool, range(3)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.of_duckdb
def test_a_row_without_a_key_is_asked_for_by_nobody(tmp_path: Path) -> None:
    """Somebody has inserted it by hand: a complete read flags it, and nothing stops because of it."""
    warehouse = warehouse_at(tmp_path)
    child = replace(EVENT, name="child")
    load(warehouse, [{"id": str(n), "datetime": "2026-04-05T00:00:00Z"} for n in range(3)])
    load(warehouse, [{"id": "c", "note": "nobody"}, {"id": "d", "note": "0"}], spec=child)
    warehouse.query("INSERT INTO klaviyo.event (id, datetime) VALUES (NULL, '2026-04-05')")
    asked: list[list[str]] = []

    def ask(ids: list[str], _: Any) -> set[str]:
        asked.append(ids)
        return set(ids)

    came = [{"id": "0", "datetime": "2026-04-05T00:00:00Z"}, {"id": "1", "datetime": "2026-04-05T00:00:00Z"}]
    result = load(warehouse, came, coverage=WHOLE_TABLE, ask=ask, began=warehouse.begin().number)
    assert (asked, result.deleted, result.waiting) == ([["2"]], 2, None)
    warehouse.query("UPDATE klaviyo.event SET _fivetran_deleted = false WHERE id IS NULL")

    with temporary_spool() as spool:
        spool.write_all(typed_batches([event_columns([{"id": "0"}])], EVENT))
        sweep = Sweep(
            EVENT, spool, warehouse.begin().number, "datetime", NOON, lambda ids: set(ask(ids, None)) - {*ids},
            children=((child, "note"),), accept_shrink=True,
        )  # fmt: skip
        warehouse.sweep(sweep, guard=0.1)
    assert asked == [["2"], ["1"]]
    assert {row["id"] for row in rows(warehouse) if row["_fivetran_deleted"]} == {"1", "2"}
    assert [row["_fivetran_deleted"] for row in rows(warehouse, "klaviyo.child")] == [True, False]


@pytest.mark.of_duckdb
def test_a_machine_without_a_temporary_folder_that_can_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container has none whose root may only be read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(WarehouseError, match=r"in the folder .*gone: No such file or directory. Set TMPDIR to one"):
        load(warehouse_at(tmp_path), [{"id": "1"}])
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    for attempt in (Room, lambda: load(warehouse_at(tmp_path), [{"id": "1"}])):
        with pytest.raises(WarehouseError, match=r"No usable temporary directory found in .*gone.*Set TMPDIR to one"):
            attempt()


@pytest.mark.of_duckdb
def test_a_spool_that_never_got_its_name_is_removed_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be killed while it makes its spool, before its lock can be seen."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, other = tmp_path / f".{_PREFIX}killed", tmp_path / ".of_another_program"
    for folder in (killed, other):
        folder.mkdir()
        (folder / ".lock").touch()
    now = killed.stat().st_mtime
    remove_abandoned_spools(clock=lambda: now + 3600)
    assert killed.exists(), "it may still be in the making"
    remove_abandoned_spools(clock=lambda: now + 3601)
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.of_duckdb
def test_a_load_that_lacks_memory_is_made_without_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("klaviyo_assets.warehouse.warehouse._memory", lambda spool: "1MB")
    warehouse = warehouse_at(tmp_path)
    with caplog.at_level("INFO", "klaviyo_assets"):
        result = load(warehouse, [{"id": str(n), "note": "x" * 1000, "size": n} for n in range(5000)])
    assert "without that limit" in caplog.text
    assert (result.inserted, result.row_count) == (5000, 5000)
    assert warehouse.query("SELECT count(DISTINCT id), sum(property_size), sum(length(note)) FROM klaviyo.event") == [
        (5000, 12_497_500, 5_000_000)
    ]
