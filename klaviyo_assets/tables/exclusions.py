"""GLOBAL_EXCLUSION and LIST_EXCLUSION, from the `subscriptions` of profiles."""

from __future__ import annotations

import datetime as dt
from typing import Any

from klaviyo_assets.schema.lost import note
from klaviyo_assets.tables import profiles
from klaviyo_assets.tables.jsonapi import Row, Rows, instant_or_none, items, latest
from klaviyo_assets.tables.table import Table, references, text, timestamp

GLOBAL_EXCLUSION = Table(
    name="global_exclusion",
    family=profiles.PERSON.family,
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
    family=profiles.PERSON.family,
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


def rows(page: profiles.ProfilePage) -> Rows:
    """Return the rows of both tables on a page of profiles with `subscriptions`; the latest entry of a key counts.

    A profile of the page without rows has no exclusions any more, unless it is `unread`.
    """
    everywhere: list[Row] = []
    of_lists: list[Row] = []

    def entries(person: str, marketing: Row, name: str) -> list[Row]:
        given = marketing.get(name)
        found = items(given)
        if given is not None and (not isinstance(given, list) or len(found) < len(given)):
            note(person, f"{profiles.SUBSCRIPTIONS}.email.marketing.{name}")
            page.unread.add(person)
        return found

    for person, marketing in page.marketing:
        everywhere.extend(
            {"person_id": person, "reason": item.get("reason"), "timestamp": item.get("timestamp")}
            for item in entries(person, marketing, "suppression")
        )
        of_lists.extend(
            {
                "id": person,
                "list_id": item.get("list_id"),
                "created": item.get("timestamp"),
                "reason": item.get("reason"),
            }
            for item in entries(person, marketing, "list_suppressions")
        )
    return {
        "global_exclusion": latest(everywhere, "person_id", by=lambda row: _time(row["timestamp"])),
        "list_exclusion": latest(of_lists, "id", "list_id", by=lambda row: _time(row["created"])),
    }


def _time(value: Any) -> dt.datetime:
    return instant_or_none(value) or _LONG_AGO
