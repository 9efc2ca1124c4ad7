"""Metrics of the simulated account, by integration."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from klaviyo_assets.sandbox.shop.shop import Shop

INTEGRATIONS: dict[str, dict[str, Any] | None] = {
    "klaviyo": {"object": "integration", "id": "0rG4eQ", "key": "klaviyo", "name": "Klaviyo", "category": "Internal"},
    "shopify": {"object": "integration", "id": "0eMvjm", "key": "shopify", "name": "Shopify", "category": "eCommerce"},
    "api": {"object": "integration", "id": "7FtS4J", "key": "api", "name": "API", "category": "API"},
    "reviews": {
        "object": "integration",
        "id": "01J9KV",
        "key": "reviews",
        "name": "Tea Reviews",
        "category": {"object": "integration-category", "id": "12", "category": "Reviews"},
    },
    "none": None,
}
NAMES = {
    "klaviyo": (
        "Received Email",
        "Opened Email",
        "Clicked Email",
        "Bounced Email",
        "Dropped Email",
        "Marked Email as Spam",
        "Unsubscribed",
        "Subscribed to List",
        "Unsubscribed from List",
        "Updated Email Preferences",
        "Subscribed to Email Marketing",
        "Unsubscribed from Email Marketing",
        "Sent Text Message",
        "Received Text Message",
        "Clicked Text Message",
        "Failed to Deliver Text Message",
        "Subscribed to Text Messaging Marketing",
        "Unsubscribed from Text Messaging Marketing",
        "Received Push",
        "Opened Push",
        "Bounced Push",
        "Form submitted by profile",
    ),
    "shopify": (
        "Checkout Started",
        "Placed Order",
        "Ordered Product",
        "Fulfilled Partial Order",
        "Fulfilled Order",
        "Cancelled Order",
        "Refunded Order",
        "Confirmed Shipment",
        "Delivered Shipment",
    ),
    "api": ("Active on Site", "Viewed Product", "Added to Cart", "Tea Tasting Booked", "Placed Order"),
    "reviews": ("Submitted Review",),
    "none": ("Loyalty Points Earned",),
}
DELETED = "deleted metric"
MISSING = "no metric"
ORDER_PROPERTIES = {"$value": "numeric", "$value_currency": "string", "Items": "list", "Item Count": "numeric"}


def add_metrics(shop: Shop) -> dict[str, str | None]:
    """Add every metric; returns ids by name.

    `Placed Order` is Shopify's; the API has one of the same name, found as `Placed Order (API)`. `DELETED` is an id
    that no metric has, `MISSING` is None: Klaviyo returns events of either since revision 2026-07-15.
    """
    ids: dict[str, str | None] = {DELETED: "ZzOrPh", MISSING: None}
    for integration, names in NAMES.items():
        for name in names:
            id = shop.short_id()
            created = shop.start - timedelta(days=shop.random.randint(100, 900))
            stamps = shop.stamps(created, created)
            shop.add("metric", id, {"name": name, **stamps, "integration": INTEGRATIONS[integration]})
            ids[f"{name} (API)" if name in ids else name] = id
    _add_uses(shop, {name: id for name, id in ids.items() if id is not None})
    return ids


def _add_uses(shop: Shop, ids: dict[str, str]) -> None:
    """Custom metrics, mapped metrics and the properties of an order."""
    order = ids["Placed Order"]
    for property, kind in ORDER_PROPERTIES.items():
        id = b64encode(f"{order}.{property}".encode()).decode().rstrip("=")
        attributes = {"label": property, "property": property, "inferred_type": kind, "sample_values": None}
        shop.add("metric-property", id, attributes, metric=order)

    custom = shop.ulid(shop.start)
    group = {"metric_id": order, "metric_filters": None, "value_property": "$value"}
    definition = {"aggregation_method": "value", "metric_groups": [group]}
    net = {"name": "Net revenue", **shop.stamps(shop.start), "definition": definition}
    shop.add("custom-metric", custom, net, metrics=[order, ids["Refunded Order"]])
    mapped = {
        "revenue": "Placed Order",
        "ordered_product": "Ordered Product",
        "refunded_sales": "Refunded Order",
        "cancelled_sales": "Cancelled Order",
        "started_checkout": "Checkout Started",
        "viewed_product": "Viewed Product",
        "added_to_cart": "Added to Cart",
    }
    for id, name in mapped.items():
        updated = {"updated": shop.stamps(shop.start)["updated"]}
        if id == "refunded_sales":
            shop.add("mapped-metric", id, updated, metric=None, custom_metric=custom)
        else:
            shop.add("mapped-metric", id, updated, metric=ids[name], custom_metric=None)
