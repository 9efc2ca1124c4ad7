"""The operations that the sandbox serves, with the parameters, scopes and limits of revision 2026-07-15."""

from __future__ import annotations

from typing import Any

from klaviyo_assets.sandbox.api.operation import (
    CURSOR_ONLY,
    REPORT,
    XL,
    XS,
    Cursor,
    Filter,
    L,
    M,
    Operation,
    Page,
    Rate,
    S,
    flag,
    text,
)
from klaviyo_assets.sandbox.api.parameters import (
    CAMPAIGNS,
    CATEGORIES,
    COUNT_RATES,
    COUPON_CODES,
    EVENTS,
    FLOW_ACTIONS,
    FLOW_MESSAGES,
    FLOWS,
    FORM_VERSIONS,
    FORMS,
    GROUPS,
    IMAGES,
    ITEMS,
    LIST_SUPPRESSIONS,
    MEMBERS,
    PREDICTIONS_RATE,
    PROFILES,
    PUSH_TOKENS,
    REVIEWS,
    SUBSCRIPTIONS,
    SUPPRESSION,
    TAGS,
    TEMPLATES,
    UNIVERSAL_CONTENT,
    VARIANTS,
    WEB_FEEDS,
)

OPERATIONS: dict[str, Operation] = {}


def _operation(id: str, path: str, type: str, rate: Rate, scopes: str, **options: Any) -> None:
    for name in ("includes", "sorts", "required", "ignored", "failing", "extra_fields"):
        if name in options:
            options[name] = tuple(options[name].split())
    OPERATIONS[id] = Operation(id=id, path=path, type=type, rate=rate, scopes=tuple(scopes.split()), **options)


def _resource(
    many: str,
    one: str,
    path: str,
    type: str,
    rate: Rate,
    scopes: str,
    *,
    single: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """A collection and its resources; `single` holds what differs for one resource."""
    _operation(many, path, type, rate, scopes, **options)
    shared: dict[str, Any] = {name: options[name] for name in ("includes", "additional") if name in options}
    own: dict[str, Any] = {"rate": rate, "scopes": scopes, **shared, **(single or {})}
    _operation(one, f"{path}/{{id}}", type, **own)


def _related(many: str, ids: str, path: str, type: str, rate: Rate, scopes: str, **options: Any) -> None:
    """A related collection (or resource) and its ids."""
    _operation(many, path, type, rate, scopes, **options)
    parent, _, name = path.rpartition("/")
    plain = {key: value for key, value in options.items() if key not in ("includes", "additional", "extra_fields")}
    _operation(ids, f"{parent}/relationships/{name}", type, rate, scopes, **plain)


def _tags(type: str, rate: Rate = S) -> None:
    path, scopes = f"/{type}s/{{id}}/tags", f"{type}s:read tags:read"
    _related(f"get_tags_for_{type}", f"get_tag_ids_for_{type}", path, "tag", rate, scopes)
    _operation(f"get_{type}_ids_for_tag", f"/tags/{{id}}/relationships/{type}s", type, S, f"{type}s:read tags:read")


def _triggers(type: str, rate: Rate) -> None:
    names = f"get_flows_triggered_by_{type}", f"get_ids_for_flows_triggered_by_{type}"
    _related(*names, f"/{type}s/{{id}}/flow-triggers", "flow", rate, f"flows:read {type}s:read")


def _members(type: str, filters: dict[str, Filter]) -> None:
    names = f"get_profiles_for_{type}", f"get_profile_ids_for_{type}"
    _related(
        *names, f"/{type}s/{{id}}/profiles", "profile", L, f"{type}s:read profiles:read",
        page=Page(20, 100), filters=filters, sorts="joined_group_at", sort="-joined_group_at",
        additional=SUBSCRIPTIONS, extra_fields="joined_group_at",
        parameter_rate=PREDICTIONS_RATE,
    )  # fmt: skip


_resource("get_accounts", "get_account", "/accounts", "account", XS, "accounts:read")
_resource(
    "get_tracking_settings", "get_tracking_setting", "/tracking-settings", "tracking-setting", M,
    "tracking-settings:read", page=Page(1, 1),
)  # fmt: skip

# Events, metrics
_resource(
    "get_events", "get_event", "/events", "event", XL, "events:read", page=Page(200, 1000), filters=EVENTS,
    sorts="datetime timestamp", sort="-datetime", includes="attributions metric profile", single={"rate": M},
)  # fmt: skip
_related(
    "get_metric_for_event", "get_metric_id_for_event", "/events/{id}/metric", "metric", XL,
    "events:read metrics:read",
)  # fmt: skip
_related(
    "get_profile_for_event", "get_profile_id_for_event", "/events/{id}/profile", "profile", XL,
    "events:read profiles:read", additional=SUBSCRIPTIONS,
)  # fmt: skip
_resource(
    "get_metrics", "get_metric", "/metrics", "metric", M, "metrics:read", page=CURSOR_ONLY,
    filters={"integration.name": text("equals"), "integration.category": text("equals")},
    includes="flow-triggers",
)  # fmt: skip
_triggers("metric", M)
_related(
    "get_properties_for_metric", "get_property_ids_for_metric", "/metrics/{id}/metric-properties", "metric-property",
    XS, "metrics:read", additional={"metric-property": ("sample_values",)},
)  # fmt: skip
_operation(
    "get_metric_property", "/metric-properties/{id}", "metric-property", XS, "metrics:read", includes="metric",
    additional={"metric-property": ("sample_values",)},
)  # fmt: skip
_related(
    "get_metric_for_metric_property", "get_metric_id_for_metric_property", "/metric-properties/{id}/metric", "metric",
    XS, "metrics:read",
)  # fmt: skip
_resource(
    "get_custom_metrics", "get_custom_metric", "/custom-metrics", "custom-metric", S, "metrics:read",
    includes="metrics", bare_links=True,
)  # fmt: skip
_related(
    "get_metrics_for_custom_metric", "get_metric_ids_for_custom_metric", "/custom-metrics/{id}/metrics", "metric", S,
    "metrics:read",
)  # fmt: skip
_resource(
    "get_mapped_metrics", "get_mapped_metric", "/mapped-metrics", "mapped-metric", S, "metrics:read",
    includes="custom-metric metric", bare_links=True,
)  # fmt: skip
_related(
    "get_metric_for_mapped_metric", "get_metric_id_for_mapped_metric", "/mapped-metrics/{id}/metric", "metric", S,
    "metrics:read",
)  # fmt: skip
_related(
    "get_custom_metric_for_mapped_metric", "get_custom_metric_id_for_mapped_metric",
    "/mapped-metrics/{id}/custom-metric", "custom-metric", S, "metrics:read",
)  # fmt: skip

# Profiles, lists, segments
_resource(
    "get_profiles", "get_profile", "/profiles", "profile", L, "profiles:read", page=Page(20, 100), filters=PROFILES,
    sorts=f"created email id {LIST_SUPPRESSIONS}.timestamp {SUPPRESSION}.timestamp updated",
    includes="conversations push-tokens", additional=SUBSCRIPTIONS, parameter_rate=PREDICTIONS_RATE,
    single={"includes": "conversations lists push-tokens segments"},
)  # fmt: skip
_resource(
    "get_push_tokens", "get_push_token", "/push-tokens", "push-token", M, "profiles:read push-tokens:read",
    page=Page(20, 100), filters=PUSH_TOKENS, includes="profile",
)  # fmt: skip
_related(
    "get_push_tokens_for_profile", "get_push_token_ids_for_profile", "/profiles/{id}/push-tokens", "push-token", M,
    "profiles:read",
)  # fmt: skip
_related(
    "get_profile_for_push_token", "get_profile_id_for_push_token", "/push-tokens/{id}/profile", "profile", M,
    "profiles:read push-tokens:read", additional=SUBSCRIPTIONS,
)  # fmt: skip
_related(
    "get_lists_for_profile", "get_list_ids_for_profile", "/profiles/{id}/lists", "list", S, "lists:read profiles:read"
)
_related(
    "get_segments_for_profile", "get_segment_ids_for_profile", "/profiles/{id}/segments", "segment", S,
    "profiles:read segments:read",
)  # fmt: skip
_resource(
    "get_lists", "get_list", "/lists", "list", L, "lists:read", page=Page(10, 10), filters=GROUPS,
    sorts="created id name updated", includes="flow-triggers tags",
    single={"additional": {"list": ("profile_count",)}, "parameter_rate": COUNT_RATES["list"]},
)  # fmt: skip
_resource(
    "get_segments", "get_segment", "/segments", "segment", L, "segments:read", page=Page(10, 10),
    filters={**GROUPS, "is_active": flag("any[]", "equals[]", "equals"), "is_starred": flag()},
    ignored="is_starred",
    sorts="created id name updated", includes="flow-triggers tags",
    single={"additional": {"segment": ("profile_count",)}, "parameter_rate": COUNT_RATES["segment"]},
)  # fmt: skip
_members("list", MEMBERS)
_members("segment", {"profile_id": text("any[]", "equals[]"), **MEMBERS})
_tags("list")
_tags("segment")
_triggers("list", S)
_triggers("segment", S)

# Campaigns, flows
_resource(
    "get_campaigns", "get_campaign", "/campaigns", "campaign", M, "campaigns:read", page=Page(100, 100),
    filters=CAMPAIGNS, required="messages.channel", sorts="created_at id name scheduled_at updated_at",
    includes="campaign-messages tags",
)  # fmt: skip
_tags("campaign")
_related(
    "get_messages_for_campaign", "get_message_ids_for_campaign", "/campaigns/{id}/campaign-messages",
    "campaign-message", M, "campaigns:read", includes="campaign image template",
)  # fmt: skip
_operation(
    "get_campaign_message", "/campaign-messages/{id}", "campaign-message", M, "campaigns:read",
    includes="campaign image template",
)  # fmt: skip
for _name, _scope in (("campaign", "campaigns:read"), ("template", "templates:read"), ("image", "images:read")):
    _related(
        f"get_{_name}_for_campaign_message", f"get_{_name}_id_for_campaign_message",
        f"/campaign-messages/{{id}}/{_name}", _name, M,
        "campaigns:read" if _name == "campaign" else f"campaigns:read {_scope}",
    )  # fmt: skip
_resource(
    "get_flows", "get_flow", "/flows", "flow", S, "flows:read", page=Page(50, 50), filters=FLOWS,
    sorts="created id name status trigger_type updated", includes="flow-actions tags",
    single={"additional": {"flow": ("definition",)}},
)  # fmt: skip
_tags("flow")
_related(
    "get_actions_for_flow", "get_action_ids_for_flow", "/flows/{id}/flow-actions", "flow-action", S, "flows:read",
    page=Page(50, 50), filters=FLOW_ACTIONS, sorts="action_type created id status updated",
)  # fmt: skip
_operation("get_flow_action", "/flow-actions/{id}", "flow-action", S, "flows:read", includes="flow flow-messages")
_related("get_flow_for_flow_action", "get_flow_id_for_flow_action", "/flow-actions/{id}/flow", "flow", S, "flows:read")
_related(
    "get_flow_action_messages", "get_message_ids_for_flow_action", "/flow-actions/{id}/flow-messages", "flow-message",
    S, "flows:read", page=Page(50, 50), filters=FLOW_MESSAGES, sorts="created id name updated",
)  # fmt: skip
_operation("get_flow_message", "/flow-messages/{id}", "flow-message", S, "flows:read", includes="flow-action template")
_related(
    "get_action_for_flow_message", "get_action_id_for_flow_message", "/flow-messages/{id}/flow-action", "flow-action",
    S, "flows:read",
)  # fmt: skip
_related(
    "get_template_for_flow_message", "get_template_id_for_flow_message", "/flow-messages/{id}/template", "template",
    S, "templates:read",
)  # fmt: skip

# Tags
_resource(
    "get_tags", "get_tag", "/tags", "tag", S, "tags:read", page=Page(50, 50), filters=TAGS, sorts="id name",
    includes="tag-group",
)  # fmt: skip
_related("get_tag_group_for_tag", "get_tag_group_id_for_tag", "/tags/{id}/tag-group", "tag-group", S, "tags:read")
_resource(
    "get_tag_groups", "get_tag_group", "/tag-groups", "tag-group", S, "tags:read", page=Page(25, 25),
    filters={**TAGS, "exclusive": flag(), "default": flag()}, sorts="id name",
)  # fmt: skip
_related("get_tags_for_tag_group", "get_tag_ids_for_tag_group", "/tag-groups/{id}/tags", "tag", S, "tags:read")

# Templates, images, forms, web feeds, webhooks
_resource(
    "get_templates", "get_template", "/templates", "template", L, "templates:read", page=Page(10, 10),
    filters=TEMPLATES, sorts="created id name updated", additional={"template": ("definition",)},
)  # fmt: skip
_resource(
    "get_all_universal_content", "get_universal_content", "/template-universal-content", "template-universal-content",
    L, "templates:read", page=Page(20, 100), filters=UNIVERSAL_CONTENT, sorts="created id name updated",
)  # fmt: skip
_resource(
    "get_images", "get_image", "/images", "image", M, "images:read", page=Page(20, 100), filters=IMAGES,
    sorts="format id name size updated_at",
)  # fmt: skip
_resource(
    "get_forms", "get_form", "/forms", "form", S, "forms:read", page=Page(20, 100), filters=FORMS,
    sorts="created_at updated_at", sort="-updated_at", cursor=Cursor(unique=False, others=("created_at", "updated_at")),
    single={"extra_fields": "definition"},
)  # fmt: skip
_related(
    "get_versions_for_form", "get_version_ids_for_form", "/forms/{id}/form-versions", "form-version", S, "forms:read",
    page=Page(20, 100), filters=FORM_VERSIONS, failing="any(form_type)", sorts="created_at updated_at",
    bare_links=True,
)  # fmt: skip
_operation("get_form_version", "/form-versions/{id}", "form-version", S, "forms:read", includes="form")
_related(
    "get_form_for_form_version", "get_form_id_for_form_version", "/form-versions/{id}/form", "form", S, "forms:read"
)
_resource(
    "get_web_feeds", "get_web_feed", "/web-feeds", "web-feed", XS, "web-feeds:read", page=Page(5, 20),
    filters=WEB_FEEDS, sorts="created name updated", sort="created", cursor=Cursor(unique=False),
)  # fmt: skip
_resource(
    "get_webhooks", "get_webhook", "/webhooks", "webhook", XS, "webhooks:read", includes="webhook-topics",
    bare_links=True,
)  # fmt: skip
_resource(
    "get_webhook_topics", "get_webhook_topic", "/webhook-topics", "webhook-topic", XS, "webhooks:read",
    bare_links=True,
)  # fmt: skip

# Catalog, coupons, reviews
_resource(
    "get_catalog_items", "get_catalog_item", "/catalog-items", "catalog-item", XL, "catalogs:read",
    page=Page(100, 100), filters=ITEMS, sorts="created", sort="created", includes="variants",
)  # fmt: skip
_resource(
    "get_catalog_variants", "get_catalog_variant", "/catalog-variants", "catalog-variant", XL, "catalogs:read",
    page=Page(100, 100), filters=VARIANTS, sorts="created", sort="created",
)  # fmt: skip
_resource(
    "get_catalog_categories", "get_catalog_category", "/catalog-categories", "catalog-category", XL, "catalogs:read",
    page=Page(100, 100), filters=CATEGORIES, sorts="created",
)  # fmt: skip
_related(
    "get_items_for_catalog_category", "get_item_ids_for_catalog_category", "/catalog-categories/{id}/items",
    "catalog-item", XL, "catalogs:read", page=Page(100, 100), filters=ITEMS, sorts="created", sort="created",
    includes="variants",
)  # fmt: skip
_related(
    "get_variants_for_catalog_item", "get_variant_ids_for_catalog_item", "/catalog-items/{id}/variants",
    "catalog-variant", XL, "catalogs:read", page=Page(100, 100), filters=VARIANTS, sorts="created", sort="created",
)  # fmt: skip
_related(
    "get_categories_for_catalog_item", "get_category_ids_for_catalog_item", "/catalog-items/{id}/categories",
    "catalog-category", XL, "catalogs:read", page=Page(100, 100), filters=CATEGORIES, sorts="created",
)  # fmt: skip
_resource("get_coupons", "get_coupon", "/coupons", "coupon", L, "coupons:read", page=Page(100, 100))
_resource(
    "get_coupon_codes", "get_coupon_code", "/coupon-codes", "coupon-code", XL, "coupon-codes:read",
    page=Page(100, 100), filters=COUPON_CODES, required="coupon.id profile.id", includes="coupon",
)  # fmt: skip
_related(
    "get_coupon_codes_for_coupon", "get_coupon_code_ids_for_coupon", "/coupons/{id}/coupon-codes", "coupon-code", L,
    "coupon-codes:read", page=Page(100, 100), filters=COUPON_CODES,
)  # fmt: skip
_related(
    "get_coupon_for_coupon_code", "get_coupon_id_for_coupon_code", "/coupon-codes/{id}/coupon", "coupon", L,
    "coupons:read",
)  # fmt: skip
_resource(
    "get_reviews", "get_review", "/reviews", "review", M, "reviews:read", page=Page(20, 100), filters=REVIEWS,
    sorts="created rating updated", sort="-created", includes="events",
)  # fmt: skip

# Queries
_operation("query_metric_aggregates", "/metric-aggregates", "metric-aggregate", S, "metrics:read", method="POST")
_operation(
    "query_campaign_values", "/campaign-values-reports", "campaign-values-report", REPORT, "campaigns:read",
    method="POST",
)  # fmt: skip
_operation("query_flow_values", "/flow-values-reports", "flow-values-report", REPORT, "flows:read", method="POST")
_operation("query_flow_series", "/flow-series-reports", "flow-series-report", REPORT, "flows:read", method="POST")
