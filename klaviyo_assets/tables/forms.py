"""FORM from `GET /forms`, FORM_VERSION from `GET /forms/{id}/form-versions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, related_id, row_of
from klaviyo_assets.tables.table import DAILY, Family, Table, boolean, references, text, timestamp

FORM = Table(
    name="form",
    family=Family("forms", ("forms:read",)),
    cadence=DAILY,
    description="Sign-up forms.",
    columns=(
        text("id", "The form's id."),
        boolean("ab_test", "Whether versions of the form are tested against each other."),
        timestamp("created_at", "When the form was created."),
        text("name", "Name of the form."),
        text("status", "draft or live."),
        timestamp("updated_at", "When the form last changed."),
    ),
    primary_key=("id",),
)

FORM_VERSION = Table(
    name="form_version",
    family=Family("form_versions", ("forms:read",)),
    cadence=DAILY,
    description="The versions of each form.",
    columns=(
        text("id", "The version's id."),
        text("form_id", "The form it belongs to."),
        text("ab_test_variation_name", "Name of the variation in a test."),
        timestamp("created_at", "When the version was created."),
        text("form_type", "popup, embed, flyout, full_page or banner."),
        text("status", "draft or live."),
        timestamp("updated_at", "When the version last changed."),
    ),
    primary_key=("id",),
    foreign_keys=references(form_id="form"),
)

TABLES = (FORM, FORM_VERSION)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of FORM on a page of forms."""
    return {"form": latest((row_of(form, FORM.types) for form in described(document)), "id")}


def versions(document: Mapping[str, Any], form_id: str | None = None) -> Rows:
    """Return the rows of FORM_VERSION on a page of one form's versions.

    form_id: the form that was asked, for pages that do not name it.
    """
    paths = {"ab_test_variation_name": "ab_test.variation_name"}
    found = (
        row_of(version, FORM_VERSION.types, paths) | {"form_id": related_id(version, "form") or form_id}
        for version in described(document)
    )
    return {"form_version": latest(found, "id")}
