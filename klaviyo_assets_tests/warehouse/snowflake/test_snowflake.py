"""What is Snowflake's own: all or nothing where changes of tables commit, the lease, names, types, and no secret."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed")
from snowflake.connector import errors

from klaviyo_assets.warehouse.errors import (
    ColumnFixed,
    ConnectionLost,
    ConstraintViolated,
    WarehouseError,
    WarehouseLocked,
    WarehouseUnusable,
)
from klaviyo_assets.warehouse.extract import WHOLE_TABLE
from klaviyo_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, column_types, in_use, load, rows, warehouse_at
from klaviyo_assets_tests.warehouse.snowflake.server import TimedSnowflake

pytestmark = pytest.mark.of_snowflake

DAY = dt.timedelta(days=1)


class Dying:
    """A connection that is lost once it has run so many statements: the answer to the last one does not come."""

    def __init__(self, connection: Any, statements: int) -> None:
        self._connection = connection
        self.left = statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        cursor = self._connection.cursor()
        execute = cursor.execute

        def dying(statement: str, parameters: Any = None) -> Any:
            if self.left > 0:
                execute(statement, parameters)
                self.left -= 1
            if self.left == 0:
                self.left = -1
                self._connection.cursor().execute("ROLLBACK")  # as Snowflake does with a session that is gone
                self._connection.close()
            if self.left < 0:
                raise errors.OperationalError("the network is down")
            return cursor

        cursor.execute = dying
        return cursor


class DyingWarehouse(TimedSnowflake):
    """Loses its connection after so many statements."""

    _statements: int = PrivateAttr(default=0)

    def die_after(self, statements: int) -> None:
        self._statements = statements

    def _session(self, connection: Any) -> Any:
        session = super()._session(connection)
        session.connection = Dying(session.connection, self._statements)
        return session


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    return warehouse_at(tmp_path)


def an_hour_later(warehouse: Any) -> None:
    warehouse.query("UPDATE klaviyo._lease SET until = dateadd(hour, -1, until)")


def seen(warehouse: Any) -> tuple[Any, ...]:
    """The rows by what they say, whatever the types of their columns, and how far the table is synced."""
    found = {
        row["id"]: (str(row["property_x"]), row.get("property_y"), row["_fivetran_deleted"], row["_fivetran_synced"])
        for row in rows(warehouse)
    }
    state = warehouse.state("event")
    return found, state and state.synced_through


def without_stamps(told: tuple[Any, ...]) -> tuple[Any, ...]:
    """What was seen, but for when: a load that is repeated has a stamp of its own."""
    found, state = told
    return {key: row[:-1] for key, row in found.items()}, state


def test_a_connection_that_dies_at_any_statement_leaves_all_or_nothing(tmp_path: Path) -> None:
    """A load that makes a table anew, adds a column, writes, flags and moves the watermark."""
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 2}], states=[SyncState("event", synced_through=NOON)])
    tables = ("event", "_sync_state", "_loads", "_columns")
    warehouse.query("CREATE SCHEMA kept")
    for table in tables:
        warehouse.query(f"CREATE TABLE kept.{table} AS SELECT * FROM klaviyo.{table}")
    dying = DyingWarehouse(address=warehouse.address, url_variable=warehouse.url_variable)

    def again(target: Any) -> None:
        later = SyncState("event", synced_through=NOON + DAY)
        options: dict[str, Any] = {"coverage": WHOLE_TABLE, "states": [later], "at": NOON + DAY}
        load(target, [{"id": "1", "x": "text", "y": 1}, {"id": "3", "x": 3}], **options)

    before, after = seen(warehouse), None
    again(warehouse)
    after = seen(warehouse)
    assert after != before and after[0]["2"][2] is True
    outcomes = []
    for number in range(1, 100):
        with warehouse.connect() as connection:
            for table in tables:
                restored = f"CREATE OR REPLACE TABLE klaviyo.{table} AS SELECT * FROM kept.{table}"
                connection.cursor().execute(restored)
        dying.die_after(number)
        try:
            again(dying)
            break
        except ConnectionLost as error:
            found = seen(warehouse)
            assert found in (before, after), f"at statement {number}"
            outcomes.append(found == after)
            assert ("nobody knows" in str(error)) or found == before
        an_hour_later(warehouse)
        again(warehouse)
        assert without_stamps(seen(warehouse)) == without_stamps(after), f"at statement {number}"
    assert len(outcomes) > 20 and outcomes == [False] * (len(outcomes) - 1) + [True], "COMMIT is the last statement"


def test_who_writes_is_alone_and_a_dead_run_loses_its_lease(warehouse: Any) -> None:
    load(warehouse, [{"id": "1"}])
    impatient = SnowflakeWarehouse(
        address=warehouse.address, url_variable=warehouse.url_variable, lock_timeout=0.1, lease=600
    )
    with warehouse.session(writes=True), pytest.raises(WarehouseLocked, match=r"pid \d+\), until 2\d\d\d-") as error:
        load(impatient, [{"id": "2"}])
    assert "secret" not in str(error.value)
    load(impatient, [{"id": "2"}])

    with warehouse.session(writes=True) as silent:
        an_hour_later(warehouse)
        load(impatient, [{"id": "3"}])
        with pytest.raises(WarehouseError, match="Somebody else took over"):
            silent.change("DELETE FROM klaviyo.event")
        with pytest.raises(WarehouseError, match="Somebody else took over"):
            silent.lease.renew()
    assert [row["id"] for row in rows(warehouse)] == ["1", "2", "3"]


def test_runs_at_once_wait_for_each_other(warehouse: Any) -> None:
    load(warehouse, [{"id": "0"}])
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            load(warehouse, [{"id": str(number), "x": number}], [{"id": "shared", "x": str(number)}])
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(row["id"] for row in rows(warehouse)) == ["0", "1", "2", "3", "shared"]


def test_a_schema_that_somebody_makes_after_the_login(warehouse: Any, tmp_path: Path) -> None:
    """As the first runs of all do that begin at once: who comes second has logged in to a schema that was not there."""
    other = warehouse_at(tmp_path)

    def late(connection: Any) -> Any:
        object.__delattr__(warehouse, "_session")
        load(other, [{"id": "1"}])
        return warehouse._session(connection)

    object.__setattr__(warehouse, "_session", late)
    load(warehouse, [{"id": "2"}])
    assert [row["id"] for row in rows(warehouse)] == ["1", "2"]


def test_names_and_types_are_as_fivetran_has_them(warehouse: Any) -> None:
    wide = {"n": 1, "d": 1.5, "t": "2026-01-02T03:04:05Z", "o": {"a": 1}, "f": True, "s": "text"}
    load(warehouse, [{"id": "1", **wide}])
    assert warehouse.query("SELECT property_o:a, Property_S FROM Klaviyo.Event") == [("1", "text")]
    described = {row[0]: row[1] for row in warehouse.query("DESCRIBE TABLE klaviyo.event")}
    assert {name: kind for name, kind in described.items() if name.startswith("PROPERTY_")} == {
        "PROPERTY_N": "NUMBER(38,0)",
        "PROPERTY_D": "FLOAT",
        "PROPERTY_T": "TIMESTAMP_TZ(9)",
        "PROPERTY_O": "VARIANT",
        "PROPERTY_F": "BOOLEAN",
        "PROPERTY_S": "VARCHAR(16777216)",
    }
    assert described["_FIVETRAN_SYNCED"] == "TIMESTAMP_TZ(9)"


def test_a_longer_text_is_altered_and_a_default_prevents_another_type(warehouse: Any, caplog: Any) -> None:
    warehouse.query("CREATE SCHEMA klaviyo")
    warehouse.query(
        "CREATE TABLE klaviyo.event (id VARCHAR(256) NOT NULL, property_s VARCHAR(5), property_n NUMBER(5,0))"
    )
    load(warehouse, [{"id": "1", "s": "longer than that", "n": 7}])
    assert column_types(warehouse, native=True)["property_s"] == "VARCHAR"
    warehouse.query("CREATE VIEW klaviyo.shown AS SELECT property_n FROM klaviyo.event")
    load(warehouse, [{"id": "2", "n": 10**6}])
    assert "KLAVIYO.SHOWN" not in caplog.text
    warehouse.query("COMMENT ON TABLE klaviyo.event IS 'of anna'")
    load(warehouse, [{"id": "2", "n": 0.5}])
    assert "KLAVIYO.SHOWN" in caplog.text
    commented = "SELECT comment FROM information_schema.tables WHERE table_schema = 'KLAVIYO' AND table_name = 'EVENT'"
    assert warehouse.query(commented) == [("of anna",)]
    with pytest.raises(ConstraintViolated), warehouse.session(writes=True) as session:
        session.change("INSERT INTO klaviyo.event (id) SELECT NULL")

    warehouse.query("ALTER TABLE klaviyo.event ADD COLUMN owner VARCHAR DEFAULT 'nobody'")
    result = load(warehouse, [{"id": "3", "n": "many"}])
    assert result.columns_fixed and "owner has the default" in result.columns_fixed[0]
    assert [row["property_n"] for row in rows(warehouse)] == [7.0, 0.5, None]
    with warehouse.session(writes=True) as session, pytest.raises(ColumnFixed):
        session.widen("klaviyo", "event", {"property_n": ("FLOAT", "VARCHAR")})


def test_a_sync_without_news_asks_for_no_table_by_itself(warehouse: Any) -> None:
    tables = [replace(EVENT, name=f"t{number}") for number in range(4)]
    for table in tables:
        load(warehouse, [{"id": "1"}], spec=table, states=[SyncState(table.name, synced_through=NOON)])
    with statements_of(warehouse) as sent:
        warehouse.begin(now=NOON, tables=tables)
    assert len(sent) < 14 and [statement for statement in sent if '"T2"' in statement] == [
        statement for statement in sent if "UNION ALL" in statement
    ]


@contextmanager
def statements_of(warehouse: Any) -> Iterator[list[str]]:
    sent: list[str] = []
    original = warehouse._session

    def listening(connection: Any) -> Any:
        session = original(connection)
        check = session.connection.check
        session.connection.check = lambda statement: (sent.append(statement), check(statement))[1]
        return session

    object.__setattr__(warehouse, "_session", listening)
    yield sent
    object.__delattr__(warehouse, "_session")


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "snowflake://me:very-s3cret@acme-shop/db?warehouse=wh&private_key_file_pwd=s3cret-two&role=r"
    warehouse = SnowflakeWarehouse(address=address)
    assert "s3cret" not in repr(warehouse) + warehouse.place and "warehouse=wh" in warehouse.place
    monkeypatch.setenv("WHERE", address.replace("acme-shop", "127.0.0.1:1") + "&protocol=http&login_timeout=1")
    lost = SnowflakeWarehouse(address=address, url_variable="WHERE")
    with pytest.raises(WarehouseUnusable) as error:
        lost.try_to_write()
    assert "s3cret" not in str(error.value) and error.value.__cause__ is None
    assert in_use[-1] == "snowflake"
