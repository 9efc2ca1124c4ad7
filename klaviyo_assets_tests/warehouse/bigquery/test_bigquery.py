"""What is BigQuery's own: all or nothing where changes of tables commit, the lease, partitions, types, no secret."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed")
import requests

from klaviyo_assets.privacy.policy import ColumnPolicy
from klaviyo_assets.warehouse.bigquery import staging
from klaviyo_assets.warehouse.bigquery.address import parsed
from klaviyo_assets.warehouse.bigquery.partitions import condition
from klaviyo_assets.warehouse.bigquery.session import BigQuerySession
from klaviyo_assets.warehouse.bigquery.warehouse import BigQueryWarehouse
from klaviyo_assets.warehouse.errors import ConnectionLost, WarehouseError, WarehouseLocked, WarehouseUnusable
from klaviyo_assets.warehouse.extract import WHOLE_TABLE
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.warehouse.bigquery.server import TimedBigQuery
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, load, rows, warehouse_at

pytestmark = pytest.mark.of_bigquery

DAY = dt.timedelta(days=1)
DATED = replace(EVENT, partitioned_by="datetime")
REQUESTS = ("query", "query_and_wait", "load_table_from_file", "create_table", "update_table")


class Dying:
    """A client whose process dies once it has made so many requests: the answer to the last one does not come."""

    def __init__(self, client: Any, left: int) -> None:
        self._client = client
        self.left = left

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in (*REQUESTS, "delete_table"):
            return found

        def dying(*given: Any, **options: Any) -> Any:
            answer = found(*given, **options) if self.left > 0 else None
            self.left -= name in REQUESTS
            if self.left <= 0:
                raise requests.exceptions.ConnectionError("the network is down")
            return answer

        return dying


class DyingWarehouse(TimedBigQuery):
    """Loses the way to BigQuery after so many requests."""

    _requests: int = PrivateAttr(default=0)
    _client: Any = PrivateAttr(default=None)

    def dying(self, requests: int) -> DyingWarehouse:
        self._requests = requests
        return self

    @property
    def made(self) -> int:
        return self._requests - int(self._client.left)

    def _session(self, client: Any) -> Any:
        session = super()._session(client)
        session.client = self._client = Dying(session.client, self._requests)
        return session


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    return warehouse_at(tmp_path)


def an_hour_later(warehouse: Any) -> None:
    warehouse.query("UPDATE klaviyo._lease SET until = '2020-01-01' WHERE true")


def seen(warehouse: Any) -> tuple[Any, ...]:
    """The rows by what they say, whatever the types of their columns, and how far the table is synced."""
    found = {
        row["id"]: (str(row["property_x"]), row.get("property_y"), row["_fivetran_deleted"]) for row in rows(warehouse)
    }
    state = warehouse.state("event")
    return found, state and state.synced_through


def test_a_process_that_dies_at_any_request_leaves_all_or_nothing(tmp_path: Path) -> None:
    """A load that makes a table anew, adds a column, writes, flags and moves the watermark. What a dead process holds,
    a session with an open transaction, is ended by the next one.
    """
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 2}], states=[SyncState("event", synced_through=NOON)])
    tables = ("event", "_sync_state", "_loads", "_columns")
    warehouse.query("CREATE SCHEMA kept")
    for table in tables:
        warehouse.query(f"CREATE TABLE kept.{table} AS SELECT * FROM klaviyo.{table}")
    dying = DyingWarehouse(address=warehouse.address, lease=0)

    def again(target: Any) -> None:
        later = SyncState("event", synced_through=NOON + DAY)
        options: dict[str, Any] = {"coverage": WHOLE_TABLE, "states": [later], "at": NOON + DAY}
        load(target, [{"id": "1", "x": "text", "y": 1}, {"id": "3", "x": 3}], **options)

    def restore() -> None:
        for table in tables:
            warehouse.query(f"CREATE OR REPLACE TABLE klaviyo.{table} AS SELECT * FROM kept.{table}")

    before = seen(warehouse)
    dying.dying(10_000)
    again(dying)
    after, total = seen(warehouse), dying.made
    commit = [text for text, _ in dying.sent].index("COMMIT TRANSACTION")
    assert after != before and after[0]["2"][2] is True
    within = total - (len(dying.sent) - commit) - 20  # the number of the request that is about BEGIN
    died = outcomes = 0
    for number in [*range(2, within, 8), *range(within, total - 6, 2), *range(total - 6, total + 1)]:
        restore()
        dying.dying(number)
        try:
            again(dying)
        except ConnectionLost as error:
            found = seen(warehouse)
            assert found in (before, after), f"at request {number}"
            assert "nobody knows" in str(error) or found == before, f"at request {number}"
            outcomes += found == after
            died += 1
        if number % 8 == 0 or number > total - 3:
            again(warehouse if number % 2 else DyingWarehouse(address=warehouse.address, lease=0).dying(10_000))
            assert seen(warehouse) == after, f"at request {number}"
    assert died > 12 and outcomes == 1, "of COMMIT alone nobody knows"


def test_who_writes_is_alone_and_a_dead_run_loses_its_lease(warehouse: Any) -> None:
    load(warehouse, [{"id": "1"}])
    impatient = BigQueryWarehouse(address=warehouse.address, lock_timeout=0.1, lease=600)
    with warehouse.session(writes=True), pytest.raises(WarehouseLocked, match=r"pid \d+\), until 2\d\d\d-"):
        load(impatient, [{"id": "2"}])
    load(impatient, [{"id": "2"}])

    with pytest.raises(WarehouseError, match="Somebody else took over"), warehouse.session(writes=True) as silent:
        an_hour_later(warehouse)
        load(impatient, [{"id": "3"}])
        silent.change("DELETE FROM klaviyo.event")
    with pytest.raises(WarehouseError), warehouse.session(writes=True) as silent:
        silent.held.renew("")
        silent.begin()  # it has told its session, and holds the row of the lease
        an_hour_later_aside(warehouse, silent)
        load(impatient, [{"id": "4"}])
        silent.change("DELETE FROM klaviyo.event")
    assert [row["id"] for row in rows(warehouse)] == ["1", "2", "3", "4"]


def an_hour_later_aside(warehouse: Any, silent: Any) -> None:
    """The lease of who is in a transaction ends: an UPDATE would wait for that."""
    silent.send("ROLLBACK TRANSACTION")
    an_hour_later(warehouse)
    silent.send("BEGIN TRANSACTION")
    silent.change("UPDATE klaviyo._lease SET who = 'me' WHERE true")


def test_runs_at_once_wait_for_each_other(warehouse: Any) -> None:
    load(warehouse, [{"id": "0"}])
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            mine = BigQueryWarehouse(address=warehouse.address)
            load(mine, [{"id": str(number), "x": number}], [{"id": "shared", "x": str(number)}])
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(row["id"] for row in rows(warehouse)) == ["0", "1", "2", "3", "shared"]


def test_a_transaction_that_somebody_crosses_is_done_again(warehouse: Any, caplog: Any) -> None:
    load(warehouse, [{"id": "1", "x": 1}])
    original, crossed = warehouse._session, []

    def crossing(client: Any) -> Any:
        session = original(client)
        change = session.change

        def changed(statement: str, parameters: Any = ()) -> int:
            if "UPDATE" in statement and '"event"' in statement and not crossed:
                session.begin()
                crossed.append(warehouse.query("UPDATE klaviyo.event SET property_x = 7, note = 'theirs' WHERE true"))
            return change(statement, parameters)  # type: ignore[no-any-return]

        session.change = changed
        return session

    object.__setattr__(warehouse, "_session", crossing)
    load(warehouse, [{"id": "1", "x": 2}])
    assert crossed and "It is done again" in caplog.text
    assert [(row["property_x"], row["note"]) for row in rows(warehouse)] == [(2, "theirs")]


def test_tables_are_as_fivetran_has_them_with_partitions_by_day(warehouse: Any) -> None:
    wide = {"n": 1, "d": 1.5, "t": "2026-01-02T03:04:05Z", "o": {"a": 1}, "f": True, "s": "text"}
    load(warehouse, [{"id": "1", "datetime": "2026-05-01T00:00:00Z", **wide}], spec=DATED)
    with warehouse.connect() as client:
        made = client.get_table(f"{client.project}.klaviyo.event")
    assert (made.time_partitioning.type_, made.time_partitioning.field) == ("DAY", "datetime")
    assert made.clustering_fields == ["id"]
    names = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    assert {field.name: names.get(field.field_type, field.field_type) for field in made.schema} == {
        "id": "STRING", "datetime": "TIMESTAMP", "note": "STRING", "property_n": "INT64", "property_d": "FLOAT64",
        "property_t": "TIMESTAMP", "property_o": "JSON", "property_f": "BOOL", "property_s": "STRING",
        "_fivetran_synced": "TIMESTAMP", "_fivetran_deleted": "BOOL",
    }  # fmt: skip
    with warehouse.connect() as client:
        assert [each.table_id for each in client.list_tables("klaviyo") if "temporary" in each.table_id] == []


def test_a_row_whose_time_has_changed_is_found_in_its_old_partition(warehouse: Any) -> None:
    load(warehouse, [{"id": "1", "datetime": "2019-01-01T00:00:00Z"}, {"id": "2"}], spec=DATED)
    load(warehouse, [{"id": "3", "datetime": "2026-05-01T00:00:00Z"}], spec=DATED)
    moved = [{"id": "1", "datetime": "2026-05-01T01:00:00Z"}, {"id": "2", "datetime": "2026-05-01T02:00:00Z"}]
    warehouse.sent.clear()
    result = load(warehouse, moved, spec=DATED)
    assert (result.inserted, result.updated) == (0, 2)
    assert [row["datetime"].day for row in rows(warehouse)] == [1, 1, 1]
    (update,) = [text for text, _ in warehouse.sent if text.startswith("UPDATE `klaviyo`.`event`")]
    assert "TIMESTAMP '2019-01-01'" in update and "IS NULL" in update and "2026-05-01" not in update
    again = load(warehouse, [{"id": "4", "datetime": "2026-05-02T00:00:00Z"}], spec=DATED)
    assert (again.inserted, again.updated) == (1, 0)


def test_more_days_than_a_statement_may_write_are_written_by_several(
    warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MOST_DAYS", 2)
    days = [{"id": str(day), "datetime": f"2026-04-0{day}T00:00:00Z"} for day in range(1, 8)]
    assert load(warehouse, [*days, {"id": "0"}], spec=DATED).inserted == 8
    warehouse.sent.clear()
    again = load(warehouse, [{"id": "9", "datetime": "2026-04-09T00:00:00Z"}, *days[:5], {"id": "0"}], spec=DATED)
    assert (again.inserted, again.updated) == (1, 6)
    written = [
        text for text, _ in warehouse.sent if text.startswith(("INSERT INTO `klaviyo`.`event`", "UPDATE `klaviyo`.`ev"))
    ]
    assert len(written) == 6
    assert [row["id"] for row in rows(warehouse)] == ["0", *"1234567", "9"]


def test_many_days_are_few_ranges() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=3 * number) for number in range(500)]
    told = condition("t", "TIMESTAMP", days)
    assert told.count(">=") <= 101
    assert condition("t", "DATE", [dt.date.max, None]) == "((t >= DATE '9999-12-31') OR t IS NULL)"
    assert condition("t", "DATE", []) == "false"


def test_a_table_that_is_made_anew_keeps_what_it_has(warehouse: Any) -> None:
    load(warehouse, [{"id": "1", "datetime": "2026-05-01T00:00:00Z", "x": 1}], spec=DATED)
    with warehouse.connect() as client:
        table = client.get_table(f"{client.project}.klaviyo.event")
        table.labels, table.description = {"team": "crm"}, "it's ours"
        client.update_table(table, ["labels", "description"])
    warehouse.query("CREATE VIEW klaviyo.shown AS SELECT property_x FROM klaviyo.event")
    warehouse.sent.clear()
    load(warehouse, [{"id": "2", "datetime": "2026-05-01T00:00:00Z", "x": "text"}], spec=DATED)
    (made,) = [text for text, _ in warehouse.sent if text.startswith("CREATE OR REPLACE TABLE `klaviyo`.`event`")]
    assert "PARTITION BY TIMESTAMP_TRUNC(`datetime`, DAY) CLUSTER BY `id`" in made
    assert r"OPTIONS(description = 'it\'s ours', labels = [('team', 'crm')])" in made
    assert sorted(warehouse.query("SELECT * FROM klaviyo.shown")) == [("1",), ("text",)]
    with warehouse.connect() as client:
        assert client.get_table(f"{client.project}.klaviyo.event").time_partitioning.field == "datetime"


def test_a_table_that_would_lose_something_is_not_made_anew(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load(warehouse, [{"id": "1", "x": 1}])
    described = BigQuerySession.described

    def one_more(session: Any, schema: str, table: str) -> Any:
        found = described(session, schema, table)
        if found and table == "event":
            found._properties["numRows"] = "2"
        return found

    monkeypatch.setattr(BigQuerySession, "described", one_more)
    result = load(warehouse, [{"id": "2", "x": "text"}])
    assert result.columns_fixed and "row-level access policy hides 1 of its rows" in result.columns_fixed[0]
    assert [row["property_x"] for row in rows(warehouse)] == [1, None]


def test_a_sync_without_news_asks_for_no_table_by_itself(warehouse: Any) -> None:
    tables = [replace(EVENT, name=f"t{number}") for number in range(4)]
    for table in tables:
        load(warehouse, [{"id": "1"}], spec=table, states=[SyncState(table.name, synced_through=NOON)])
    warehouse.sent.clear()
    warehouse.begin(now=NOON, tables=tables)
    of_tables = [text for text, _ in warehouse.sent if "`t2`" in text]
    assert len(warehouse.sent) < 16 and len(of_tables) == 1
    assert "count(*)" in of_tables[0] and "WHERE" not in of_tables[0], "which costs nothing"


@pytest.mark.parametrize("coded", [False, True])
def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, coded: bool) -> None:
    key = {"type": "service_account", "private_key": "very-s3cret", "client_email": "a@b.c", "token_uri": "https://t"}
    told = json.dumps(key)
    encoded = base64.b64encode(told.encode()).decode()
    address = f"bigquery://shop-1?location=EU&credentials_base64={encoded.replace('=', '%3D')}"
    warehouse = BigQueryWarehouse(address=address)
    assert (
        encoded[:20] not in repr(warehouse) + warehouse.place and warehouse.address == "bigquery://shop-1?location=EU"
    )
    assert parsed(address).has_secret and not parsed(warehouse.address).has_secret
    monkeypatch.setenv("KEY", encoded if coded else told)
    for lost in (
        BigQueryWarehouse(address="bigquery://shop-1?credentials_variable=KEY"),
        BigQueryWarehouse(address="bigquery://shop-1?credentials_variable=NOT_THERE"),
        BigQueryWarehouse(address=f"bigquery://shop-1?credentials_path={tmp_path / 'none.json'}"),
    ):
        with pytest.raises(WarehouseUnusable, match="credentials") as error:
            lost.try_to_write()
        assert "s3cret" not in str(error.value) and encoded[:20] not in str(error.value)
        assert error.value.__cause__ is None
    for wrong in ("bigquery://", "bigquery://shop?password=s3cret", "bigquery://me:s3cret@shop"):
        with pytest.raises(ValueError, match="BigQuery") as refused:
            parsed(wrong)
        assert "s3cret" not in str(refused.value)


def test_old_values_are_hashed_and_dropped(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt" * 8)
    load(warehouse, [{"id": "1", "note": "PLAIN", "city": "PLAIN", "n": 7}, {"id": "2"}], spec=DATED)
    policy = ColumnPolicy(blocked=("property_city",), hashed=("note", "property_n"))
    warehouse.rewrite([replace(DATED, policy=policy)])
    first, second = rows(warehouse)
    assert "PLAIN" not in repr(first) and "property_city" not in first
    assert first["note"].startswith("hmac-sha256:") and first["property_n"].startswith("hmac-sha256:")
    assert second["note"] is None


def test_what_somebody_else_has_made_is_taken_over(warehouse: Any) -> None:
    warehouse.query("CREATE SCHEMA klaviyo")
    warehouse.query(
        "CREATE TABLE klaviyo.event (id STRING, datetime TIMESTAMP, property_x STRING, _fivetran_synced TIMESTAMP, "
        "_fivetran_deleted BOOLEAN)"
    )
    warehouse.query("INSERT INTO klaviyo.event VALUES ('1', '2026-04-01', 'a', '2026-04-02', false)")
    warehouse.adopt([DATED], None)
    load(warehouse, [{"id": "1", "datetime": "2026-04-01T00:00:00Z"}, {"id": "2", "x": 1}], spec=DATED)
    assert [(row["id"], row["property_x"]) for row in rows(warehouse)] == [("1", None), ("2", "1")]
