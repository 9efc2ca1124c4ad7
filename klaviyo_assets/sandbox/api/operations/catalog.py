"""The catalog, coupons, reviews."""

from __future__ import annotations

from klaviyo_assets.sandbox.api.operation import XL, L, M, Page, date, flag, number, text
from klaviyo_assets.sandbox.api.operations.declare import ANY_ONE, related, resource

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

resource(
    "get_catalog_items", "get_catalog_item", "/catalog-items", "catalog-item", XL, "catalogs:read",
    page=Page(100, 100), filters=ITEMS, sorts="created", sort="created", includes="variants",
    fields="created custom_metadata description external_id image_full_url image_thumbnail_url images price"
    " published title updated url",
)  # fmt: skip
resource(
    "get_catalog_variants", "get_catalog_variant", "/catalog-variants", "catalog-variant", XL, "catalogs:read",
    page=Page(100, 100), filters=VARIANTS, sorts="created", sort="created",
    fields="created custom_metadata description external_id image_full_url image_thumbnail_url images"
    " inventory_policy inventory_quantity price published sku title updated url",
)  # fmt: skip
resource(
    "get_catalog_categories", "get_catalog_category", "/catalog-categories", "catalog-category", XL, "catalogs:read",
    page=Page(100, 100), filters=CATEGORIES, sorts="created",
    fields="external_id name updated",
)  # fmt: skip
related(
    "get_items_for_catalog_category", "get_item_ids_for_catalog_category", "/catalog-categories/{id}/items",
    "catalog-item", XL, "catalogs:read", page=Page(100, 100), filters=ITEMS, sorts="created", sort="created",
    includes="variants",
)  # fmt: skip
related(
    "get_variants_for_catalog_item", "get_variant_ids_for_catalog_item", "/catalog-items/{id}/variants",
    "catalog-variant", XL, "catalogs:read", page=Page(100, 100), filters=VARIANTS, sorts="created", sort="created",
)  # fmt: skip
related(
    "get_categories_for_catalog_item", "get_category_ids_for_catalog_item", "/catalog-items/{id}/categories",
    "catalog-category", XL, "catalogs:read", page=Page(100, 100), filters=CATEGORIES, sorts="created",
)  # fmt: skip
resource(
    "get_coupons", "get_coupon", "/coupons", "coupon", L, "coupons:read", page=Page(100, 100),
    fields="description external_id monitor_configuration",
)  # fmt: skip
resource(
    "get_coupon_codes", "get_coupon_code", "/coupon-codes", "coupon-code", XL, "coupon-codes:read",
    page=Page(100, 100), filters=COUPON_CODES, required="coupon.id profile.id", includes="coupon",
    fields="expires_at status unique_code",
)  # fmt: skip
related(
    "get_coupon_codes_for_coupon", "get_coupon_code_ids_for_coupon", "/coupons/{id}/coupon-codes", "coupon-code", L,
    "coupon-codes:read", page=Page(100, 100), filters=COUPON_CODES,
)  # fmt: skip
related(
    "get_coupon_for_coupon_code", "get_coupon_id_for_coupon_code", "/coupon-codes/{id}/coupon", "coupon", L,
    "coupons:read",
)  # fmt: skip
resource(
    "get_reviews", "get_review", "/reviews", "review", M, "reviews:read", page=Page(20, 100), filters=REVIEWS,
    sorts="created rating updated", sort="-created", includes="events",
    fields="author content created email images product public_reply rating review_type smart_quote status"
    " title updated verified",
)  # fmt: skip
