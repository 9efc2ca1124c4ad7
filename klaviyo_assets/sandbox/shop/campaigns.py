"""Templates and campaigns of the simulated account: three channels, old and new ids, in every state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from klaviyo_assets.sandbox.account import format_datetime
from klaviyo_assets.sandbox.shop.shop import SENDER, URL, Message, Shop
from klaviyo_assets.sandbox.shop.words import SEASONS, SUBJECTS, THEMES

UNSENT = (
    "Draft",
    "Draft",
    "Scheduled",
    "Cancelled",
    "Cancelled: Smart Sending",
    "Cancelled: No Recipients",
    "Queued without Recipients",
    "Preparing to send",
    "Unknown",
)
STRATEGIES = ("static", "throttled", "immediate", "smart_send_time", "static", "ab_test_campaign")
EDITORS = ("SYSTEM_DRAGGABLE", "USER_DRAGGABLE", "CODE", "SIMPLE")
DAYS_PER_CAMPAIGN = {"email": 3, "sms": 12, "mobile_push": 12}
"""How many days of the period it takes for one more campaign of a channel."""
BEFORE = {"email": 5, "sms": 0, "mobile_push": 0}
"""How many campaigns of a channel were sent before the period."""
BEFORE_A_QUARTER = {"email": 70, "sms": 14, "mobile_push": 8}
"""As many instead if the period is 90 days or more: then email campaigns fill more than a page of 100."""


def add_template(shop: Shop, name: str, created: datetime, editor_type: str = "CODE") -> str:
    """Add a template; returns its id."""
    id = shop.short_id()
    attributes = {
        "name": name,
        "editor_type": editor_type,
        "html": f"<html><body><h1>{name}</h1><a href='{URL}'>Shop</a>{{% unsubscribe %}}</body></html>",
        "text": f"{name}\n{URL}" if editor_type != "SYSTEM_DRAGGABLE" else None,
        "amp": None,
        **shop.stamps(created),
        # Klaviyo signs the address anew for each request.
        "screenshot_url": f"https://images.acme.example/{id}.png?signature={id}" if editor_type != "SIMPLE" else None,
    }
    shop.add("template", id, attributes)
    return id


def add_templates(shop: Shop, count: int = 24) -> list[str]:
    """Add the templates of the library; returns their ids."""
    names = [f"{SEASONS[n % len(SEASONS)]} template {n}" for n in range(count)]
    created = shop.start - timedelta(days=400)
    return [add_template(shop, name, created, EDITORS[n % len(EDITORS)]) for n, name in enumerate(names)]


def add_campaigns(shop: Shop, groups: Sequence[str], tags: Sequence[str]) -> list[Message]:
    """Add campaigns; returns the messages that were sent in the period, oldest first.

    Their number grows with the period, because each costs its reader a request of 150 a minute: in 60 days there are
    66 of them. `groups` are ids of lists and segments.
    """
    sent: list[Message] = []
    later = shop.now + timedelta(days=2)
    period = (shop.now - shop.start).days
    for channel, days in DAYS_PER_CAMPAIGN.items():
        recent = 1 + period // days
        before = (BEFORE_A_QUARTER if period >= 90 else BEFORE)[channel]
        for number in range(before):
            moment = shop.start - timedelta(days=1 + 1900 * (before - number) // before)
            _add_campaign(shop, channel, number, "Sent", moment, groups, tags)
        for number in range(recent):
            moment = shop.start + (shop.now - shop.start) * ((number + 0.5) / recent)
            moment = moment.replace(minute=30 * (number % 2), second=0, microsecond=0)
            sent += _add_campaign(shop, channel, before + number, "Sent", max(moment, shop.start), groups, tags)
        for number, status in enumerate(UNSENT):
            _add_campaign(shop, channel, before + recent + number, status, later, groups, tags)
    _add_campaign(shop, "email", 900, "Variations Sent", shop.now - timedelta(minutes=30), groups, tags)
    return sorted(sent, key=lambda message: message.sent_at or 0)


def deleted_campaign() -> Message:
    """A message of a campaign that was deleted: its events still name it, but have no `$message`."""
    properties = {"Campaign Name": "Deleted campaign", "Subject": SUBJECTS[0], "$ESP": 0}
    return Message(channel="email", properties=properties)


def old_campaign(shop: Shop) -> Message:
    """The message of a campaign from before 2023, which people still open: its id is that of the campaign."""
    campaigns = (c for c in shop.account.all("campaign") if len(c.id) == 6 and c.attributes["status"] == "Sent")
    campaign = next(campaigns, None)
    if campaign is None:
        return deleted_campaign()
    id, name = campaign.id, campaign.attributes["name"]
    return _message(shop, "email", id, id, id, name, SUBJECTS[1], None)


def _add_campaign(
    shop: Shop,
    channel: str,
    number: int,
    status: str,
    moment: datetime,
    groups: Sequence[str],
    tags: Sequence[str],
) -> list[Message]:
    """Add one campaign sent (or to be sent) at `moment` with its messages; returns these."""
    created = min(moment, shop.now) - timedelta(days=1 + number % 3, seconds=number, microseconds=number * 977 + 64_797)
    done = status in ("Sent", "Variations Sent")
    legacy = created.year < 2023 or (number < 5 and channel == "email")
    id = shop.short_id() if legacy else shop.ulid(created)
    method = STRATEGIES[number % len(STRATEGIES)] if not legacy else "static"
    if channel != "email" and method in ("smart_send_time", "ab_test_campaign"):
        method = "immediate"
    name = f"{SEASONS[number % len(SEASONS)]} {THEMES[number % len(THEMES)]} {moment:%Y-%m}"
    under_way = status not in ("Draft", "Unknown") and not status.startswith("Cancelled")
    scheduled = None if status == "Draft" else created + timedelta(hours=2, microseconds=number)
    finished = min(moment + timedelta(minutes=11, microseconds=400_312), shop.now) if done else created
    first, second, third = (groups[(number + step) % len(groups)] for step in (0, 5, 3))
    audiences = {
        "included": [first, second] if number % 4 == 0 else [first],
        "excluded": [third] if number % 3 == 0 else [],
    }
    attributes = {
        "name": name,
        "status": status,
        "archived": number % 9 == 4,
        "audiences": audiences,
        "send_options": {"use_smart_sending": number % 5 != 0, "ignore_unsubscribes": False},
        "tracking_options": _tracking(channel, number),
        "send_strategy": _strategy(method, number, moment),
        "created_at": format_datetime(created, "campaign"),
        "scheduled_at": scheduled and format_datetime(scheduled, "campaign"),
        "updated_at": format_datetime(finished, "campaign"),
        "send_time": format_datetime(moment) if under_way else None,
    }
    shop.add("campaign", id, attributes, tags=list(tags[number % 7 : number % 7 + number % 3]))

    images = shop.account.all("image")
    image = images[number % len(images)].id if channel == "mobile_push" and number % 2 else None
    messages = []
    is_local = method == "static" and bool(_strategy(method, number, moment)["options"].get("is_local"))
    for letter in "AB" if method == "ab_test_campaign" else " ":
        message_id = id if legacy else shop.ulid(created + timedelta(milliseconds=7))
        subject = SUBJECTS[(number + ord(letter)) % len(SUBJECTS)]
        label = f"{name} {letter}".strip()
        # A message gets a template of its own, a copy which /templates does not list.
        template = None if status == "Draft" or channel != "email" else add_template(shop, label, created)
        attributes = {
            "definition": _definition(channel, label, subject, number),
            "send_times": [{"datetime": format_datetime(moment), "is_local": is_local}] if under_way else [],
            "created_at": format_datetime(created + timedelta(microseconds=6_900), "campaign-message"),
            "updated_at": format_datetime(finished, "campaign-message"),
        }
        shop.add("campaign-message", message_id, attributes, campaign=id, template=template, image=image)
        touch = id if number % 3 == 1 else message_id
        sent = _message(shop, channel, id, message_id, touch, name, subject, moment)
        sent.properties["$group_ids"] = audiences["included"]
        messages.append(sent)
    return messages


def _message(
    shop: Shop, channel: str, campaign: str, message: str, touch: str, name: str, subject: str, sent_at: datetime | None
) -> Message:
    """A sent message; `touch` is the id that its events carry in `$message`: the campaign's or the message's."""
    second = int((sent_at or shop.start).timestamp())
    variation = touch if len(touch) == 6 else shop.ulid(sent_at or shop.start)
    properties: dict[str, Any] = {
        "$message": touch,
        "$variation": variation,
        "$message_interaction": touch,
        "Campaign Name": name,
        "$_cohort$message_send_cohort": f"{second}:{touch}",
        "$_cohort$variation_send_cohort": f"{second}:{variation}",
    }
    if channel == "email":
        properties |= {"Subject": subject, "$ESP": 0, "$internal": {"Sending Domain": "send.acme.example"}}
    elif channel == "sms":
        properties |= {"Message Body": subject, "From Number": "+18335550100", "Segment Count": 1}
    else:
        properties |= {"Title": name, "Message Format": "standard"}
    credit = {"campaign": campaign, "campaign-message": message}
    return Message(channel=channel, properties=properties, credit=credit, sent_at=second)


def _tracking(channel: str, number: int) -> dict[str, Any] | None:
    if channel == "mobile_push":
        return None
    params = [
        {"type": "dynamic", "value": "campaign_name", "name": "utm_campaign"},
        {"type": "static", "value": "klaviyo", "name": "utm_source"},
        {"type": "static", "value": channel, "name": "utm_medium"},
    ]
    options: dict[str, Any] = {"add_tracking_params": number % 2 == 0, "custom_tracking_params": params[: number % 4]}
    if channel == "email":
        options |= {"is_tracking_clicks": True, "is_tracking_opens": number % 6 != 0}
    return options


def _strategy(method: str, number: int, moment: datetime) -> dict[str, Any]:
    if method == "static":
        local = {"is_local": True, "send_past_recipients_immediately": True}
        options = local if number % 4 == 2 else {"is_local": False}
        return {"method": method, "datetime": format_datetime(moment), "options": options}
    if method == "throttled":
        return {"method": method, "datetime": format_datetime(moment), "throttle_percentage": 10 if number % 2 else 50}
    if method == "smart_send_time":
        return {"method": method, "date": f"{moment:%Y-%m-%d}"}
    return {"method": method}


def _definition(channel: str, label: str, subject: str, number: int) -> dict[str, Any]:
    if channel == "email":
        content = {
            "subject": subject,
            "preview_text": "Fresh harvest" if number % 2 else None,
            **SENDER,
            "reply_to_email": "tea@acme.example" if number % 3 == 0 else None,
            "cc_email": None,
            "bcc_email": None,
        }
        return {"channel": channel, "label": label, "content": content}
    if channel == "sms":
        return {
            "channel": channel,
            "content": {"body": f"{subject} {URL}", "media_url": f"{URL}/tea.gif" if number % 4 == 0 else None},
            "render_options": {
                "shorten_links": True,
                "add_org_prefix": True,
                "add_info_link": number % 2 == 0,
                "add_opt_out_language": False,
            },
        }
    if number % 6 == 5:
        return {"channel": channel, "notification_type": "silent", "kv_pairs": {"refresh": "catalog"}}
    return {
        "channel": channel,
        "notification_type": "standard",
        "content": {"title": label, "body": subject, "dynamic_image": None, "action_buttons": []},
        "kv_pairs": {"screen": "sale"},
        "options": {"on_open": {"type": "open_app"}, "badge": {"display": False}, "play_sound": True},
    }
