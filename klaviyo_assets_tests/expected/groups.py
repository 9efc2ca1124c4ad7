"""LIST and SEGMENT, and who is a member."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets_tests.expected.rows import Expected, keyed, resources, same_names


def list_(account: Account) -> Expected:
    return resources(account, "list", {"list_name": "name", **same_names("created updated")})


def list_person(account: Account) -> Expected:
    # The API tells the second of joining, not its fraction.
    rows = [
        {"list_id": group.id, "person_id": profile, "joined_group_at": joined.replace(microsecond=0)}
        for group in account.all("list")
        for profile, joined in account.memberships[group.id].items()
    ]
    return keyed(rows, "list_id", "person_id")


def segment(account: Account) -> Expected:
    return resources(account, "segment", same_names("created definition name updated"))


def segment_person(account: Account) -> Expected:
    rows = [
        {"segment_id": group.id, "person_id": profile}
        for group in account.all("segment")
        for profile in account.memberships[group.id]
    ]
    return keyed(rows, "person_id", "segment_id")
