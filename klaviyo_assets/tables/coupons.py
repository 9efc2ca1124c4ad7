"""COUPON from `GET /coupons`, COUPON_CODE from `GET /coupon-codes?filter=any(coupon.id,[…])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, related_id, row_of
from klaviyo_assets.tables.table import Family, Table, json, references, text, timestamp

COUPON = Table(
    name="coupon",
    family=Family("coupons", ("coupons:read",)),
    description="Coupons, each with any number of codes.",
    columns=(
        text("id", "The coupon's id."),
        text("description", "What the coupon is for."),
        text("external_id", "Its id in the shop."),
        json("assigner_configuration", "When a person who has a code already gets another one."),
    ),
    primary_key=("id",),
)

COUPON_CODE = Table(
    name="coupon_code",
    family=Family("coupon_codes", ("coupon-codes:read", "coupons:read")),
    description="The codes of coupons, each for one person.",
    columns=(
        text("id", "The code's id: the coupon's id and the code."),
        text("coupon_id", "The coupon it belongs to."),
        text("person_id", "The profile that got the code."),
        timestamp("expires_at", "When the code stops being valid."),
        text("status", "UNASSIGNED, ASSIGNED_TO_PROFILE, USED and others."),
        text("unique_code", "The code itself."),
    ),
    primary_key=("id",),
    foreign_keys=references(coupon_id="coupon", person_id="person"),
)

LATER = {"coupon": ("assigner_configuration",)}
"""Table -> its columns that no answer of revision 2026-07-15 fills."""

TABLES = (COUPON, COUPON_CODE)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of COUPON on a page of coupons."""
    return {"coupon": latest((row_of(coupon, COUPON.types) for coupon in described(document)), "id")}


def codes(document: Mapping[str, Any]) -> Rows:
    """Return the rows of COUPON_CODE on a page of coupon codes."""
    found = (
        row_of(code, COUPON_CODE.types)
        | {"coupon_id": related_id(code, "coupon"), "person_id": related_id(code, "profile")}
        for code in described(document)
    )
    return {"coupon_code": latest(found, "id")}
