"""GLOBAL_EXCLUSION and LIST_EXCLUSION, from the `subscriptions` of profiles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from klaviyo_assets.tables.documents import Row, Rows, attributes, instant, items, latest, mapping, resources
from klaviyo_assets.tables.table import Table, references, text, timestamp

GLOBAL_EXCLUSION = Table(
    name="global_exclusion",
    family="profiles",
    description="Profiles that get no marketing email at all, and why.",
    columns=(
        text("person_id", "The profile."),
        text("reason", "HARD_BOUNCE, INVALID_EMAIL, SPAM_COMPLAINT, UNSUBSCRIBE or USER_SUPPRESSED."),
        timestamp("timestamp", "Since when."),
    ),
    primary_key=("person_id",),
    foreign_keys=references(person_id="person"),
)

LIST_EXCLUSION = Table(
    name="list_exclusion",
    family="profiles",
    description="Profiles that get no marketing email of a list, and why.",
    columns=(
        text("id", "The profile."),
        text("list_id", "The list."),
        timestamp("created", "Since when."),
        text("reason", "Why, UNSUBSCRIBE for example."),
    ),
    primary_key=("id", "list_id"),
    foreign_keys=references(id="person", list_id="list", nominal=["list_id"]),
)

TABLES = (GLOBAL_EXCLUSION, LIST_EXCLUSION)

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


def rows(document: Mapping[str, Any]) -> Rows:
    """Return the rows of both tables on a page of profiles with `subscriptions`; the latest entry of a key counts.

    A profile of the page without rows has no exclusions any more.
    """
    everywhere: list[Row] = []
    of_lists: list[Row] = []
    for profile in resources(document):
        person = profile.get("id")
        email = mapping(mapping(attributes(profile).get("subscriptions")).get("email"))
        marketing = mapping(email.get("marketing"))
        everywhere.extend(
            {"person_id": person, "reason": item.get("reason"), "timestamp": item.get("timestamp")}
            for item in items(marketing.get("suppression"))
        )
        of_lists.extend(
            {
                "id": person,
                "list_id": item.get("list_id"),
                "created": item.get("timestamp"),
                "reason": item.get("reason"),
            }
            for item in items(marketing.get("list_suppressions"))
        )
    return {
        "global_exclusion": latest(everywhere, "person_id", by=lambda row: _time(row["timestamp"])),
        "list_exclusion": latest(of_lists, "id", "list_id", by=lambda row: _time(row["created"])),
    }


def _time(value: str | None) -> dt.datetime:
    return instant(value) if value else _LONG_AGO
