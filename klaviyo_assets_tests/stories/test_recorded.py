"""Responses of the live API, served by a sandbox and synced by the real job, land as the rows written out here."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.expected import stored
from klaviyo_assets_tests.reference import recorded
from klaviyo_assets_tests.sandbox.support import frozen_account

RECORDINGS = (
    "get_event",
    "get_events",
    "get_metric",
    "get_metrics",
    "get_profiles_for_segment",
    "get_profiles",
    "get_profile",
    "get_profiles_for_list",
    "get_campaigns",
    "get_messages_for_campaign",
    "get_campaign_message",
    "get_flow",
    "get_flows",
    "get_actions_for_flow",
    "get_flow_action_messages",
    "get_list",
    "get_lists",
    "get_segments",
    "get_segment",
    "get_tags",
    "get_tag_groups",
    "get_templates",
    "get_coupons",
    "get_coupon_codes",
    "get_forms",
    "get_versions_for_form",
)
"""Later ones overwrite what earlier ones say of the same object."""

CAMPAIGN, MESSAGE = "01M1PA99J4GSD6B3XGYF78793W", "01M1PA99JBS13TE33GQ4YRESFN"
AUDIENCE = "ac171d75651d8bce0db007eb73a2b7f3"
SMOKE, S1 = "01M1PAAR5HBCRHA3NN9NG5WRTA", "01M1PA9DFJNNYT82A7K2AEG8QT"
SHARED_TAGS = "34c01a4a-208c-4428-a80b-4d0b4e0741db"
EXCLUSIVE_TAGS = "c8aa0a0d-bad4-457f-b709-cf62fdeb9b09"
UNGROUPED_TAGS = "e30baa69-f382-4eef-8ff6-222d5c3d9a8a"
COUPON = "sdk_smoke_09048f53_coupon1"


def at(time: str) -> dt.datetime:
    """A time of the day of the recordings, in UTC."""
    return dt.datetime.fromisoformat(f"2026-09-04T{time}")


def metric(id: str, name: str, created: dt.datetime) -> dict[str, Any]:
    integration = {"category": "API", "id": "7FtS4J", "name": "API", "object": "integration"}
    given = {f"integration_{key}": value for key, value in integration.items()}
    return {"id": id, "name": name, "created": created, "updated": created, **given}


def coupon_code(number: int, expires_at: str) -> dict[str, Any]:
    code = f"sdk_smoke_09048f53_code{number}"
    expires = dt.datetime.fromisoformat(expires_at)
    return {
        "id": f"{COUPON}-{code}",
        "coupon_id": COUPON,
        "unique_code": code,
        "expires_at": expires,
        "status": "UNASSIGNED",
    }


NEVER = {
    "subscriptions_email_marketing_consent": "NEVER_SUBSCRIBED",
    "subscriptions_email_click_tracking_can_receive": False,
    "subscriptions_email_click_tracking_consent": "NEVER_SUBSCRIBED",
    "subscriptions_sms_marketing_can_receive_sms_marketing": False,
    "subscriptions_sms_marketing_consent": "NEVER_SUBSCRIBED",
}
DELAY = {"flow_id": "T6EyQF", "action_type": "TIME_DELAY", "created": at("13:40:13"), "updated": at("13:40:13")}

ROWS: dict[str, list[dict[str, Any]]] = {
    "event": [
        {
            "id": "7qWkC6JPz7g",
            "metric_id": "SkDfHe",
            "person_id": "01M1PA9MBA7VB258TP74BXMQTG",
            "datetime": at("13:38:55"),
            "timestamp": at("13:38:55"),
            "type": "SDK Smoke",
            "uuid": "f9204180-a865-11f1-8001-eb4883aa7288",
            "property_value": 3.0,
            "property_sku": "D4",
            "property_bulk": True,
            "property_value_currency": "EUR",
            "property_event_id": "sdk-smoke-09042132-bulk-1",
        },
        {
            "id": "7qWkY8hhfKA",
            "metric_id": "SkDfHe",
            "person_id": "01M1PA9KFVRQEFP614XWVXGVY7",
            "datetime": at("13:38:54"),
            "timestamp": at("13:38:54"),
            "type": "SDK Smoke",
            "uuid": "f887ab00-a865-11f1-8001-02861bc035fc",
            "property_value": 0.0,
            "property_sku": "C3",
            "property_event_id": "sdk-smoke-09042132-evt-3",
        },
    ],
    "person": [
        {
            "id": S1,
            "email": "sdk-smoke+0904b052-s1@shop.example.com",
            "first_name": "S1",
            "created": at("13:38:49"),
            "updated": at("13:38:50"),
            "subscriptions_email_marketing_can_receive_email_marketing": True,
            **NEVER,
            "custom_sdk_smoke_run": "0904b052",
            "custom_company_id": "WBhXHN",
        },
        {
            "id": SMOKE,
            "email": "sdk-smoke+09047c86-a@shop.example.com",
            "external_id": "sdk-smoke-09047c86-ext-a",
            "first_name": "Smoke",
            "address_1": "1 Main Street",
            "city": "Copenhagen",
            "country": "Denmark",
            "region": "Capital Region",
            "zip": "2300",
            "latitude": "55.66",
            "longitude": "12.57",
            "timezone": "Europe/Copenhagen",
            "created": at("13:39:33"),
            "updated": at("13:39:34"),
            "subscriptions_email_marketing_can_receive_email_marketing": False,
            "subscriptions_email_marketing_last_updated": at("13:39:33.601782"),
            **NEVER,
            "custom_plan": "pro",
            "custom_tags": '["x","y"]',
            "custom_score": 7,
        },
    ],
    "global_exclusion": [{"person_id": SMOKE, "reason": "USER_SUPPRESSED", "timestamp": at("13:39:33.601782")}],
    "list_exclusion": [],
    "metric": [
        metric("RK9XjM", "SDK Smoke 0904a070", at("13:20:53")),
        metric("SkDfHe", "SDK Smoke", at("13:38:55")),
        metric("UBpFqv", "SDK Smoke 09043cf6", at("13:03:36")),
        metric("VLZqfS", "Active on Site", dt.datetime(2026, 4, 7, 1, 34, 26)),
        metric("WzaXsg", "Viewed Product", dt.datetime(2026, 4, 7, 2, 26, 5)),
        metric("XJBEv6", "SDK Smoke 090430d9", at("13:06:49")),
        metric("Xw99E7", "SDK Smoke 09048123", at("12:52:18")),
    ],
    "integration": [{"id": "7FtS4J", "category": "API", "name": "API"}],
    "campaign": [
        {
            "id": CAMPAIGN,
            "archived": False,
            "name": "sdk-smoke-09048514-c-renamed",
            "created": at("13:38:44.935203"),
            "updated": at("13:38:45.575329"),
            "send_option_ignore_unsubscribes": False,
            "send_option_use_smart_sending": True,
            "send_strategy_datetime": dt.datetime(2026, 10, 4, 9),
            "send_strategy_method": "static",
            "send_strategy_options_is_local": False,
            "send_strategy_options_static_datetime": dt.datetime(2026, 10, 4, 9),
            "send_strategy_options_static_is_local": False,
            "status": "Draft",
            "status_id": "2",
            "status_label": "Draft",
            "tracking_options_add_tracking_params": True,
            "tracking_options_is_add_utm": True,
            "tracking_options_is_tracking_clicks": True,
            "tracking_options_is_tracking_opens": True,
            "campaign_type": "email",
            "from_email": "customer@example.com",
            "from_name": "SDK Smoke",
            "subject": "SDK smoke 09048514",
            "builder": "wizard",
        }
    ],
    "campaign_list": [{"campaign_id": CAMPAIGN, "list_id": "VAnKig", "list_included_or_excluded": "included"}],
    "campaign_message": [
        {
            "id": MESSAGE,
            "campaign_id": CAMPAIGN,
            "channel": "email",
            "label": "sdk-smoke-09048514-c-renamed",
            "content_subject": "SDK smoke 09048514",
            "content_preview_text": "Preview text for 09048514",
            "content_from_label": "SDK Smoke",
            "content_from_email": "customer@example.com",
            "content_reply_to_email": "customer@example.com",
            "content_cc_email": "customer@example.com",
            "content_bcc_email": "customer@example.com",
            "created": at("13:38:44.942300"),
            "updated": at("13:38:52.633607"),
            "campaign_audience_id": AUDIENCE,
            "status": "draft",
            "send_strategy": "static",
            "throttling_type": "throttle-for-campaigns",
        }
    ],
    "campaign_audience": [
        {
            "id": AUDIENCE,
            "campaign_id": CAMPAIGN,
            "name": "Audience 1",
            "priority": 1,
            "included": '["VAnKig"]',
            "excluded": "[]",
            "created": at("13:38:44.935203"),
            "updated": at("13:38:44.935203"),
        }
    ],
    "campaign_message_send_time": [],
    "campaign_tag": [],
    "campaign_tracking_utm_param": [
        {"campaign_id": CAMPAIGN, "name": "utm_campaign", "type": "dynamic", "value": "campaign_name"},
        {"campaign_id": CAMPAIGN, "name": "utm_medium", "type": "static", "value": "email"},
        {"campaign_id": CAMPAIGN, "name": "utm_source", "type": "static", "value": "sdk-smoke"},
    ],
    "flow": [
        {"id": "T23ivh", "archived": False, "name": "sdk-smoke-09049919-flow2"},
        {"id": "T6EyQF", "archived": False, "name": "sdk-smoke-09049919-flow", "status": "draft"},
    ],
    "flow_action": [
        {"id": "116466131", **DELAY},
        {
            "id": "116466132",
            **DELAY,
            "action_type": "SEND_EMAIL",
            "status": "draft",
            "send_options_is_transactional": False,
            "send_options_use_smart_sending": True,
            "tracking_options_add_utm": False,
        },
        {"id": "116466133", "flow_id": "T23ivh", "action_type": "TIME_DELAY"},
    ],
    "flow_message": [
        {
            "id": "StDwe4",
            "flow_action_id": "116466132",
            "template_id": "Ug5pJx",
            "channel": "Email",
            "name": "sdk-smoke-09049919-msg",
            "content_subject": "SDK smoke subject",
            "content_preview_text": "SDK smoke preview",
            "content_from_label": "Example Org",
            "content_from_email": "customer@example.com",
            "content_reply_to_email": "customer@example.com",
            "created": at("13:40:13"),
            "updated": at("13:40:13"),
        }
    ],
    "list": [
        {
            "id": "TjmPN9",
            "list_name": "sdk-smoke-09047c86-list2",
            "created": at("13:39:29"),
            "updated": at("13:39:29"),
        },
        {
            "id": "YafG4m",
            "list_name": "sdk-smoke-09047c86-list",
            "created": at("13:39:28"),
            "updated": at("13:39:28"),
        },
    ],
    "tag_group": [
        {"id": SHARED_TAGS, "name": "sdk-smoke-0904b975-tg-shared-renamed", "default": False, "exclusive": False},
        {"id": EXCLUSIVE_TAGS, "name": "sdk-smoke-0904b975-tg-excl-renamed", "default": False, "exclusive": True},
        {"id": UNGROUPED_TAGS, "name": "Ungrouped Tags", "default": True, "exclusive": False},
    ],
    "tags": [
        {
            "id": "3153c2aa-8f96-40bb-be8f-6d3573129b95",
            "name": "sdk-smoke-0904b975-t-default",
            "tag_group_id": UNGROUPED_TAGS,
        },
        {
            "id": "3a42a466-7d24-4bea-934d-e03e0a857771",
            "name": "sdk-smoke-0904b975-t-excl-a",
            "tag_group_id": EXCLUSIVE_TAGS,
        },
        {
            "id": "b3200a12-69f6-437c-8c7a-e8ac6838429c",
            "name": "sdk-smoke-0904b975-t-shared-2",
            "tag_group_id": SHARED_TAGS,
        },
        {
            "id": "d2cdecf0-1682-4358-a76f-a99703569137",
            "name": "sdk-smoke-0904b975-t-excl-b",
            "tag_group_id": EXCLUSIVE_TAGS,
        },
        {
            "id": "f837de98-3527-4bae-8226-bda7c2395e29",
            "name": "sdk-smoke-0904b975-t-shared",
            "tag_group_id": SHARED_TAGS,
        },
    ],
    "email_template": [{"id": "SpfvU7", "name": "sdk-smoke-0904a5e6-tpl-code", "created": at("13:39:05")}],
    "coupon": [{"id": COUPON, "external_id": COUPON}],
    "coupon_code": [
        coupon_code(1, "2026-10-04T13:39:37"),
        coupon_code(2, "2026-10-04T13:39:37"),
        coupon_code(3, "2026-10-04T13:39:37"),
        coupon_code(4, "2027-09-03T13:39:41"),
    ],
    "form": [
        {
            "id": "UNtbZL",
            "name": "sdk-smoke-0904f206-form-popup",
            "status": "draft",
            "ab_test": False,
            "created_at": at("13:40:14"),
            "updated_at": at("13:40:14"),
        }
    ],
    "form_version": [
        {
            "id": "28242214",
            "form_id": "UNtbZL",
            "form_type": "popup",
            "status": "draft",
            "created_at": at("13:40:14"),
            "updated_at": at("13:40:14"),
        }
    ],
}
"""Table -> its rows, ordered by key. A column that is not named is NULL."""

COLUMN_TYPES = {
    "event": {
        "id": "VARCHAR",
        "datetime": "TIMESTAMP",
        "timestamp": "TIMESTAMP",
        "property_value": "DOUBLE",
        "property_attribution": "JSON",
        "property_sku": "VARCHAR",
        "property_bulk": "BOOLEAN",
    },
    "person": {
        "updated": "TIMESTAMP",
        "latitude": "VARCHAR",
        "predictive_analytics_total_clv": "DOUBLE",
        "subscriptions_email_marketing_can_receive_email_marketing": "BOOLEAN",
        "custom_score": "BIGINT",
        "custom_tags": "JSON",
        "custom_plan": "VARCHAR",
    },
    "campaign": {"send_time": "TIMESTAMP", "archived": "BOOLEAN", "send_strategy_options_sto_date": "DATE"},
    "segment": {"definition": "JSON"},
}


@pytest.fixture
def synced(project: Callable[..., Project]) -> Project:
    """An account of what was recorded, synced for that day and the three before it."""
    account = frozen_account()
    for name in RECORDINGS:
        account.load(body(name))
    # What the API always has, and the recorded requests did not ask for.
    account.update("profile", SMOKE, updated="2026-09-04T13:39:34+00:00")
    for flow in account.all("flow"):
        account.unarchive("flow", flow.id)
    klaviyo = project(account, tables=only(*ROWS, "segment"))
    klaviyo.sync(first=-3)
    return klaviyo


def test_recorded_responses_land_as_rows(synced: Project) -> None:
    stamps = set()
    for table, expected in ROWS.items():
        rows = stored(synced.warehouse, table)
        stamps |= {row.pop("_fivetran_synced") for row in rows}
        assert {row.pop("_fivetran_deleted") for row in rows} <= {False}, table
        found = [{column: value for column, value in row.items() if value is not None} for row in rows]
        assert sorted(found, key=order) == sorted(expected, key=order), table
    now = synced.account.clock.now().replace(tzinfo=None)
    assert now <= min(stamps) and max(stamps) < now + dt.timedelta(seconds=1), "the machine's time"
    assert len(stamps) <= len(ROWS), "one for each load"

    segment = next(row for row in stored(synced.warehouse, "segment") if row["id"] == "RvKscW")
    assert json.loads(segment["definition"]) == body("get_segment")["data"]["attributes"]["definition"]

    for table, types in COLUMN_TYPES.items():
        found_types = column_types(synced, table)
        expected_types = types | {"_fivetran_synced": "TIMESTAMP", "_fivetran_deleted": "BOOLEAN"}
        assert {column: found_types.get(column) for column in expected_types} == expected_types, table


def body(name: str) -> Any:
    """The body of a recorded response."""
    return recorded(f"{name}.200")


def order(row: dict[str, Any]) -> str:
    return str(row.get("id") or row.get("name") or "")


def column_types(project: Project, table: str) -> dict[str, str]:
    statement = "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'klaviyo' AND table_name = ?"
    return dict(project.warehouse.query(statement, [table]))
