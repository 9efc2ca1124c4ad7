"""What is ClickHouse's own: no transactions, so what a load leaves that died, the lease, keys, and no secret."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

pytest.importorskip("clickhouse_connect", reason="the extra `clickhouse` is not installed")
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.schema.spec import Lookup
from klaviyo_assets.warehouse.batches import typed_batches
from klaviyo_assets.warehouse.clickhouse.warehouse import ClickHouseWarehouse
from klaviyo_assets.warehouse.errors import (
    ConnectionLost,
    SnapshotMissing,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
)
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract, Publication
from klaviyo_assets.warehouse.location import kind_of, located, place_of, server, shown
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.clickhouse.server import TimedClickHouse
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, begin, event_columns, load, rows, warehouse_at
from klaviyo_assets_tests.warehouse.test_loading import METRIC, snapshot

pytestmark = pytest.mark.of_clickhouse

DAY = dt.timedelta(days=1)
LATER = NOON + DAY


class Client:
    """A client that tells of each statement, and is lost once so many of them have changed something.

    The answer to the last one is lost. What only reads changes nothing: to die after it is to die before it.
    """

    def __init__(self, client: Any, statements: int | None, sent: list[str]) -> None:
        self._client = client
        self._left = statements
        self._sent = sent

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in ("command", "query", "raw_insert", "query_arrow"):
            return found

        def dying(*given: Any, **options: Any) -> Any:
            statement = str(given[0] or options["insert_block"][:300])
            if self._left == 0:
                raise OperationalError("the network is down")
            if self._left is not None and not statement.startswith("SELECT"):
                self._left -= 1
            answer = found(*given, **options)
            self._sent.append(statement)
            if self._left == 0:
                raise OperationalError("the network is down")
            return answer

        return dying


class Watched(TimedClickHouse):
    """Tells what it sends, and may lose its connection."""

    _statements: int | None = PrivateAttr(default=None)
    _sent: list[str] = PrivateAttr(default_factory=list)

    def die_after(self, statements: int | None) -> None:
        self._statements = statements

    def _session(self, client: Any) -> Any:
        return super()._session(Client(client, self._statements, self._sent))


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    return warehouse_at(tmp_path)


def watched(warehouse: Any) -> Watched:
    made = Watched(address=warehouse.address, url_variable=warehouse.url_variable)
    made.set_clock(NOON)
    return made


def final(warehouse: Any, table: str = "klaviyo.event") -> list[dict[str, Any]]:
    """The rows of a table as FINAL shows them."""
    with warehouse.connect() as client:
        return list(client.query(f"SELECT * FROM {table} ORDER BY id").named_results())


def an_hour_later(warehouse: Any) -> None:
    """The lease of whoever holds it is over."""
    tables = "SELECT name, comment FROM system.tables WHERE database = 'klaviyo' AND startsWith(name, '_lease_')"
    for name, comment in warehouse.query(tables):
        told = json.loads(comment)
        if told["until"]:
            with warehouse.connect() as client:
                client.command(f"ALTER TABLE klaviyo.{name} MODIFY COMMENT '{json.dumps({**told, 'until': 1})}'")


@contextmanager
def kept(warehouse: Any, *schemas: str) -> Iterator[Callable[[], None]]:
    """Give what makes databases again as they are now."""
    with warehouse.connect() as client:
        places = []
        for schema in schemas:
            client.command(f"CREATE DATABASE klaviyo_kept_{schema}")
            for (table,) in client.query(f"SELECT name FROM system.tables WHERE database = '{schema}'").result_rows:
                if not table.startswith("_lease_"):
                    client.command(f"CREATE TABLE klaviyo_kept_{schema}.{table} CLONE AS {schema}.{table}")
                    places.append((schema, table))

        def restore() -> None:
            for schema in schemas:
                for (table,) in client.query(f"SELECT name FROM system.tables WHERE database = '{schema}'").result_rows:
                    client.command(f"DROP TABLE {schema}.{table} SYNC")
            for schema, table in places:
                client.command(f"CREATE TABLE {schema}.{table} CLONE AS klaviyo_kept_{schema}.{table}")

        yield restore


def unknown_stamps(warehouse: Any) -> list[Any]:
    """Stamps of rows that no load is known by."""
    known = "SELECT synced_at FROM klaviyo._loads WHERE synced_at IS NOT NULL"
    return warehouse.query(f"SELECT id FROM klaviyo.event WHERE _fivetran_synced NOT IN ({known})")


def without_stamps(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "_fivetran_synced"} for row in found]


def left_behind(warehouse: Any) -> list[Any]:
    return warehouse.query("SELECT name FROM system.tables WHERE startsWith(name, '_temporary_')")


def die_everywhere(warehouse: Any, again: Callable[[Any], object], right: Callable[[str], None], *schemas: str) -> None:
    """Repeat something that dies after its first statement, its second one, and so on.

    right: looks at what a death has left. What is then done once more ends as if there had been none.
    """
    dying = watched(warehouse)
    with kept(warehouse, *schemas) as restore:
        again(warehouse)
        after = [without_stamps(final(warehouse)), states(warehouse)]
        for number in range(1, 200):
            restore()
            dying.die_after(number)
            try:
                again(dying)
                break
            except ConnectionLost:
                at = f"at statement {number}: {dying._sent[-1]}"
            right(at)
            an_hour_later(warehouse)
            again(warehouse)
            assert [without_stamps(final(warehouse)), states(warehouse)] == after, at
            assert without_stamps(rows(warehouse)) == after[0], f"each key is there once without FINAL, {at}"
            assert unknown_stamps(warehouse) == left_behind(warehouse) == [], at
    assert number > 15


def states(warehouse: Any) -> dict[Any, Any]:
    return {
        key: (state.synced_from, state.synced_through, state.complete, state.rows)
        for key, state in warehouse.states().items()
    }


# A connection that dies


def test_a_load_that_dies_at_any_statement_loses_doubles_and_flags_nothing(warehouse: Any) -> None:
    """It makes a table anew, adds a column, writes, flags and moves the watermark."""
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 2}], states=[SyncState("event", synced_through=NOON)])

    def again(target: Any) -> None:
        came = [{"id": "1", "x": "text", "y": 1}, {"id": "3", "x": 3}]
        load(target, came, coverage=WHOLE_TABLE, states=[SyncState("event", synced_through=LATER)], at=LATER)

    def right(at: str) -> None:
        found = {row["id"]: row for row in final(warehouse)}
        assert len(found) == len(final(warehouse)) and {"1", "2"} <= found.keys() <= {"1", "2", "3"}, at
        assert not found["1"]["_fivetran_deleted"] and unknown_stamps(warehouse) == [], at
        state = warehouse.state("event")
        assert state and state.synced_through in (NOON, LATER), at
        if state.synced_through == LATER:
            assert [row["property_x"] for row in found.values()] == ["text", "2", "3"], at
            assert found["2"]["_fivetran_deleted"], at

    die_everywhere(warehouse, again, right, "klaviyo")


LOOKING_UP = replace(EVENT, lookups=(Lookup("note", "property_metric", "metric", "id", "note"),))
PUBLICATION = Publication(METRIC, dependents=(LOOKING_UP,))


def test_a_snapshot_that_dies_at_any_statement_is_no_half_of_one(warehouse: Any) -> None:
    """It is stored and published, and corrects what another table repeats."""
    events = [{"id": "e1", "metric": "m1", "note": "Old"}, {"id": "e2", "metric": "m2", "note": "Other"}]
    load(warehouse, events, spec=LOOKING_UP)
    before = [{"id": "m1", "note": "Old"}, {"id": "m2", "note": "Other"}, {"id": "m3"}]
    snapshot(warehouse, before)
    warehouse.publish(PUBLICATION, guard=1.0)
    snapshot(warehouse, before, began=begin(warehouse))  # which waits to be published

    def again(target: Any) -> None:
        came = [{"id": "m1", "note": "New"}, {"id": "m2", "note": "Other"}]
        with temporary_spool() as spool:
            spool.write_all(typed_batches([event_columns(came)], METRIC))
            state = SyncState("metric", "snapshot", synced_through=LATER, complete=True)
            target.store_snapshot(Extract(METRIC, snapshot=True, states=(state,)), spool)
        target.publish(PUBLICATION, guard=1.0)

    def right(at: str) -> None:
        an_hour_later(warehouse)
        for _ in range(2):  # as it is, and once what there is of the snapshot is published
            flagged = {row["id"] for row in final(warehouse, "klaviyo.metric") if row["_fivetran_deleted"]}
            assert flagged <= {"m3"} and len(final(warehouse, "klaviyo.metric")) == 3, at
            try:
                warehouse.publish(PUBLICATION, guard=1.0)
            except SnapshotMissing:
                break
        assert unknown_stamps(warehouse) == [], at

    die_everywhere(warehouse, again, right, "klaviyo", "klaviyo_staging")


def test_a_table_that_was_emptied_is_read_again_also_if_a_load_dies(warehouse: Any) -> None:
    """Its rows would make what was known of the table seem true."""
    load(warehouse, [{"id": "1"}], states=[SyncState("event", synced_through=NOON)])
    dying = watched(warehouse)
    with kept(warehouse, "klaviyo") as restore:
        for number in range(1, 200):
            restore()
            warehouse.query("TRUNCATE TABLE klaviyo.event")
            dying.die_after(number)
            try:
                load(
                    dying, [{"id": "2"}], states=[SyncState("event", synced_from=NOON, synced_through=LATER)], at=LATER
                )
                break
            except ConnectionLost:
                an_hour_later(warehouse)
            assert unknown_stamps(warehouse) == [], number
            if final(warehouse):
                assert ("event", "") not in warehouse.begin(tables=[EVENT]).states, number
    assert number > 10


# Who writes


def test_who_writes_is_alone_and_a_dead_run_loses_its_lease(warehouse: Any) -> None:
    load(warehouse, [{"id": "1"}])
    impatient = ClickHouseWarehouse(
        address=warehouse.address, url_variable=warehouse.url_variable, lock_timeout=0.1, lease=600
    )
    with warehouse.session(writes=True), pytest.raises(WarehouseLocked, match=r"pid \d+\), until \d\d:") as error:
        load(impatient, [{"id": "2"}])
    assert "secret" not in str(error.value)
    load(impatient, [{"id": "2"}])

    with warehouse.session(writes=True) as silent:
        silent.scratch("_stage", {"id": "String"})
        an_hour_later(warehouse)
        load(impatient, [{"id": "3", "note": "newer"}])
        with pytest.raises(DatabaseError, match=r"_stage|UNKNOWN_TABLE"):
            silent.execute("INSERT INTO klaviyo.event (id) SELECT id FROM _stage")
        place = silent.name("klaviyo", "event")
        silent.lease._taken = silent.lease._clock()  # it takes itself for alive
        silent.update(place, {"note": "'older'"}, "true")
        with pytest.raises(WarehouseError, match="Somebody else took over"):
            silent.before_states()
    assert [(row["id"], row["note"]) for row in final(warehouse)] == [("1", "older"), ("2", "older"), ("3", "newer")]


def test_what_a_dead_run_left_is_put_in_order_when_somebody_has_ended_its_lease(warehouse: Any) -> None:
    """As the documents say that it may be done by hand."""
    load(warehouse, [{"id": "1", "note": "old"}])
    dying = watched(warehouse)
    for number in range(1, 100):
        dying.die_after(number)
        with pytest.raises(ConnectionLost):
            load(dying, [{"id": "1", "note": "new"}])
        ((lease,),) = warehouse.query("SELECT max(name) FROM system.tables WHERE startsWith(name, '_lease_')")
        warehouse.query(f"ALTER TABLE klaviyo.{lease} MODIFY COMMENT ''")
        if len(rows(warehouse)) == 2:
            break
    load(warehouse, [{"id": "2"}])
    assert [(row["id"], row["note"]) for row in rows(warehouse)] == [("1", "new"), ("2", None)]


def test_of_many_at_once_one_gets_the_lease(warehouse: Any) -> None:
    load(warehouse, [{"id": "0"}])
    inside, most = [0], [0]

    def write(number: int) -> None:
        with warehouse.session(writes=True):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
        load(warehouse, [{"id": str(number), "x": number}], [{"id": "shared", "x": str(number)}])

    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            write(number)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, most) == ([], [1])
    assert [row["id"] for row in rows(warehouse)] == ["0", "1", "2", "3", "shared"]
    leases = warehouse.query("SELECT count() FROM system.tables WHERE startsWith(name, '_lease_')")
    assert leases == [(1,)]


# Tables


def test_names_and_texts_may_hold_anything(warehouse: Any) -> None:
    wild = "a\\b\"c'd`e{p0:String}?\\"
    load(warehouse, [{"id": "1", "note": wild, wild: 1}])
    load(warehouse, [{"id": "1", wild: "\\N\t\n\0'"}], [{"id": "\\N"}], coverage=WHOLE_TABLE)
    found = {row["id"]: row for row in rows(warehouse)}
    assert (found["1"]["note"], found["1"][f"property_{wild}"]) == (wild, "\\N\t\n\0'") and "\\N" in found
    assert warehouse.query("SELECT id FROM klaviyo.event WHERE note = ?", [wild]) == [("1",)]


def test_a_table_of_somebody_else_gets_a_key_and_keeps_its_rows(warehouse: Any) -> None:
    warehouse.query("CREATE SCHEMA klaviyo")
    with warehouse.connect() as client:
        client.command(
            "CREATE TABLE klaviyo.event (id Nullable(String), note LowCardinality(String) COMMENT 'a note', "
            "loud String MATERIALIZED upper(coalesce(id, '')), owner String DEFAULT 'nobody') "
            "ENGINE = MergeTree ORDER BY tuple()"
        )
        client.command("INSERT INTO klaviyo.event (id, note, owner) VALUES ('a', 'x', 'anna'), ('b', '', 'bo')")
    load(warehouse, [{"id": "a"}, {"id": "c"}])
    chosen = "SELECT id, note, loud, owner FROM klaviyo.event ORDER BY id"
    assert warehouse.query(chosen) == [("a", "x", "A", "anna"), ("b", "", "B", "bo"), ("c", None, "C", "nobody")]
    comments = warehouse.query("SELECT comment FROM system.columns WHERE table = 'event' AND name = 'note'")
    assert comments == [("a note",)]
    with warehouse.connect() as client:
        client.command("CREATE TABLE klaviyo.other AS klaviyo.event ENGINE = MergeTree ORDER BY tuple()")
        client.command("INSERT INTO klaviyo.other (id) VALUES ('a'), ('a')")
    with pytest.raises(WarehouseError, match=r"klaviyo.other has several rows with one key, for 1 keys \(id\)"):
        load(warehouse, [{"id": "a"}], spec=replace(EVENT, name="other"))


def test_a_sync_without_news_asks_for_no_table_by_itself(warehouse: Any) -> None:
    tables = [replace(EVENT, name=f"t{number}") for number in range(4)]
    for table in tables:
        load(warehouse, [{"id": "1"}], spec=table, states=[SyncState(table.name, synced_through=NOON)])
    quiet = watched(warehouse)
    quiet.begin(now=NOON, tables=tables)
    asking = [statement for statement in quiet._sent if '"t2"' in statement]
    assert len(quiet._sent) < 25 and asking == [each for each in quiet._sent if "UNION ALL SELECT 't3'" in each]


def test_rewritten_values_are_in_no_row_any_more(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt" * 8)
    load(warehouse, [{"id": "1", "note": "jane@example.com"}, {"id": "2", "note": "joe@example.com"}])
    hidden = replace(EVENT, policy=ColumnPolicy(hashed=("note",)))
    assert warehouse.rewrite([hidden]) == {"event": ["note hashed"]}
    with warehouse.connect() as client:
        everything = {"final": 0, "apply_deleted_mask": 0}
        found = client.query("SELECT note FROM klaviyo.event", settings=everything).result_rows
    assert len(found) == 2 and not any("@" in note for (note,) in found)


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "clickhouses://me:very-s3cret@Shop.example:9443/db?verify=false&access_token=s3cret-two"
    told = "clickhouses://me@Shop.example:9443/db?verify=false"
    assert ClickHouseWarehouse(address=address).address == told == shown(address) == located(address)
    found = server(address)
    assert found and found.has_secret and kind_of(address) == "clickhouse"
    assert place_of(address) == place_of("clickhouse://other@shop.example:9443?secure=true")
    for wrong in ("clickhouse://me:s3cret@", "clickhouse://h/a/b?s3cret", "clickhouse://h?s3cret=1&pass%20=%"):
        with pytest.raises(ValueError, match=r"ClickHouse|nobody knows") as problem:
            server(wrong)
        assert "s3cret@" not in str(problem.value) and shown(wrong) == "clickhouse://***"
    monkeypatch.setenv("WHERE", "clickhouse://me:very-s3cret@127.0.0.1:1")
    with pytest.raises(WarehouseUnusable) as error:
        ClickHouseWarehouse(address=address, url_variable="WHERE").try_to_write()
    assert "s3cret" not in str(error.value) and error.value.__cause__ is None


def test_a_wrong_password_is_not_told(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = warehouse.address.replace("tester@", "tester:wr0ng@")
    monkeypatch.setenv("WHERE", url)
    with pytest.raises(WarehouseUnusable, match=r"(?i)authentication") as error:
        ClickHouseWarehouse(address=warehouse.address, url_variable="WHERE").states()
    assert "wr0ng" not in str(error.value)
