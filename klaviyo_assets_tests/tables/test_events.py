from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from klaviyo_assets.tables import events
from klaviyo_assets.tables.events import EVENT, EventContext
from klaviyo_assets.tables.naming import column_name
from klaviyo_assets_tests.reference import recorded
from klaviyo_assets_tests.tables.shared import patient

CONTEXT = EventContext(
    metric_names={"SkDfHe": "SDK Smoke", "W1cKme": "Clicked Email"},
    campaign_of_message={"01K4MESSAGE": "01K4CAMPAIGN"},
)


def event(properties: Any = None, id: str = "e1", **relationships: Any) -> dict[str, Any]:
    return {
        "type": "event",
        "id": id,
        "attributes": {
            "timestamp": 1788529135,
            "datetime": "2026-09-04T13:38:55+00:00",
            "uuid": "u",
            "event_properties": properties,
        },
        "relationships": relationships,
    }


def page(*data: dict[str, Any], included: list[dict[str, Any]] | None = None) -> bytes:
    return json.dumps({"data": list(data), "included": included}).encode()


def rows(content: bytes) -> list[dict[str, Any]]:
    """The columns as rows without NULLs; JSON text parsed, in lists that no scalar can be mistaken for."""
    columns = events.columns(content, CONTEXT).exactly()
    assert set(columns.declared) == set(EVENT.types)
    assert all(len(v) == columns.rows for v in (*columns.declared.values(), *columns.dynamic.values()))
    result: list[dict[str, Any]] = []
    for row in range(columns.rows):
        declared = {name: values[row] for name, values in columns.declared.items() if values[row] is not None}
        if "property_attribution" in declared:
            declared["property_attribution"] = json.loads(bytes(declared["property_attribution"]))
        dynamic = {k: json.loads(bytes(v[row])) for k, v in columns.dynamic.items() if v[row] is not None}
        assert not set(declared) & set(dynamic)
        result.append(declared | dynamic)
    return result


def row(properties: dict[str, Any], **relationships: Any) -> dict[str, Any]:
    """What the properties of one event become."""
    basic = {"id", "timestamp", "datetime", "uuid"}
    return {k: v for k, v in rows(page(event(properties, **relationships)))[0].items() if k not in basic}


def test_recorded_page():
    content = json.dumps(recorded("get_events.200")).encode()
    assert rows(content) == [
        {
            "id": "7qWkC6JPz7g",
            "metric_id": "SkDfHe",
            "person_id": "01M1PA9MBA7VB258TP74BXMQTG",
            "datetime": "2026-09-04T13:38:55+00:00",
            "timestamp": 1788529135,
            "type": "SDK Smoke",
            "uuid": "f9204180-a865-11f1-8001-eb4883aa7288",
            "property_value": 3,
            "property_sku": "D4",
            "property_bulk": True,
            "property_value_currency": "EUR",
            "property_event_id": "sdk-smoke-09042132-bulk-1",
        },
        {
            "id": "7qWkY8hhfKA",
            "metric_id": "SkDfHe",
            "person_id": "01M1PA9KFVRQEFP614XWVXGVY7",
            "datetime": "2026-09-04T13:38:54+00:00",
            "timestamp": 1788529134,
            "type": "SDK Smoke",
            "uuid": "f887ab00-a865-11f1-8001-02861bc035fc",
            "property_value": 0,
            "property_sku": "C3",
            "property_event_id": "sdk-smoke-09042132-evt-3",
        },
    ]


def test_a_sparse_event_has_both_times():
    (only,) = rows(
        json.dumps({"data": [{"id": "e", "attributes": {"datetime": "2026-09-04 13:38:55+00:00"}}]}).encode()
    )
    assert only == {"id": "e", "datetime": "2026-09-04 13:38:55+00:00", "timestamp": "2026-09-04 13:38:55+00:00"}


def test_flow_message():
    given = {"$flow": "T6EyQF", "$message": "StDwe4", "$variation": "V1", "Subject": "Hi"}
    assert row(given) == {
        "flow_id": "T6EyQF",
        "flow_message_id": "StDwe4",
        "_variation": "V1",
        "property_subject": "Hi",
    }


@pytest.mark.parametrize("no_flow", [{}, {"$flow": ""}, {"$flow": None}])
def test_campaign_message_is_resolved_to_its_campaign(no_flow):
    assert row({**no_flow, "$message": "01K4MESSAGE"}) == {"campaign_id": "01K4CAMPAIGN"}
    assert row({**no_flow, "$message": "LyZ7re"}) == {"campaign_id": "LyZ7re"}
    assert row({**no_flow, "$message": "", "$variation": ""}) == {}


def test_message_ids_that_are_no_strings_become_text():
    assert row({"$message": 12, "$variation": True}) == {"campaign_id": "12", "_variation": "true"}


def test_relationships_may_be_null_or_missing():
    nothing = {"profile": {"data": None}, "metric": None, "attributions": {"data": []}}
    assert row({}, **nothing) == {}
    assert row({}, metric={"data": {"type": "metric", "id": "unknown"}}) == {"metric_id": "unknown"}
    attributes = b'{"uuid": "u", "event_properties": null}'
    assert rows(b'{"data": [{"id": "e", "attributes": %s, "relationships": null}]}' % attributes) == [
        {"id": "e", "uuid": "u"}
    ]
    assert rows(b'{"data": []}') == []


ATTRIBUTIONS = {"attributions": {"data": [{"type": "attribution", "id": "e1"}]}}


def test_attribution_is_the_resource_without_links():
    resource = {
        "type": "attribution",
        "id": "e1",
        "attributes": {},
        "relationships": {
            "event": {"data": {"type": "event", "id": "e1"}, "links": {"self": "https://…"}},
            "attributed-event": {"data": {"type": "event", "id": "e0"}},
            "flow-message-variation": {"data": {"type": "flow-message", "id": "M"}},
            "campaign": {"links": {}},
        },
        "links": {"self": "https://…"},
    }
    given = event({"$attribution": {"old": 1}, "$value": 5}, **ATTRIBUTIONS)
    (only,) = rows(page(given, event({}, id="e2"), included=[{"type": "metric", "id": "e1"}, resource]))[:1]
    assert only["property_attribution"] == {
        "type": "attribution",
        "id": "e1",
        "relationships": {
            "event": {"data": {"type": "event", "id": "e1"}},
            "attributed-event": {"data": {"type": "event", "id": "e0"}},
            "flow-message-variation": {"data": {"type": "flow-message", "id": "M"}},
        },
    }
    assert "campaign_id" not in only
    assert {v["old"] for k, v in only.items() if k.startswith("property_attribution_")} == {1}


def test_attribution_whose_resource_is_missing_keeps_its_id():
    assert row({}, **ATTRIBUTIONS) == {"property_attribution": {"type": "attribution", "id": "e1"}}


def test_older_attribution_stays_as_it_is_and_an_empty_one_is_null():
    assert row({"$attribution": {"$attributed_event_id": "x"}}) == {
        "property_attribution": {"$attributed_event_id": "x"}
    }
    assert row({"$attribution": ""}) == row({"$attribution": None}) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (84.5, {"property_value": 84.5}),
        (-5, {"property_value": -5}),
        (1e-7, {"property_value": 1e-7}),
        ("84.50", {"property_value": 84.5}),
        (" 1,258.54 ", {"property_value": 1258.54}),
        ("1,258,000", {"property_value": 1258000}),
        ("-.5", {"property_value": -0.5}),
        ("1e3", {"property_value": 1000}),
        (None, {}),
        ("", {"property_value_text": ""}),
        ("$5", {"property_value_text": "$5"}),
        ("1.258,54", {"property_value_text": "1.258,54"}),
        ("12,5", {"property_value_text": "12,5"}),
        ("1_000", {"property_value_text": "1_000"}),
        ("nan", {"property_value_text": "nan"}),
        ("1e999", {"property_value_text": "1e999"}),
        (True, {"property_value_text": True}),
        ([1], {"property_value_text": [1]}),
        ({"a": 1}, {"property_value_text": {"a": 1}}),
        (2**53 - 1, {"property_value": 2.0**53 - 1}),
        (2**53 + 1, {"property_value": 2.0**53, "property_value_text": 2**53 + 1}),
        (2**70, {"property_value": 2.0**70, "property_value_text": 2**70}),
        (str(2**70), {"property_value": 2.0**70, "property_value_text": str(2**70)}),
        (10**400, {"property_value_text": 10**400}),
        ("9" * 5000, {"property_value_text": "9" * 5000}),
    ],
)
def test_value_is_a_number_or_kept_as_it_is(value, expected):
    assert row({"$value": value}) == expected


def test_a_number_beyond_doubles_is_kept_digit_by_digit():
    columns = events.columns(page(event({"$value": 0})).replace(b'"$value": 0', b'"$value": 1e400'), CONTEXT)
    assert columns.declared["property_value"] == [None]
    assert bytes(columns.dynamic["property_value_text"][0]) == b"1e400"


def test_numbers_keep_their_digits():
    content = page(event({"a": 0})).replace(b'"a": 0', b'"a": 0.10, "b": 123456789012345678901234567890, "c": 1E-7')
    dynamic = events.columns(content, CONTEXT).exactly().dynamic
    assert [bytes(dynamic[f"property_{name}"][0]) for name in "abc"] == [
        b"0.10",
        b"123456789012345678901234567890",
        b"1E-7",
    ]


def test_case_twins_and_a_rival_for_the_value_column():
    assert row({"Value": "five", "$value": 5}) == {"property_value": 5, "property_value_8e37953d": "five"}
    assert row({"Value": "five"}) == {"property_value_text": "five"}
    assert row({"Value Text": "x", "$value": 5}) == {"property_value": 5, "property_value_text": "x"}
    both = row({"Value Text": "x", "$value": "five"})
    assert both.pop("property_value_text") == "x"
    assert list(both.values()) == ["five"]


def test_columns_of_one_event_do_not_leak_into_another():
    assert [
        {k: v for k, v in r.items() if k.startswith("property_")}
        for r in rows(page(event({"a": 1}), event({"b": 2}), event(None), event({"a": 3, "b": 4})))
    ] == [{"property_a": 1}, {"property_b": 2}, {}, {"property_a": 3, "property_b": 4}]


def test_half_an_emoji_does_not_cost_the_page():
    content = page(event({"a": "x"}), event({"a": "y"})).replace(b'"x"', rb'"x\ud83d"')
    assert [r["property_a"] for r in rows(content)] == ["x\ufffd", "y"]


KEYS = st.sampled_from(
    [
        "$value",
        "Value",
        "value",
        "Value Text",
        "$attribution",
        "attribution",
        "$flow",
        "$message",
        "$variation",
        "Flow",
        "😀",
        "",
        "a" * 300,
        "a" * 299 + "b",
        '"); drop table event; --',
        "Item.Count",
        "Item Count",
        "item_count",
    ]
) | st.text(max_size=20)
SCALARS = st.one_of(
    st.text(min_size=1, max_size=5),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.just(1e-7),
    st.just("84.50"),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=3)


@patient
@given(st.dictionaries(KEYS, VALUES, max_size=12))
@example({"$value": 2**70, "Value": True, "value": [], "Value Text": {}, "$attribution": "x", "attribution": 1})
@example({"$flow": 1, "$message": [2], "$variation": {"a": False}})
def test_every_value_that_went_in_is_found_in_exactly_one_column(properties):
    result = row(properties)
    for key, column in (("$flow", "flow_id"), ("$variation", "_variation")):
        if key in properties:
            assert as_text(properties[key]) == result.pop(column)
    if "$message" in properties:
        column = "flow_message_id" if "$flow" in properties else "campaign_id"
        assert as_text(properties["$message"]) == result.pop(column)
    rest = {k: v for k, v in properties.items() if k not in ("$flow", "$message", "$variation")}

    number = result.pop("property_value", None)
    if number is not None:
        owner = next(
            k for k in sorted(rest, key=lambda k: (k[:1] != "$", k)) if column_name(k, "property_") == "property_value"
        )
        given = rest[owner]
        assert math.isclose(float(given.replace(",", "") if isinstance(given, str) else given), number)
        if isinstance(given, float) or abs(number) < 2**53:  # else the exact value has to be in a text column
            del rest[owner]
    assert all(name.startswith("property_") for name in result)
    assert sorted(map(canonical, result.values())) == sorted(map(canonical, rest.values()))


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
