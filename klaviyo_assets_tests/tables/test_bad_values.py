"""Whatever stands in one place of an answer: the other rows of the page are what they were."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from klaviyo_assets.api.page import Page, attribute_times
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.decoding import decoded, repaired
from klaviyo_assets.schema.lost import Lost, noting
from klaviyo_assets.tables import catalogs, earlier_campaigns, events, exclusions, flows, profiles
from klaviyo_assets.tables.jsonapi import Rows
from klaviyo_assets.tables.registry import table
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets_tests.tables.shared import patient
from klaviyo_assets_tests.tables.test_families import MAPPINGS

DEEP = "[" * 1500 + "1" + "]" * 1500
DEEP_OBJECT = '{"a":' * 1500 + "1" + "}" * 1500
DIGITS = "1" * 5000
NO_JSON = ["NaN", "Infinity", "-Infinity"]
UNUSUAL = ["1e400", "-1e400", DIGITS, f"-{DIGITS}", DEEP, DEEP_OBJECT, '"9999-12-31T23:59:59-05:00"']
SHAPES = ["[]", "{}", '""', "null", "true", "17", '"text"', "[null]", "[[]]", "[{}]", '{"id":{}}', '{"data":[7]}']
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
ANYTHING = st.sampled_from([*NO_JSON, *UNUSUAL, *SHAPES]) | ANY_JSON
MARK = "the place of the value"

Document = dict[str, Any]
Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path in a value, its own included."""
    yield path
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, name))


def with_value(document: Document, path: Path, raw: str) -> bytes:
    """The document with any text in one place."""
    changed = json.loads(json.dumps(document))
    parent = changed
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = MARK
    return json.dumps(changed).replace(f'"{MARK}"', raw).encode()


def without(document: Document, number: int) -> Document:
    return {**document, "data": [each for n, each in enumerate(document["data"]) if n != number]}


def event(number: int) -> Document:
    relationships = {
        "metric": {"data": {"type": "metric", "id": "M"}},
        "profile": {"data": {"type": "profile", "id": f"p{number}"}},
        "attributions": {"data": [{"type": "attribution", "id": f"a{number}"}]},
    }
    attributes = {
        "timestamp": 1788529130 + number,
        "datetime": f"2026-09-04T13:38:5{number}+00:00",
        "uuid": f"u{number}",
        "event_properties": {"$value": 1.5, "$flow": "F", "Items": ["a"], "n": number},
    }
    return {"type": "event", "id": f"e{number}", "attributes": attributes, "relationships": relationships}


def attribution(number: int) -> Document:
    of = {"event": {"data": {"type": "event", "id": f"e{number}"}}}
    return {"type": "attribution", "id": f"a{number}", "relationships": of}


def profile(number: int) -> Document:
    marketing = {
        "can_receive_email_marketing": True,
        "consent": "SUBSCRIBED",
        "consent_timestamp": "2026-01-01T00:00:00+00:00",
        "suppression": [{"reason": "UNSUBSCRIBE", "timestamp": "2026-01-02T00:00:00+00:00"}],
        "list_suppressions": [{"list_id": "L", "reason": "UNSUBSCRIBE", "timestamp": "2026-01-02T00:00:00+00:00"}],
    }
    attributes = {
        "email": f"{number}@example.com",
        "created": "2026-01-01T00:00:00+00:00",
        "updated": f"2026-09-04T13:38:5{number}+00:00",
        "location": {"city": "Boston", "latitude": 1.5},
        "properties": {"points": number, "Plan": "pro"},
        "subscriptions": {"email": {"marketing": marketing}, "sms": None},
        "predictive_analytics": {"historic_clv": 1.5},
    }
    return {"type": "profile", "id": f"p{number}", "attributes": attributes}


EVENTS: Document = {"data": [event(n) for n in range(3)], "included": [attribution(n) for n in range(3)]}
PROFILES: Document = {"data": [profile(n) for n in range(3)]}

Found = dict[str, list[dict[str, Any]]]


def typed(name: str, columns: Columns, lost: Lost) -> list[dict[str, Any]]:
    """The rows with their declared values as they are spooled, and their properties as they came."""
    declared = typed_batch(Columns(columns.rows, columns.declared), table(name), on_lost=lost.add).to_pylist()
    appearing = typed_batch(columns, table(name))
    assert appearing.num_rows == len(declared)
    if len(declared) < columns.rows:
        return declared
    exact = columns.exactly()
    return [
        row | {column: bytes(v[n]) for column, v in exact.dynamic.items() if v[n] is not None}
        for n, row in enumerate(declared)
    ]


def of_rows(rows: Rows, lost: Lost) -> Found:
    return {name: typed(name, Columns.of_rows(found, table(name).types), lost) for name, found in rows.items()}


def read_events(content: bytes, lost: Lost) -> Found:
    page = Page.of(content, "get_events")
    assert len(attribute_times("datetime")(page)) == page.rows
    return {"event": typed("event", events.columns(page.content, events.EventContext({}, {})), lost)}


def read_profiles(content: bytes, lost: Lost) -> Found:
    page = Page.of(content, "get_profiles")
    assert len(attribute_times("updated")(page)) == page.rows
    found = profiles.read(page.content)
    persons = typed("person", profiles.columns(found), lost)
    return {"person": persons, **of_rows(exclusions.rows(found), lost)}


def tried(read: Callable[[bytes, Lost], Found], content: bytes) -> tuple[Found, Lost]:
    with noting() as lost:
        return read(content, lost), lost


@st.composite
def one_bad_value(draw: st.DrawFn, document: Document) -> tuple[int, bytes]:
    number = draw(st.integers(0, len(document["data"]) - 1))
    path = draw(st.sampled_from(list(places(document["data"][number], ("data", number)))))
    return number, with_value(document, path, draw(ANYTHING))


def assert_others_unchanged(read: Callable[[bytes, Lost], Found], document: Document, number: int, page: bytes) -> None:
    before, _ = tried(read, json.dumps(document).encode())
    others, _ = tried(read, json.dumps(without(document, number)).encode())
    found, _ = tried(read, page)
    for name, rows in others.items():
        for row in rows:
            assert row not in before[name] or row in found[name], name


@patient
@given(one_bad_value(EVENTS))
def test_a_bad_value_of_an_event_costs_no_other_event(bad):
    assert_others_unchanged(read_events, EVENTS, *bad)


@patient
@given(one_bad_value(PROFILES))
def test_a_bad_value_of_a_profile_costs_no_other_profile(bad):
    assert_others_unchanged(read_profiles, PROFILES, *bad)


@pytest.mark.parametrize("raw", [*NO_JSON, *UNUSUAL[:-1]])
def test_a_property_that_no_parser_takes_lands_as_text(raw):
    event = with_value(EVENTS, ("data", 1, "attributes", "event_properties", "Plan"), raw)
    person = with_value(PROFILES, ("data", 1, "attributes", "properties", "Plan"), raw)
    for name, columns in (
        ("event", events.columns(event, events.EventContext({}, {}))),
        ("person", profiles.columns(person)),
    ):
        row = typed_batch(columns, table(name)).to_pylist()[1]
        assert next(value for column, value in row.items() if column.endswith("_plan")) == raw


@pytest.mark.parametrize(
    ("read", "document", "path", "raw", "column", "value", "lost"),
    [
        (read_events, EVENTS, "event_properties", "[]", "property_value", None, "attributes.event_properties"),
        (read_events, EVENTS, "event_properties", '"x"', "flow_id", None, "attributes.event_properties"),
        (read_events, EVENTS, "uuid", "1e400", "uuid", "1e400", None),
        (read_profiles, PROFILES, "properties", "[]", "email", "1@example.com", "attributes.properties"),
        (read_profiles, PROFILES, "location", "[]", "city", None, "attributes.location"),
        (read_profiles, PROFILES, "subscriptions", "[]", "email", "1@example.com", "attributes.subscriptions"),
        (read_profiles, PROFILES, "predictive_analytics", "1", "id", "p1", "attributes.predictive_analytics"),
        (read_profiles, PROFILES, "email", DIGITS, "email", DIGITS, None),
        (read_profiles, PROFILES, "email", '{"a":[1e400]}', "email", '{"a":["1e400"]}', None),
        (read_profiles, PROFILES, "email", DEEP, "email", DEEP, None),
        (read_profiles, PROFILES, "created", '"0001-01-01T00:00:00+05:00"', "created", None, "created"),
        (read_profiles, PROFILES, "created", "[1]", "created", None, "created"),
    ],
)  # fmt: skip
def test_a_declared_value_lands_as_text_or_is_lost_by_name(read, document, path, raw, column, value, lost):
    found, noted = tried(read, with_value(document, ("data", 1, "attributes", path), raw))
    row = next(iter(found.values()))[1]
    assert row["id"] in ("e1", "p1") and row[column] == value
    assert list(noted) == ([lost] if lost else [])
    if lost:
        assert str(noted) == f"{lost} (1 value; id {row['id']})"


@pytest.mark.parametrize("path", [("relationships",), ("relationships", "metric")])
@pytest.mark.parametrize("raw", ["null", "[]", '"x"'])
def test_an_event_without_its_parts_still_lands(path, raw):
    found, lost = tried(read_events, with_value(EVENTS, ("data", 1, *path), raw))
    assert [row["id"] for row in found["event"]] == ["e0", "e1", "e2"]
    assert dict(lost) == ({} if raw == "null" else {".".join(path): 1})


@pytest.mark.parametrize("path", ["datetime", "timestamp"])
@pytest.mark.parametrize(
    "raw", ['"2026-09-04T13:38:60+00:00"', '"9999-12-31T23:59:59-05:00"', "253402300800", "1e400", "true", "[]", "null"]
)
def test_of_the_two_times_of_an_event_the_good_one_counts(path, raw):
    found, lost = tried(read_events, with_value(EVENTS, ("data", 1, "attributes", path), raw))
    for event in found["event"]:
        assert event["datetime"] == event["timestamp"] == dt.datetime(2026, 9, 4, 13, 38, 50 + int(event["uuid"][1:]))
    assert not lost and len(found["event"]) == 3


def test_an_event_without_a_good_time_has_none():
    content = json.dumps(EVENTS).replace("1788529131", '"60"').replace("13:38:51", "13:38:60").encode()
    found, lost = tried(read_events, content)
    assert [event["datetime"] is None for event in found["event"]] == [False, True, False]
    assert str(lost) == "datetime (1 value; id e1), timestamp (1 value; id e1)"


def mapped(family: str) -> Callable[[bytes, Lost], Found]:
    return lambda content, lost: of_rows(MAPPINGS[family](Page.of(content, family).json()), lost)


@pytest.mark.parametrize("raw", ["null", "{}", "[]", '"x"', None], ids=str)
@pytest.mark.parametrize("family", ["event", "person", *MAPPINGS])
def test_a_resource_without_attributes_makes_no_row_and_is_named(family, raw):
    read, document = {"event": (read_events, EVENTS), "person": (read_profiles, PROFILES)}.get(
        family, (mapped(family), GENERIC)
    )
    if family == "segment_members":
        return  # nothing but their ids is asked for
    id = document["data"][1]["id"]
    content = with_value(document, ("data", 1, "attributes"), raw or "null")
    if raw is None:
        content = content.replace(b'"attributes": null', b'"else": null')
    before, _ = tried(read, json.dumps(document).encode())
    others, _ = tried(read, json.dumps(without(document, 1)).encode())
    found, lost = tried(read, content)
    name = next(iter(found))
    assert found[name] == others[name] and len(before[name]) == len(others[name]) + 1
    assert f"attributes (1 value; id {id})" in str(lost)


def test_included_resources_that_are_named_and_missing_make_no_rows():
    """Campaigns with their messages, items with their variants, flows with their actions."""
    for rows, relationship, type, tables in (
        (earlier_campaigns.rows, "campaign-messages", "campaign-message", ("campaign", "campaign_message")),
        (flows.rows, "flow-actions", "flow-action", ("flow_action",)),
        (catalogs.rows, "variants", "catalog-variant", ("catalog_variant",)),
    ):
        parents = [
            {
                "id": f"p{n}",
                "attributes": {"name": n},
                "relationships": {relationship: {"data": [{"type": type, "id": f"c{n}"}]}},
            }
            for n in range(3)
        ]
        children = [{"type": type, "id": f"c{n}", "attributes": {"created": None}} for n in range(3)]
        for without_attributes in (False, True):
            bare = [{"type": type, "id": "c1", "attributes": None}] if without_attributes else []
            with noting() as lost:
                found = rows({"data": parents, "included": [children[0], *bare, children[2]]})
            assert {name: len(found[name]) for name in tables} == dict.fromkeys(tables, 2)
            assert str(lost) == f"{'attributes' if without_attributes else 'included'} (1 value; id c1)"
        for included in (None, []):
            with noting() as lost:
                found = rows({"data": parents, "included": included})
            assert [found[name] for name in tables] == [[]] * len(tables)
            assert str(lost) == "included (3 values; id c0, c1, c2)"
        childless = [{**parents[0], "relationships": {relationship: {"data": []}}}]
        with noting() as lost:
            rows({"data": childless, "included": None})
        assert not lost, "nothing was to be included"


def test_ids_that_are_no_text_and_resources_that_are_none():
    found, _ = tried(read_events, with_value(EVENTS, ("data", 1, "id"), "17"))
    assert [row["id"] for row in found["event"]] == ["e0", "17", "e2"]
    for raw in ("null", "[]", "5"):
        found, lost = tried(read_events, with_value(EVENTS, ("data", 1), raw))
        assert [row["id"] for row in found["event"]] == ["e0", "e2"]
        assert dict(lost) == {"data": 1}
    assert tried(read_events, b'{"data":null}')[0] == {"event": []}
    without_type = {**EVENTS, "included": [{"id": "a0"}, *EVENTS["included"][1:]]}
    found, lost = tried(read_events, json.dumps(without_type).encode())
    assert msgspec.json.decode(found["event"][0]["property_attribution"]) == {"type": "attribution", "id": "a0"}
    assert str(lost) == "included (1 value; id a0)"


def test_exclusions_that_nobody_can_read_are_not_taken_for_gone():
    marketing = ("data", 1, "attributes", "subscriptions", "email", "marketing")
    for path, raw in (
        (marketing[:4], "[]"),
        (marketing[:3], "null"),
        (marketing, "7"),
        ((*marketing, "suppression"), "{}"),
        ((*marketing, "list_suppressions"), "[7]"),
    ):
        page = profiles.read(with_value(PROFILES, path, raw))
        exclusions.rows(page)
        assert page.unread == ({"p1"} if len(path) > 3 else set())
        assert len(page.profiles) == (3 if len(path) > 3 else 2)
    assert profiles.read(json.dumps(PROFILES).encode()).unread == set()


@pytest.mark.parametrize(
    ("column", "value", "landed", "is_lost"),
    [
        ("inventory_policy", 1.9, None, True),
        ("inventory_policy", True, None, True),
        ("inventory_policy", "1.9", None, True),
        ("inventory_policy", "1_000", None, True),
        ("inventory_policy", 2**63, None, True),
        ("inventory_policy", 1.0, 1, False),
        ("inventory_policy", "2.0", 2, False),
        ("inventory_policy", 9007199254740993, 9007199254740993, False),
        ("price", True, None, True),
        ("price", "1_0", None, True),
        ("price", [1], None, True),
        ("price", 10**400, None, True),
        ("price", 9007199254740993, 9007199254740992.0, True),
        ("price", "9007199254740993", 9007199254740992.0, True),
        ("price", 2**53, float(2**53), False),
        ("price", 2**60, float(2**60), False),
        ("price", "84.50", 84.5, False),
        ("price", 0.1, 0.1, False),
    ],
)
def test_a_number_is_what_it_was_or_lost_by_name(column, value, landed, is_lost):
    variants = [{"id": "v", column: value}, {"id": "w", column: 1}]
    lost = Lost()
    first, second = typed("catalog_variant", Columns.of_rows(variants, table("catalog_variant").types), lost)
    assert (first[column], type(first[column])) == (landed, type(landed)) and second[column] == 1
    assert str(lost) == (f"{column} (1 value; id v)" if is_lost else "")


# The families that are read as a whole


def resource(number: int) -> Document:
    nested = {"name": "n", "type": "t", "status": "s", "data": {"message": {"id": "m", "name": "x"}}}
    attributes = {
        "name": f"r{number}",
        "created": "2026-09-04T13:38:55+00:00",
        "updated": "2026-09-04T13:38:55+00:00",
        "definition": nested,
        "integration": {"id": "i", "name": "Shop", "category": {"category": "c"}},
        "status": {"value": "v"},
        "metadata": {"app_name": "a"},
        "product": {"name": "p"},
        "contact_information": {"street_address": {"city": "Boston"}},
    }
    names = ("tags", "flow-actions", "variants", "coupon", "profile", "form", "item", "metric", "tag-group")
    relationships = {name: {"data": [{"type": name, "id": f"{name}{number}"}]} for name in names}
    return {"type": "any", "id": f"r{number}", "attributes": attributes, "relationships": relationships}


INCLUDED = [
    {"type": kind, "id": f"{kind}s{n}", "attributes": resource(n)["attributes"]}
    for n in range(3)
    for kind in ("flow-action", "catalog-variant")
]
GENERIC: Document = {"data": [resource(n) for n in range(3)], "included": INCLUDED}


@pytest.mark.parametrize("family", MAPPINGS)
@patient
@given(bad=one_bad_value(GENERIC))
def test_a_bad_value_costs_no_other_row_of_any_family(family, bad):
    def read(content: bytes, lost: Lost) -> Found:
        return of_rows(MAPPINGS[family](Page.of(content, family).json()), lost)

    assert_others_unchanged(read, GENERIC, *bad)


# Text


@patient
@given(ANY_JSON, st.sampled_from(NO_JSON))
@example('["NaN", "\\"Infinity", -1, 1e5, "1e999"]', "NaN")
def test_repairing_changes_nothing_that_is_json(text, no_json):
    content = json.dumps(json.loads(text), ensure_ascii=True).encode()
    strict = msgspec.json.Decoder()
    try:
        before = strict.decode(content)
    except msgspec.DecodeError:
        return
    assert strict.decode(repaired(content)) == before
    both = b'{"x": %s, "data": %s}' % (no_json.encode(), content)
    assert decoded(strict, both) == {"x": no_json, "data": before}


def test_only_what_is_too_deep_becomes_text():
    page = {"data": [{"id": "1", "attributes": {"properties": {"flat": [["kept"]], "deep": MARK}}}]}
    deep = "[" * 100_000 + "1" + "]" * 100_000  # from Python 3.12 on a few thousand levels are not
    content = json.dumps(page).replace(f'"{MARK}"', deep).encode()
    properties = profiles.read(content).properties[0]
    assert {name: json.loads(bytes(value)) for name, value in properties.items()} == {"flat": [["kept"]], "deep": deep}


def test_a_page_whose_link_nobody_can_read_is_read():
    for links, may_go_on in (("[]", False), ("null", False), ("7", True), ('{"next": 5}', True), ("NaN", True)):
        page = Page.of(b'{"data":[{"id":"1"}],"links":%s}' % links.encode(), "get_lists", 2)
        assert (page.rows, page.next, page.may_go_on) == (1, None, may_go_on)
