"""Names as DuckDB compares them: whoever made the schema, its tables and their columns may have spelled them anyhow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings, require_distinct
from klaviyo_assets.warehouse.local.sql import fold, is_named
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.warehouse.helpers import EVENT, NOON, load, rows, warehouse_at

pytestmark = pytest.mark.every_database

DAYS = 5


def respell(file: Path, spell: Callable[[str], str]) -> None:
    """Replace a database by one with the same tables, all names of which are spelled in another way."""
    old = file.with_name("old.duckdb")
    file.rename(old)
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        found = connection.execute(
            "SELECT schema_name, table_name, list(column_name ORDER BY column_index), list(data_type ORDER BY "
            "column_index) FROM duckdb_columns() WHERE database_name = 'old' AND NOT internal GROUP BY ALL"
        ).fetchall()
        for schema, table, names, types in found:
            target = quote(spell(schema), spell(table))
            ddl = ", ".join(f"{quote(spell(name))} {kind}" for name, kind in zip(names, types, strict=True))
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(spell(schema))}")
            connection.execute(f"CREATE TABLE {target} ({ddl})")
            connection.execute(f"INSERT INTO {target} FROM {quote('old', schema, table)}")
    old.unlink()


@pytest.mark.of_duckdb
def test_a_schema_in_capitals_is_ours_states_included(project: Callable[..., Project]) -> None:
    account = generate_account(events=300, profiles=40, days=DAYS, seed=4)
    klaviyo = project(account, tables=only("metric", "list", "campaign", "campaign_message"))
    file = Path(klaviyo.settings.duckdb_path)
    klaviyo.sync(first=-DAYS)
    states = klaviyo.warehouse.states()
    assert states["event", ""].synced_from
    respell(file, str.upper)
    assert klaviyo.warehouse.states() == states

    account.rename("metric", account.all("metric")[0].id, "Renamed")
    account.update("profile", account.all("profile")[0].id, first_name="Anna")
    klaviyo.sync()
    assert klaviyo.warehouse.states()["event", ""].synced_from == states["event", ""].synced_from
    found = klaviyo.warehouse.query(
        "SELECT lower(schema_name), lower(table_name), count(*), bool_and(table_name = upper(table_name)) "
        "FROM duckdb_tables() GROUP BY ALL"
    )
    assert {name for _, name, *_ in found} >= {"event", "person", "_sync_state"}
    assert all(count == 1 for *_, count, _ in found), "no table has a second one beside it"
    assert all(capitals for schema, _, _, capitals in found if schema == "klaviyo")
    respell(file, str.lower)
    assert klaviyo.differences("event", "person", "metric", "list") == []


@pytest.mark.parametrize("name", ["ÄNDERUNG", "İSTANBUL", "\u017f", "ΣΑΣ", "Owner"])
def test_a_users_column_of_any_name_stops_nothing(tmp_path: Path, name: str) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "x": 1}, {"id": "2", "x": 1}])
    warehouse.query(f"ALTER TABLE klaviyo.event ADD COLUMN {quote(name)} VARCHAR")
    warehouse.query(f"UPDATE klaviyo.event SET {quote(name)} = 'mine'")
    load(warehouse, [{"id": "1", "x": 2.5}])
    assert [(row["property_x"], row[name]) for row in rows(warehouse)] == [(2.5, "mine"), (1, "mine")]
    assert warehouse.inspect([(EVENT, ())], now=NOON)["event"].flawless


@pytest.mark.of_duckdb
@settings(deadline=None, max_examples=60)
@given(
    left=st.text(st.sampled_from("aAzZäÄ\u0131İ\u017fkK\u212a@[`{é"), max_size=3),
    right=st.text(st.sampled_from("aAzZäÄkK"), max_size=3),
)
def test_names_are_folded_as_duckdb_folds_them(left: str, right: str) -> None:
    with duckdb.connect() as connection:
        columns = f"{quote(f'c{left}')} INTEGER, {quote(f'c{right}')} INTEGER"
        try:
            connection.execute(f"CREATE TABLE t ({columns})")
            are_one = False
        except duckdb.CatalogException:
            are_one = True
        assert are_one is (fold(left) == fold(right))
        found = connection.execute(f"SELECT {is_named('$1')}".replace("?", "$2"), [left, fold(right)]).fetchall()
        assert found == [(are_one,)]


@pytest.mark.of_duckdb
def test_accounts_may_share_a_file_if_duckdb_tells_their_schemas_apart(tmp_path: Path) -> None:
    def account(name: str, schema: str) -> Settings:
        return Settings(name=name, schema=schema, duckdb_path=str(tmp_path / "both.duckdb"))

    with pytest.raises(ValueError, match="both write to the schema"):
        require_distinct([account("a", "shop"), account("b", "SHOP")])


@pytest.mark.of_duckdb
def test_a_state_of_a_table_in_capitals_is_not_written_twice(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1"}], states=[SyncState("event", synced_through=NOON)])
    warehouse.query("ALTER TABLE klaviyo._sync_state RENAME TO other")
    warehouse.query('ALTER TABLE klaviyo.other RENAME TO "_Sync_State"')
    assert warehouse.state("event") is not None
    load(warehouse, [{"id": "2"}], states=[SyncState("event", synced_through=NOON)])
    assert warehouse.query('SELECT count(*) FROM klaviyo."_Sync_State"') == [(1,)]
