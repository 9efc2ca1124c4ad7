"""EMAIL_TEMPLATE from `GET /templates`, UNIVERSAL_CONTENT from `GET /template-universal-content`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, row_of
from klaviyo_assets.tables.table import DAILY, Family, Table, json, text, timestamp

EMAIL_TEMPLATE = Table(
    name="email_template",
    family=Family("templates", ("templates:read",)),
    description="The templates of the library. Campaigns and flows use copies, which are not among them.",
    columns=(
        text("id", "The template's id."),
        timestamp("created", "When the template was created."),
        text("editor_type", "The editor it was made with: SYSTEM_DRAGGABLE, CODE, SIMPLE and others."),
        text("html", "The template as HTML."),
        text("name", "Name of the template."),
        text("text", "The template as plain text."),
        timestamp("updated", "When the template last changed."),
        text("screenshot_url", "Address of a picture of it, for 24 hours."),
    ),
    primary_key=("id",),
)

UNIVERSAL_CONTENT = Table(
    name="universal_content",
    family=Family("universal_content", ("templates:read",)),
    cadence=DAILY,
    optional=True,
    description="Blocks and sections that several templates share.",
    columns=(
        text("id", "The content's id."),
        timestamp("created", "When it was created."),
        json("definition", "What it is made of."),
        text("name", "Its name."),
        text("screenshot_status", "Whether the picture is ready: completed, generating, stale and others."),
        text("screenshot_url", "Address of a picture of it."),
        timestamp("updated", "When it last changed."),
    ),
    primary_key=("id",),
)

LATER = {"email_template": ("screenshot_url",)}
"""Table -> its columns that no answer of revision 2026-07-15 fills."""

TABLES = (EMAIL_TEMPLATE, UNIVERSAL_CONTENT)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of EMAIL_TEMPLATE on a page of templates."""
    found = (row_of(template, EMAIL_TEMPLATE.types) for template in described(document))
    return {"email_template": latest(found, "id")}


def universal_content(document: Mapping[str, Any]) -> Rows:
    """Return the rows of UNIVERSAL_CONTENT on a page of universal content."""
    found = (row_of(item, UNIVERSAL_CONTENT.types) for item in described(document))
    return {"universal_content": latest(found, "id")}
