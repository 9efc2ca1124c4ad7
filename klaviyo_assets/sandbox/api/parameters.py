"""Filters, additional fields and sparse fieldsets of the operations (OpenAPI document of revision 2026-07-15)."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import (
    COMPARISONS,
    HAS,
    MATCHES,
    XS,
    M,
    ParameterRate,
    date,
    flag,
    number,
    text,
)

SUBSCRIPTIONS = {"profile": ("subscriptions", "predictive_analytics")}
PREDICTIONS_RATE = ParameterRate("profile", "predictive_analytics", M)
COUNT_RATES = {group: ParameterRate(group, "profile_count", XS) for group in ("list", "segment")}

CHANGED = {"created": date("equals", *COMPARISONS), "updated": date("equals", *COMPARISONS)}
STAMPED = {"created_at": date(), "updated_at": date()}
ANY_ONE = text("any[]", "equals[]", "equals")

EVENTS = {
    "metric_id": text("equals", "equals[]"),
    "profile_id": text("equals"),
    "profile": HAS,
    "metric": HAS,
    "datetime": date(),
    "timestamp": number(*COMPARISONS),
}
SUPPRESSION = "subscriptions.email.marketing.suppression"
LIST_SUPPRESSIONS = "subscriptions.email.marketing.list_suppressions"
PROFILES = {
    **dict.fromkeys(("id", "email", "phone_number", "external_id"), ANY_ONE),
    "_kx": text("equals"),
    "created": date("greater-than", "less-than"),
    "updated": date("greater-than", "less-than"),
    f"{LIST_SUPPRESSIONS}.reason": text("equals"),
    f"{LIST_SUPPRESSIONS}.timestamp": date(),
    f"{LIST_SUPPRESSIONS}.list_id": text("equals"),
    f"{SUPPRESSION}.reason": text("equals"),
    f"{SUPPRESSION}.timestamp": date(),
}
MEMBERS = {
    **dict.fromkeys(("email", "phone_number", "push_token"), text("any[]", "equals[]")),
    "_kx": text("equals"),
    "joined_group_at": date(),
}
GROUPS = {
    "name": text("any[]", "equals[]"),
    "id": ANY_ONE,
    "created": date("greater-than"),
    "updated": date("greater-than"),
}
CAMPAIGNS = {
    "id": text("any[]"),
    "messages.channel": text("equals", choices=("email", "sms", "mobile_push")),
    "name": text("contains"),
    "status": text("any[]", "equals[]", "equals"),
    "archived": flag(),
    "scheduled_at": date(),
    **STAMPED,
}
FLOWS = {
    "id": text("any[]"),
    "name": text(*MATCHES),
    "status": text("equals"),
    "archived": flag(),
    **CHANGED,
    "trigger_type": text("equals"),
}
FLOW_ACTIONS = {
    "id": text("any[]"),
    "action_type": text("any[]", "equals[]", "equals"),
    "status": text("equals"),
    **CHANGED,
}
FLOW_MESSAGES = {"id": text("any[]"), "name": text(*MATCHES), **CHANGED}
ITEMS = {
    "ids": text("any[]"),
    "category.id": text("equals"),
    "title": text("contains"),
    "published": flag(),
}
VARIANTS = {
    "ids": text("any[]"),
    "item.id": text("equals"),
    "sku": text("equals"),
    "title": text("contains"),
    "published": flag(),
}
CATEGORIES = {"ids": text("any[]"), "item.id": text("equals"), "name": text("contains")}
CODE_STATUS = ("UNASSIGNED", "PROCESSING", "ASSIGNED_TO_PROFILE", "VERSION_NOT_ACTIVE", "DELETING", "USED")
COUPON_CODES = {
    "expires_at": date(past=False),
    "status": text("equals", choices=CODE_STATUS),
    "coupon.id": text("any[]", "equals[]"),
    "profile.id": text("any[]", "equals[]"),
}
FORMS = {
    "id": ANY_ONE,
    "name": text("any[]", "equals[]", "contains", "equals"),
    "ab_test": flag(),
    **STAMPED,
    "status": text("equals", choices=("live", "draft")),
}
FORM_VERSIONS = {"form_type": ANY_ONE, "status": text("equals", choices=("live", "draft")), **STAMPED}
IMAGES = {
    "id": ANY_ONE,
    "updated_at": date(),
    "format": ANY_ONE,
    "name": text("any[]", "equals[]", *MATCHES),
    "size": number(*COMPARISONS),
    "hidden": flag("any[]", "equals[]", "equals"),
}
TEMPLATES = {
    "id": text("any[]", "equals[]"),
    "name": text("any[]", "equals[]", "contains", "equals"),
    **CHANGED,
}
UNIVERSAL_CONTENT = {
    "id": ANY_ONE,
    "name": ANY_ONE,
    "created": date(),
    "updated": date(),
    "definition.content_type": text("equals", choices=("block", "section")),
    "definition.type": text("equals"),
}
WEB_FEEDS = {"name": text("any[]", "equals[]", "contains", "equals"), "created": date(), "updated": date()}
PUSH_TOKENS = {
    "id": text("equals"),
    "profile.id": text("equals"),
    "enablement_status": text(
        "equals", choices=("AUTHORIZED", "UNAUTHORIZED", "DENIED", "PROVISIONAL", "NOT_DETERMINED")
    ),
    "platform": text("equals", choices=("ios", "android")),
}
REVIEWS = {
    "created": date("greater-or-equal", "less-or-equal"),
    "rating": number("any[]", "equals[]", "equals", "greater-or-equal", "less-or-equal"),
    "id": ANY_ONE,
    "item.id": ANY_ONE,
    "content": text("contains"),
    "status": text("equals", choices=("published", "unpublished", "rejected", "featured", "pending", "all")),
    "review_type": text("equals", choices=("question", "review", "rating", "store")),
    "verified": flag(),
}
TAGS = {"name": text(*MATCHES, "equals[]")}

FIELDS: dict[str, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in {
        "account": "contact_information industry locale preferred_currency public_api_key test_account timezone",
        "attribution": "",
        "campaign": "archived audiences created_at name scheduled_at send_options send_strategy send_time status"
        " tracking_options updated_at",
        "campaign-message": "created_at definition send_times updated_at",
        "campaign-values-report": "results",
        "catalog-category": "external_id name updated",
        "catalog-item": "created custom_metadata description external_id image_full_url image_thumbnail_url images"
        " price published title updated url",
        "catalog-variant": "created custom_metadata description external_id image_full_url image_thumbnail_url images"
        " inventory_policy inventory_quantity price published sku title updated url",
        "conversation": "channel",
        "coupon": "description external_id monitor_configuration",
        "coupon-code": "expires_at status unique_code",
        "custom-metric": "created definition name updated",
        "event": "datetime event_properties timestamp uuid",
        "flow": "archived created definition name status trigger_type updated",
        "flow-action": "created definition updated",
        "flow-message": "channel created definition updated",
        "flow-series-report": "date_times results",
        "flow-values-report": "results",
        "form": "ab_test created_at definition name status updated_at",
        "form-version": "ab_test created_at form_type status updated_at variation_name",
        "image": "format hidden image_url name size updated_at",
        "list": "created name opt_in_process profile_count updated",
        "mapped-metric": "updated",
        "metric": "created integration name updated",
        "metric-aggregate": "data dates",
        "metric-property": "inferred_type label property sample_values",
        "profile": "created email external_id first_name image last_event_date last_name locale location organization"
        " phone_number predictive_analytics properties subscriptions title updated",
        "push-token": "background created enablement_status metadata platform recorded_date token vendor",
        "review": "author content created email images product public_reply rating review_type smart_quote status title"
        " updated verified",
        "segment": "created definition is_active is_processing is_starred name profile_count updated",
        "tag": "name",
        "tag-group": "default exclusive name",
        "template": "amp created definition editor_type html name text updated",
        "template-universal-content": "created definition name screenshot_status screenshot_url updated",
        "tracking-setting": "auto_add_parameters custom_parameters utm_campaign utm_id utm_medium utm_source utm_term",
        "web-feed": "content_type created name request_method status updated url",
        "webhook": "created_at description enabled endpoint_url name updated_at",
        "webhook-topic": "",
    }.items()
}
"""The attributes of each type that `fields[type]` may name, besides `id`."""

ON_REQUEST: dict[str, tuple[str, ...]] = {
    "profile": ("subscriptions", "predictive_analytics"),
    "flow": ("definition",),
    "form": ("definition",),
    "template": ("definition",),
    "metric-property": ("sample_values",),
}
"""Attributes shown only to requests for them (`additional-fields`) and by operations that name them as extra."""
