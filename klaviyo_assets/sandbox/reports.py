"""Answers to POST requests: metric aggregates, campaign and flow values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from klaviyo_assets.sandbox.account import Account, Event, format_datetime
from klaviyo_assets.sandbox.collections import date, text
from klaviyo_assets.sandbox.errors import invalid
from klaviyo_assets.sandbox.filters import Condition, parse_datetime, parse_filter
from klaviyo_assets.sandbox.query import Query
from klaviyo_assets.sandbox.serialize import encode

MEASUREMENTS = ("count", "sum_value", "unique")
INTERVALS = ("hour", "day", "week", "month")
YEAR = timedelta(days=366)
RECEIVED = ("Received Email", "Received SMS", "Received Text Message", "Received Push")
STATISTICS: dict[str, tuple[str, ...]] = {
    "delivered": RECEIVED,
    "opens": ("Opened Email", "Opened Push"),
    "clicks": ("Clicked Email", "Clicked SMS", "Clicked Text Message"),
    "bounced": ("Bounced Email",),
    "failed": ("Failed to Deliver SMS", "Failed to Deliver Text Message"),
    "spam_complaints": ("Marked Email as Spam",),
    "unsubscribes": ("Unsubscribed", "Unsubscribed from Email Marketing", "Unsubscribed from SMS Marketing"),
}
"""Counted statistics of a message and the metrics whose events they count."""

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
_PAGE = 500


def answer_post(account: Account, query: Query, body: bytes, url: str, root: str) -> bytes:
    """The document for a POST request; raises `ApiError` 400 for a request that Klaviyo would refuse."""
    try:
        attributes = msgspec.json.decode(body)["data"]["attributes"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise invalid("The request body is not a valid JSON:API document.", pointer="/data") from None
    type = query.operation.type
    cursor: str | None
    if type == "metric-aggregate":
        content, cursor = metric_aggregate(account, attributes)
        links = {"links": {"self": f"{root}/metric-aggregates/"}}
    else:
        content, cursor = values_report(account, type.partition("-")[0], attributes), None
        links = {}
    fields = query.fields.get(type)
    shown = content if fields is None else {name: value for name, value in content.items() if name in fields}
    id = str(uuid5(NAMESPACE_URL, body.decode()))
    document = {
        "data": {"type": type, "id": id, "attributes": shown, **links},
        "links": {"self": query.link(url), "next": cursor, "prev": None},
    }
    return encode(document)


def metric_aggregate(account: Account, attributes: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """`dates` and `data` of one metric, and the cursor of the next page of dimensions."""
    metric_id = str(attributes.get("metric_id"))
    if account.get("metric", metric_id) is None:
        raise invalid(f"Metric with id {metric_id} does not exist.", pointer="/data/attributes/metric_id")
    measurements = _choices(attributes, "measurements", MEASUREMENTS)
    interval = attributes.get("interval", "day")
    if interval not in INTERVALS:
        raise invalid(f"'{interval}' is not a valid choice for 'interval'.", pointer="/data/attributes/interval")
    zone = _zone(attributes.get("timezone", "UTC"))
    start, end, conditions = _range(attributes.get("filter") or [], zone, account.clock.now())
    by = attributes.get("by") or []
    dates = list(_dates(start, end, interval, zone))
    groups: dict[tuple[str, ...], list[list[Event]]] = defaultdict(lambda: [[] for _ in dates])
    if not by:
        groups[()]
    position = {date: index for index, date in enumerate(dates)}
    for event in _events(account, start, end, metric_id):
        dimensions = tuple(_dimension(account, event, name) for name in by)
        if all(condition.allows(_dimension(account, event, condition.field)) for condition in conditions):
            bucket = _floor(datetime.fromtimestamp(event.occurred_at, zone), interval)
            groups[dimensions][position[max(bucket, dates[0])]].append(event)
    rows = sorted(groups.items())
    size = int(attributes.get("page_size") or _PAGE)
    first = int(attributes.get("page_cursor") or 0)
    content = {
        "dates": [format_datetime(date) for date in dates],
        "data": [
            {
                "dimensions": list(dimensions),
                "measurements": {name: [_measure(name, events) for events in buckets] for name in measurements},
            }
            for dimensions, buckets in rows[first : first + size]
        ],
    }
    return content, str(first + size) if first + size < len(rows) else None


def values_report(account: Account, kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """`results` per message of a campaign or flow, for messages that were sent in the timeframe."""
    start, end = _timeframe(account, attributes.get("timeframe") or {})
    conversion = attributes.get("conversion_metric_id")
    if account.get("metric", str(conversion)) is None:
        raise invalid("A valid conversion_metric_id is required.", pointer="/data/attributes/conversion_metric_id")
    allowed = {
        name: text("equals", "contains-any[]", "any[]") for name in (f"{kind}_id", f"{kind}_message_id", "send_channel")
    }
    conditions = parse_filter(attributes["filter"], allowed, account.clock.now()) if attributes.get("filter") else []
    counted: dict[tuple[str, str], dict[str, list[Event]]] = defaultdict(lambda: defaultdict(list))
    names = {each.id: each.attributes.get("name") for each in account.all("metric")}
    of_metric = {metric: stat for stat, metrics in STATISTICS.items() for metric in metrics}
    for event in _events(account, start, end, None):
        name = names.get(event.metric_id or "")
        if event.metric_id == conversion and event.attribution:
            message = event.attribution.get(f"{kind}-message")
            owner = event.attribution.get(kind)
            if message and owner:
                counted[owner, message]["conversions"].append(event)
        elif name in of_metric:
            properties = event.properties
            message, flow = properties.get("$message"), properties.get("$flow")
            if message and bool(flow) == (kind == "flow"):
                sender = _campaign_message(account, message) if kind == "campaign" else (str(flow), message)
                counted[sender][of_metric[name]].append(event)
    results = []
    for (owner, message), events in sorted(counted.items()):
        groupings = {
            f"{kind}_id": owner,
            f"{kind}_message_id": message,
            "send_channel": _channel(account, kind, message),
        }
        if all(condition.allows(groupings[condition.field]) for condition in conditions):
            values = _statistics(events)
            asked = attributes.get("statistics") or []
            results.append({"groupings": groupings, "statistics": {name: values.get(name, 0.0) for name in asked}})
    return {"results": results}


def _statistics(events: dict[str, list[Event]]) -> dict[str, float]:
    values = {name: float(len(events[name])) for name in (*STATISTICS, "conversions")}
    unique: Callable[[str], float] = lambda name: float(len({event.profile_id for event in events[name]}))  # noqa: E731
    values["opens_unique"], values["clicks_unique"] = unique("opens"), unique("clicks")
    values["unsubscribe_uniques"], values["conversion_uniques"] = unique("unsubscribes"), unique("conversions")
    values["bounced_or_failed"] = values["bounced"] + values["failed"]
    values["recipients"] = values["delivered"] + values["bounced_or_failed"]
    values["conversion_value"] = sum((_value(event) for event in events["conversions"]), 0.0)
    for name, (part, whole) in RATES.items():
        values[name] = values[part] / values[whole] if values[whole] else 0.0
    return values


def _campaign_message(account: Account, id: str) -> tuple[str, str]:
    """Campaign and message of `$message`, which may name either."""
    owners = account.related("campaign-message", id, "campaign")
    if owners:
        return owners[0], id
    messages = account.related("campaign", id, "campaign-messages")
    return id, messages[0] if messages else id


def _channel(account: Account, kind: str, message_id: str) -> str:
    message = account.get(f"{kind}-message", message_id)
    if message is None:
        return "email"
    channel = message.attributes.get("channel") or (message.attributes.get("definition") or {}).get("channel")
    return {"mobile_push": "push-notification"}.get(str(channel).lower(), str(channel).lower())


def _events(account: Account, start: datetime, end: datetime, metric_id: str | None) -> Iterator[Event]:
    now = account.clock.timestamp()
    low, high = (int(start.timestamp()), ""), (int(end.timestamp()), "")
    for event in account.events.between(low, high):
        if event.visible_at <= now and metric_id in (None, event.metric_id):
            yield event


def _dimension(account: Account, event: Event, name: str) -> str:
    if name.startswith("$attributed_"):
        attribution = event.attribution or {}
        message = attribution.get("flow-message") or attribution.get("campaign-message")
        return {
            "$attributed_flow": attribution.get("flow"),
            "$attributed_message": message,
            "$attributed_variation": attribution.get("flow-message-variation"),
        }.get(name) or ""
    value = event.properties.get(name)
    return "" if value is None else str(value)


def _measure(name: str, events: list[Event]) -> float:
    if name == "count":
        return float(len(events))
    if name == "unique":
        return float(len({event.profile_id for event in events}))
    return sum((_value(event) for event in events), 0.0)


def _value(event: Event) -> float:
    value = event.properties.get("$value")
    return float(value) if isinstance(value, int | float) else 0.0


def _choices(attributes: dict[str, Any], name: str, allowed: tuple[str, ...]) -> list[str]:
    values = attributes.get(name) or []
    wrong = [value for value in values if value not in allowed]
    if wrong or not values:
        raise invalid(f"'{wrong[0] if wrong else ''}' is not a valid choice for '{name}'.", pointer="/data/attributes")
    return values


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise invalid(f"'{name}' is not a valid timezone.", pointer="/data/attributes/timezone") from None


def _range(filters: list[str] | str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime, list[Condition]]:
    source = filters if isinstance(filters, str) else ",".join(filters)
    names = ("$flow", "$message", "$variation", "$attributed_flow", "$attributed_message", "Campaign Name", "URL")
    allowed = {name: text("equals", "any[]") for name in names}
    allowed["datetime"] = date("greater-or-equal", "less-than", past=False)
    conditions = parse_filter(source, allowed, now) if source else []
    bounds = {each.operator: each.values[0] for each in conditions if each.field == "datetime"}
    if bounds.keys() != {"greater-or-equal", "less-than"}:
        raise invalid(
            "A datetime filter with greater-or-equal and less-than is required.", pointer="/data/attributes/filter"
        )
    # Bounds are local times of the requested time zone: an offset in them is not taken into account.
    start, end = (bounds[name].replace(tzinfo=zone) for name in ("greater-or-equal", "less-than"))
    if end <= start or end - start > YEAR:
        raise invalid("The datetime range must be positive and at most one year.", pointer="/data/attributes/filter")
    return start, end, [each for each in conditions if each.field != "datetime"]


def _floor(moment: datetime, interval: str) -> datetime:
    if interval == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _dates(start: datetime, end: datetime, interval: str, zone: ZoneInfo) -> Iterator[datetime]:
    current = _floor(start, interval)
    while current < end:
        yield current
        if interval == "hour":
            current = (current.astimezone(UTC) + timedelta(hours=1)).astimezone(zone)
        elif interval == "month":
            current = _floor(current + timedelta(days=32), "month")
        else:
            current += timedelta(days=7 if interval == "week" else 1)


def _timeframe(account: Account, timeframe: dict[str, Any]) -> tuple[datetime, datetime]:
    zone = ZoneInfo(account.all("account")[0].attributes.get("timezone", "UTC"))
    today = _floor(account.clock.now().astimezone(zone), "day")
    tomorrow = today + timedelta(days=1)
    if "key" in timeframe:
        month, week = today.replace(day=1), _floor(today, "week")
        known: dict[str, tuple[datetime, datetime]] = {
            "today": (today, tomorrow),
            "yesterday": (today - timedelta(days=1), today),
            "this_week": (week, tomorrow),
            "last_week": (week - timedelta(days=7), week),
            "this_month": (month, tomorrow),
            "last_month": (_floor(month - timedelta(days=1), "month"), month),
            "this_year": (month.replace(month=1), tomorrow),
            "last_year": (month.replace(month=1, year=month.year - 1), month.replace(month=1)),
            **{f"last_{days}_days": (tomorrow - timedelta(days=days), tomorrow) for days in (7, 30, 90, 365)},
            "last_3_months": (tomorrow - timedelta(days=91), tomorrow),
            "last_12_months": (tomorrow - timedelta(days=365), tomorrow),
        }
        if timeframe["key"] in known:
            return known[timeframe["key"]]
    try:
        start, end = (parse_datetime(timeframe[name]).replace(tzinfo=zone) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        raise invalid("A valid timeframe is required.", pointer="/data/attributes/timeframe") from None
    if end <= start or end - start > YEAR:
        raise invalid("The timeframe must be positive and at most one year.", pointer="/data/attributes/timeframe")
    return start, end
