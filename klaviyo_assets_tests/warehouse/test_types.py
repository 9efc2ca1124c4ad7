"""Types, defaults, constraints, indexes and views that this project never makes: users and other tools do."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import Column, Type
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.errors import ConstraintViolated, WarehouseError
from klaviyo_assets.warehouse.extract import Coverage, Extract, Publication
from klaviyo_assets.warehouse.local.sql import ZONED
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import NOON, in_use, load, rows, run, warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import METRIC, came_back, column_types

pytestmark = pytest.mark.every_database

SAMPLES: dict[str, list[str]] = {
    "TINYINT": ["-128", "127"],
    "SMALLINT": ["-32768", "7"],
    "INTEGER": ["2147483647", "0"],
    "UTINYINT": ["255"],
    "USMALLINT": ["65535"],
    "UINTEGER": ["4294967295"],
    "UBIGINT": ["18446744073709551615", "3"],
    "HUGEINT": ["170141183460469231731687303715884105727", "-1"],
    "UHUGEINT": ["340282366920938463463374607431768211455"],
    "FLOAT": ["0.1", "16777216", "1.5"],
    "DECIMAL(5,2)": ["12.34", "-999.99", "3.00"],
    "DECIMAL(38,10)": ["1234567890123456789012345678.0123456789"],
    "TIMESTAMP_S": ["2026-01-02 03:04:05"],
    "TIMESTAMP_MS": ["2026-01-02 03:04:05.678"],
    "TIMESTAMP_NS": ["2026-01-02 03:04:05.123456789", "2026-01-02 03:04:05"],
    "TIMESTAMP WITH TIME ZONE": ["2026-01-02 03:04:05.678901+05:00"],
    "TIME": ["10:11:12.5"],
    "TIME WITH TIME ZONE": ["10:11:12+02:00"],
    "INTERVAL": ["1 day 02:03:04"],
    "UUID": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "BLOB": ["\\x00\\xFFabc"],
    "BIT": ["0101"],
    "ENUM('red', 'it''s')": ["it's"],
    "INTEGER[]": ["[1, 2, NULL]"],
    "VARCHAR[2]": ["[a, b]"],
    'STRUCT("x y" INTEGER, z VARCHAR[])': ["{'x y': 1, 'z': [a]}"],
    "MAP(VARCHAR, INTEGER)": ["{a=1}"],
    "DATE": ["2026-01-02"],
    "BOOLEAN": ["true"],
    "DOUBLE": ["0.1"],
    "VARCHAR": ["text"],
    "JSON": ['{"a": 1}'],
}
INCOMING: list[Any] = [
    1, 300, 2**40, 2**62 + 1, 1.5, 12.34, 12.345, 0.1, 1e300, True, "text", "5", "it's", {"a": 1},
    {"x y": 1, "z": ["q"]}, [1, 2], ["a", "b"], "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", "10:11:12", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z",
    "2400-01-02T03:04:05+00:00",
]  # fmt: skip


def shown(warehouse: Any, columns: list[str]) -> dict[str, dict[str, str | None]]:
    """Column -> its values as DuckDB shows them, by id."""
    texts = ", ".join(f"CAST({quote(column)} AS VARCHAR)" for column in columns)
    found = warehouse.query(f"SELECT id, {texts} FROM klaviyo.event")
    return {column: {id: values[n] for id, *values in found} for n, column in enumerate(columns)}


@pytest.mark.of_duckdb
@pytest.mark.parametrize("native", SAMPLES)
def test_every_type_is_kept_or_widened_and_no_value_changes(tmp_path: Path, native: str) -> None:
    keeps_or_widens(warehouse_at(tmp_path), native, SAMPLES[native])


def keeps_or_widens(warehouse: Any, native: str, values: list[str]) -> None:
    """Each value that may come, into a column of the type that has values; beside them, the user's own of the type."""
    samples = {f"old{n}": value for n, value in enumerate(values)}
    load(warehouse, [{"id": id} for id in samples])
    came = {f"x{n}": value for n, value in enumerate(INCOMING)}
    columns = ["mine", "property_mine", *(f"property_{name}" for name in came)]
    with warehouse.connect() as connection:
        connection.execute("BEGIN")
        for name in columns:
            connection.execute(f"ALTER TABLE klaviyo.event ADD COLUMN {name} {native}")
        connection.execute("COMMIT")
        for id, value in samples.items():
            filled = ", ".join(f"{name} = $2" for name in columns)
            connection.execute(f"UPDATE klaviyo.event SET {filled} WHERE id = $1", [id, value])
    before = shown(warehouse, ["mine"])["mine"]
    load(warehouse, [{"id": "new", **came}, {"id": "old0", "note": "again", **came}])
    types = column_types(warehouse, native=True)
    with warehouse.session(writes=False) as session:
        is_ours = session.dialect.is_ours
    after = shown(warehouse, columns)
    for name in ("mine", "property_mine"):
        assert types[name] == native and after[name] == before | {"new": None}
    found = {row["id"]: row for row in rows(warehouse)}
    for name, value in came.items():
        column = f"property_{name}"
        assert types[column] == native or is_ours(types[column]), (native, types[column])
        for id in ("new", "old0"):
            assert same(value, found[id][column]), (native, types[column], value, found[id][column])
        now = after[column]
        for id in list(samples)[1:]:
            assert unchanged(now[id], before[id]), (native, types[column], now[id], before[id])


def user_columns(warehouse: Any) -> None:
    """Add columns of a user's: with a default, without, and of a property's name."""
    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN owner VARCHAR DEFAULT 'nobody'")
    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN price DECIMAL(9,3)")
    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN property_segment VARCHAR")
    warehouse.query("UPDATE klaviyo.event SET owner = 'anna', price = 1.125, property_segment = 'gold'")


@pytest.mark.not_of("snowflake", "bigquery")
def test_a_users_columns_keep_their_values_and_their_default(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 1}])
    user_columns(warehouse)
    load(warehouse, [{"id": "1"}, {"id": "3", "x": 2}], [{"id": "4", "x": "text"}])
    names = ("property_x", "owner", "price", "property_segment")
    assert [tuple(row[name] for name in names) for row in rows(warehouse)] == [
        (None, "anna", Decimal("1.125"), "gold"),
        ("1", "anna", Decimal("1.125"), "gold"),
        ("2", "nobody", None, None),
        ("text", "nobody", None, None),
    ]
    # A property of that name makes it a property: from then on rows without it are NULL.
    load(warehouse, [{"id": "1", "segment": "silver"}, {"id": "2"}])
    assert [row["property_segment"] for row in rows(warehouse)][:2] == ["silver", None]


STORED = {"duckdb": "", "postgres": "STORED"}


@pytest.mark.not_of("snowflake", "bigquery", "clickhouse")
def test_a_generated_column_goes_on_being_generated(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    warehouse.query("CREATE SCHEMA klaviyo")
    warehouse.query(
        f"CREATE TABLE klaviyo.event (id VARCHAR, loud VARCHAR GENERATED ALWAYS AS (upper(id)) {STORED[in_use[-1]]})"
    )
    load(warehouse, [{"id": "a"}])
    load(warehouse, [{"id": "a", "note": "again"}, {"id": "b"}])
    assert [row["loud"] for row in rows(warehouse)] == ["A", "B"]


@pytest.mark.not_of("snowflake", "bigquery", "clickhouse")
@pytest.mark.parametrize(
    ("constraint", "named"),
    [
        ("ALTER TABLE klaviyo.event ALTER owner SET NOT NULL", "event.owner"),
        ("CREATE UNIQUE INDEX one ON klaviyo.event (note)", "unique"),
    ],
)
def test_a_constraint_holds_and_is_named_without_values(tmp_path: Path, constraint: str, named: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "note": "jane@example.com"}])
    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN owner VARCHAR")
    warehouse.query("UPDATE klaviyo.event SET owner = 'anna'")
    warehouse.query(constraint)
    load(warehouse, [{"id": "1", "note": "jane@example.com"}])
    before = rows(warehouse)
    with pytest.raises(ConstraintViolated, match=named) as error:
        load(warehouse, [{"id": "2", "note": "jane@example.com"}])
    assert "jane" not in str(error.value)
    assert rows(warehouse) == before


@pytest.mark.not_of("snowflake", "bigquery", "clickhouse")
def test_what_an_index_or_a_constraint_can_not_convert_is_told_without_values(tmp_path: Path, database: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "a": "12"}])
    index = "CREATE INDEX mine ON klaviyo.event ((CAST(property_a AS INTEGER) * 2))"
    run(warehouse, index)
    for value in ("jane@example.com", "2000000019"):
        with pytest.raises(WarehouseError, match=r"INT32|\(\*\*\*\)|type integer|integer out of range") as error:
            load(warehouse, [{"id": "2", "a": value}])
        assert value not in str(error.value)
        assert database == "postgres" or "an index" in str(error.value)
    run(warehouse, "DROP INDEX klaviyo.mine")
    if database == "duckdb":
        checked = "property_a VARCHAR CHECK (CAST(property_a AS INTEGER) > 0)"
        columns = f"id VARCHAR, {checked}, _fivetran_synced TIMESTAMP, _fivetran_deleted BOOLEAN"
        run(warehouse, "DROP TABLE klaviyo.event", f"CREATE TABLE klaviyo.event ({columns})")
        with pytest.raises(ConstraintViolated, match=r"CHECK constraint failed on table event") as refused:
            load(warehouse, [{"id": "2", "a": "jane@example.com"}])
        assert "jane" not in str(refused.value)


@pytest.mark.parametrize(("column", "native", "value"), [("datetime", "TIMESTAMP_S", "2026-05-01T00:00:00.5Z"),
                                                         ("_fivetran_synced", "TIMESTAMP_MS", "2026-05-01T00:00:00Z"),
                                                         ("id", "INTEGER", "2026-05-01T00:00:00Z"),
                                                         ("note", "SMALLINT", "2026-05-01T00:00:00Z")])  # fmt: skip
def test_declared_columns_of_other_types_hold_everything(tmp_path: Path, column: str, native: str, value: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "datetime": "2026-05-01T00:00:00Z", "note": "7"}])
    if (in_use[-1], column) == ("clickhouse", "id"):
        pytest.skip("ClickHouse lets nobody change the type of a key")
    if in_use[-1] == "snowflake":
        native = {"TIMESTAMP_S": "TIMESTAMP_NTZ", "TIMESTAMP_MS": "TIMESTAMP_NTZ"}.get(native, native)
    if in_use[-1] == "bigquery":
        native = {"TIMESTAMP_S": "DATETIME", "TIMESTAMP_MS": "DATETIME"}.get(native, native)
    if in_use[-1] == "postgres":
        native = {"TIMESTAMP_S": "timestamp(0)", "TIMESTAMP_MS": "timestamptz(3)"}.get(native, native)
        native += f" USING CAST({column} AS {native})"
        if column == "id":
            warehouse.query("UPDATE klaviyo.event SET id = '1'")
    warehouse.query(f"ALTER TABLE klaviyo.event ALTER {column} SET DATA TYPE {native}")
    began = NOON + dt.timedelta(days=1, microseconds=1)
    load(warehouse, [{"id": "abc", "datetime": value, "note": "text"}], at=began)
    first, second = rows(warehouse)
    assert (first["id"], first["note"], first["datetime"]) == ("1", "7", dt.datetime(2026, 5, 1))
    assert (second["id"], second["note"]) == ("abc", "text")
    assert second["datetime"] == dt.datetime.fromisoformat(value).replace(tzinfo=None)
    assert second["_fivetran_synced"] == began.replace(tzinfo=None)


@pytest.mark.not_of("snowflake", "bigquery", "clickhouse")
def test_a_type_that_can_hold_neither_is_an_error_with_its_name(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}])
    random = {"duckdb": "uuid()", "postgres": "gen_random_uuid()"}[in_use[-1]]
    warehouse.query(f"ALTER TABLE klaviyo.event ALTER datetime SET DATA TYPE UUID USING {random}")
    with pytest.raises(WarehouseError, match=r"(?i)event\.datetime is UUID"):
        load(warehouse, [{"id": "2", "datetime": "2026-05-01T00:00:00Z"}])


@pytest.mark.of_duckdb
def test_a_snapshot_is_published_into_columns_of_other_types(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    spec = replace(METRIC, columns=(*METRIC.columns, Column("count", Type.BIGINT)))
    warehouse.query("CREATE SCHEMA klaviyo")
    warehouse.query(
        "CREATE TABLE klaviyo.metric (id VARCHAR, note ENUM('a', 'b'), count UTINYINT, "
        "_fivetran_synced TIMESTAMP, _fivetran_deleted BOOLEAN)"
    )
    for note, count, types in (("a", 255, ["ENUM('a', 'b')", "UTINYINT"]), ("c", 256, ["VARCHAR", "BIGINT"])):
        with temporary_spool() as spool:
            spool.write(typed_batch(Columns(1, {"id": [note], "note": [note], "count": [count]}), spec))
            state = SyncState("metric", "snapshot", synced_through=NOON, complete=True)
            warehouse.store_snapshot(Extract(spec, snapshot=True, states=(state,)), spool)
        warehouse.publish(Publication(spec), guard=1.0)
        assert [row[1] for row in warehouse.query("DESCRIBE klaviyo.metric")][1:3] == types
        assert warehouse.query("SELECT note, count FROM klaviyo.metric WHERE NOT _fivetran_deleted") == [(note, count)]


# Indexes, views, constraints, and a property that widens


@pytest.mark.of_duckdb
@pytest.mark.skipif(duckdb.__version__ < "2", reason="DuckDB 1 makes no unique index again in one transaction")
def test_indexes_and_views_are_there_after_a_property_has_widened(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path).model_copy(update={"database": str(tmp_path / "klaviyo.duckdb")})
    load(warehouse, [{"id": str(n), "x": n, "note": "a"} for n in range(3)])
    with warehouse.connect() as connection:
        connection.execute("USE klaviyo.klaviyo")
        connection.execute('CREATE UNIQUE INDEX "the key" ON event (id)')
        connection.execute('CREATE INDEX lower_note ON event (lower(note), "datetime")')
        connection.execute("CREATE VIEW big AS SELECT id, property_x FROM event")
    indexes = "SELECT index_name, is_unique, expressions FROM duckdb_indexes() ORDER BY ALL"
    before = warehouse.query(indexes)
    result = load(warehouse, [{"id": "1", "x": "text", "y": 1}, {"id": "9", "x": 1.5}])
    assert (result.columns_widened, result.columns_fixed) == (("property_x",), ())
    assert warehouse.query(indexes) == before
    with warehouse.connect() as connection:
        connection.execute("USE klaviyo.klaviyo")
        assert connection.execute("SELECT * FROM big ORDER BY id").fetchall() == [
            ("0", "0"), ("1", "text"), ("2", "2"), ("9", "1.5")
        ]  # fmt: skip
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("INSERT INTO event (id) VALUES ('9')")
    load(warehouse, [{"id": "1", "x": "again"}])


@pytest.mark.of_duckdb
@pytest.mark.parametrize(
    "dependent",
    [
        "CREATE INDEX own ON klaviyo.event (property_x)",
        "SET enable_view_dependencies = true; CREATE VIEW own AS SELECT * FROM klaviyo.event",
    ],
)
def test_what_a_column_that_is_fixed_does_not_hold_goes_to_the_overflow(tmp_path: Path, dependent: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}])
    with warehouse.connect() as connection:
        connection.execute(dependent)
        widened = {"id": "2", "x": "text"}
        for _ in range(2):
            result = load(warehouse, [widened], [{"id": "3", "x": 3}])
            (reason,) = result.columns_fixed
            assert "event.property_x is BIGINT and has to become VARCHAR" in reason
            assert "INDEX" not in dependent or "index own" in reason
            assert not result.overflow
        found = [(row["property_x"], row["property__overflow"]) for row in rows(warehouse)]
        assert found == [(1, None), (None, '{"property_x":"text"}'), (3, None)]
        connection.execute("DROP INDEX klaviyo.own" if "INDEX" in dependent else "DROP VIEW own")
    load(warehouse, [widened])
    found = [(row["property_x"], row["property__overflow"]) for row in rows(warehouse)]
    assert found == [("1", None), ("text", None), ("3", None)]


@pytest.mark.every_database
@pytest.mark.not_of("snowflake", "bigquery", "clickhouse")
def test_a_property_with_the_name_of_a_generated_column_goes_to_the_overflow(tmp_path: Path, database: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "a": 1, "late": 1}])
    stored = "STORED" if database == "postgres" else ""
    moment = "timestamptz" if database == "postgres" else "TIMESTAMP"
    run(
        warehouse,
        "DROP TABLE klaviyo.event",
        f"CREATE TABLE klaviyo.event (id varchar, datetime {moment}, note varchar, property_a bigint, "
        f"property_late bigint, property_total bigint GENERATED ALWAYS AS (property_a * 2) {stored}, "
        f"_fivetran_synced {moment}, _fivetran_deleted boolean)",
    )
    for total in (5, "five"):
        result = load(warehouse, [{"id": "1", "a": 1, "total": total}, {"id": "2", "a": 2}])
        assert result.overflow == ()
        assert result.columns_fixed[0].startswith("event.property_total is a generated column, which can't hold what ")
        found = [(row["property_total"], json.loads(row["property__overflow"] or "{}")) for row in rows(warehouse)]
        assert found == [(2, {"property_total": total}), (4, {})]
    run(warehouse, "ALTER TABLE klaviyo.event DROP COLUMN property_total")
    load(warehouse, [{"id": "1", "a": 1, "total": 5}])
    if database == "postgres":  # DuckDB adds no generated column
        again = "ADD COLUMN property_total bigint GENERATED ALWAYS AS (property_a * 3) STORED"
        run(warehouse, "ALTER TABLE klaviyo.event DROP COLUMN property_total", f"ALTER TABLE klaviyo.event {again}")
        load(warehouse, [{"id": "1", "a": 1}])  # without the property, which has had a column
        assert rows(warehouse)[0]["property_total"] == 3


def same(sent: Any, found: Any) -> bool:
    if isinstance(sent, str) and not isinstance(found, (str, dt.datetime)):
        return str(found) == sent
    if isinstance(found, dt.datetime):
        return found.replace(tzinfo=found.tzinfo or dt.UTC) == dt.datetime.fromisoformat(sent)
    if isinstance(sent, (list, dict)) and not isinstance(found, str):
        return sent == (list(found) if isinstance(found, tuple) else found)
    if isinstance(sent, float) and not isinstance(found, str):
        return float(found) == sent
    return came_back(sent, found)


def unchanged(now: str | None, before: str | None) -> bool:
    """Whether a value is what it was, perhaps written in another way."""
    if now is None or before is None or now == before:
        return now == before
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for kind in ("DECIMAL(38,10)", "TIMESTAMP_NS", "VARCHAR[]", "JSON"):
            query = f"SELECT TRY_CAST($1 AS {kind}) = TRY_CAST($2 AS {kind}), TRY_CAST($1 AS {kind})::FLOAT = $2::FLOAT"
            try:
                if connection.execute(query.partition(", TRY")[0], [now, before]).fetchall() == [(True,)]:
                    return True
            except duckdb.Error:
                continue
        try:
            return connection.execute("SELECT $1::FLOAT = $2::FLOAT", [now, before]).fetchall() == [(True,)]
        except duckdb.Error:
            return json.loads(now) == json.loads(before.replace("'", '"'))


# Zones


ZONED_SYNC = """
import datetime as dt, os, sys, time
time.tzset()
assert time.tzname[0] == "EST", time.tzname
from pathlib import Path
import pytest
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import failures, narrowed, only, projects

with pytest.MonkeyPatch.context() as patch, projects(Path(sys.argv[1]), patch) as project:
    tables = only("metric", "campaign", "campaign_message")
    klaviyo = project(narrowed(generate_account(events=300, profiles=30, days=5, seed=3)), tables=tables)
    klaviyo.sync(-5)
    with klaviyo.warehouse.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")  # as Fivetran's own session is
        zoned = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE data_type = 'TIMESTAMP' AND schema_name = 'klaviyo'"
        ).fetchall()
        for schema, table, column in zoned:
            connection.execute(f'ALTER TABLE {schema}."{table}" ALTER "{column}" SET DATA TYPE TIMESTAMPTZ')
    live = (
        "SELECT id, epoch_us(datetime), epoch_us(timestamp) FROM klaviyo.event "
        "WHERE NOT _fivetran_deleted ORDER BY id"
    )
    before = klaviyo.warehouse.query(live)
    states = klaviyo.warehouse.states()
    assert before and states["event", ""].synced_through.utcoffset() == dt.timedelta(0)
    for job, last in (("klaviyo_backfill", -2), ("klaviyo_sync", 0)):
        result = klaviyo.run(job, -3, last)
        assert result.success, failures(result)
    assert klaviyo.warehouse.query(live) == before
    (moment,) = klaviyo.warehouse.rows("event", ["datetime"])[0]
    assert moment.tzinfo is None
    kinds = klaviyo.warehouse.query("SELECT data_type, count(*) FROM duckdb_columns() WHERE schema_name = 'klaviyo' "
        "AND column_name IN ('datetime', '_fivetran_synced') AND table_name = 'event' GROUP BY ALL")
    assert kinds == [("TIMESTAMP WITH TIME ZONE", 2)], kinds
    ahead = "SELECT count(*) FROM klaviyo.event WHERE _fivetran_synced > now() + INTERVAL 1 MINUTE"
    assert klaviyo.warehouse.query(ahead) == [(0,)]
print("same", len(before))
"""


@pytest.mark.of_duckdb
def test_a_machine_in_new_york_and_zoned_columns(tmp_path: Path) -> None:
    """What Fivetran leaves: no live event is flagged, none is shifted, and the columns stay zoned."""
    done = subprocess.run(
        [sys.executable, "-c", ZONED_SYNC, str(tmp_path / "warehouse.duckdb")],
        env={**os.environ, "TZ": "America/New_York"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0 and done.stdout.startswith("same"), done.stderr[-3000:]


def test_a_zoned_property_widens_to_the_instant_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "t": "2026-05-01T01:00:00Z", "datetime": "2026-05-01T01:00:00Z"}])
    for column in ("property_t", "datetime"):
        warehouse.query(f"ALTER TABLE klaviyo.event ALTER {column} SET DATA TYPE TIMESTAMPTZ")
    zoned = {"duckdb": ZONED}.get(in_use[-1], "TIMESTAMP")
    load(warehouse, [{"id": "2", "t": "2026-05-01T02:00:00.5Z", "datetime": "2026-05-02T01:00:00Z"}])
    assert column_types(warehouse)["property_t"] == column_types(warehouse)["datetime"] == zoned
    assert warehouse.earliest("event", "datetime") == dt.datetime(2026, 5, 1, 1, tzinfo=dt.UTC)
    day = dt.datetime(2026, 5, 1, tzinfo=dt.UTC), dt.datetime(2026, 5, 2, tzinfo=dt.UTC)
    assert warehouse.daily_counts("event", "id", "datetime", *day) == {("1", dt.date(2026, 5, 1)): 1}
    assert warehouse.read("event", column="datetime", windows=[day])["id"].to_pylist() == ["1"]
    assert (
        load(warehouse, [{"id": "1", "datetime": "2026-05-01T01:00:00Z"}], coverage=Coverage("datetime", *day)).deleted
        == 0
    )
    load(warehouse, [{"id": "1", "t": "soon"}])
    assert [row["property_t"] for row in rows(warehouse)] == ["soon", "2026-05-01T02:00:00.500000+00:00"]
