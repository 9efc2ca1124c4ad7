"""What the models say of the account of `by_hand`, counted by hand. Metrics that are not named are 0."""

from __future__ import annotations

from typing import Any

from klaviyo_assets_tests.models.by_hand import at

Rows = dict[Any, dict[str, Any]]

CREDITS: dict[str, tuple[str | None, str | None, str | None]] = {
    **dict.fromkeys(("e04", "e09", "e10", "e22", "e23", "e28", "e29", "e30"), (None, None, None)),
    **{id: ("c1", None, id) for id in ("e01", "e02", "e03", "e14", "e15", "e16")},
    **dict.fromkeys(("e05", "e06", "e07", "e08"), ("c1", None, "e03")),
    **dict.fromkeys(("e17", "e18"), ("c1", None, "e15")),
    **{id: ("c2", None, id) for id in ("e19", "e20", "e21", "e25", "e26")},
    **{id: (None, "f1", id) for id in ("e11", "e12", "e24", "e27")},
    "e13": (None, "f1", "e12"),
}
"""Event -> the campaign and the flow that it is credited to, and the event that earned the credit."""

PERSON_CAMPAIGN_FLOW: Rows = {
    ("p1", "c1", None, "v1"): {
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-01 10:31"),
        "campaign_name": "Spring",
        "count_received_email": 1,
        "count_opened_email": 1,
        "count_clicked_email": 1,
        "count_viewed_product": 1,
        "count_ordered_product": 2,
        "count_placed_order": 1,
        "sum_revenue_ordered_product": 100,
        "sum_revenue_placed_order": 100,
    },
    ("p1", None, None, None): {
        "first_event_at": at("03-01 10:10"),
        "last_event_at": at("03-20 08:00"),
        "count_active_on_site": 1,
        "count_refunded_order": 1,
        "count_placed_order": 1,
        "sum_revenue_refunded_order": 40,
        "sum_revenue_placed_order": 25.5,
    },
    ("p1", None, "f1", None): {
        "first_event_at": at("03-21 09:00"),
        "last_event_at": at("03-21 10:00"),
        "flow_name": "Welcome",
        "count_received_sms": 1,
        "count_clicked_sms": 1,
        "count_placed_order": 1,
        "sum_revenue_placed_order": 70,
    },
    ("p2", "c1", None, "v2"): {
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-02 08:05"),
        "campaign_name": "Spring",
        "count_received_email": 1,
        "count_opened_email": 1,
        "count_unsubscribed": 1,
        "count_placed_order": 1,
        "sum_revenue_checkout_started": 80,
        "sum_revenue_placed_order": 80,
    },
    ("p2", "c2", None, "v3"): {
        "first_event_at": at("03-10 09:00"),
        "last_event_at": at("03-10 09:06"),
        "campaign_name": "Summer",
        "count_received_email": 1,
        "count_opened_email": 2,
    },
    ("p2", None, None, None): {
        "first_event_at": at("03-10 10:00"),
        "last_event_at": at("03-10 11:00"),
        "count_active_on_site": 1,
        "sum_revenue_cancelled_order": 80,
    },
    ("p2", None, "f1", None): {
        "first_event_at": at("03-11 09:00"),
        "last_event_at": at("03-11 09:00"),
        "flow_name": "Welcome",
        "count_received_sms": 1,
    },
    ("p3", "c2", None, "v3"): {
        "first_event_at": at("03-10 09:00"),
        "last_event_at": at("03-10 12:00"),
        "campaign_name": "Summer",
        "count_received_email": 1,
        "count_marked_email_as_spam": 1,
    },
    ("p3", None, "f1", None): {
        "first_event_at": at("03-12 09:00"),
        "last_event_at": at("03-12 09:00"),
        "flow_name": "Welcome",
        "count_sent_sms": 1,
    },
    ("p3", None, None, None): {
        "first_event_at": at("03-12 10:00"),
        "last_event_at": at("03-14 09:00"),
        "count_unsubscribed_from_sms": 1,
        "count_placed_order": 1,
        "sum_revenue_placed_order": 10,
    },
    (None, None, None, None): {
        "first_event_at": at("03-13 09:00"),
        "last_event_at": at("03-13 09:00"),
        "count_active_on_site": 1,
    },
}

CAMPAIGNS: Rows = {
    ("c1", "v1"): {
        "campaign_name": "Spring",
        "subject": "Hello",
        "total_count_unique_people": 1,
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-01 10:31"),
        **{
            f"{unique}count_{metric}": 1
            for unique in ("", "unique_")
            for metric in ("received_email", "opened_email", "clicked_email", "viewed_product", "placed_order")
        },
        "count_ordered_product": 2,
        "unique_count_ordered_product": 1,
        "sum_revenue_ordered_product": 100,
        "sum_revenue_placed_order": 100,
    },
    ("c1", "v2"): {
        "campaign_name": "Spring",
        "subject": "Hello",
        "total_count_unique_people": 1,
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-02 08:05"),
        **{
            f"{unique}count_{metric}": 1
            for unique in ("", "unique_")
            for metric in ("received_email", "opened_email", "unsubscribed", "placed_order")
        },
        "sum_revenue_checkout_started": 80,
        "sum_revenue_placed_order": 80,
    },
    ("c2", "v3"): {
        "campaign_name": "Summer",
        "total_count_unique_people": 2,
        "first_event_at": at("03-10 09:00"),
        "last_event_at": at("03-10 12:00"),
        "count_received_email": 2,
        "unique_count_received_email": 2,
        "count_opened_email": 2,
        "unique_count_opened_email": 1,
        "count_marked_email_as_spam": 1,
        "unique_count_marked_email_as_spam": 1,
    },
}

FLOWS: Rows = {
    ("f1", None): {
        "flow_name": "Welcome",
        "total_count_unique_people": 3,
        "first_event_at": at("03-11 09:00"),
        "last_event_at": at("03-21 10:00"),
        "count_received_sms": 2,
        "unique_count_received_sms": 2,
        "count_clicked_sms": 1,
        "unique_count_clicked_sms": 1,
        "count_sent_sms": 1,
        "unique_count_sent_sms": 1,
        "count_placed_order": 1,
        "unique_count_placed_order": 1,
        "sum_revenue_placed_order": 70,
    },
}

PERSONS: Rows = {
    ("p1",): {
        "full_name": "Ada Low",
        "count_total_campaigns": 1,
        "count_total_flows": 1,
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-21 10:00"),
        "first_campaign_touch_at": at("03-01 09:00"),
        "last_campaign_touch_at": at("03-01 10:31"),
        "first_flow_touch_at": at("03-21 09:00"),
        "last_flow_touch_at": at("03-21 10:00"),
        **{
            f"total_count_{metric}": 1
            for metric in (
                "received_email", "opened_email", "clicked_email", "active_on_site", "viewed_product",
                "refunded_order", "received_sms", "clicked_sms",
            )
        },
        "total_count_ordered_product": 2,
        "total_count_placed_order": 3,
        "total_sum_revenue_ordered_product": 100,
        "total_sum_revenue_placed_order": 195.5,
        "organic_sum_revenue_placed_order": 25.5,
        "total_sum_revenue_refunded_order": 40,
        "organic_sum_revenue_refunded_order": 40,
    },
    ("p2",): {
        "full_name": "Bob",
        "count_total_campaigns": 2,
        "count_total_flows": 1,
        "first_event_at": at("03-01 09:00"),
        "last_event_at": at("03-11 09:00"),
        "first_campaign_touch_at": at("03-01 09:00"),
        "last_campaign_touch_at": at("03-10 09:06"),
        "first_flow_touch_at": at("03-11 09:00"),
        "last_flow_touch_at": at("03-11 09:00"),
        "total_count_received_email": 2,
        "total_count_opened_email": 3,
        "total_count_unsubscribed": 1,
        "total_count_placed_order": 1,
        "total_count_active_on_site": 1,
        "total_count_received_sms": 1,
        "total_sum_revenue_placed_order": 80,
        "total_sum_revenue_checkout_started": 80,
        "total_sum_revenue_cancelled_order": 80,
        "organic_sum_revenue_cancelled_order": 80,
    },
    ("p3",): {
        "full_name": None,
        "count_total_campaigns": 1,
        "count_total_flows": 1,
        "first_event_at": at("03-10 09:00"),
        "last_event_at": at("03-14 09:00"),
        "first_campaign_touch_at": at("03-10 09:00"),
        "last_campaign_touch_at": at("03-10 12:00"),
        "first_flow_touch_at": at("03-12 09:00"),
        "last_flow_touch_at": at("03-12 09:00"),
        "total_count_received_email": 1,
        "total_count_marked_email_as_spam": 1,
        "total_count_sent_sms": 1,
        "total_count_unsubscribed_from_sms": 1,
        "total_count_placed_order": 1,
        "total_sum_revenue_placed_order": 10,
        "organic_sum_revenue_placed_order": 10,
    },
}  # fmt: skip
