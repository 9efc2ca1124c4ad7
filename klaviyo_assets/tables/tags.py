"""TAGS from `GET /tags?include=tag-group`, TAG_GROUP from `GET /tag-groups`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, related_id, row_of
from klaviyo_assets.tables.table import Family, Table, boolean, references, text

TAGS = Table(
    name="tags",
    family=Family("tags", ("tags:read",)),
    description="Tags that campaigns, flows, lists and segments can carry.",
    columns=(
        text("id", "The tag's id."),
        text("tag_group_id", "The group it belongs to."),
        text("name", "Name of the tag."),
    ),
    primary_key=("id",),
    foreign_keys=references(tag_group_id="tag_group"),
)

TAG_GROUP = Table(
    name="tag_group",
    family=Family("tag_groups", ("tags:read",)),
    description="Groups of tags.",
    columns=(
        text("id", "The group's id."),
        boolean("default", "Whether it is the group that every account has."),
        boolean("exclusive", "Whether a thing can carry only one of the group's tags."),
        text("name", "Name of the group."),
    ),
    primary_key=("id",),
)

TABLES = (TAGS, TAG_GROUP)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of TAGS on a page of tags."""
    found = (row_of(tag, TAGS.types) | {"tag_group_id": related_id(tag, "tag-group")} for tag in described(document))
    return {"tags": latest(found, "id")}


def groups(document: Mapping[str, Any]) -> Rows:
    """Return the rows of TAG_GROUP on a page of tag groups."""
    return {"tag_group": latest((row_of(group, TAG_GROUP.types) for group in described(document)), "id")}
