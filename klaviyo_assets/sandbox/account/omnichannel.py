"""The campaigns of an account as revision 2026-10-15 of the API shows them, whatever they were made with.

There a campaign has audiences, an audience messages, and a message variations, each for a channel. A campaign of the
new builder is stored as such, in `canvas-campaign`, `canvas-audience`, `canvas-message`, `canvas-variation`: earlier
revisions do not show it. One of the old builder is stored as `campaign`, as they do show it, and becomes a campaign
with one audience, and one variation of each of its messages. Campaigns and messages keep their ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from klaviyo_assets.sandbox.account.store import Resource, Store

CANVAS = "canvas-"
"""How the types begin in which campaigns of the new builder are stored."""

SHARED = ("account", "tag", "tag-group", "template", "image", "translation")
"""Types that campaigns refer to, which all revisions show alike."""

STATUSES = {
    "Adding Recipients": "sending",
    "Preparing to send": "sending",
    "Preparing to schedule": "scheduled",
    "Queued without Recipients": "scheduled",
    "Sending Segments": "sending",
    "Unknown": "draft",
    "Variations Sent": "sending",
}
"""Earlier statuses that are other words now; `Cancelled: ...` is cancelled, the others are in lower case."""

STRATEGIES = {
    "ab_test_campaign": "content_variation",
    "immediate": "static",
    "smart_send_time": "send_time_optimization",
    "unsupported": "static",
}
LOCAL = {"static": "local_timezone", "content_variation": "content_variation_local_timezone"}
CHANNELS = {"mobile_push": "push"}
DETAILS = {
    "email": ("from_label", "from_email", "reply_to_email", "cc_email", "bcc_email", "subject", "preview_text"),
    "sms": ("body",),
    "push": ("title", "body"),
}
RENDER_OPTIONS = ("shorten_links", "add_org_prefix", "add_info_link", "add_opt_out_language", "include_contact_card")


class Omnichannel:
    """Shows the campaigns of an account in a store of its own, which is made anew when one of them has changed."""

    def __init__(self, account: Store) -> None:
        self._account = account
        self._made: tuple[object, Store] | None = None

    def store(self) -> Store:
        """The same store as long as nothing changes."""
        types = ("campaign", "campaign-message", *SHARED, *(CANVAS + name for name in _CANVAS))
        versions = [self._account.versions[type] for type in types]
        if self._made is None or self._made[0] != versions:
            self._made = versions, omnichannel(self._account)
        return self._made[1]


_CANVAS = {
    "campaign": {"tags": "tags"},
    "audience": {"canvas-campaign": "campaign"},
    "message": {"canvas-campaign": "campaign", "canvas-audience": "campaign-audience", "tags": "tags"},
    "variation": {
        "canvas-message": "campaign-message",
        "template": "template",
        "image": "image",
        "translation": "translation",
    },
}
"""Stored type without its prefix -> its relationships, as stored and as shown."""


def omnichannel(account: Store) -> Store:
    """The campaigns of an account, with what they refer to, in a new store."""
    store = Store(account.clock)
    for type in SHARED:
        for each in account.all(type):
            store.add(Resource(type, each.id, each.attributes))
    for campaign in account.all("campaign"):
        for resource in _single_channel(account, campaign):
            store.add(resource)
    for name, relationships in _CANVAS.items():
        type = name if name == "campaign" else f"campaign-{name}"
        for each in account.all(CANVAS + name):
            links = {shown: each.relationships.get(stored) for stored, shown in relationships.items()}
            store.add(Resource(type, each.id, each.attributes, links))
    return store


def _single_channel(account: Store, campaign: Resource) -> Iterator[Resource]:
    """A campaign of the old builder, its audience, its messages and their variations."""
    a = campaign.attributes
    strategy = _object(a.get("send_strategy"))
    options = _object(strategy.get("options"))
    settings = {
        "send_timezone": "UTC",
        "send_strategy": STRATEGIES.get(strategy.get("method", ""), strategy.get("method")),
        "send_passed_rltz_immediately": options.get("send_past_recipients_immediately"),
        "exit_condition_enabled": False,
        "exit_condition_conversion_metric_id": None,
    }
    definition = {
        "name": a.get("name"),
        "builder": "wizard",
        "archived": a.get("archived"),
        "color": None,
        "description": None,
        "send_settings": settings,
    }
    tags: list[str] | None = account.related("campaign", campaign.id, "tags")
    yield Resource(
        "campaign",
        campaign.id,
        {"created_at": a.get("created_at"), "updated_at": a.get("updated_at"), "definition": definition},
        {"tags": tags},
    )
    audience = _derived_id("audience", campaign.id)
    groups = _object(a.get("audiences"))
    sides = {side: groups.get(side) for side in ("included", "excluded")}
    created = a.get("created_at")
    yield Resource(
        "campaign-audience",
        audience,
        {"created": created, "updated": created, "definition": {"name": "Audience 1", **sides, "priority": 1}},
        {"campaign": campaign.id},
    )
    for id in account.related("campaign", campaign.id, "campaign-messages"):
        message = account.get("campaign-message", id)
        if message is not None:
            yield from _message(campaign, strategy, message, audience)


def _message(campaign: Resource, strategy: dict[str, Any], message: Resource, audience: str) -> Iterator[Resource]:
    a, definition = message.attributes, _object(message.attributes.get("definition"))
    stamps = {name: a.get(f"{name}_at") for name in ("created", "updated")}
    tracking = campaign.attributes.get("tracking_options")
    send_options = _object(campaign.attributes.get("send_options"))
    times = a.get("send_times") or []
    method = STRATEGIES.get(strategy.get("method", ""), strategy.get("method"))
    if _object(strategy.get("options")).get("is_local"):
        method = LOCAL.get(str(method), method)
    date = strategy.get("date")
    # The schedule of what was not sent yet is in the campaign.
    send_time = (
        times[0]["datetime"] if times else strategy.get("datetime") or (f"{date}T00:00:00+00:00" if date else None)
    )
    shown = {
        "name": definition.get("label") or campaign.attributes.get("name"),
        "status": _status(campaign.attributes.get("status")),
        "tracking_options": tracking
        and {
            "is_add_utm": _object(tracking).get("add_tracking_params"),
            "is_tracking_clicks": _object(tracking).get("is_tracking_clicks"),
            "is_tracking_opens": _object(tracking).get("is_tracking_opens"),
            "tracking_params": _object(tracking).get("custom_tracking_params"),
        },
        "send_options": {
            "send_time": send_time,
            "send_times": None,
            "send_strategy": method,
            "recipient_percentage": strategy.get("throttle_percentage"),
            "throttling_type": "throttle-for-campaigns" if send_options.get("use_smart_sending") else "none",
            "throttle_unit": "hour" if method == "throttled" else None,
            "is_ignoring_unsubscribes": send_options.get("ignore_unsubscribes"),
        },
        "ab_test": None,
    }
    links: dict[str, str | list[str] | None] = {"campaign": campaign.id, "campaign-audience": audience}
    links |= {name: message.relationships.get(name) for name in ("template", "image")}
    yield Resource("campaign-message", message.id, {**stamps, "definition": shown}, links)
    channel = CHANNELS.get(definition.get("channel", ""), definition.get("channel"))
    yield Resource(
        "campaign-variation",
        _derived_id("variation", message.id),
        {**stamps, "definition": {"name": shown["name"], "details": _details(str(channel), definition, message)}},
        {"campaign-message": message.id, "image": message.relationships.get("image")},
    )


def _details(channel: str, definition: dict[str, Any], message: Resource) -> dict[str, Any]:
    content, options = _object(definition.get("content")), _object(definition.get("render_options"))
    found: dict[str, Any] = {"channel": channel} | {name: content.get(name) or "" for name in DETAILS.get(channel, ())}
    if channel in ("email", "sms"):
        found["template_id"] = message.relationships.get("template")
    if channel == "sms":
        found |= {name: options.get(name) for name in RENDER_OPTIONS}
        found |= {"text_message_type": "MMS" if content.get("media_url") else "SMS", "cost": None}
    if channel == "push":
        found |= {"push_type": definition.get("notification_type"), "kv_pairs": definition.get("kv_pairs")}
        found |= {"sound": bool(_object(definition.get("options")).get("play_sound")), "action_buttons": None}
    return found


def _status(status: Any) -> Any:
    if not isinstance(status, str):
        return status
    return "cancelled" if status.startswith("Cancelled") else STATUSES.get(status, status.lower())


def _derived_id(kind: str, id: str) -> str:
    return hashlib.md5(f"{kind} {id}".encode(), usedforsecurity=False).hexdigest()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
