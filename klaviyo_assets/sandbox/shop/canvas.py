"""Campaigns of the new builder: several audiences, messages for each of them, and variations of these."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.account import format_datetime
from klaviyo_assets.sandbox.shop.campaigns import add_template
from klaviyo_assets.sandbox.shop.shop import SENDER, URL, Shop
from klaviyo_assets.sandbox.shop.words import SEASONS, SUBJECTS, THEMES

STRATEGIES = (
    "static",
    "local_timezone",
    "throttled",
    "send_time_optimization",
    "personalized_send_time_optimization",
    "content_variation",
    "content_variation_local_timezone",
    "ab_send_time_test",
    "variation_per_second_throttled",
)
STATUSES = ("sent", "scheduled", "draft", "sending", "cancelled")
CHANNELS = ("email", "sms", "push", "whatsapp")
TESTS = ("content_variation", "content_variation_local_timezone", "ab_send_time_test")
METRICS = ("opens_unique", "clicks_unique", "placed_orders_unique")


def add_canvas_campaigns(shop: Shop, groups: Sequence[str], tags: Sequence[str]) -> None:
    """Add a campaign for each send strategy. Nobody got them yet: there are no events of theirs."""
    for number, strategy in enumerate(STRATEGIES):
        created = shop.now - timedelta(days=20 + number, microseconds=number * 977 + 64_797)
        id = shop.ulid(created)
        definition = {
            "name": f"{SEASONS[number % len(SEASONS)]} {THEMES[number % len(THEMES)]} everywhere {number}",
            "builder": "canvas",
            "archived": number == 4,
            "color": "ff5733" if number % 2 else None,
            "description": None if number % 3 else "On every channel",
            "send_settings": {
                "send_timezone": "UTC",
                "send_strategy": strategy,
                "send_passed_rltz_immediately": number % 2 == 1,
                "exit_condition_enabled": False,
                "exit_condition_conversion_metric_id": None,
            },
        }
        attributes = {
            "created_at": format_datetime(created, "campaign"),
            "updated_at": format_datetime(created + timedelta(days=1), "campaign"),
            "definition": definition,
        }
        shop.add("canvas-campaign", id, attributes, tags=list(tags[: number % 3]))
        for place in range(1 + number % 3):
            _add_audience(shop, id, number, place, strategy, created, groups)


def _add_audience(
    shop: Shop, campaign: str, number: int, place: int, strategy: str, created: datetime, groups: Sequence[str]
) -> None:
    id = shop.ulid(created)
    included, excluded = groups[(number + place) % len(groups)], groups[(number + 2 * place + 3) % len(groups)]
    definition = {
        "name": f"Audience {place + 1}",
        "included": [included],
        "excluded": [excluded] if place else [],
        "priority": place + 1,
    }
    attributes = {**shop.stamps(created, created + timedelta(hours=1)), "definition": definition}
    shop.add("canvas-audience", id, attributes, canvas_campaign=campaign)
    for step in range(1 + number % 2):
        _add_message(shop, campaign, id, number + place + step, strategy, created + timedelta(minutes=place + step))


def _add_message(shop: Shop, campaign: str, audience: str, number: int, strategy: str, created: datetime) -> None:
    id = shop.ulid(created)
    status = STATUSES[number % len(STATUSES)]
    sent_at = (created + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
    variations = [shop.ulid(created + timedelta(seconds=n)) for n in range(2 if strategy in TESTS else 1)]
    per_variation = strategy in ("ab_send_time_test", "send_time_optimization")
    times = {each: format_datetime(sent_at + timedelta(hours=n)) for n, each in enumerate(variations)}
    test = {"winner_metric": METRICS[number % 3], "winner_percentage": 60, "winner_wait_hours": 4}
    params = [
        {"type": "dynamic", "value": "campaign_name", "name": "utm_campaign"},
        {"type": "static", "value": "klaviyo", "name": "utm_source"},
    ]
    definition = {
        "name": f"Message {number}",
        "status": status,
        "tracking_options": {
            "is_add_utm": number % 2 == 0,
            "is_tracking_clicks": True,
            "is_tracking_opens": number % 3 != 0,
            "tracking_params": params[: number % 3],
        },
        "send_options": {
            "send_time": None if status == "draft" else format_datetime(sent_at),
            "send_times": times if per_variation and status != "draft" else None,
            "send_strategy": strategy,
            "recipient_percentage": 25 if strategy == "throttled" else None,
            "throttling_type": "throttle-for-campaigns" if number % 2 else "none",
            "throttle_unit": "hour" if strategy == "throttled" else None,
            "is_ignoring_unsubscribes": number % 5 == 3,
        },
        "ab_test": test if strategy in TESTS else None,
    }
    stamps = shop.stamps(created, created + timedelta(hours=2), type="canvas-message")
    links = {"canvas_campaign": campaign, "canvas_audience": audience}
    shop.add("canvas-message", id, {**stamps, "definition": definition}, **links)
    for place, variation in enumerate(variations):
        channel = CHANNELS[number % len(CHANNELS)]
        name = f"Variation {'AB'[place]}"
        template = add_template(shop, f"Message {number} {name}", created) if channel == "email" else None
        details = _details(channel, SUBJECTS[(number + place) % len(SUBJECTS)], template, number)
        attributes = {**stamps, "definition": {"name": name, "details": details}}
        shop.add("canvas-variation", variation, attributes, canvas_message=id, template=template)


def _details(channel: str, subject: str, template: str | None, number: int) -> dict[str, Any]:
    if channel == "email":
        content = {"subject": subject, "preview_text": "Fresh harvest", "reply_to_email": "", "cc_email": ""}
        return {"channel": channel, "template_id": template, **SENDER, **content, "bcc_email": ""}
    if channel == "sms":
        options = {"shorten_links": True, "include_contact_card": number % 3 == 0, "add_org_prefix": True}
        return {
            "channel": channel,
            "template_id": None,
            "cost": 0.0125,
            "body": f"{subject} {URL}",
            **options,
            "add_info_link": False,
            "add_opt_out_language": True,
            "text_message_type": "SMS",
        }
    if channel == "push":
        return {"channel": channel, "title": "Acme Tea", "body": subject, "badge": False, "sound": True,
                "push_type": "standard", "kv_pairs": {"screen": "sale"}, "action_buttons": None}  # fmt: skip
    return {"channel": channel, "template_id": "wa_template_1", "shorten_links": True}
