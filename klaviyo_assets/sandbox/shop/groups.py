"""Lists, segments and tags of the simulated account, and who is a member of what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.account import format_datetime
from klaviyo_assets.sandbox.shop.shop import Shop

LISTS = {
    "Newsletter": 0.7, "VIP Club": 0.05, "Text Messages": 0.2, "Back in Stock": 0.03, "Wholesale": 0.01,
    "Tea School": 0.1, "Preview List": 0.002, "Imported 2021": 0.15, "Giveaway “Spring”": 0.08, "Nobody yet": 0.0,
    "Popup EU": 0.12, "Referrals": 0.04,
}  # fmt: skip
SEGMENTS = {
    "Engaged (30 days)": 0.4, "Engaged (90 days)": 0.6, "VIP": 0.05, "Lapsed customers": 0.2, "Never purchased": 0.3,
    "Big spenders": 0.04, "Boston": 0.1, "Churn risk": 0.15, "Text message subscribers": 0.2, "Unengaged": 0.1,
    "New this month": 0.08, "Everyone": 1.0, "Nobody": 0.0,
}  # fmt: skip
TAGS = {
    "Ungrouped Tags": ("seasonal", "test", "💌 love", 'quotes " and \\'),
    "Season": ("spring", "summer", "autumn", "winter"),
    "Team": ("growth", "retention", "content"),
    "Empty group": (),
}


def add_tags(shop: Shop) -> list[str]:
    """Add tag groups and their tags; returns the tags' ids."""
    ids = []
    for group, names in TAGS.items():
        group_id = shop.uuid()
        attributes = {"name": group, "exclusive": group == "Season", "default": group == "Ungrouped Tags"}
        shop.add("tag-group", group_id, attributes)
        for name in names:
            ids.append(shop.uuid())
            shop.add("tag", ids[-1], {"name": name}, tag_group=group_id)
    return ids


def add_lists_and_segments(
    shop: Shop, metrics: dict[str, str | None], tags: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Add lists and segments with their members; returns the ids of lists and of segments by name."""
    profiles = [
        (profile.id, datetime.fromisoformat(profile.attributes["created"])) for profile in shop.account.all("profile")
    ]
    old = shop.start - timedelta(days=700)
    lists: dict[str, str] = {}
    for number, (name, share) in enumerate(LISTS.items()):
        id = lists[name] = shop.short_id()
        process = "double_opt_in" if number % 2 else "single_opt_in"
        stamps = shop.stamps(old + timedelta(days=30 * number))
        shop.add(
            "list", id, {"name": name, **stamps, "opt_in_process": process}, tags=tags[number % 5 : number % 3 + 2]
        )
        _add_members(shop, id, profiles, share)

    segments: dict[str, str] = {}
    for number, (name, share) in enumerate(SEGMENTS.items()):
        id = segments[name] = shop.short_id()
        attributes = {
            "name": name,
            "definition": _definition(number, metrics["Placed Order"], lists["Newsletter"]),
            **shop.stamps(old + timedelta(days=30 * number)),
            "is_active": name != "Nobody",
            "is_processing": name == "New this month",
            "is_starred": number == 2,
        }
        shop.add("segment", id, attributes, tags=tags[number % 4 : number % 4 + number % 2])
        _add_members(shop, id, profiles, share)

    for profile in shop.account.all("profile"):
        if shop.chance(0.03):
            entry = {"list_id": lists["Newsletter"], "reason": "UNSUBSCRIBE"}
            timestamp = format_datetime(shop.moment(shop.start, shop.now), microseconds=True)
            marketing = profile.attributes["subscriptions"]["email"]["marketing"]
            marketing["list_suppressions"] = [{**entry, "timestamp": timestamp}]
            if shop.chance(0.2):
                other = {"list_id": lists["Popup EU"], "reason": "manual_remove", "timestamp": timestamp}
                marketing["list_suppressions"].append(other)
    return lists, segments


def _add_members(shop: Shop, group: str, profiles: list[tuple[str, datetime]], share: float) -> None:
    for profile, created in profiles:
        if shop.chance(share):
            shop.account.join(group, profile, shop.moment(created, shop.now).replace(microsecond=0))


def _definition(number: int, order_metric: str | None, list_id: str) -> dict[str, Any]:
    """Conditions of the kinds that segments use most."""
    bought = {
        "type": "profile-metric",
        "metric_id": order_metric,
        "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": number},
        "timeframe_filter": {"type": "date", "operator": "alltime"},
        "metric_filters": None,
    }
    member = {"type": "profile-group-membership", "is_member": True, "group_ids": [list_id], "timeframe_filter": None}
    lives = {
        "type": "profile-property",
        "property": "properties['Favourite Tea']",
        "filter": {"type": "string", "operator": "equals", "value": "green"},
    }
    conditions = ([bought], [member], [lives], [bought, member])[number % 4]
    return {"condition_groups": [{"conditions": conditions}, *([{"conditions": [lives]}] if number % 3 == 0 else [])]}
