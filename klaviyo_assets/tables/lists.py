"""LIST and LIST_TAG from `GET /lists?include=tags`, LIST_PERSON from `GET /lists/{id}/profiles`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, attributes, described, latest, related_ids, resources, row_of
from klaviyo_assets.tables.table import WEEKLY, Family, Table, references, text, timestamp

LIST = Table(
    name="list",
    family=Family("lists", ("lists:read", "tags:read")),
    description="The lists that profiles are subscribed or added to.",
    columns=(
        text("id", "The list's id."),
        timestamp("created", "When the list was created."),
        text("list_name", "Name of the list."),
        timestamp("updated", "When the list last changed; members coming and going do not count."),
    ),
    primary_key=("id",),
)

LIST_TAG = Table(
    name="list_tag",
    family=LIST.family,
    description="Which list carries which tag.",
    columns=(text("list_id", "The list."), text("tag_id", "The tag.")),
    primary_key=("list_id", "tag_id"),
    foreign_keys=references(list_id="list", tag_id="tags"),
)

LIST_PERSON = Table(
    name="list_person",
    family=Family("list_members", ("lists:read", "profiles:read")),
    cadence=WEEKLY,
    description="The members of each list.",
    columns=(
        text("list_id", "The list."),
        text("person_id", "The member."),
        timestamp("joined_group_at", "When the profile joined the list."),
    ),
    primary_key=("list_id", "person_id"),
    foreign_keys=references(list_id="list", person_id="person"),
)

TABLES = (LIST, LIST_TAG, LIST_PERSON)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of LIST and LIST_TAG on a page of lists with their tags."""
    lists = resources(document)
    tags = ({"list_id": item["id"], "tag_id": tag} for item in lists for tag in related_ids(item, "tags"))
    return {
        "list": latest((row_of(item, LIST.types, {"list_name": "name"}) for item in described(document)), "id"),
        "list_tag": latest(tags, "list_id", "tag_id"),
    }


def members(document: Mapping[str, Any], list_id: str) -> Rows:
    """Return the rows of LIST_PERSON on a page of one list's profiles."""
    found = (
        {
            "list_id": list_id,
            "person_id": profile.get("id"),
            "joined_group_at": attributes(profile).get("joined_group_at"),
        }
        for profile in described(document)
    )
    return {"list_person": latest(found, "list_id", "person_id")}
