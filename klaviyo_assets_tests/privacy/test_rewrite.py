"""Columns that become blocked or hashed when they hold values already."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.privacy.packing import PACKED
from klaviyo_assets.privacy.policy import DIGEST, ColumnPolicy, MissingSalt
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.profiles import PERSON
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets_tests.conftest import QUIET, Project, only
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.privacy.accounts import BLOCKED, HASHED, PEOPLE, SALT, email, person_id, small_account
from klaviyo_assets_tests.warehouse import helpers
from klaviyo_assets_tests.warehouse.helpers import load, rows, warehouse_at


def digest(text: str) -> str:
    return DIGEST + hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", SALT)


def rewrite(klaviyo: Project, instance: dg.DagsterInstance | None = None, **config: Any) -> dg.ExecuteInProcessResult:
    return (
        build_definitions(klaviyo.settings)
        .resolve_job_def("klaviyo_rewrite")
        .execute_in_process(
            instance=instance or klaviyo.instance,
            run_config={**QUIET, "ops": {"klaviyo__rewrite": {"config": config}}},
            raise_on_error=False,
        )
    )


def metadata(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    (event,) = [
        e.step_materialization_data.materialization
        for e in result.get_asset_materialization_events()
        if e.asset_key == dg.AssetKey(["klaviyo", table])
    ][:1]
    return {name: value.value for name, value in event.metadata.items()}


def test_old_values_stay_until_they_are_rewritten(project: Callable[..., Project], tmp_path: Path) -> None:
    account = small_account()
    tables = only("metric", "email_template", "account_history")
    klaviyo = project(account, tables=tables)
    klaviyo.sync(first=-1)
    file = Path(klaviyo.settings.duckdb_path)
    assert all(text in file.read_bytes() for text in (b"BLOCKcard0", b"raw.email0", b"RAWphone0", b"BLOCK html"))

    private = project(account, tables=tables, blocked_columns=BLOCKED, hashed_columns=HASHED)
    result = private.sync()
    assert set(metadata(result, "person")["columns_with_old_values"]) >= {"phone_number", "first_name", "city"}
    assert stored(private.warehouse, "person")[0]["phone_number"].startswith("+1617555BLOCK")
    # A profile that nobody updates keeps its plain values until then.
    assert not rewrite(private, confirm="yes").success
    before = {name: len(stored(private.warehouse, name)) for name in ("person", "event", "metric")}
    kept = {row["id"]: row["zip"] for row in stored(private.warehouse, "person")}

    running = dg.DagsterRun(job_name="klaviyo_sync", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.NOT_STARTED)
    private.instance.add_run(running)
    refused = rewrite(private, confirm="rewrite")
    assert not refused.success
    assert any("has not ended" in str(e.step_failure_data) for e in refused.all_events if e.is_step_failure)
    private.instance.delete_run(running.run_id)

    assert rewrite(private, confirm="rewrite").success
    assert [text for text in (b"BLOCK", b"RAW", b"raw.email") if text in file.read_bytes()] == []
    assert list(tmp_path.glob("*.new*")) == []
    assert {name: len(stored(private.warehouse, name)) for name in before} == before
    people = {row["id"]: row for row in stored(private.warehouse, "person")}
    assert {id: row["zip"] for id, row in people.items()} == kept
    assert "phone_number" not in people[person_id(0)] and "custom_birth_date" not in people[person_id(0)]
    events = {row["person_id"]: row for row in stored(private.warehouse, "event")}
    for n in range(PEOPLE):
        assert people[person_id(n)]["email"] == events[person_id(n)]["property_email"] == digest(email(n))
    after = stored(private.warehouse, "event"), people
    assert rewrite(private, confirm="rewrite", new_file=False).success
    assert (stored(private.warehouse, "event"), {r["id"]: r for r in stored(private.warehouse, "person")}) == after

    # What is read again is the same as what was rewritten, and nothing is left over.
    result = private.run("klaviyo_backfill", -1, 0)
    assert result.success and "columns_with_old_values" not in metadata(result, "person")
    for row in stored(private.warehouse, "event"):
        old = events[row["person_id"]]
        assert {n: v for n, v in row.items() if n != "_fivetran_synced"} == {
            n: v for n, v in old.items() if n != "_fivetran_synced"
        }


def test_columns_of_every_type_are_hashed_as_their_text(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    values = {
        "b": True, "i": 12, "d": 1.5, "t": "2026-05-01T01:02:03Z", "j": {"x": [1]}, "s": "text", "kept": 2**60,
        "gone": "BLOCK",
    }  # fmt: skip
    load(warehouse, [{"id": "1", "note": "n1", "datetime": "2026-05-01T00:00:00Z", **values}, {"id": "2"}])
    hidden = tuple(f"property_{name}" for name in "bidtjs")
    spec = replace(helpers.EVENT, policy=ColumnPolicy(("property_gone",), (*hidden, "note")))
    widened = load(warehouse, [{"id": "3", "i": 13}], spec=spec)
    assert widened.columns_widened == () or "property_i" in widened.columns_widened
    assert set(widened.columns_with_old_values) == {*hidden, "note", "property_gone"}
    (done,) = warehouse.rewrite([spec]).values()
    assert "property_gone dropped" in done and "property_i hashed" in done
    first, second, _ = rows(warehouse)
    wanted = {"b": "true", "i": "12", "d": "1.5", "t": "2026-05-01T01:02:03+00:00", "j": '{"x": [1]}', "s": "text"}
    assert {name: first[f"property_{name}"] for name in wanted} == {n: digest(text) for n, text in wanted.items()}
    assert first["note"] == digest("n1") and first["property_kept"] == 2**60 and "property_gone" not in first
    assert {value for name, value in second.items() if name.startswith("property_")} == {None}
    assert warehouse.rewrite([spec]) == {}


def test_packed_properties_are_rewritten_key_by_key(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    warehouse.query("CREATE SCHEMA klaviyo")
    warehouse.query("CREATE TABLE klaviyo.person (id VARCHAR, custom_fields JSON, _fivetran_synced TIMESTAMP)")
    text = f'{{"My Phone":"1","Card":"2","big":{2**70},"$x":null,"x\\"y":1.10}}'
    with warehouse.connect() as connection:
        connection.execute("INSERT INTO klaviyo.person VALUES ('1', ?, NULL), ('2', NULL, NULL)", [text])
    settings = Settings(
        packing="packed", blocked_columns={"person": ["custom_card"]}, hashed_columns={"person": ["custom_*phone*"]}
    )
    table = settings.table(PERSON)
    assert table.policy and PACKED["person"].column in table.policy.json_columns
    assert warehouse.rewrite([table]) == {"person": ["custom_fields rewritten"]}
    found = [row["custom_fields"] for row in rows(warehouse, "klaviyo.person")]
    assert found == [f'{{"My Phone":"{digest("1")}","big":{2**70},"$x":null,"x\\"y":1.10}}', None]
    assert warehouse.rewrite([table]) == {}


def test_a_rewrite_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "s": "a", "gone": 1}])
    spec = replace(helpers.EVENT, policy=ColumnPolicy(("property_gone",), ("property_s",)))
    monkeypatch.delenv("KLAVIYO_HASH_SALT")
    with pytest.raises(MissingSalt, match="KLAVIYO_HASH_SALT"):
        warehouse.rewrite([spec])
    (row,) = rows(warehouse)
    assert (row["property_s"], row["property_gone"]) == ("a", 1)


def test_a_file_that_can_not_be_copied_stays(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "s": "a"}])
    (tmp_path / "warehouse.duckdb.new").mkdir()
    with pytest.raises((WarehouseError, OSError)):
        warehouse.copy_to_new_file()
    assert rows(warehouse)[0]["property_s"] == "a"
    (tmp_path / "warehouse.duckdb.new").rmdir()
    warehouse.query("CREATE VIEW klaviyo.mine AS SELECT id FROM klaviyo.event")
    assert "was copied" in warehouse.copy_to_new_file()
    assert warehouse.query("SELECT * FROM klaviyo.mine") == [("1",)]


def test_a_table_is_looked_through_until_it_is_clean(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    spec = replace(helpers.EVENT, policy=ColumnPolicy((), ("property_s",)))
    load(warehouse, [{"id": "1", "s": "a"}])
    assert load(warehouse, [{"id": "2"}], spec=spec).columns_with_old_values == ("property_s",)
    warehouse.rewrite([spec])
    state = warehouse.state("event", "privacy")
    assert state and spec.policy and state.fingerprint == spec.policy.fingerprint
    stored = warehouse.query("SELECT run_id FROM klaviyo._sync_state WHERE scope = 'privacy'")
    assert (stored, state.run_id) == ([(state.fingerprint,)], None), "as earlier versions stored it"
    assert load(warehouse, [{"id": "3"}], spec=spec).columns_with_old_values == ()
    load(warehouse, [{"id": "4", "s": "plain"}])
    assert warehouse.state("event", "privacy") is None, "without the policy, plain values may have come"
    assert load(warehouse, [{"id": "5"}], spec=spec).columns_with_old_values == ("property_s",)


def test_a_table_with_an_index_is_emptied_of_what_is_blocked(tmp_path: Path) -> None:
    warehouse = warehouse_at(tmp_path)
    load(warehouse, [{"id": "1", "s": "a", "gone": 1}])
    warehouse.query("CREATE INDEX mine ON klaviyo.event (id)")
    spec = replace(helpers.EVENT, policy=ColumnPolicy(("property_gone",), ("property_s",)))
    assert warehouse.rewrite([spec]) == {"event": ["property_gone emptied", "property_s hashed"]}
    (row,) = rows(warehouse)
    assert (row["property_s"], row["property_gone"]) == (digest("a"), None)
