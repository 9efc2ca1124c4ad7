"""The families that one query returns: nothing about them decides which of several queries shows an object.

The order is that of an immutable key wherever the API offers one; metrics, coupons and push tokens have no `sort`,
billing usage, custom metrics, mapped metrics and webhooks no pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from klaviyo_assets.api import NotFound, equals
from klaviyo_assets.sync.reads.collection import collection
from klaviyo_assets.sync.reads.reading import Account, Read, both_sides
from klaviyo_assets.tables import catalogs, coupons, extras, lists, metrics, segments, tags, templates
from klaviyo_assets.tables.jsonapi import Rows, resources
from klaviyo_assets.tables.table import Family

_ONLY_TAG_IDS: dict[str, Any] = {"fields[tag]": "id"}
_ONLY_TAG_GROUP_IDS: dict[str, Any] = {"fields[tag-group]": "id"}
_ONLY_METRIC_IDS: dict[str, Any] = {"fields[metric]": "id", "fields[custom-metric]": "id"}
_ONLY_PROFILE_IDS: dict[str, Any] = {"fields[profile]": "id"}


def images(account: Account) -> Iterator[Rows]:
    """Read every image; a query shows either the hidden ones or the others."""
    for page in both_sides(account.client, "get_images", "/images", "hidden", sort="id", page_size=100):
        yield extras.images(page)


def brand_resources(account: Account) -> Iterator[Rows]:
    """Read the brand library: a request for each type, and one for the voice, whose id is that of the account."""
    client = account.client
    for type in ("button", "color", "logo", "social-group"):
        for page in client.pages(f"get_brand_{type.replace('-', '_')}s", f"/brand-{type}s"):
            yield extras.brand_resources(page.json(), type)
    for page in client.pages("get_brand_email_defaults", "/brand-email-defaults"):
        defaults = page.json()
        yield extras.brand_resources(defaults, "email-default")
        for each in resources(defaults):
            try:
                voice = client.get("get_brand_voice", f"/brand-voice/{each['id']}").json()
            except NotFound:
                continue  # the account has not described its voice
            yield extras.brand_resources(voice, "voice")


READS: dict[Family, Read] = {
    metrics.METRIC.family: collection("get_metrics", "/metrics", metrics.rows),
    lists.LIST.family: collection(
        "get_lists", "/lists", lists.rows, include="tags", sort="id", page_size=10, **_ONLY_TAG_IDS
    ),
    segments.SEGMENT.family: collection(
        "get_segments", "/segments", segments.rows, include="tags", sort="id", page_size=10, **_ONLY_TAG_IDS
    ),
    templates.EMAIL_TEMPLATE.family: collection(
        "get_templates",
        "/templates",
        templates.rows,
        later=templates.LATER,
        sort="id",
        page_size=10,
    ),
    tags.TAGS.family: collection(
        "get_tags", "/tags", tags.rows, include="tag-group", sort="id", page_size=50, **_ONLY_TAG_GROUP_IDS
    ),
    tags.TAG_GROUP.family: collection("get_tag_groups", "/tag-groups", tags.groups, sort="id", page_size=25),
    coupons.COUPON.family: collection("get_coupons", "/coupons", coupons.rows, later=coupons.LATER, page_size=100),
    catalogs.CATALOG_ITEM.family: collection(
        "get_catalog_items",
        "/catalog-items",
        catalogs.rows,
        include="variants",
        sort="created",
        page_size=100,
    ),
    catalogs.CATALOG_CATEGORY.family: collection(
        "get_catalog_categories", "/catalog-categories", catalogs.categories, sort="created", page_size=100
    ),
    extras.IMAGE.family: images,
    extras.REVIEW.family: collection(
        "get_reviews",
        "/reviews",
        extras.reviews,
        filter=equals("status", "all"),
        sort="created",
        page_size=100,
    ),
    templates.UNIVERSAL_CONTENT.family: collection(
        "get_all_universal_content",
        "/template-universal-content",
        templates.universal_content,
        sort="id",
        page_size=100,
    ),
    extras.PUSH_TOKEN.family: collection(
        "get_push_tokens",
        "/push-tokens",
        extras.push_tokens,
        include="profile",
        page_size=100,
        **_ONLY_PROFILE_IDS,
    ),
    extras.BILLING_USAGE.family: collection("list_billing_usage", "/billing-usage", extras.billing_usage),
    extras.BRAND_RESOURCE.family: brand_resources,
    extras.TRANSLATION.family: collection(
        "get_translations", "/translations", extras.translations, sort="id", page_size=100
    ),
    extras.TEXT_MESSAGING_SENDER.family: collection(
        "get_text_messaging_senders",
        "/text-messaging-senders",
        extras.text_messaging_senders,
        sort="created_at",
        page_size=20,
    ),
    extras.WEBHOOK.family: collection("get_webhooks", "/webhooks", extras.webhooks, include="webhook-topics"),
    metrics.CUSTOM_METRIC.family: collection("get_custom_metrics", "/custom-metrics", metrics.custom),
    metrics.MAPPED_METRIC.family: collection(
        "get_mapped_metrics",
        "/mapped-metrics",
        metrics.mapped,
        include=["metric", "custom-metric"],
        **_ONLY_METRIC_IDS,
    ),
}
