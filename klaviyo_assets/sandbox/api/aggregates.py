"""Metric aggregates: events of one metric, counted per interval of the time at which they happened."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from klaviyo_assets.sandbox.account import Account, Event, format_datetime
from klaviyo_assets.sandbox.api.errors import invalid
from klaviyo_assets.sandbox.api.filters import Condition, parse_filter
from klaviyo_assets.sandbox.api.operation import date, text
from klaviyo_assets.sandbox.api.timeframes import YEAR, floor, periods

MEASUREMENTS = ("count", "sum_value", "unique")
INTERVALS = ("hour", "day", "week", "month")
_PAGE = 500


def metric_aggregate(account: Account, attributes: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """`dates` and `data` of one metric, and the cursor of the next page of dimensions."""
    metric_id = str(attributes.get("metric_id"))
    if account.get("metric", metric_id) is None:
        raise invalid(f"Metric with id {metric_id} does not exist.", pointer="/data/attributes/metric_id")
    measurements = choices(attributes, "measurements", MEASUREMENTS)
    interval = attributes.get("interval", "day")
    if interval not in INTERVALS:
        raise invalid(f"'{interval}' is not a valid choice for 'interval'.", pointer="/data/attributes/interval")
    zone = _zone(attributes.get("timezone", "UTC"))
    start, end, conditions = _range(attributes.get("filter") or [], zone, account.clock.now())
    by = attributes.get("by") or []
    dates = list(periods(start, end, interval))
    groups: dict[tuple[str, ...], list[list[Event]]] = defaultdict(lambda: [[] for _ in dates])
    if not by:
        groups[()]
    position = {date: index for index, date in enumerate(dates)}
    for event in _events(account, start, end, metric_id):
        dimensions = tuple(_dimension(account, event, name) for name in by)
        if all(condition.allows(_dimension(account, event, condition.field)) for condition in conditions):
            bucket = floor(datetime.fromtimestamp(event.occurred_at, zone), interval)
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


def choices(attributes: dict[str, Any], name: str, allowed: Collection[str]) -> list[str]:
    """The values of a required list in a request's attributes; raises `ApiError` 400 for none and for others."""
    values = attributes.get(name) or []
    wrong = [value for value in values if value not in allowed] if isinstance(values, list) else [values]
    if wrong or not values:
        raise invalid(f"'{wrong[0] if wrong else ''}' is not a valid choice for '{name}'.", pointer="/data/attributes")
    return values


def value_of(event: Event) -> float:
    """The `$value` of an event, 0 when it has none that is a number."""
    value = event.properties.get("$value")
    return float(value) if isinstance(value, int | float) else 0.0


def _events(account: Account, start: datetime, end: datetime, metric_id: str) -> Iterator[Event]:
    now = account.clock.timestamp()
    low, high = (int(start.timestamp()), ""), (int(end.timestamp()), "")
    for event in account.events.between(low, high):
        if event.visible_at <= now and event.metric_id == metric_id:
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
    return math.fsum(value_of(event) for event in events)


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
