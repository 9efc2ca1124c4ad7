"""A second account to count by hand, with what the marts tell apart: machines, bots, channels, shapes of orders."""

from __future__ import annotations

import datetime as dt
from typing import Any

from klaviyo_assets.sync.scopes import REREAD
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.models.by_hand import at, credit, event, put, worth

_A = {"campaign_id": "n1", "_variation": "nv1", "property_subject": "Tea"}
_B = {"campaign_id": "n1", "_variation": "nv2", "property_subject": "Cups"}
_TEXT = {"campaign_id": "n2", "_variation": "nv3"}
_FLOW = {"flow_id": "w1", "flow_message_id": "wm1"}
_FLOW_A = {"flow_id": "w1", "flow_message_id": "wm2", "_variation": "wv1", "property_subject": "One"}
_FLOW_B = {"flow_id": "w1", "flow_message_id": "wm2", "_variation": "wv2", "property_subject": "Two"}
_FUTURE = dt.datetime(2199, 1, 1, tzinfo=dt.UTC)
_MACHINE, _HUMAN = {"property_machine_open": True}, {"property_machine_open": False}


def _at(provider: str) -> dict[str, str]:
    return {"property_inbox_provider": provider}


def _order(id: str, value: float) -> dict[str, Any]:
    return {"property_event_id": id, **worth(value)}


def _packed(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties as an account has them that packs them."""
    return {"custom_property_fields": properties}


MESSAGE_EVENTS = [
    event("m01", "05-04 08:00", "q1", "Received Email", **_A, **_at("Gmail")),
    event("m02", "05-04 08:00", "q2", "Received Email", **_A, **_at("Gmail")),
    event("m03", "05-04 08:00", "q3", "Received Email", **_B, **_at("Microsoft")),
    event("m04", "05-04 08:00", "q4", "Received Email", **_B, **_at("Apple")),
    event("m05", "05-04 08:00", "q5", "Bounced Email", **_B, property_bounce_type="Hard",
          property_email_domain="Acme.example"),
    event("m06", "05-04 09:00", "q1", "Opened Email", **_A, **_HUMAN, **_at("Gmail")),
    event("m07", "05-05 09:00", "q1", "Opened Email", **_A, **_HUMAN, **_at("Gmail")),
    event("m08", "05-04 08:01", "q2", "Opened Email", **_A, **_MACHINE, **_at("Gmail")),
    event("m09", "05-04 08:02", "q4", "Opened Email", **_B, **_MACHINE, **_at("Apple")),
    event("m10", "05-11 10:00", "q4", "Opened Email", **_B, **_HUMAN, **_at("Apple")),
    event("m11", "05-04 09:05", "q1", "Clicked Email", **_A, property_bot_click=False),
    event("m12", "05-04 08:00:30", "q3", "Clicked Email", **_B, **_packed({"Bot Click": True})),
    event("m13", "05-06 12:00", "q3", "Unsubscribed", **_B),
    event("m14", "05-11 10:05", "q4", "Marked Email as Spam", **_B, **_at("Apple")),
    event("m15", "05-11 10:06", "q4", "Updated Email Preferences", **_B),
    event("t01", "05-12 10:00", "q1", "Received SMS", **_TEXT),
    event("t02", "05-12 10:00", "q6", "Received Text Message", **_TEXT),
    event("t03", "05-12 10:00", "q2", "Failed to Deliver SMS", **_TEXT),
    event("t04", "05-12 11:00", "q6", "Clicked Text Message", **_TEXT),
    event("f01", "05-31 23:30", "q5", "Received Email", **_FLOW, **_at("Gmail")),
    event("f02", "06-01 07:00", "q5", "Opened Email", **_FLOW),
    event("f03", "06-01 07:05", "q5", "Clicked Email", **_FLOW),
    event("f04", "05-20 09:00", "q2", "Received Email", **_FLOW, **_at("Gmail")),
    event("f05", "05-21 09:00", "q2", "Dropped Email", **_FLOW, **_at("Gmail")),
    event("f08", "05-22 08:00", "q2", "Updated Email Preferences", **_FLOW),
    event("f06", "05-20 09:00", None, "Received Email", **_FLOW, property_email_domain="hotmail.com"),
    *(
        event(f"v{number:02}", "03-02 09:00", f"r{number}", "Received Email", **_FLOW_A if number < 5 else _FLOW_B)
        for number in range(10)
    ),
    *(event(f"w{number:02}", "03-02 10:00", f"r{number}", "Opened Email", **_FLOW_A) for number in range(5)),
    event("f07", "05-22 09:00", None, "Opened Email", **_FLOW, property_email_domain="hotmail.com"),
]  # fmt: skip

_TEA = {"sku": "T1", "title": "Tea", "quantity": 2, "price": "30.00", "product_id": 11, "variant_id": 111}
_CUP = {"sku": "C1", "title": "Cup", "quantity": 1, "price": "40.00"}

ORDERS = [
    event("o01", "05-04 10:00", "q1", "Placed Order", **_order("S1", 100), **credit("m11"),
          property_extra={"line_items": [_TEA, _CUP]}, property_items=["Tea", "Cup"]),
    event("o02", "05-08 08:00", "q2", "Placed Order", **_order("S2", 50), **credit("m08"),
          property_items=[
              {"ProductID": "12", "SKU": "P1", "ProductName": "Pot", "Quantity": 1, "ItemPrice": 25, "RowTotal": 50}
          ]),
    event("o03", "05-05 12:00", "q3", "Placed Order", **_order("S3", 30),
          property_line_items=[{"sku": "T1", "name": "Tea", "quantity": 1, "price": 30}]),
    event("o04", "05-11 11:00", "q4", "Placed Order", **_order("S4", 20), **credit("m10"), property_items=["Tea"]),
    event("o05", "05-12 22:00", "q1", "Placed Order", **worth(40), **credit("t01"),
          **_packed({"$event_id": "S5",
                     "$extra": {"Items": [{"Name": "$40 Cup", "SKU": "C1", "Quantity": 1, "Price": 40}]}})),
    event("o06", "05-17 11:00", "q6", "Placed Order", **_order("S6", 60)),
    event("o07", "06-01 08:00", "q5", "Placed Order", **_order("S7", 70), **credit("f03"),
          property_extra={"line_items": [_TEA, {"name": "Sieve", "quantity": "1", "price": "10"}]}),
    event("o08", "06-30 08:00", "q5", "Placed Order", **_order("S8", 80)),
    event("o09", "06-10 09:00", "q2", "Placed Order", **_order("S9", 25)),
    event("o10", "06-02 09:00", None, "Placed Order", **_order("S10", 15)),
    event("o11", "06-02 09:00", "q1", "Placed Order", **_order("S11", 10)),
    *(
        event(f"big{number}", "06-02 09:30", None, "Placed Order", **worth(9e21),
              property_items=[{"Name": "Tea", "Quantity": 9e21, "ItemPrice": 9e21}])
        for number in (1, 2)
    ),
    event("x01", "06-02 12:00", "q1", "Cancelled Order", **_order("S11", 10)),
    event("y01", "05-10 12:00", "q1", "Refunded Order", **_order("S1", 30)),
    event("l01", "05-04 10:00", "q1", "Ordered Product", **worth(60), property_name="Tea", property_sku="T1",
          property_quantity=2, property_order_id="S1"),
    event("l02", "05-04 10:00", "q1", "Ordered Product", **worth(40), **_packed({"Name": "$40 Cup"}), property_sku="C1",
          property_quantity=1, property_order_id="S1"),
    event("l03", "05-08 08:00", "q2", "Ordered Product", **worth(50), property_product_name="Pot",
          property_product_id="12", property_quantity=1),
]  # fmt: skip

OTHERS = [
    event("s01", "05-01 10:00", "q1", "Subscribed to Email Marketing"),
    event("s02", "05-01 10:00", "q2", "Subscribed to Email Marketing"),
    event("s03", "05-02 10:00", "q1", "Subscribed to Email Marketing"),
    event("s04", "05-06 10:00", "q6", "Subscribed to Text Messaging Marketing"),
    event("s05", "05-12 10:30", "q1", "Subscribed to SMS Marketing"),
    event("s06", "05-13 10:00", "q2", "Unsubscribed from SMS"),
    event("a01", "07-01 09:00", "q6", "Active on Site"),
    event("a02", "07-01 09:00", "q6", "Active on Site") | dict.fromkeys(("datetime", "timestamp"), _FUTURE),
]

EVENTS = [*MESSAGE_EVENTS, *ORDERS, *OTHERS]


def _consents(channel: str, consent: str, since: str) -> dict[str, Any]:
    able = f"subscriptions_{channel}_marketing_can_receive_{channel}_marketing"
    return {
        f"subscriptions_{channel}_marketing_consent": consent,
        f"subscriptions_{channel}_marketing_timestamp": at(since),
        able: consent == "SUBSCRIBED",
    }


PEOPLE = [
    {"id": "q1", "email": "ann@gmail.example", "phone_number": "+15550101", "created": at("04-30 09:00"),
     **_consents("email", "SUBSCRIBED", "05-01 10:00"), **_consents("sms", "SUBSCRIBED", "05-12 10:30"),
     "predictive_analytics_predicted_clv": 200.0, "predictive_analytics_total_clv": 350.0,
     "predictive_analytics_churn_probability": 0.25,
     "predictive_analytics_expected_date_of_next_order": at("07-20 00:00")},
    {"id": "q2", "email": "ben@gmail.example", "phone_number": "+15550102", "created": at("04-30 09:00"),
     **_consents("email", "SUBSCRIBED", "04-30 09:00")},
    {"id": "q3", "email": "cat@outlook.example", "created": at("05-01 09:00"),
     **_consents("email", "UNSUBSCRIBED", "05-06 12:00")},
    {"id": "q4", "email": "dan@icloud.example", "created": at("05-01 09:00")},
    {"id": "q5", "email": "eve@acme.example", "created": at("05-02 09:00")},
    {"id": "q6", "phone_number": "+15550106", "created": at("05-02 09:00"),
     **_consents("sms", "SUBSCRIBED", "05-06 10:00")},
    *({"id": f"r{number}"} for number in range(10)),
]  # fmt: skip
LISTS = [{"id": "L1", "list_name": "Newsletter"}, {"id": "L2", "list_name": "Texts"}]
LIST_PEOPLE = [
    {"list_id": "L1", "person_id": "q1", "joined_group_at": at("05-01 10:00")},
    {"list_id": "L1", "person_id": "q2", "joined_group_at": at("05-01 10:00")},
    {"list_id": "L1", "person_id": "q3", "joined_group_at": at("05-05 10:00")},
    {"list_id": "L1", "person_id": "q4", "joined_group_at": at("05-05 10:00")},
    {"list_id": "L1", "person_id": "q5", "joined_group_at": at("05-06 10:00")},
    {"list_id": "L1", "person_id": "q6", "joined_group_at": at("05-06 10:00")},
    {"list_id": "L2", "person_id": "q1", "joined_group_at": at("05-12 10:30")},
    {"list_id": "L2", "person_id": "q2", "joined_group_at": at("05-13 09:00")},
]
LIST_EXCLUSIONS = [{"id": "q3", "list_id": "L1", "created": at("05-06 12:00"), "reason": "UNSUBSCRIBE"}]
GLOBAL_EXCLUSIONS = [
    {"person_id": "q5", "reason": "HARD_BOUNCE", "timestamp": at("05-04 08:00")},
    {"person_id": "q4", "reason": "SPAM_COMPLAINT", "timestamp": at("05-11 10:05")},
]
CAMPAIGNS = [
    {"id": "n1", "name": "News", "status": "Sent", "subject": "Tea", "campaign_type": "email",
     "send_time": at("05-04 08:00"), "sent_at": at("05-04 08:00")},
    {"id": "n2", "name": "Quick", "status": "Sent", "campaign_type": "sms",
     "send_time": at("05-12 10:00"), "sent_at": at("05-12 10:00")},
    {"id": "n3", "name": "Later", "status": "Scheduled", "campaign_type": "email", "send_time": at("07-06 08:00")},
    {"id": "n4", "name": "Perhaps", "status": "Draft", "campaign_type": "email"},
]  # fmt: skip
CAMPAIGN_MESSAGES = [
    {"id": "nm1", "campaign_id": "n1", "label": "News, all", "content_subject": "Tea"},
    {"id": "nm2", "campaign_id": "n2", "label": "Quick text"},
]
CAMPAIGN_VARIATIONS = [
    {"id": "nv1", "campaign_message_id": "nm1", "name": "A", "subject": "Tea"},
    {"id": "nv2", "campaign_message_id": "nm1", "name": "B", "subject": "Cups"},
    {"id": "nv3", "campaign_message_id": "nm2", "name": "Only"},
]
FLOWS = [{"id": "w1", "name": "Come back", "status": "live", "trigger_type": "Metric"}]
FLOW_MESSAGES = [
    {"id": "wm1", "flow_action_id": "wa1", "name": "We miss you", "content_subject": "Hello?"},
    {"id": "wm2", "flow_action_id": "wa2", "name": "Test"},
]
ACCOUNT = [
    {"id": "acme", "observed_at": at("05-01 00:00"), "timezone": "Asia/Tokyo"},
    {"id": "acme", "observed_at": at("04-01 00:00"), "timezone": "America/New_York"},
]
CAMPAIGN_REPORT = [
    {"campaign_id": "n1", "campaign_message_id": "nm1", "send_channel": "email", "conversion_metric_id": "Placed_Order",
     "delivered": 4.0, "bounced": 1.0, "failed": 0.0, "opens": 5.0, "opens_unique": 3.0, "clicks": 2.0,
     "clicks_unique": 2.0, "unsubscribes": 1.0, "unsubscribe_uniques": 1.0, "spam_complaints": 2.0,
     "conversions": 4.0, "conversion_uniques": 4.0, "conversion_value": 200.0},
    {"campaign_id": "n2", "campaign_message_id": "nm2", "send_channel": "sms", "conversion_metric_id": "Placed_Order",
     "delivered": 2.0, "failed": 1.0, "clicks": 1.0, "clicks_unique": 1.0,
     "conversions": 1.0, "conversion_uniques": 1.0, "conversion_value": 40.0},
]  # fmt: skip
CAMPAIGNS_REPORTED, FLOWS_REPORTED = at("05-17 10:30"), at("06-01 07:30")
"""When Klaviyo was asked: between the click on a text and the order that is its, and before Eve's order."""


def _of_flow(day: str, message: str, **statistics: float) -> dict[str, Any]:
    return {"date": at(day).date(), "flow_id": "w1", "flow_message_id": message, "send_channel": "email",
            "conversion_metric_id": "Placed_Order", **statistics}  # fmt: skip


FLOW_REPORT = [
    _of_flow("05-20", "wm1", delivered=2.0, opens=0.0, opens_unique=0.0, clicks=0.0),
    _of_flow("05-22", "wm1", delivered=0.0, opens=1.0, opens_unique=1.0, clicks=0.0),
    _of_flow("06-01", "wm1", delivered=1.0, opens=1.0, opens_unique=1.0, clicks=3.0,
             conversions=0.0, conversion_value=0.0),
    _of_flow("03-02", "wm2", delivered=12.0, opens=4.0, opens_unique=5.0),
]  # fmt: skip
"""Eve's message of 31 May was sent on 1 June, where the account is."""


def _read(table: str, through: dt.datetime, since: dt.datetime | None = None, scope: str = "") -> SyncState:
    first, last = (time and time.replace(tzinfo=dt.UTC) for time in (since, through))
    return SyncState(table, scope, synced_from=first, synced_through=last, complete=since is None)


def put_account(warehouse: Warehouse) -> None:
    read = [_read("event", at("07-01 12:00"), since=at("04-01 00:00")), _read("event", at("06-01 00:00"), scope=REREAD)]
    put(warehouse, "event", EVENTS, states=read)
    put(warehouse, "account_history", ACCOUNT)
    put(warehouse, "campaign_report", CAMPAIGN_REPORT, states=[_read("campaign_report", CAMPAIGNS_REPORTED)])
    put(warehouse, "flow_report", FLOW_REPORT, states=[_read("flow_report", FLOWS_REPORTED)])
    put(warehouse, "person", PEOPLE)
    put(warehouse, "campaign", CAMPAIGNS)
    put(warehouse, "campaign_message", CAMPAIGN_MESSAGES)
    put(warehouse, "campaign_variation", CAMPAIGN_VARIATIONS)
    put(warehouse, "flow", FLOWS)
    put(warehouse, "flow_message", FLOW_MESSAGES)
    put(warehouse, "list", LISTS)
    put(warehouse, "list_person", LIST_PEOPLE)
    put(warehouse, "list_exclusion", LIST_EXCLUSIONS)
    put(warehouse, "global_exclusion", GLOBAL_EXCLUSIONS)
