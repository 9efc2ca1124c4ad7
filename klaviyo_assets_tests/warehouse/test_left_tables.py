"""Tables as users leave them: made again with fewer columns or other types, or replaced by a view."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.schema.spec import ForeignKey, Lookup
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.errors import ForeignTable, ViewInPlace, WarehouseError
from klaviyo_assets.warehouse.extract import Coverage, Publication, Sweep
from klaviyo_assets.warehouse.results import Shrinkage
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import (
    EVENT,
    NOON,
    begin,
    event_columns,
    in_use,
    load,
    rows,
    run,
    warehouse_at,
)
from klaviyo_assets_tests.warehouse.test_loading import METRIC, column_types, snapshot

pytestmark = pytest.mark.every_database

DAY = dt.timedelta(days=1)
LEFT = {
    "fewer columns": "(id VARCHAR)",
    "an id of numbers": "(id INTEGER)",
    "flags and stamps of text": "(id VARCHAR, _fivetran_synced VARCHAR, _fivetran_deleted VARCHAR)",
    "an id of numbers, flags of numbers": "(id BIGINT, _fivetran_deleted SMALLINT)",
    "no id": "(note VARCHAR)",
}
PARENT = ForeignKey("note", "metric")


def leave(warehouse: Any, table: str, columns: str, *rows_: str, schema: str = "klaviyo") -> None:
    """Make a table anew, as a user does. rows_: what follows INSERT INTO, each one row."""
    run(warehouse, f"DROP TABLE {schema}.{table}", f"CREATE TABLE {schema}.{table} {columns}")
    run(warehouse, *(f"INSERT INTO {schema}.{table} {row}" for row in rows_))


@pytest.mark.parametrize(
    "columns", ["(id VARCHAR)", "(id VARCHAR, _fivetran_synced VARCHAR, _fivetran_deleted BOOLEAN)"]
)
def test_no_snapshot_replaces_a_table_of_somebody_else(tmp_path: Path, columns: str) -> None:
    warehouse = warehouse_at(tmp_path)
    snapshot(warehouse, [{"id": "LpMhe3"}])
    warehouse.forget(["metric"])
    snapshot(warehouse, [{"id": "QQzrWu"}], NOON + DAY)
    assert [row["id"] for row in rows(warehouse, "klaviyo_staging.metric")] == ["QQzrWu"], "ours, whatever is known"

    warehouse.forget(["metric"])
    leave(warehouse, "metric", columns, "(id) VALUES ('theirs')", schema="klaviyo_staging")
    with pytest.raises(
        ForeignTable, match=r"^klaviyo_staging\.metric is no snapshot of ours, .* Nothing was written\."
    ):
        snapshot(warehouse, [{"id": "LpMhe3"}], NOON + 2 * DAY)
    assert [row["id"] for row in rows(warehouse, "klaviyo_staging.metric")] == ["theirs"]
    assert "metric" not in {table for table, _ in warehouse.states()}


def test_a_survey_names_what_a_new_row_has_to_have(tmp_path: Path) -> None:
    if in_use[-1] == "clickhouse":
        pytest.skip("on ClickHouse every column has a default")
    warehouse = warehouse_at(tmp_path)
    snapshot(warehouse, [{"id": "LpMhe3"}])
    warehouse.publish(Publication(METRIC), guard=1.0)
    mine = "" if in_use[-1] == "bigquery" else ", mine VARCHAR DEFAULT 'x' NOT NULL"  # the emulator tells no default
    leave(warehouse, "metric", f"(id VARCHAR, own VARCHAR NOT NULL, may VARCHAR{mine})")
    assert warehouse.survey([METRIC]).tables["metric"].needed == {"own"}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("row", [(), ("(id) VALUES (7)",)], ids=["empty", "with a row"])
def test_a_table_that_a_user_made_again_is_looked_at_and_imported(
    tmp_path: Path, left: str, row: tuple[str, ...]
) -> None:
    if "(note" in left:
        row = tuple("(note) VALUES ('x')" for _ in row)
    if row and "(note" in left and in_use[-1] == "clickhouse":
        pytest.skip("on ClickHouse no row may lack its key: see its own tests")
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "e1", "note": "LpMhe3"}, {"id": "e2", "note": "7"}])
    snapshot(warehouse, [{"id": "LpMhe3"}, {"id": "QQzrWu"}])
    warehouse.publish(Publication(METRIC), guard=1.0)
    leave(warehouse, "metric", left, *row)

    seen = warehouse.inspect([(EVENT, [PARENT]), (METRIC, [])], now=NOON)
    there = bool(row) and "(note" not in left
    assert seen["event"].orphans == ({"note": 2 - there} if "(note" not in left else {})
    assert (seen["metric"].live, seen["metric"].without_key) == (len(row), len(row) - there)
    assert warehouse.live_rows(METRIC) == len(row)

    assert snapshot(warehouse, [{"id": "LpMhe3", "note": "New"}], NOON + DAY) == Shrinkage(len(row), len(row), 1)
    assert warehouse.publish(Publication(METRIC), guard=1.0).deleted == len(row)
    (new,) = [row for row in rows(warehouse, "klaviyo.metric") if not row["_fivetran_deleted"]]
    assert (new["id"], new["note"]) == ("LpMhe3", "New")
    types = column_types(warehouse, "metric")
    assert (types["id"], types["_fivetran_synced"], types["_fivetran_deleted"]) == ("VARCHAR", "TIMESTAMP", "BOOLEAN")
    assert warehouse.inspect([(EVENT, [PARENT])], now=NOON)["event"].orphans == {"note": 1 - there}


@pytest.mark.parametrize("left", ["(id UUID)", *LEFT.values()])
def test_events_of_a_table_that_a_user_made_again_are_read(tmp_path: Path, left: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "e1", "datetime": NOON.isoformat()}])
    leave(warehouse, "event", left)
    day = NOON.replace(hour=0), NOON.replace(hour=0) + DAY
    assert warehouse.earliest("event", "datetime") is None
    assert warehouse.daily_counts("event", "id", "datetime", *day) == {}
    asked: list[str] = []
    result = load(
        warehouse,
        [{"id": "e1", "datetime": NOON.isoformat()}],
        coverage=Coverage("datetime", *day, read_at=NOON),
        ask=lambda ids, spool: asked.extend(ids) or set(),  # type: ignore[func-returns-value]
        guard=0.5,
    )
    assert (result.inserted, result.deleted, asked) == (1, 0, [])
    assert warehouse.daily_counts("event", "id", "datetime", *day) == {("e1", NOON.date()): 1}
    assert warehouse.earliest("event", "datetime") == NOON


def test_times_and_flags_that_a_user_made_text_are_read_as_what_they_say(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    times = {f"e{n}": (NOON + n * DAY).isoformat() for n in range(4)}
    load(warehouse, [{"id": id, "datetime": time} for id, time in times.items()])
    for column in ("datetime", "_fivetran_synced", "_fivetran_deleted"):
        warehouse.query(f"ALTER TABLE klaviyo.event ALTER {column} SET DATA TYPE VARCHAR")
    warehouse.query("UPDATE klaviyo.event SET _fivetran_deleted = 'true' WHERE id = 'e0'")
    assert warehouse.live_rows(EVENT) == 3  # type: ignore[arg-type]
    assert warehouse.earliest("event", "datetime") == NOON + DAY
    assert sorted(warehouse.rows("event", ("id", "_fivetran_deleted")))[:2] == [("e0", True), ("e1", False)]
    counts = warehouse.daily_counts("event", "id", "datetime", NOON, NOON + 3 * DAY)
    assert counts == {("e1", (NOON + DAY).date()): 1, ("e2", (NOON + 2 * DAY).date()): 1}
    windows = [(NOON, NOON + DAY), (NOON + 2 * DAY, NOON + 3 * DAY)]
    assert sorted(warehouse.read("event", column="datetime", windows=windows)["id"].to_pylist()) == ["e0", "e2"]
    number = begin(warehouse)
    with temporary_spool() as keys:
        keys.write_all(typed_batches([event_columns([{"id": "e1"}])], EVENT))
        swept = Sweep(EVENT, keys, number, "datetime", NOON + 3 * DAY, lambda ids: set())
        assert warehouse.sweep(swept, guard=1.0).deleted == 1  # e3 is not from before it
    flags = [row["_fivetran_deleted"] for row in rows(warehouse)]
    assert flags == [True, False, True, False]
    assert column_types(warehouse)["_fivetran_synced"] == "TIMESTAMP"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("_fivetran_deleted", "gone"),
        ("_fivetran_synced", "yesterday"),
        ("_fivetran_synced", "2026-05-01 12:00:00+02"),
        ("_fivetran_synced", "2026-05-01 12:00:00.1234567"),
    ],
)
def test_text_that_is_no_flag_or_stamp_is_an_error_with_its_name(tmp_path: Path, column: str, value: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "e1"}])
    warehouse.query(f"ALTER TABLE klaviyo.event ALTER {column} SET DATA TYPE VARCHAR")
    warehouse.query(f"UPDATE klaviyo.event SET {column} = ?", [value])
    before = rows(warehouse)
    assert warehouse.inspect([(EVENT, [])], now=NOON)["event"].live == 1
    if in_use[-1] != "duckdb" and value.endswith("+02"):  # whose stamps have zones
        assert load(warehouse, [{"id": "e2"}]).inserted == 1
        return
    with pytest.raises(
        WarehouseError,
        match=rf"(?i)^event\.{column} is (varchar|character varying|string): "
        r"its values are no (bool|boolean|timestamp.*|datetime.*)\. C",
    ):
        load(warehouse, [{"id": "e2"}])
    assert rows(warehouse) == before


@pytest.mark.parametrize("left", [*LEFT.values(), "(id VARCHAR, note INTEGER, property_metric INTEGER)"])
def test_a_table_is_published_whatever_was_done_to_those_that_repeat_it(tmp_path: Path, left: str) -> None:
    """They are corrected once their own loads have mended them."""
    warehouse = warehouse_at(tmp_path)
    event = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    publication = Publication(METRIC, dependents=(event,))
    load(warehouse, [{"id": "e1", "note": "Old", "metric": "m1"}], spec=event)
    leave(warehouse, "event", left)
    snapshot(warehouse, [{"id": "m1", "note": "New"}])
    assert warehouse.publish(publication, guard=1.0).corrected == 0
    load(warehouse, [{"id": "e1", "note": "Old", "metric": "m1"}], spec=event)
    assert warehouse.publish(publication, guard=1.0).corrected == 1
    assert [row["note"] for row in rows(warehouse)] == ["New"]


def replace_by_view(warehouse: Any, table: str) -> None:
    schema, name = table.split(".")
    warehouse.query(f"ALTER TABLE {table} RENAME TO {name}_before")
    warehouse.query(f"CREATE VIEW {table} AS SELECT * FROM {schema}.{name}_before")


@pytest.mark.parametrize(
    "table", ["klaviyo.metric", "klaviyo.event", "klaviyo_staging.metric", "klaviyo._sync_state", "klaviyo._loads"]
)
def test_a_view_in_the_place_of_a_table_is_named_before_anything_is_changed(tmp_path: Path, table: str) -> None:
    warehouse = warehouse_at(tmp_path)
    event = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
    publication = Publication(METRIC, dependents=(event,))
    load(
        warehouse,
        [{"id": "e1", "metric": "m1"}],
        spec=event,
        states=[SyncState("event", synced_through=NOON), SyncState("event", "inspected", synced_through=NOON)],
    )
    snapshot(warehouse, [{"id": "m1", "note": "Old"}])
    warehouse.publish(publication, guard=1.0)
    states = warehouse.states()
    replace_by_view(warehouse, table)
    before = {name: warehouse.query(f"SELECT * FROM {name}") for name in ("klaviyo.event", "klaviyo.metric", table)}
    error = pytest.raises(ViewInPlace, match=rf"^{table} is a view, .* Drop or rename the view\.$")

    with error:
        warehouse.begin(now=NOON, tables=[EVENT, METRIC])
    if table.startswith("klaviyo_staging"):
        with error:
            snapshot(warehouse, [{"id": "m2"}])
    elif table == "klaviyo.event":
        with error:
            load(warehouse, [{"id": "e2"}], spec=event)
    if table != "klaviyo_staging.metric":
        with error:
            warehouse.publish(publication, guard=1.0)
    assert before == {name: warehouse.query(f"SELECT * FROM {name}") for name in before}

    if "_" not in table:
        assert warehouse.begin(now=NOON, tables=[]).mended == ()
        assert warehouse.rows(table.partition(".")[2], ["id"]) == []
        assert len(warehouse.inspect([(EVENT, []), (METRIC, [])], now=NOON)) == 1
    warehouse.query(f"DROP VIEW {table}")
    warehouse.query(f"ALTER TABLE {table}_before RENAME TO {table.partition('.')[2]}")
    begun = warehouse.begin(now=NOON, tables=[EVENT, METRIC])
    assert begun.mended == () and states.keys() <= begun.states.keys()
    snapshot(warehouse, [{"id": "m1", "note": "New"}])
    assert warehouse.publish(publication, guard=1.0).corrected == 1


def test_what_a_view_shows_is_not_said_to_be_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt" * 8)
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "e1", "note": "secret"}])
    hidden = replace(EVENT, policy=ColumnPolicy(hashed=("note",)))
    replace_by_view(warehouse, "klaviyo.event")
    with pytest.raises(ViewInPlace, match=r"^klaviyo\.event is a view"):
        warehouse.rewrite([hidden])
