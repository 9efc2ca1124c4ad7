"""The families that one query returns: nothing about them decides which of several queries shows an object.

The order is that of an immutable key wherever the API offers one; metrics, coupons and push tokens have no `sort`,
custom metrics, mapped metrics and webhooks no pages.
"""

from __future__ import annotations

from collections.abc import Iterator

from klaviyo_assets.api import equals
from klaviyo_assets.sync.reads.reading import Account, Read, both_sides, collection
from klaviyo_assets.tables import catalogs, coupons, extras, lists, metrics, segments, tags, templates
from klaviyo_assets.tables.jsonapi import Rows

_ONLY_TAG_IDS = {"fields[tag]": "id"}
_ONLY_PROFILE_IDS = {"fields[profile]": "id"}


def images(account: Account) -> Iterator[Rows]:
    """Read every image; a query shows either the hidden ones or the others."""
    for page in both_sides(account.client, "get_images", "/images", "hidden", sort="id", page_size=100):
        yield extras.images(page)


READS: dict[str, Read] = {
    "metrics": collection("get_metrics", "/metrics", metrics.rows),
    "lists": collection("get_lists", "/lists", lists.rows, include="tags", sort="id", page_size=10, **_ONLY_TAG_IDS),
    "segments": collection(
        "get_segments", "/segments", segments.rows, include="tags", sort="id", page_size=10, **_ONLY_TAG_IDS
    ),
    "templates": collection("get_templates", "/templates", templates.rows, sort="id", page_size=10),
    "tags": collection(
        "get_tags", "/tags", tags.rows, include="tag-group", sort="id", page_size=50, **{"fields[tag-group]": "id"}
    ),
    "tag_groups": collection("get_tag_groups", "/tag-groups", tags.groups, sort="id", page_size=25),
    "coupons": collection("get_coupons", "/coupons", coupons.rows, page_size=100),
    "catalog_items": collection(
        "get_catalog_items",
        "/catalog-items",
        catalogs.rows,
        include="variants",
        sort="created",
        page_size=100,
    ),
    "catalog_categories": collection(
        "get_catalog_categories", "/catalog-categories", catalogs.categories, sort="created", page_size=100
    ),
    "images": images,
    "reviews": collection(
        "get_reviews",
        "/reviews",
        extras.reviews,
        filter=equals("status", "all"),
        sort="created",
        page_size=100,
    ),
    "universal_content": collection(
        "get_all_universal_content",
        "/template-universal-content",
        templates.universal_content,
        sort="id",
        page_size=100,
    ),
    "push_tokens": collection(
        "get_push_tokens",
        "/push-tokens",
        extras.push_tokens,
        include="profile",
        page_size=100,
        **_ONLY_PROFILE_IDS,
    ),
    "webhooks": collection("get_webhooks", "/webhooks", extras.webhooks, include="webhook-topics"),
    "custom_metrics": collection("get_custom_metrics", "/custom-metrics", metrics.custom),
    "mapped_metrics": collection(
        "get_mapped_metrics",
        "/mapped-metrics",
        metrics.mapped,
        include=["metric", "custom-metric"],
        **{"fields[metric]": "id", "fields[custom-metric]": "id"},
    ),
}
