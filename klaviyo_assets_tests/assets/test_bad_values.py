"""Answers with one bad value, over HTTP: the table lands, the value is text or NULL, and the log names its row."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable, Mapping, Sequence
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
AS_TEXT = {"no JSON": ["NaN", "Infinity", "-Infinity", "1e400", DIGITS], "deep": [DEEP], "times": [LATE, EARLY]}
PERSON = "01J00000000000000000000BAD"


@pytest.fixture
def klaviyo(project: Callable[..., Project]) -> Project:
    return project(
        generate_account(events=40, profiles=12, days=2, seed=11), tables=only("campaign", "list", "list_tag")
    )


def serve(klaviyo: Project, texts: Mapping[bytes, str]) -> None:
    """Answer with any texts in the places of values."""

    def rewritten(content: bytes) -> bytes:
        for marked, raw in texts.items():
            content = content.replace(marked, raw.encode())
        return content

    klaviyo.sandbox.faults[:] = [lambda call: Rewritten(rewritten)]


def in_place(raws: Sequence[str]) -> dict[bytes, str]:
    """What to serve such that `mark(n)` becomes the n-th text."""
    return {f'"{mark(number)}"'.encode(): raw for number, raw in enumerate(raws)}


def mark(number: int) -> str:
    return f"{MARK} {number}"


def add_person(account: Account, id: str = PERSON, **attributes: Any) -> None:
    stamp = account.clock.now().isoformat()
    rest = {"properties": {}, "location": {}, "subscriptions": never_subscribed()}
    account.add(Resource("profile", id, {"created": stamp, "updated": stamp, **rest, **attributes}))


def count(klaviyo: Project, table: str) -> int:
    return int(klaviyo.warehouse.query(f"SELECT count(*) FROM klaviyo.{table} WHERE NOT _fivetran_deleted")[0][0])


def value(klaviyo: Project, table: str, id: str, column: str) -> Any:
    ((found,),) = klaviyo.warehouse.query(f"SELECT {column} FROM klaviyo.{table} WHERE id = '{id}'")
    return found


def warnings(klaviyo: Project, result: dg.ExecuteInProcessResult) -> list[str]:
    """What the log of a run warns of."""
    return [entry.user_message for entry in klaviyo.instance.all_logs(result.run_id) if entry.level == logging.WARNING]


@pytest.mark.parametrize("raws", AS_TEXT.values(), ids=AS_TEXT)
def test_properties_land_as_text(klaviyo: Project, raws: list[str]) -> None:
    account = klaviyo.account
    odd = {f"odd_{number}": mark(number) for number in range(len(raws))}
    add_person(account, properties=odd)
    event = account.add_event(account.all("metric")[0].id, account.clock.now(), profile_id=PERSON, properties=odd)
    serve(klaviyo, in_place(raws))
    klaviyo.sync(first=-3)
    for number, raw in enumerate(raws):
        text = raw.strip('"')
        assert value(klaviyo, "event", event.id, f"property_odd_{number}") == text
        assert value(klaviyo, "person", PERSON, f"custom_odd_{number}") == text
    assert (count(klaviyo, "event"), count(klaviyo, "person")) == (41, 13)
    assert klaviyo.warehouse.query("SELECT max(datetime) < '9999-01-01' FROM klaviyo.event") == [(True,)]


def test_attributes_of_another_shape_are_null_and_their_profiles_named(klaviyo: Project) -> None:
    members = {"properties": MARK, "location": MARK, "subscriptions": MARK, "created": STAMP}
    for number, (member, marked) in enumerate(members.items()):
        add_person(klaviyo.account, f"{PERSON[:-1]}{number}", **{member: marked}, first_name=f"Ada {member}")
    serve(klaviyo, {f'"{MARK}"'.encode(): "[]", f'"{STAMP}"'.encode(): LATE})
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    assert count(klaviyo, "person") == 16
    for number, member in enumerate(members):
        id = f"{PERSON[:-1]}{number}"
        assert value(klaviyo, "person", id, "first_name") == f"Ada {member}"
        (warning,) = [message for message in log if id in message]
        assert f"{member} (1 value; id {id})" in warning


def test_event_properties_of_another_shape_are_null(klaviyo: Project) -> None:
    account = klaviyo.account
    event = account.add_event(account.all("metric")[0].id, account.clock.now(), properties={"odd": MARK})
    serve(klaviyo, {f'{{"odd":"{MARK}"}}'.encode(): "[]"})
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    assert count(klaviyo, "event") == 41 and value(klaviyo, "event", event.id, "property_value") is None
    assert any(f"event_properties (1 value; id {event.id})" in message for message in log)


def test_a_read_with_an_event_without_an_id_flags_nothing(klaviyo: Project) -> None:
    klaviyo.sync(first=-3)
    event = next(iter(klaviyo.account.events))
    serve(klaviyo, {b'"id":"%s"' % event.id.encode(): '"id":null'})
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
    serve(klaviyo, {f'"{MARK}"'.encode(): "NaN"})
    log = warnings(klaviyo, klaviyo.sync(first=-3))
    ((packed,),) = klaviyo.warehouse.query(
        "SELECT custom_fields FROM klaviyo.person WHERE custom_fields LIKE '%secret%'"
    )
    assert packed.startswith('{"odd":"NaN","secret":"hmac-sha256:')
    assert any(f"location (1 value; id {PERSON})" in message for message in log)


def test_tables_that_are_imported_as_a_whole_land(klaviyo: Project) -> None:
    raws = ["NaN", "[]", DIGITS, DEEP, LATE]
    campaigns = klaviyo.account.all("campaign")[: len(raws)]
    for number, campaign in enumerate(campaigns):
        marked = mark(number)
        klaviyo.account.add(Resource("list", f"BadLs{number}", {"name": marked, "created": marked}))
        klaviyo.account.update("campaign", campaign.id, send_strategy=marked, audiences=marked)
    klaviyo.refresh()
    before = count(klaviyo, "list"), count(klaviyo, "campaign")
    serve(klaviyo, in_place(raws))
    klaviyo.refresh()
    assert (count(klaviyo, "list"), count(klaviyo, "campaign")) == before
    for number, (raw, campaign) in enumerate(zip(raws, campaigns, strict=True)):
        assert value(klaviyo, "list", f"BadLs{number}", "list_name") == raw.strip('"')
        assert value(klaviyo, "list", f"BadLs{number}", "created") is None
        assert value(klaviyo, "campaign", campaign.id, "send_strategy_method") is None


def test_a_link_of_another_shape_ends_a_page_that_is_not_full(klaviyo: Project) -> None:
    def hook(call: Call) -> Rewritten | None:
        return Rewritten(lambda content: re.sub(rb'"links":{[^{}]*"next"[^{}]*}', b'"links":[]', content))

    klaviyo.sync(first=-3)
    klaviyo.sandbox.faults[:] = [hook]
    klaviyo.sync(first=-3)
    assert (count(klaviyo, "event"), count(klaviyo, "person")) == (40, 12)


def test_rows_that_an_answer_of_another_shape_lacks_are_not_flagged(klaviyo: Project) -> None:
    klaviyo.refresh()
    before = count(klaviyo, "list_tag")
    assert before
    for shape in (b'"tags": "none"', b'"tags": {"data": ["none"]}'):

        def hook(call: Call, shape: bytes = shape) -> Rewritten | None:
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


def test_a_page_of_a_collection_that_is_no_list_is_not_an_empty_one(
    klaviyo: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.delay", lambda failures: 0.0)
    for number in range(12):
        klaviyo.account.add(Resource("list", f"More{number:02}", {"name": "One more", "created": STAMP}))
    klaviyo.sync(first=-3)
    klaviyo.refresh()
    before = {table: count(klaviyo, table) for table in ("event", "person", "campaign", "list", "list_tag")}
    for operation, data in (("get_lists", None), ("get_lists", {}), ("get_events", None)):

        def hook(call: Call, operation: str = operation, data: object = data) -> Document | None:
            is_later = operation != "get_lists" or "page[cursor]" in call.query
            broken = call.operation == operation and is_later
            return Document(lambda document: document.update(data=data)) if broken else None

        klaviyo.sandbox.faults[:] = [hook]
        job = ("klaviyo_backfill", -3) if operation == "get_events" else ("klaviyo_full_refresh",)
        result = klaviyo.run(*job)
        assert any("its `data` is no list" in failure for failure in failures(result)), (operation, data)
        assert {table: count(klaviyo, table) for table in before} == before, (operation, data)


def without_attributes(document: dict[str, Any]) -> None:
    for resource in document["data"]:
        resource.pop("attributes")


ABSENT: dict[str, Callable[[dict[str, Any]], object]] = {
    "included": lambda document: document.update(included=None),
    "an empty included": lambda document: document.update(included=[]),
    "attributes": without_attributes,
    "null attributes": lambda document: [item.update(attributes=None) for item in document["data"]],
}


Lacking = Mapping[str, tuple[str, list[str]]]
"""Operation -> what its answers lack, and the tables whose rows are made of it, the one that warns first."""

WHOLE: Lacking = {
    "get_campaigns": ("included", ["campaign", "campaign_message", "campaign_message_send_time"]),
    "get_catalog_items": ("an empty included", ["catalog_variant"]),
    "get_flows": ("included", ["flow_action"]),
    "get_profiles_for_list": ("attributes", ["list_person"]),
}
WHOLE_TOO: Lacking = {
    "get_campaigns": ("null attributes", ["campaign", "campaign_list", "campaign_tracking_utm_param"]),
    "get_lists": ("attributes", ["list"]),
}
EVENTS: Lacking = {"get_events": ("null attributes", ["event", "campaign_message"])}
PROFILES: Lacking = {"get_profiles": ("attributes", ["person", "global_exclusion", "list_exclusion"])}


def test_rows_whose_parts_an_answer_lacks_stay_as_they_are(project: Callable[..., Project]) -> None:
    lackings = (WHOLE, WHOLE_TOO, EVENTS, PROFILES)
    tables = {table for lacking in lackings for _, those in lacking.values() for table in those}
    account = generate_account(events=40, profiles=12, days=2, seed=11)
    account.suppress(account.all("profile")[0].id)
    account.suppress(account.all("profile")[0].id, list_id=account.all("list")[0].id)
    klaviyo = project(account, tables=only(*tables), memberships="incremental")
    klaviyo.sync(first=-3)
    klaviyo.refresh()

    def rows() -> dict[str, list[dict[str, Any]]]:
        return {
            table: sorted((row | {"_fivetran_synced": None} for row in stored(klaviyo.warehouse, table)), key=repr)
            for table in tables
        }

    before = rows()
    assert all(before.values())
    for lacking in lackings:

        def hook(call: Call, lacking: Lacking = lacking) -> Document | None:
            return Document(ABSENT[lacking[call.operation][0]]) if call.operation in lacking else None

        klaviyo.sandbox.faults[:] = [hook]
        job = ("klaviyo_backfill", -3) if lacking in (EVENTS, PROFILES) else ("klaviyo_full_refresh",)
        # Not because so many would be gone at once.
        config = {"ops": {"klaviyo__list_person": {"config": {"accept_shrink": True}}}} if lacking is WHOLE else None
        result = klaviyo.run(*job, config=config)
        assert result.success
        log = warnings(klaviyo, result)
        for part, (table, *_) in lacking.values():
            (warning,) = [message for message in log if f"answers about {table} lack fields" in message]
            assert f"{part.split()[-1]} (" in warning and "; id " in warning
        assert rows() == before
    assert not klaviyo.sandbox.requests.of("get_event"), "no event is believed to be gone"
    klaviyo.sandbox.faults.clear()
    account.clock.advance(dt.timedelta(days=8))
    klaviyo.sync(first=-3)
    assert klaviyo.differences(*tables) == []
