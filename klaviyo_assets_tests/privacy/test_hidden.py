"""Blocked and hashed values are nowhere that a run writes to, and what is left is right."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from klaviyo_assets.privacy.policy import DIGEST
from klaviyo_assets.sandbox.server import Sandbox
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.settings import Settings
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.privacy.accounts import (
    BIG,
    BLOCKED,
    HASHED,
    HIDDEN,
    KEY,
    PEOPLE,
    SALT,
    email,
    person_id,
    small_account,
)

TABLES = ("metric", "integration", "email_template", "account_history", "global_exclusion", "list_exclusion")


def digest(text: str) -> str:
    return DIGEST + hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that keeps a copy of every spool before it is removed; spools of other processes are somewhere else."""
    kept, remove = tmp_path / "spools", shutil.rmtree
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def keep(folder: Path, **options: Any) -> None:
        if any(folder.glob("*.parquet")):
            shutil.copytree(folder, kept / folder.name)
        remove(folder, **options)

    monkeypatch.setattr("klaviyo_assets.warehouse.spool.shutil.rmtree", keep)
    return kept


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Project]]:
    """Make a project whose Dagster instance is on disk: `private(**settings)`."""
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    monkeypatch.setenv("KLAVIYO_HASH_SALT", SALT)
    (tmp_path / "home").mkdir()
    with (
        Sandbox(small_account(KEY)) as sandbox,
        dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance,
    ):

        def make(**settings: Any) -> Project:
            given = {
                "api_url": sandbox.url,
                "duckdb_path": str(tmp_path / "warehouse" / "klaviyo.duckdb"),
                "tables": only(*TABLES),
                **settings,
            }
            return Project(sandbox, Settings(**given), instance)

        yield make


def files_with(folder: Path, *texts: bytes) -> list[tuple[str, bytes]]:
    return [
        (str(file), text) for file in folder.rglob("*") if file.is_file() for text in texts if text in file.read_bytes()
    ]


def everything(klaviyo: Project) -> str:
    """All values of all tables, decompressed, staging and state included."""
    tables = klaviyo.warehouse.query("SELECT schema_name, table_name FROM duckdb_tables()")
    return repr([klaviyo.warehouse.query(f'SELECT * FROM klaviyo."{schema}"."{table}"') for schema, table in tables])


@pytest.mark.parametrize("packing", ["unpacked", pytest.param("packed", marks=pytest.mark.soak)])
def test_nothing_that_is_hidden_is_anywhere(
    packing: str,
    private: Callable[..., Project],
    spools: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    klaviyo = private(blocked_columns=BLOCKED, hashed_columns=HASHED, packing=packing, predictive_analytics="weekly")
    with caplog.at_level(logging.DEBUG):
        klaviyo.sync(first=-1)
        assert {row["type"] for row in stored(klaviyo.warehouse, "event")} == {digest("RAW metric name")}
        klaviyo.account.rename("metric", "Mtric1", "RAW other name")
        klaviyo.refresh()
        backfill = klaviyo.run("klaviyo_backfill", -1, 0)
        assert backfill.success, failures(backfill)
    shown = everything(klaviyo)
    read = "".join(repr(pq.read_table(file).to_pylist()) for file in spools.rglob("*.parquet"))
    said = caplog.text + "".join(capfd.readouterr())
    for hidden in HIDDEN:
        assert hidden.decode() not in shown and hidden.decode() not in said and hidden.decode() not in read
    assert files_with(tmp_path, *HIDDEN) == []
    assert "KEPTzip0" in shown and "KEPTloyalty0" in read and "KEPTevent0" in shown
    assert files_with(tmp_path / "home", b"klaviyo/event"), "the event log was searched"

    # Not asked for where Klaviyo allows it.
    requests = [request for request in klaviyo.sandbox.requests if request.operation]
    fields: dict[tuple[str, str], set[str]] = {}
    for request in requests:
        for name, value in request.query.items():
            if name.startswith("fields["):
                fields.setdefault((request.operation or "", name), set()).update(value.split(","))
    assert fields["get_profiles", "fields[profile]"].isdisjoint({"phone_number", "first_name", "location.city"})
    assert {"email", "location.zip", "properties", "subscriptions"} <= fields["get_profiles", "fields[profile]"]
    assert fields["get_events", "fields[event]"] == {"datetime", "timestamp", "event_properties"}
    assert fields["get_templates", "fields[template]"].isdisjoint({"html", "id"})
    for operation in ("get_profiles", "get_events", "get_templates", "get_accounts"):
        for request in requests:
            if request.operation == operation:
                assert any(name.startswith("fields[") for name in request.query), request
                assert "industry" not in request.query.get("fields[account]", "")

    # What is left is whole, and digests join.
    people = {row["id"]: row for row in stored(klaviyo.warehouse, "person")}
    events = {row["person_id"]: row for row in stored(klaviyo.warehouse, "event")}
    assert people.keys() == events.keys() == {person_id(n) for n in range(PEOPLE)}
    assert not {"phone_number", "first_name", "city", "uuid"} & ({*people[person_id(0)]} | {*events[person_id(0)]})
    for n in range(PEOPLE):
        person, event = people[person_id(n)], events[person_id(n)]
        assert person["email"] == digest(email(n)) and person["address_1"] == digest(f"RAWstreet{n}")
        predicted = [person[f"predictive_analytics_{name}"] for name in ("churn_probability", "historic_clv")]
        assert predicted == [digest("0.125"), 6.5] and "predictive_analytics_total_clv" not in person
        assert (person["zip"], person["last_name"]) == (f"KEPTzip{n}", f"KEPTlast{n}")
        assert event["property_value"] is None and event["property_value_text"] == digest(f"RAWvalue{n}")
        assert event["type"] == digest("RAW other name")
    by = {"unpacked": "e.property_email", "packed": "json_extract_string(e.custom_property_fields, '$.email')"}
    joined = klaviyo.warehouse.query(
        f"SELECT count(*) FROM klaviyo.klaviyo.event e JOIN klaviyo.klaviyo.person p ON p.email = {by[packing]}"
    )
    assert joined == [(PEOPLE,)]
    if packing == "packed":
        assert_packed(people[person_id(0)], events[person_id(0)])
    else:
        person, event = people[person_id(0)], events[person_id(0)]
        assert {name for name in person if name.startswith("custom_")} == {
            "custom_my_phone_home_", "custom_nested", "custom_loyalty", "custom_fields",
        }  # fmt: skip
        assert person["custom_nested"] == digest('{"deep":["RAWnested0"]}')
        assert person["custom_my_phone_home_"] == digest("RAWphone0")
        assert event["property_order_phone"] == digest('{"no":"RAWorder0"}')
        assert event["property_big"] == str(BIG) and event["property_kept"] == "KEPTevent0"

    # The account is compared with its masked row of before: nothing has changed.
    assert len(stored(klaviyo.warehouse, "account_history")) == 1
    schema = klaviyo.definitions.resolve_asset_graph().get(dg.AssetKey(["klaviyo", "person"])).metadata
    columns = {column.name: column.type for column in schema["dagster/column_schema"].columns}
    assert columns["email"] == "text" and "phone_number" not in columns


def assert_packed(person: dict[str, Any], event: dict[str, Any]) -> None:
    assert not [name for name in event if name.startswith("property_") and name.count("_") == 1 and name[9:] not in
                ("value", "attribution")]  # fmt: skip
    email_digest, phone, value = digest(email(0)), digest('{"no":"RAWorder0"}'), digest("RAWvalue0")
    assert event["custom_property_fields"] == (
        f'{{"email":"{email_digest}","Order Phone":"{phone}","$value":"{value}","Kept":"KEPTevent0","big":{BIG},'
        '"":"KEPT empty name"}'
    )
    phone, nested = digest("RAWphone0"), digest('{"deep":["RAWnested0"]}')
    assert person["custom_fields"] == (
        f'{{"My Phone (home)":"{phone}","Nested":"{nested}","Loyalty":"KEPTloyalty0","Nobody":null,'
        '"fields":"KEPTfields0"}'
    )
    assert not [name for name in person if name.startswith("custom_") and name != "custom_fields"]


def test_without_a_salt_nothing_is_asked_for(private: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    klaviyo = private(hashed_columns={"person": ["email"]}, hash_salt_variable="MY_SALT", tables=only("metric"))
    klaviyo.sandbox.requests.clear()
    result = klaviyo.run("klaviyo_sync", 0)
    assert not result.success and not klaviyo.sandbox.requests.counts()
    (message,) = failures(result)
    assert "MY_SALT" in message
    monkeypatch.setenv("MY_SALT", "another salt")
    assert klaviyo.run("klaviyo_backfill", 0).success
    (found,) = {row["email"][: len(DIGEST)] for row in stored(klaviyo.warehouse, "person")}
    assert found == DIGEST


def test_subscriptions_are_left_out_when_nobody_needs_them(private: Callable[..., Project]) -> None:
    klaviyo = private(
        blocked_columns={"person": ["subscriptions_*", "custom_*"], "event": ["property_attribution", "type"]},
        tables=only(),
    )
    klaviyo.sandbox.requests.clear()
    klaviyo.sync(first=-1)
    asked = [r.query for r in klaviyo.sandbox.requests.of("get_profiles") if "updated" in r.query.get("filter", "")]
    assert asked and not any("additional-fields[profile]" in query for query in asked)
    for query in asked:
        assert {"subscriptions", "properties"}.isdisjoint(query["fields[profile]"].split(","))
    assert all("include" not in r.query for r in klaviyo.sandbox.requests.of("get_events") if r.query.get("filter"))
    row = stored(klaviyo.warehouse, "person")[0]
    assert not [name for name in row if name.startswith(("subscriptions", "custom_"))]
    events = stored(klaviyo.warehouse, "event")
    assert len(events) == PEOPLE and not {"type", "property_attribution"} & events[0].keys()

    # The exclusions need them all the same: without them nobody would be excluded any more.
    klaviyo = private(blocked_columns={"person": ["subscriptions_*"]}, tables=only("global_exclusion"))
    klaviyo.sandbox.requests.clear()
    klaviyo.account.suppress(person_id(1))
    assert klaviyo.run("klaviyo_backfill", 0).success
    assert [row["person_id"] for row in stored(klaviyo.warehouse, "global_exclusion")] == [person_id(1)]


def test_hashed_columns_that_are_read_from_the_warehouse_again(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", SALT)
    account = generate_account(events=300, profiles=30, days=4, seed=7)
    tables = only("campaign", "campaign_message", "flow_message")
    hashed = {"campaign_message": ["template_id", "campaign_id"], "flow_message": ["content_subject", "updated"]}
    klaviyo = project(account, tables=tables, hashed_columns=hashed, blocked_columns={"flow_message": ["name"]})
    names = ("event", "campaign", "campaign_message", "flow_message")

    def rows() -> dict[str, Any]:
        return {
            name: sorted(
                repr({column: v for column, v in row.items() if column != "_fivetran_synced"})
                for row in stored(klaviyo.warehouse, name)
            )
            for name in names
        }

    klaviyo.sync(first=-4)
    before = rows()
    account.clock.advance(dt.timedelta(hours=3))
    klaviyo.refresh()
    assert klaviyo.run("klaviyo_backfill", -4, 0).success
    assert rows() == before
    templates = {row["email_template_id"] for row in stored(klaviyo.warehouse, "campaign")} - {None}
    assert templates and not any(template.startswith(DIGEST) for template in templates)
    campaigns = {row["campaign_id"] for row in stored(klaviyo.warehouse, "event")} - {None}
    assert campaigns and all(campaign.startswith(DIGEST) for campaign in campaigns)
    known = {digest(c.id) for c in account.all("campaign")}
    assert campaigns & known
