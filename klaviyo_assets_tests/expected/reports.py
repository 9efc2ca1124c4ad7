"""CAMPAIGN_REPORT and FLOW_REPORT, counted from the sandbox's events one by one."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets.sandbox.account import Account, Event
from klaviyo_assets_tests.expected.rows import Expected, Key, one

COUNTS = {
    "Received Email": "delivered",
    "Received Text Message": "delivered",
    "Received Push": "delivered",
    "Opened Email": "opens",
    "Opened Push": "opens",
    "Clicked Email": "clicks",
    "Clicked Text Message": "clicks",
    "Bounced Email": "bounced",
    "Bounced Push": "bounced",
    "Failed to Deliver Text Message": "failed",
    "Marked Email as Spam": "spam_complaints",
    "Unsubscribed": "unsubscribes",
    "Unsubscribed from Email Marketing": "unsubscribes",
    "Unsubscribed from Text Messaging Marketing": "unsubscribes",
}
CHANNELS = {"Email": "email", "SMS": "sms", "MobilePush": "push-notification", "mobile_push": "push-notification"}
FREE = ("message_segment_count_sum", "text_message_credit_usage_amount", "text_message_roi", "text_message_spend")


def campaign_report(account: Account) -> Expected:
    """A row for every message of a campaign that anything became of."""
    return report(account, ("campaign_id", "campaign_message_id", "send_channel"))


def flow_report(account: Account) -> Expected:
    """A row for every day on which a message of a flow was sent that anything became of."""
    return report(account, ("date", "flow_id", "flow_message_id", "send_channel"))


def report(account: Account, names: tuple[str, ...]) -> Expected:
    kind = names[-2].partition("_")[0]
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    people: dict[Key, dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
    values: dict[Key, list[float]] = defaultdict(list)
    for statistic, event, touch in relevant(account, kind):
        key = (day(account, touch), *sender(account, kind, touch))[-len(names) :]
        counts[key][statistic] += 1
        people[key][statistic].add(event.profile_id)
        if statistic == "conversions":
            value = event.properties["$value"]
            values[key].append(0 if isinstance(value, str) else value)
    metric = conversion_metric(account)
    return {
        key: dict(zip(names, map(str, key), strict=True))
        | {"conversion_metric_id": metric}
        | statistics(counts[key], people[key], math.fsum(values[key]))
        for key in counts
    }


def relevant(account: Account, kind: str) -> Iterator[tuple[str, Event, Event]]:
    """Statistic, event, and the event about the message: the same, or the one that a conversion is credited to."""
    names = {metric.id: metric.attributes["name"] for metric in account.all("metric")}
    conversion, now = conversion_metric(account), account.clock.timestamp()
    for event in account.events:
        if event.visible_at > now:
            continue
        properties = event.properties
        credit = (event.attribution if event.attributed_at <= now else None) or {}
        if "$message" in properties and ("$flow" in properties) == (kind == "flow"):
            if name := COUNTS.get(names[event.metric_id or ""]):
                yield name, event, event
        elif event.metric_id == conversion and kind in credit:
            yield "conversions", event, account.events[credit["attributed-event"]]


def day(account: Account, touch: Event) -> dt.date:
    """The day on which the message was sent, where the account is."""
    second = int(touch.properties["$_cohort$message_send_cohort"].split(":")[0])
    zone = ZoneInfo(account.all("account")[0].attributes["timezone"])
    return dt.datetime.fromtimestamp(second, zone).date()


def sender(account: Account, kind: str, touch: Event) -> tuple[str, str, str]:
    """Campaign or flow, message and channel. Some events of campaigns name the campaign, which has one message then."""
    properties = touch.properties
    id = properties["$message"]
    if kind == "flow":
        return properties["$flow"], id, channel(account.resources["flow-message"][id].attributes["channel"])
    message = account.get("campaign-message", id)
    if message is None:
        message = account.resources["campaign-message"][account.related("campaign", id, "campaign-messages")[0]]
    campaign = one(account, message, "campaign")
    assert campaign is not None
    return campaign, message.id, channel(message.attributes["definition"]["channel"])


def channel(name: str) -> str:
    return CHANNELS.get(name, name)


def conversion_metric(account: Account) -> str:
    (metric,) = account.related("mapped-metric", "revenue", "metric")
    return metric


def statistics(counts: Counter[str], people: dict[str, set[str | None]], value: float) -> dict[str, Any]:
    delivered, opened, clicked = counts["delivered"], len(people["opens"]), len(people["clicks"])
    lost = counts["bounced"] + counts["failed"]
    recipients = delivered + lost
    left, converted = len(people["unsubscribes"]), len(people["conversions"])
    return {
        **{name: counts[name] for name in {*COUNTS.values(), "conversions"}},
        **dict.fromkeys(FREE, 0),
        "bounced_or_failed": lost,
        "recipients": recipients,
        "opens_unique": opened,
        "clicks_unique": clicked,
        "unsubscribe_uniques": left,
        "conversion_uniques": converted,
        "conversion_value": value,
        "open_rate": share(opened, delivered),
        "click_rate": share(clicked, delivered),
        "click_to_open_rate": share(clicked, opened),
        "delivery_rate": share(delivered, recipients),
        "bounce_rate": share(counts["bounced"], recipients),
        "failed_rate": share(counts["failed"], recipients),
        "bounced_or_failed_rate": share(lost, recipients),
        "spam_complaint_rate": share(counts["spam_complaints"], delivered),
        "unsubscribe_rate": share(left, delivered),
        "conversion_rate": share(converted, delivered),
        "average_order_value": share(value, counts["conversions"]),
        "revenue_per_recipient": share(value, delivered),
    }


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
