"""SEGMENT and SEGMENT_TAG from `GET /segments?include=tags`, SEGMENT_PERSON from the profiles of a segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.jsonapi import Rows, described, latest, related_ids, resources, row_of
from klaviyo_assets.tables.table import WEEKLY, Family, Table, json, references, text, timestamp

SEGMENT = Table(
    name="segment",
    family=Family("segments", ("segments:read", "tags:read")),
    description="Segments: groups of profiles that meet a definition.",
    columns=(
        text("id", "The segment's id."),
        timestamp("created", "When the segment was created."),
        json("definition", "The conditions that a profile has to meet."),
        text("name", "Name of the segment."),
        timestamp("updated", "When the segment last changed; members coming and going do not count."),
    ),
    primary_key=("id",),
)

SEGMENT_TAG = Table(
    name="segment_tag",
    family=SEGMENT.family,
    description="Which segment carries which tag.",
    columns=(text("segment_id", "The segment."), text("tag_id", "The tag.")),
    primary_key=("segment_id", "tag_id"),
    foreign_keys=references(segment_id="segment", tag_id="tags"),
)

SEGMENT_PERSON = Table(
    name="segment_person",
    family=Family("segment_members", ("segments:read", "profiles:read")),
    cadence=WEEKLY,
    description="The members of each segment.",
    columns=(text("person_id", "The member."), text("segment_id", "The segment.")),
    primary_key=("person_id", "segment_id"),
    foreign_keys=references(person_id="person", segment_id="segment"),
)

TABLES = (SEGMENT, SEGMENT_TAG, SEGMENT_PERSON)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of SEGMENT and SEGMENT_TAG on a page of segments with their tags."""
    segments = resources(document)
    tags = ({"segment_id": item["id"], "tag_id": tag} for item in segments for tag in related_ids(item, "tags"))
    return {
        "segment": latest((row_of(item, SEGMENT.types) for item in described(document)), "id"),
        "segment_tag": latest(tags, "segment_id", "tag_id"),
    }


def members(document: Mapping[str, Any], segment_id: str) -> Rows:
    """Return the rows of SEGMENT_PERSON on a page of one segment's profiles (or profile ids)."""
    found = ({"person_id": profile.get("id"), "segment_id": segment_id} for profile in resources(document))
    return {"segment_person": latest(found, "person_id", "segment_id")}
