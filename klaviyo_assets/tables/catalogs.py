"""CATALOG_ITEM and CATALOG_VARIANT from `GET /catalog-items?include=variants`, CATALOG_CATEGORY from its own list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, linked, related_id, related_ids, resources, row_of
from klaviyo_assets.tables.table import (
    DAILY,
    Family,
    Table,
    bigint,
    boolean,
    double,
    json,
    references,
    text,
    timestamp,
)

CATALOG_ITEM = Table(
    name="catalog_item",
    family=Family("catalog_items", ("catalogs:read",)),
    cadence=DAILY,
    optional=True,
    description="The products of the catalog.",
    columns=(
        text("id", "The item's id: integration, catalog and external id."),
        timestamp("created", "When the item was created."),
        json("custom_metadata", "Whatever else the shop says about the item."),
        text("description", "Description."),
        text("external_id", "Its id in the shop."),
        text("image_full_url", "Address of its picture."),
        text("image_thumbnail_url", "Address of a small picture."),
        json("images", "Addresses of more pictures."),
        double("price", "Price, in the currency of the account."),
        boolean("published", "Whether the item is for sale."),
        text("title", "Name of the item."),
        timestamp("updated", "When the item last changed."),
        text("url", "Its page in the shop."),
    ),
    primary_key=("id",),
)

CATALOG_VARIANT = Table(
    name="catalog_variant",
    family=CATALOG_ITEM.family,
    cadence=DAILY,
    optional=True,
    description="The variants of catalog items: sizes, colours and so on.",
    columns=(
        text("id", "The variant's id: integration, catalog and external id."),
        text("item_id", "The item it is a variant of."),
        timestamp("created", "When the variant was created."),
        json("custom_metadata", "Whatever else the shop says about the variant."),
        text("description", "Description."),
        text("external_id", "Its id in the shop."),
        text("image_full_url", "Address of its picture."),
        text("image_thumbnail_url", "Address of a small picture."),
        json("images", "Addresses of more pictures."),
        bigint("inventory_policy", "What a low stock does to its place in emails: 0, 1 or 2."),
        double("inventory_quantity", "How many are in stock."),
        double("price", "Price, in the currency of the account."),
        boolean("published", "Whether the variant is for sale."),
        text("sku", "Stock keeping unit."),
        text("title", "Name of the variant."),
        timestamp("updated", "When the variant last changed."),
        text("url", "Its page in the shop."),
    ),
    primary_key=("id",),
    foreign_keys=references(item_id="catalog_item"),
)

CATALOG_CATEGORY = Table(
    name="catalog_category",
    family=Family("catalog_categories", ("catalogs:read",)),
    cadence=DAILY,
    optional=True,
    description="The categories of the catalog.",
    columns=(
        text("id", "The category's id: integration, catalog and external id."),
        text("external_id", "Its id in the shop."),
        text("name", "Name of the category."),
        timestamp("updated", "When the category last changed."),
    ),
    primary_key=("id",),
)

TABLES = (CATALOG_ITEM, CATALOG_VARIANT, CATALOG_CATEGORY)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of CATALOG_ITEM and CATALOG_VARIANT on a page of items with their variants."""
    catalog_items = resources(document)
    variants = linked(document, "variants", "catalog-variant")
    owners = {variant: item["id"] for item in catalog_items for variant in related_ids(item, "variants")}
    found = (
        row_of(variant, CATALOG_VARIANT.types) | {"item_id": owners.get(key) or related_id(variant, "item")}
        for key, variant in variants.items()
    )
    return {
        "catalog_item": latest((row_of(item, CATALOG_ITEM.types) for item in described(document)), "id"),
        "catalog_variant": latest(found, "id"),
    }


def categories(document: Mapping[str, Any]) -> Rows:
    """Return the rows of CATALOG_CATEGORY on a page of categories."""
    found = (row_of(category, CATALOG_CATEGORY.types) for category in described(document))
    return {"catalog_category": latest(found, "id")}
