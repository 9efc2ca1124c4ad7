from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.tables import profiles
from klaviyo_assets.tables.profiles import ANALYTICS, EMAIL, PERSON, SMS
from klaviyo_assets_tests.reference import recorded
from klaviyo_assets_tests.tables.shared import patient


def page(*attributes: dict[str, Any]) -> bytes:
    return json.dumps(
        {"data": [{"type": "profile", "id": f"p{n}", "attributes": a} for n, a in enumerate(attributes)]}
    ).encode()


def rows(content: bytes) -> list[dict[str, Any]]:
    """The columns as rows without NULLs, JSON text parsed."""
    columns = profiles.columns(content).exactly()
    assert set(columns.declared) <= set(PERSON.types)
    return [
        {name: values[row] for name, values in columns.declared.items() if values[row] is not None}
        | {k: json.loads(bytes(v[row])) for k, v in columns.dynamic.items() if v[row] is not None}
        for row in range(columns.rows)
    ]


def test_recorded_profile():
    body = recorded("get_profile.200")
    content = json.dumps({"data": [body["data"]]}).encode()
    assert rows(content) == [
        {
            "id": "01M1PAAR5HBCRHA3NN9NG5WRTA",
            "email": "sdk-smoke+09047c86-a@shop.example.com",
            "first_name": "Smoke",
            "created": "2026-09-04T13:39:33+00:00",
            "address_1": "1 Main Street",
            "city": "Copenhagen",
            "country": "Denmark",
            "latitude": 55.66,
            "longitude": 12.57,
            "region": "Capital Region",
            "zip": "2300",
            "timezone": "Europe/Copenhagen",
            "subscriptions_email_marketing_can_receive_email_marketing": True,
            "subscriptions_email_marketing_consent": "NEVER_SUBSCRIBED",
            "subscriptions_email_click_tracking_can_receive": False,
            "subscriptions_email_click_tracking_consent": "NEVER_SUBSCRIBED",
            "subscriptions_sms_marketing_can_receive_sms_marketing": False,
            "subscriptions_sms_marketing_consent": "NEVER_SUBSCRIBED",
            "custom_plan": "pro",
            "custom_tags": ["x", "y"],
            "custom_score": 7,
        }
    ]
    # the request left these out, so they must not become NULL
    asked = set(profiles.columns(content).declared)
    assert set(PERSON.types) - asked == {
        "external_id",
        "image",
        "last_event_date",
        "last_name",
        "organization",
        "phone_number",
        "title",
        "updated",
    }


def test_recorded_profile_of_a_segment():
    (row,) = rows(json.dumps(recorded("get_profiles_for_segment.200")).encode())
    assert row == {
        "id": "01M1PA9DFJNNYT82A7K2AEG8QT",
        "email": "sdk-smoke+0904b052-s1@shop.example.com",
        "first_name": "S1",
        "created": "2026-09-04T13:38:49+00:00",
        "updated": "2026-09-04T13:38:50+00:00",
        "custom_sdk_smoke_run": "0904b052",
        "custom_company_id": "WBhXHN",
    }


FULL = {
    "subscriptions": {
        "email": {
            "marketing": {
                "can_receive_email_marketing": False,
                "consent": "SUBSCRIBED",
                "consent_timestamp": "2024-08-20 15:04:05+00:00",
                "timestamp": "2001-01-01T00:00:00Z",
                "last_updated": "2024-08-20T15:04:06+00:00",
                "method": "FORM",
                "method_detail": "Y6nRLr",
                "custom_method_detail": "footer",
                "double_optin": False,
                "suppression": [],
            }
        },
        "sms": {"marketing": {"consent": "SUBSCRIBED", "timestamp": "2002-01-01T00:00:00Z"}},
        "whatsapp": None,
    },
    "predictive_analytics": {
        "historic_clv": 412.5,
        "predicted_clv": 120.25,
        "total_clv": 532.75,
        "historic_number_of_orders": 5,
        "predicted_number_of_orders": 1.4,
        "average_days_between_orders": 61.2,
        "average_order_value": 82.5,
        "churn_probability": 0.21,
        "expected_date_of_next_order": "2026-10-14T00:00:00",
        "ranked_channel_affinity": ["email"],
    },
}


def test_consent_and_predictions():
    (row,) = rows(page(FULL))
    assert row == {
        "id": "p0",
        f"{EMAIL}can_receive_email_marketing": False,
        f"{EMAIL}consent": "SUBSCRIBED",
        f"{EMAIL}custom_method_detail": "footer",
        f"{EMAIL}double_optin": "false",
        f"{EMAIL}last_updated": "2024-08-20T15:04:06+00:00",
        f"{EMAIL}method": "FORM",
        f"{EMAIL}method_detail": "Y6nRLr",
        f"{EMAIL}timestamp": "2024-08-20 15:04:05+00:00",
        f"{SMS}consent": "SUBSCRIBED",
        f"{SMS}timestamp": "2002-01-01T00:00:00Z",
        f"{ANALYTICS}average_days_between_orders": 61.2,
        f"{ANALYTICS}average_order_value": 82.5,
        f"{ANALYTICS}churn_probability": 0.21,
        f"{ANALYTICS}expected_date_of_next_order": "2026-10-14T00:00:00",
        f"{ANALYTICS}historic_clv": 412.5,
        f"{ANALYTICS}historic_number_of_orders": 5,
        f"{ANALYTICS}predicted_clv": 120.25,
        f"{ANALYTICS}predicted_number_of_orders": 1.4,
        f"{ANALYTICS}total_clv": 532.75,
    }


def test_what_no_profile_carries_is_left_out_and_what_is_null_becomes_null():
    assert set(profiles.columns(page({"email": None}, {"email": "b"})).declared) == {"id", "email"}
    analytics = {name for name in PERSON.types if name.startswith(ANALYTICS)}
    assert set(profiles.columns(page({"predictive_analytics": None})).declared) == {"id"} | analytics
    mixed = profiles.columns(page({"email": None}, FULL)).declared
    assert mixed[f"{ANALYTICS}total_clv"] == [None, 532.75]
    location = profiles.columns(page({"location": {"address1": "1 Main St"}})).declared
    assert (location["address_1"], location["ip"]) == (["1 Main St"], [None])


def test_every_level_may_be_null():
    nothing = {"location": None, "properties": None, "subscriptions": None, "predictive_analytics": None}
    subscriptions = {"subscriptions": {"email": None, "sms": {"marketing": None}}}
    assert rows(page(nothing, subscriptions)) == [{"id": "p0"}, {"id": "p1"}]
    assert rows(b'{"data": []}') == []


KEYS = st.sampled_from(["email", "Email", "$source", "Source", "a.b", "a b", "😀", "", "x" * 300]) | st.text(max_size=9)
VALUES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=4) | st.lists(st.integers())


@patient
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=8), max_size=3))
def test_every_custom_property_is_found_in_exactly_one_column(all_properties):
    found = profiles.columns(page(*({"properties": properties} for properties in all_properties))).exactly()
    assert all(name.startswith("custom_") for name in found.dynamic)
    for row, properties in enumerate(all_properties):
        texts = [bytes(values[row]).decode() for values in found.dynamic.values() if values[row] is not None]
        expected = [json.dumps(value) for value in properties.values() if value is not None]
        assert sorted(text for text in texts if text != "null") == sorted(expected)
