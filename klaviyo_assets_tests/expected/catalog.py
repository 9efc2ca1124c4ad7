"""Optional: CATALOG_ITEM, CATALOG_VARIANT, CATALOG_CATEGORY and REVIEW."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, resources, same_names

CATALOG_ITEM = same_names(
    "created custom_metadata description external_id image_full_url image_thumbnail_url images price published title"
    " updated url"
)
CATALOG_VARIANT = {**CATALOG_ITEM, **same_names("inventory_policy inventory_quantity sku")}


def catalog_item(account: Account) -> Expected:
    return resources(account, "catalog-item", CATALOG_ITEM)


def catalog_variant(account: Account) -> Expected:
    return resources(account, "catalog-variant", CATALOG_VARIANT, item_id="item")


def catalog_category(account: Account) -> Expected:
    return resources(account, "catalog-category", same_names("external_id name updated"))


REVIEW = {
    **same_names("author content created email images rating review_type smart_quote title updated verified"),
    **{f"product_{name}": f"product.{name}" for name in ("external_id", "image_url", "name", "url")},
    **{f"public_reply_{name}": f"public_reply.{name}" for name in ("author", "content", "updated")},
    "status": "status.value",
    "status_rejection_reason": "status.rejection_reason",
}


def review(account: Account) -> Expected:
    return resources(account, "review", REVIEW, item_id="item")
