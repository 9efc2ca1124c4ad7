"""One complete resource of every type, related to each other."""

from __future__ import annotations

from datetime import timedelta

from klaviyo_assets.sandbox import Account, Resource
from klaviyo_assets.sandbox.shop.brand import brand_resources, sender, translation
from klaviyo_assets_tests.sandbox.support import NOW, frozen_account

SECOND = "2026-09-01T10:00:00+00:00"
MICRO = "2026-09-01T10:00:00.123456+00:00"
TWO = {"created": SECOND, "updated": SECOND}
TWO_AT = {"created_at": SECOND, "updated_at": SECOND}
ITEM = "$custom:::$default:::OOL-100"
MESSAGE = {
    "from_email": "hello@acme.example",
    "from_label": "Acme",
    "reply_to_email": None,
    "cc_email": None,
    "bcc_email": None,
    "subject_line": "Welcome",
    "preview_text": "",
    "template_id": "R4Tz9k",
    "smart_sending_enabled": True,
    "transactional": False,
    "add_tracking_params": False,
    "custom_tracking_params": None,
    "additional_filters": None,
    "name": "Welcome #1",
    "id": "StDwe4",
}
PRODUCT = {
    "title": "Oolong",
    "description": "Fresh",
    "price": 24.5,
    "url": "https://acme.example/p",
    "image_full_url": "https://acme.example/i.png",
    "image_thumbnail_url": None,
    "images": [],
    "custom_metadata": {"origin": "TW"},
    "published": True,
    "created": MICRO,
    "updated": MICRO,
}
ACTION = {
    "id": "116466131",
    "type": "send-email",
    "links": {"next": None},
    "data": {"message": MESSAGE, "status": "live"},
}
DEFINITION = {"triggers": [], "profile_filter": None, "actions": [], "entry_action_id": "116466131"}
UTM = {"flow": {"type": "dynamic", "value": "message_name"}, "campaign": None}

RESOURCES = [
    Resource("metric", "VtZ2aK", {"name": "Placed Order", **TWO, "integration": None}, {"flow-triggers": ["T6EyQF"]}),
    Resource(
        "metric-property",
        "VnRaMmFLLiR2YWx1ZQ",
        {"label": "$value", "property": "$value", "inferred_type": "numeric", "sample_values": [1.5]},
        {"metric": "VtZ2aK"},
    ),
    Resource(
        "custom-metric",
        "01J9Z8Y7X6W5V4T3S2R1Q0P9N8",
        {
            "name": "Net revenue",
            **TWO,
            "definition": {
                "aggregation_method": "value",
                "metric_groups": [{"metric_id": "VtZ2aK", "metric_filters": None, "value_property": "$value"}],
            },
        },
        {"metrics": ["VtZ2aK"]},
    ),
    Resource("mapped-metric", "revenue", {"updated": SECOND}, {"metric": "VtZ2aK", "custom-metric": None}),
    Resource(
        "profile",
        "01J5QK8Z6X3T9N4V7B2C1D0E8F",
        {
            "email": "ana@example.com",
            "phone_number": "+16175550111",
            "external_id": "cust_991",
            "first_name": "Ana",
            "last_name": None,
            "organization": None,
            "locale": "en-US",
            "title": None,
            "image": None,
            **TWO,
            "last_event_date": SECOND,
            "location": {"address1": "1 Main St", "city": "Boston", "latitude": 42.36, "longitude": "-71.05"},
            "properties": {"loyalty_points": 410},
        },
    ),
    Resource(
        "push-token",
        "8b2f0f8e",
        {
            "created": SECOND,
            "token": "fcm:abc",
            "enablement_status": "AUTHORIZED",
            "platform": "android",
            "vendor": "FCM",
            "background": "AVAILABLE",
            "recorded_date": SECOND,
            "metadata": {"device_id": "d-1", "environment": "release"},
        },
        {"profile": "01J5QK8Z6X3T9N4V7B2C1D0E8F"},
    ),
    Resource(
        "list",
        "Y6nRLr",
        {"name": "Newsletter", **TWO, "opt_in_process": "double_opt_in"},
        {"tags": ["b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11"], "flow-triggers": ["T6EyQF"]},
    ),
    Resource(
        "segment",
        "RkT5hd",
        {
            "name": "VIP",
            "definition": {"condition_groups": []},
            **TWO,
            "is_active": True,
            "is_processing": False,
            "is_starred": False,
        },
        {"tags": ["b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11"]},
    ),
    Resource(
        "campaign",
        "01K4ABCDEF0123456789GHJKMN",
        {
            "name": "September drop",
            "status": "Sent",
            "archived": False,
            "audiences": {"included": ["Y6nRLr"], "excluded": ["RkT5hd"]},
            "send_options": {"use_smart_sending": True},
            "tracking_options": {
                "add_tracking_params": True,
                "custom_tracking_params": [{"type": "dynamic", "value": "campaign_name", "name": "utm_campaign"}],
                "is_tracking_clicks": True,
                "is_tracking_opens": True,
            },
            "send_strategy": {
                "method": "static",
                "datetime": SECOND,
                "options": {"is_local": False, "send_past_recipients_immediately": None},
            },
            "created_at": MICRO,
            "scheduled_at": MICRO,
            "updated_at": MICRO,
            "send_time": SECOND,
        },
        {"tags": ["b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11"]},
    ),
    Resource(
        "campaign-message",
        "01K4ABCDEG0123456789GHJKMN",
        {
            "definition": {"channel": "email", "label": "Default", "content": {"subject": "New oolongs"}},
            "send_times": [{"datetime": SECOND, "is_local": False}],
            "created_at": MICRO,
            "updated_at": MICRO,
        },
        {"campaign": "01K4ABCDEF0123456789GHJKMN", "template": "Clone1", "image": "2081049"},
    ),
    Resource(
        "flow",
        "T6EyQF",
        {
            "name": "Welcome",
            "status": "live",
            "archived": False,
            **TWO,
            "trigger_type": "Added to List",
            "definition": DEFINITION,
        },
        {"tags": ["b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11"]},
    ),
    Resource("flow-action", "116466131", {**TWO, "definition": ACTION}, {"flow": "T6EyQF"}),
    Resource(
        "flow-message",
        "StDwe4",
        {"channel": "Email", **TWO, "definition": MESSAGE},
        {"flow-action": "116466131", "template": "R4Tz9k"},
    ),
    *(
        Resource(
            "template",
            id,
            {
                **{"name": id, "editor_type": "CODE", "html": "<p>", "text": None, "amp": None, **TWO},
                "screenshot_url": f"https://acme.example/{id}.png",
            },
        )
        for id in ("R4Tz9k", "Clone1")
    ),
    Resource(
        "template-universal-content",
        "01HWWWKAW4RHXQJCMW4R2KRYR4",
        {
            "name": "Footer",
            "definition": None,
            **TWO,
            "screenshot_status": "completed",
            "screenshot_url": "https://acme.example/s.png",
        },
    ),
    Resource(
        "image",
        "2081049",
        {
            "name": "hero",
            "image_url": "https://acme.example/hero.png",
            "format": "png",
            "size": 48213,
            "hidden": False,
            "updated_at": SECOND,
        },
    ),
    Resource(
        "form",
        "UvW3xy",
        {"name": "Popup", "status": "live", "ab_test": False, **TWO_AT, "definition": {"versions": []}},
    ),
    Resource(
        "form-version",
        "1234567",
        {"form_type": "popup", "variation_name": "A", "ab_test": {"variation_name": "A"}, "status": "live", **TWO_AT},
        {"form": "UvW3xy"},
    ),
    Resource("tag-group", "0f0b7c54-7f5c-4f55-8a53-5b3a1e2a9c01", {"name": "Any", "exclusive": False, "default": True}),
    Resource(
        "tag",
        "b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11",
        {"name": "seasonal"},
        {"tag-group": "0f0b7c54-7f5c-4f55-8a53-5b3a1e2a9c01"},
    ),
    Resource(
        "coupon",
        "10OFF",
        {
            "external_id": "10OFF",
            "description": "10% off",
            "monitor_configuration": None,
            "assigner_configuration": {"used": "ASSIGN_IF_EXPIRED", "unused_expired": "NEVER_ASSIGN"},
        },
    ),
    Resource(
        "coupon-code",
        "10OFF-ASD325",
        {"unique_code": "ASD325", "expires_at": "2027-09-04T00:00:00+00:00", "status": "ASSIGNED_TO_PROFILE"},
        {"coupon": "10OFF", "profile": "01J5QK8Z6X3T9N4V7B2C1D0E8F"},
    ),
    Resource("catalog-category", "$custom:::$default:::TEA", {"external_id": "TEA", "name": "Tea", "updated": MICRO}),
    Resource(
        "catalog-item",
        ITEM,
        {"external_id": "OOL-100", **PRODUCT},
        {"categories": ["$custom:::$default:::TEA"]},
    ),
    Resource(
        "catalog-variant",
        f"{ITEM}-V1",
        {"external_id": "OOL-100-V1", "sku": "V1", "inventory_policy": 0, "inventory_quantity": 12, **PRODUCT},
        {"item": ITEM},
    ),
    Resource(
        "review",
        "925e385b52fb405715f3616c337cc65c",
        {
            "email": "ana@example.com",
            "status": {"value": "published"},
            "verified": True,
            "review_type": "review",
            **TWO,
            "images": [],
            "product": {
                "url": "https://acme.example/p",
                "name": "Oolong",
                "image_url": None,
                "external_id": "OOL-100",
            },
            "rating": 5,
            "author": "Ana",
            "content": "Lovely",
            "title": "Great",
            "smart_quote": None,
            "public_reply": {"content": "Thanks", "author": "Acme", "updated": SECOND},
        },
        {"item": ITEM, "events": ["7qWkC6JPz7g"]},
    ),
    Resource(
        "web-feed",
        "925e385b52fb",
        {
            "name": "blog",
            "url": "https://acme.example/feed.json",
            "request_method": "get",
            "content_type": "json",
            **TWO,
            "status": None,
        },
    ),
    Resource(
        "webhook",
        "01HF7AYTK76RHR4F17G6DGTRGF",
        {"name": "hook", "description": None, "endpoint_url": "https://acme.example", "enabled": True, **TWO_AT},
        {"webhook-topics": ["event:klaviyo.sent_sms"]},
    ),
    Resource("webhook-topic", "event:klaviyo.sent_sms"),
    Resource(
        "billing-usage",
        "email_sends",
        {
            "usage_used": 180000.25,
            "usage_max": 250000,
            "unit": "messages",
            "period_start": SECOND,
            "period_end": SECOND,
            "as_of": SECOND,
        },
    ),
    *brand_resources("Xy9zAB"),
    translation("TEMPLATE::DEFAULT::abc", "email", SECOND),
    sender("5001", "toll_free", "+18335550100", SECOND),
    Resource(
        "tracking-setting",
        "Xy9zAB",
        {"auto_add_parameters": True, "utm_source": UTM, "utm_medium": UTM, "custom_parameters": []},
    ),
]


def sample_account() -> Account:
    """An account with all of them, an attributed event, and memberships."""
    account = frozen_account()
    account.advanced_kdp = True
    for each in RESOURCES:
        account.add(
            Resource(
                each.type,
                each.id,
                dict(each.attributes),
                {k: list(v) if isinstance(v, list) else v for k, v in each.relationships.items()},
            )
        )
    account.add_event(
        "VtZ2aK",
        int((NOW - timedelta(hours=5)).timestamp()),
        profile_id="01J5QK8Z6X3T9N4V7B2C1D0E8F",
        properties={"$value": 84.5, "Items": ["Oolong 100g"]},
        attribution={
            "attributed-event": "7qWkBq2Lm4x",
            "campaign": "01K4ABCDEF0123456789GHJKMN",
            "campaign-message": "01K4ABCDEG0123456789GHJKMN",
        },
        id="7qWkC6JPz7g",
    )
    for group in ("Y6nRLr", "RkT5hd"):
        account.join(group, "01J5QK8Z6X3T9N4V7B2C1D0E8F", NOW - timedelta(days=1))
    return account
