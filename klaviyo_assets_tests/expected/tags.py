"""TAGS, TAG_GROUP, and what is tagged with what."""

from __future__ import annotations

from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.sandbox.account.omnichannel import omnichannel
from klaviyo_assets.sandbox.account.store import Store
from klaviyo_assets_tests.expected.rows import Expected, keyed, resources, same_names


def tags(account: Account) -> Expected:
    return resources(account, "tag", {"name": "name"}, tag_group_id="tag-group")


def tag_group(account: Account) -> Expected:
    return resources(account, "tag-group", same_names("default exclusive name"))


def tagged(account: Store, type: str) -> Expected:
    rows = [
        {f"{type}_id": each.id, "tag_id": tag}
        for each in account.all(type)
        for tag in account.related(type, each.id, "tags")
    ]
    return keyed(rows, f"{type}_id", "tag_id")


def campaign_tag(account: Account) -> Expected:
    return tagged(omnichannel(account), "campaign")


def flow_tag(account: Account) -> Expected:
    return tagged(account, "flow")


def list_tag(account: Account) -> Expected:
    return tagged(account, "list")


def segment_tag(account: Account) -> Expected:
    return tagged(account, "segment")
