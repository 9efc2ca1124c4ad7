"""What became of the messages of campaigns and flows: the events about them, and the statistics made of these."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from klaviyo_assets.sandbox.account import Account, Event
from klaviyo_assets.sandbox.api.aggregates import value_of

COUNTED: dict[str, tuple[str, ...]] = {
    "delivered": ("Received Email", "Received SMS", "Received Text Message", "Received Push"),
    "opens": ("Opened Email", "Opened Push"),
    "clicks": ("Clicked Email", "Clicked SMS", "Clicked Text Message"),
    "bounced": ("Bounced Email", "Bounced Push"),
    "failed": ("Failed to Deliver SMS", "Failed to Deliver Text Message"),
    "spam_complaints": ("Marked Email as Spam",),
    "unsubscribes": ("Unsubscribed", "Unsubscribed from Email Marketing", "Unsubscribed from SMS Marketing",
                     "Unsubscribed from Text Messaging Marketing"),
}  # fmt: skip
"""Counted statistics of a message and the metrics whose events they count."""

UNIQUES = {"opens_unique": "opens", "clicks_unique": "clicks", "unsubscribe_uniques": "unsubscribes",
           "conversion_uniques": "conversions"}  # fmt: skip
"""Statistics that count people, and those that count their events."""

RATES: dict[str, tuple[str, str]] = {
    "open_rate": ("opens_unique", "delivered"),
    "click_rate": ("clicks_unique", "delivered"),
    "click_to_open_rate": ("clicks_unique", "opens_unique"),
    "delivery_rate": ("delivered", "recipients"),
    "bounce_rate": ("bounced", "recipients"),
    "failed_rate": ("failed", "recipients"),
    "bounced_or_failed_rate": ("bounced_or_failed", "recipients"),
    "spam_complaint_rate": ("spam_complaints", "delivered"),
    "unsubscribe_rate": ("unsubscribe_uniques", "delivered"),
    "conversion_rate": ("conversion_uniques", "delivered"),
    "average_order_value": ("conversion_value", "conversions"),
    "revenue_per_recipient": ("conversion_value", "delivered"),
}
COSTS = ("message_segment_count_sum", "text_message_credit_usage_amount", "text_message_roi", "text_message_spend")
"""Statistics that are always 0: text messages cost nothing here."""

STATISTICS = {*COUNTED, *UNIQUES, *RATES, *COSTS, "bounced_or_failed", "recipients", "conversions", "conversion_value"}
_COHORT = "$_cohort$message_send_cohort"

Counts = Mapping[str, list[Event]]
"""The events behind each counted statistic, and behind `conversions`."""


class Message(NamedTuple):
    """A message of a campaign or flow, in one of its variations."""

    owner: str
    id: str
    variation: str | None


def message_events(account: Account, kind: str, conversion: str) -> Iterator[tuple[Message, str, int, Event]]:
    """Message, statistic, time of sending (unix seconds) and event, for all that became of messages until now."""
    now = account.clock.timestamp()
    names = {each.id: str(each.attributes.get("name")) for each in account.all("metric")}
    of_metric = {metric: statistic for statistic, metrics in COUNTED.items() for metric in metrics}
    events = [event for event in account.events if event.visible_at <= now]
    settings = account.attribution
    if settings:
        touches = settings.credits(events, names, conversion)
    for event in events:
        statistic = of_metric.get(names.get(event.metric_id or "", ""))
        if settings and event.metric_id == conversion:
            touch = touches.get(event.id)
            message = _message(account, kind, touch.properties) if touch else None
            if touch and message:
                yield message, "conversions", _sent_at(touch, touch.properties), event
        elif event.metric_id == conversion and event.attribution and event.attributed_at <= now:
            owner, id = event.attribution.get(kind), event.attribution.get(f"{kind}-message")
            if owner and id:
                touch = account.events.get(event.attribution.get("attributed-event", "")) or event
                properties = touch.properties
                variation = properties.get("$variation")
                yield Message(owner, id, variation), "conversions", _sent_at(touch, properties), event
        elif statistic is not None:
            properties = event.properties
            message = _message(account, kind, properties)
            if message and not (settings and settings.leaves_out(properties)):
                yield message, statistic, _sent_at(event, properties), event


def _message(account: Account, kind: str, properties: Mapping[str, Any]) -> Message | None:
    """The message of a campaign or flow that an event is about."""
    id, flow = properties.get("$message"), properties.get("$flow")
    if not id or bool(flow) != (kind == "flow"):
        return None
    owner, id = (str(flow), id) if flow else _campaign_message(account, id)
    return Message(owner, id, properties.get("$variation"))


def _sent_at(event: Event, properties: Mapping[str, Any]) -> int:
    """When the message of an event was sent, in unix seconds: `<second>:<message>` in its properties, else its own."""
    second = str(properties.get(_COHORT, "")).partition(":")[0]
    return int(second) if second.isdecimal() else event.occurred_at


def statistics_of(events: Counts) -> dict[str, float]:
    """Every one of `STATISTICS` for some events; shares are 0 to 1."""
    values = {name: float(len(events.get(name, ()))) for name in (*COUNTED, "conversions")}
    for name, counted in UNIQUES.items():
        values[name] = float(len({event.profile_id for event in events.get(counted, ())}))
    values["bounced_or_failed"] = values["bounced"] + values["failed"]
    values["recipients"] = values["delivered"] + values["bounced_or_failed"]
    values["conversion_value"] = math.fsum(value_of(event) for event in events.get("conversions", ()))
    for name, (part, whole) in RATES.items():
        values[name] = values[part] / values[whole] if values[whole] else 0.0
    return values | dict.fromkeys(COSTS, 0.0)


def _campaign_message(account: Account, id: str) -> tuple[str, str]:
    """Campaign and message of `$message`, which may name either."""
    owners = account.related("campaign-message", id, "campaign")
    if owners:
        return owners[0], id
    messages = account.related("campaign", id, "campaign-messages")
    return id, messages[0] if messages else id
