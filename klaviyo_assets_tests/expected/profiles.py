"""PERSON and what profiles say of their suppression; optional: PUSH_TOKEN."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from klaviyo_assets.sandbox.account import Account, Resource
from klaviyo_assets.sandbox.account.subscriptions import never_subscribed
from klaviyo_assets_tests.expected.rows import Expected, dig, keyed, pick, resources, same_names

PERSON = {
    **{
        name: name
        for name in (
            "email", "phone_number", "external_id", "first_name", "last_name", "organization", "title", "image",
            "created", "updated", "last_event_date",
        )
    },
    "address_1": "location.address1",
    "address_2": "location.address2",
    **{name: f"location.{name}" for name in ("city", "country", "region", "zip", "timezone", "ip")},
    **{
        f"subscriptions_email_click_tracking_{column}": f"subscriptions.email.click_tracking.{name}"
        for column, name in {
            **{name: name for name in ("can_receive", "consent", "last_updated", "valid_until")},
            "timestamp": "consent_timestamp",
        }.items()
    },
    "latitude": "location.latitude",
    "longitude": "location.longitude",
    **{
        f"subscriptions_{channel}_marketing_{column}": f"subscriptions.{channel}.marketing.{name}"
        for channel, names in {
            "email": ("can_receive_email_marketing", "custom_method_detail", "double_optin"),
            "sms": ("can_receive_sms_marketing",),
        }.items()
        for column, name in {
            **{name: name for name in ("consent", "method", "method_detail", "last_updated", *names)},
            "timestamp": "consent_timestamp",
        }.items()
    },
}  # fmt: skip


def person(account: Account) -> Expected:
    rows = []
    for p in account.all("profile"):
        shown = Resource(p.type, p.id, {"subscriptions": never_subscribed(), **p.attributes})
        rows.append({**pick(shown, PERSON), "custom_": p.attributes.get("properties") or {}})
    return keyed(rows, "id")


PREDICTIONS = same_names(
    "average_days_between_orders average_order_value churn_probability expected_date_of_next_order historic_clv"
    " historic_number_of_orders predicted_clv predicted_number_of_orders total_clv"
)


def person_with_predictions(account: Account) -> Expected:
    """PERSON where `predictive_analytics` is on."""
    columns = {f"predictive_analytics_{name}": f"predictive_analytics.{name}" for name in PREDICTIONS}
    predictions = resources(account, "profile", columns)
    return {key: row | predictions[key] for key, row in person(account).items()}


EMAIL_MARKETING = "subscriptions.email.marketing"


def latest(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return max(entries, key=lambda entry: dt.datetime.fromisoformat(entry["timestamp"]))


def global_exclusion(account: Account) -> Expected:
    rows = []
    for p in account.all("profile"):
        if entries := dig(p.attributes, f"{EMAIL_MARKETING}.suppression"):
            rows.append({"person_id": p.id, **pick_entry(latest(entries), timestamp="timestamp")})
    return keyed(rows, "person_id")


def list_exclusion(account: Account) -> Expected:
    rows = []
    for p in account.all("profile"):
        entries = dig(p.attributes, f"{EMAIL_MARKETING}.list_suppressions") or []
        for list_id in {entry["list_id"] for entry in entries}:
            last = latest(entry for entry in entries if entry["list_id"] == list_id)
            rows.append({"id": p.id, "list_id": list_id, **pick_entry(last, created="timestamp")})
    return keyed(rows, "id", "list_id")


def pick_entry(entry: dict[str, Any], **columns: str) -> dict[str, Any]:
    return {"reason": entry["reason"], **{column: entry[name] for column, name in columns.items()}}


PUSH_TOKEN = {
    **same_names("background created enablement_status platform recorded_date token vendor"),
    **{
        f"metadata_{name}": f"metadata.{name}"
        for name in (
            "app_build", "app_id", "app_name", "app_version", "device_id", "device_model", "environment",
            "klaviyo_sdk", "manufacturer", "os_name", "os_version", "sdk_version",
        )
    },
}  # fmt: skip


def push_token(account: Account) -> Expected:
    return resources(account, "push-token", PUSH_TOKEN, person_id="profile")
