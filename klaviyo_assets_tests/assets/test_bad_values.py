"""Answers with one bad value, over HTTP: the table lands, the value is text or NULL, and the log names its row."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed
from klaviyo_assets.sandbox.faults import Call, Document, Rewritten
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.conftest import Project, failures, only
from klaviyo_assets_tests.expected import stored

MARK = "the place of the value"
STAMP = "2013-11-11T11:11:11+00:00"
DEEP = "[" * 1500 + "]" * 1500
DIGITS = "7" * 5000
LATE, EARLY = '"9999-12-31T23:59:59-05:00"', '"0001-01-01T00:00:00+05:00"'
AS_TEXT = ["NaN", "Infinity", "-Infinity", "1e400", DIGITS, DEEP, LATE, EARLY]
PERSON = "01J00000000000000000000BAD"


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    return project(
        generate_account(events=40, profiles=12, days=2, seed=11), tables=only("campaign", "list", "list_tag")
    )


def serve(klaviyo: Project, marked: bytes, raw: str) -> None:
    """Answer with any text in the place of a value."""

    def hook(call: Call) -> Rewritten:
        return Rewritten(lambda content: content.replace(marked, raw.encode()))

    klaviyo.sandbox.faults[:] = [hook]


def add_person(account: Account, **attributes: Any) -> None:
    stamp = account.clock.now().isoformat()
    rest = {"properties": {}, "location": {}, "subscriptions": never_subscribed()}
    account.add(Resource("profile", PERSON, {"created": stamp, "updated": stamp, **rest, **attributes}))


def count(klaviyo: Project, table: str) -> int:
    return int(klaviyo.warehouse.query(f"SELECT count(*) FROM klaviyo.{table} WHERE NOT _fivetran_deleted")[0][0])


def value(klaviyo: Project, table: str, id: str, column: str) -> Any:
    ((found,),) = klaviyo.warehouse.query(f"SELECT {column} FROM klaviyo.{table} WHERE id = '{id}'")
    return found


def warnings(klaviyo: Project, result: dg.ExecuteInProcessResult) -> list[str]:
    """What the log of a run warns of."""
    return [entry.user_message for entry in klaviyo.instance.all_logs(result.run_id) if entry.level == logging.WARNING]


@pytest.mark.parametrize("raw", AS_TEXT, ids=lambda raw: raw[:12])
def test_a_property_lands_as_text(klaviyo: Project, raw: str) -> None:
    account = klaviyo.account
    add_person(account, properties={"odd": MARK})
    event = account.add_event(
        account.all("metric")[0].id, account.clock.now(), profile_id=PERSON, properties={"odd": MARK}
    )
    serve(klaviyo, f'"{MARK}"'.encode(), raw)
    klaviyo.sync(first=-3)
    text = raw.strip('"')
    assert value(klaviyo, "event", event.id, "property_odd") == text
    assert value(klaviyo, "person", PERSON, "custom_odd") == text
    assert (count(klaviyo, "event"), count(klaviyo, "person")) == (41, 13)
    assert klaviyo.warehouse.query("SELECT max(datetime) < '9999-01-01' FROM klaviyo.event") == [(True,)]


@pytest.mark.parametrize("member", ["properties", "location", "subscriptions", "created"])
def test_an_attribute_of_another_shape_is_null_and_its_profile_named(klaviyo: Project, member: str) -> None:
    mark, raw = (STAMP, LATE) if member == "created" else (MARK, "[]")
    add_person(klaviyo.account, **{member: mark}, first_name="Ada")
    serve(klaviyo, f'"{mark}"'.encode(), raw)
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    assert count(klaviyo, "person") == 13 and value(klaviyo, "person", PERSON, "first_name") == "Ada"
    (warning,) = [message for message in log if PERSON in message]
    assert f"{member} (1 value; id {PERSON})" in warning


def test_event_properties_of_another_shape_are_null(klaviyo: Project) -> None:
    account = klaviyo.account
    event = account.add_event(account.all("metric")[0].id, account.clock.now(), properties={"odd": MARK})
    serve(klaviyo, f'{{"odd":"{MARK}"}}'.encode(), "[]")
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    assert count(klaviyo, "event") == 41 and value(klaviyo, "event", event.id, "property_value") is None
    assert any(f"event_properties (1 value; id {event.id})" in message for message in log)


def test_a_read_with_an_event_without_an_id_flags_nothing(klaviyo: Project) -> None:
    klaviyo.sync(first=-3)
    event = next(iter(klaviyo.account.events))
    serve(klaviyo, b'"id":"%s"' % event.id.encode(), '"id":null')
    result = klaviyo.run("klaviyo_backfill", -3, 0)
    assert result.success and count(klaviyo, "event") == 40
    assert any("data (1 value)" in message for message in warnings(klaviyo, result))


def test_packed_and_hidden_values_may_be_bad_too(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLAVIYO_HASH_SALT", "salt")
    account = generate_account(events=10, profiles=5, days=2, seed=11)
    klaviyo = project(account, tables=only(), packing="packed", hashed_columns={"person": ["custom_secret"]})
    add_person(account, properties={"odd": MARK, "secret": MARK}, location=MARK)
    serve(klaviyo, f'"{MARK}"'.encode(), "NaN")
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    ((packed,),) = klaviyo.warehouse.query(
        "SELECT custom_fields FROM klaviyo.person WHERE custom_fields LIKE '%secret%'"
    )
    assert packed.startswith('{"odd":"NaN","secret":"hmac-sha256:')
    assert any(f"location (1 value; id {PERSON})" in message for message in log)


@pytest.mark.parametrize("raw", ["NaN", "[]", DIGITS, DEEP, LATE], ids=lambda raw: raw[:12])
def test_a_table_that_is_imported_as_a_whole_lands(klaviyo: Project, raw: str) -> None:
    klaviyo.account.add(Resource("list", "BadLst", {"name": MARK, "created": MARK}))
    campaign = klaviyo.account.all("campaign")[0]
    klaviyo.account.update("campaign", campaign.id, send_strategy=MARK, audiences=MARK)
    klaviyo.refresh()
    lists, campaigns = count(klaviyo, "list"), count(klaviyo, "campaign")
    serve(klaviyo, f'"{MARK}"'.encode(), raw)
    klaviyo.refresh()
    assert (count(klaviyo, "list"), count(klaviyo, "campaign")) == (lists, campaigns)
    assert value(klaviyo, "list", "BadLst", "list_name") == raw.strip('"')
    assert value(klaviyo, "list", "BadLst", "created") is None
    assert value(klaviyo, "campaign", campaign.id, "send_strategy_method") is None


def test_a_link_of_another_shape_ends_a_page_that_is_not_full(klaviyo: Project) -> None:
    def hook(call: Call) -> Rewritten | None:
        return Rewritten(lambda content: re.sub(rb'"links":{[^{}]*"next"[^{}]*}', b'"links":[]', content))

    klaviyo.sync(first=-3)
    klaviyo.sandbox.faults[:] = [hook]
    klaviyo.sync(first=-3)
    assert (count(klaviyo, "event"), count(klaviyo, "person")) == (40, 12)


@pytest.mark.parametrize("shape", [b'"tags": "none"', b'"tags": {"data": ["none"]}'])
def test_rows_that_an_answer_of_another_shape_lacks_are_not_flagged(klaviyo: Project, shape: bytes) -> None:
    klaviyo.refresh()
    before = count(klaviyo, "list_tag")
    assert before

    def hook(call: Call) -> Rewritten | None:
        if call.operation != "get_lists":
            return None
        return Rewritten(lambda content: re.sub(rb'"tags":{"data":\[.*?\][^{}]*({[^{}]*})?[^{}]*}', shape, content))

    klaviyo.sandbox.faults[:] = [hook]
    result = klaviyo.refresh()
    assert any("relationships.tags" in warning for warning in warnings(klaviyo, result))
    assert count(klaviyo, "list_tag") == before
    klaviyo.sandbox.faults.clear()
    klaviyo.refresh()
    assert count(klaviyo, "list_tag") == before


@pytest.mark.parametrize(("operation", "data"), [("get_lists", None), ("get_lists", {}), ("get_events", None)])
def test_a_page_of_a_collection_that_is_no_list_is_not_an_empty_one(
    klaviyo: Project, operation: str, data: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.delay", lambda failures: 0.0)
    for number in range(12):
        klaviyo.account.add(Resource("list", f"More{number:02}", {"name": "One more", "created": STAMP}))
    klaviyo.sync(first=-3)
    klaviyo.refresh()
    before = {table: count(klaviyo, table) for table in ("event", "person", "campaign", "list", "list_tag")}

    def hook(call: Call) -> Document | None:
        is_later = operation != "get_lists" or "page[cursor]" in call.query
        broken = call.operation == operation and is_later
        return Document(lambda document: document.update(data=data)) if broken else None

    klaviyo.sandbox.faults[:] = [hook]
    job = ("klaviyo_backfill", -3) if operation == "get_events" else ("klaviyo_full_refresh",)
    result = klaviyo.run(*job)
    assert any("its `data` is no list" in failure for failure in failures(result))
    assert {table: count(klaviyo, table) for table in before} == before


def without_attributes(document: dict[str, Any]) -> None:
    for resource in document["data"]:
        resource.pop("attributes")


ABSENT: dict[str, Callable[[dict[str, Any]], object]] = {
    "included": lambda document: document.update(included=None),
    "an empty included": lambda document: document.update(included=[]),
    "attributes": without_attributes,
    "null attributes": lambda document: [item.update(attributes=None) for item in document["data"]],
}


@pytest.mark.parametrize(
    ("operation", "part", "tables"),
    [
        ("get_campaigns", "included", ["campaign", "campaign_message", "campaign_message_send_time"]),
        ("get_campaigns", "null attributes", ["campaign", "campaign_list", "campaign_tracking_utm_param"]),
        ("get_catalog_items", "an empty included", ["catalog_variant"]),
        ("get_flows", "included", ["flow_action"]),
        ("get_lists", "attributes", ["list"]),
        ("get_profiles_for_list", "attributes", ["list_person"]),
        ("get_events", "null attributes", ["event", "campaign_message"]),
        ("get_profiles", "attributes", ["person", "global_exclusion", "list_exclusion"]),
    ],
)
def test_rows_whose_parts_an_answer_lacks_stay_as_they_are(
    project: Callable[..., Project], operation: str, part: str, tables: list[str]
) -> None:
    account = generate_account(events=40, profiles=12, days=2, seed=11)
    klaviyo = project(account, tables=only(*tables), memberships="incremental")
    klaviyo.sync(first=-3)
    klaviyo.refresh()

    def rows() -> dict[str, list[dict[str, Any]]]:
        return {
            table: [row | {"_fivetran_synced": None} for row in stored(klaviyo.warehouse, table)] for table in tables
        }

    before = rows()
    assert all(before.values()) or operation == "get_profiles"

    def hook(call: Call) -> Document | None:
        return Document(ABSENT[part]) if call.operation == operation else None

    klaviyo.sandbox.faults[:] = [hook]
    incremental = operation in ("get_events", "get_profiles")
    result = klaviyo.run("klaviyo_backfill", -3) if incremental else klaviyo.refresh()
    assert result.success
    field = part.split()[-1]
    log = warnings(klaviyo, result)
    assert [message for message in log if f"{field} (" in message and "; id " in message], log
    assert rows() == before
    klaviyo.sandbox.faults.clear()
    klaviyo.account.clock.advance(dt.timedelta(days=8))
    klaviyo.sync(first=-3)
    assert klaviyo.differences(*tables) == []
