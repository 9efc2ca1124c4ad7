"""Answers to POST requests: metric aggregates, and reports of what became of the messages of campaigns and flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import msgspec

from klaviyo_assets.sandbox.account import Account, Event
from klaviyo_assets.sandbox.api.aggregates import choices, metric_aggregate
from klaviyo_assets.sandbox.api.errors import ApiError, invalid
from klaviyo_assets.sandbox.api.filters import Condition, parse_filter
from klaviyo_assets.sandbox.api.message_events import STATISTICS, Counts, Message, message_events, statistics_of
from klaviyo_assets.sandbox.api.operation import text
from klaviyo_assets.sandbox.api.order import decode_report_cursor, encode_report_cursor
from klaviyo_assets.sandbox.api.query import Query
from klaviyo_assets.sandbox.api.serialize import encode
from klaviyo_assets.sandbox.api.timeframes import YEAR, floor, periods, timeframe

_DETAILS = ("send_channel", "tag_id", "tag_name", "text_message_format", "variation", "variation_name")
GROUPINGS = {
    "campaign": ("campaign_id", "campaign_message_id", "campaign_message_name", *_DETAILS),
    "flow": ("flow_id", "flow_message_id", "flow_message_name", "flow_name", *_DETAILS),
}
"""What results may be grouped and filtered by."""

AUDIENCE = ("group", "group_name")
"""What results of campaigns may be grouped by as well."""

CHANNELS = ("email", "sms", "push-notification", "whatsapp")
INTERVALS = {
    "hourly": ("hour", timedelta(days=7)),
    "daily": ("day", timedelta(days=60)),
    "weekly": ("week", YEAR),
    "monthly": ("month", timedelta(weeks=52)),
}
"""Intervals of a series, and the longest timeframe of each."""

REPORT_PAGE = 500


def answer_post(
    account: Account, query: Query, body: bytes, url: str, root: str, *, page_size: int = REPORT_PAGE
) -> bytes:
    """The document for a POST request; raises `ApiError` 400 for a request that Klaviyo would refuse.

    `page_size` is the number of results on a page of a report.
    """
    type = query.operation.type
    try:
        attributes = msgspec.convert(msgspec.json.decode(body)["data"]["attributes"], dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError):
        raise invalid("The request body is not a valid JSON:API document.", pointer="/data") from None
    links = {}
    if type == "metric-aggregate":
        content, following = metric_aggregate(account, attributes)
        links = {"links": {"self": f"{root}/metric-aggregates/"}}
    else:
        cursor = dict(query.pairs).get("page_cursor")
        content, behind = report(account, type, attributes, cursor, page_size)
        following = None if behind is None else query.link(url, behind)
    fields = query.fields.get(type)
    shown = content if fields is None else {name: value for name, value in content.items() if name in fields}
    document = {
        "data": {"type": type, "id": str(uuid5(NAMESPACE_URL, body.decode())), "attributes": shown, **links},
        "links": {"self": query.link(url), "next": following, "prev": None},
    }
    return encode(document)


def report(
    account: Account, type: str, attributes: Mapping[str, Any], cursor: str | None, size: int
) -> tuple[dict[str, Any], str | None]:
    """One page of a report, and the cursor of the next: `results`, with the `date_times` of a series.

    Everything counts for the time at which its message was sent, as in Klaviyo's own reports, and in the time zone of
    the account. `type` is `campaign-values-report`, `flow-values-report` or `flow-series-report`.
    """
    kind, shape, _ = type.split("-")
    zone = ZoneInfo(account.all("account")[0].attributes.get("timezone", "UTC"))
    start, end = timeframe(attributes.get("timeframe"), account.clock.now().astimezone(zone))
    interval = _interval(attributes.get("interval"), end - start) if shape == "series" else None
    conversion = attributes.get("conversion_metric_id")
    if account.get("metric", str(conversion)) is None:
        raise _wrong("A valid conversion_metric_id is required.", "conversion_metric_id")
    statistics = choices(dict(attributes), "statistics", STATISTICS)
    group_by = _group_by(kind, attributes.get("group_by"))
    conditions = _conditions(kind, attributes.get("filter"), account.clock.now())

    moments = list(periods(start, end, interval)) if interval else [start]
    place = {moment: number for number, moment in enumerate(moments)}
    sent: dict[Message, list[tuple[int, str, Event]]] = defaultdict(list)
    for message, statistic, second, event in message_events(account, kind, str(conversion)):
        moment = datetime.fromtimestamp(second, zone)
        if start <= moment < end:
            sent[message].append((place[floor(moment, interval)] if interval else 0, statistic, event))
    results: dict[tuple[str, ...], tuple[dict[str, Any], list[Counts]]] = {}
    for message, events in sent.items():
        for groupings in _groupings(account, kind, message, group_by, conditions):
            key = tuple(value or "" for value in groupings.values())
            _, counts = results.setdefault(key, (groupings, [defaultdict(list) for _ in moments]))
            for number, statistic, event in events:
                counts[number][statistic].append(event)

    behind = () if cursor is None else decode_report_cursor(cursor)
    keys = sorted(key for key in results if key > behind)
    page = []
    for groupings, counts in (results[key] for key in keys[:size]):
        values = [statistics_of(each) for each in counts]
        series = {name: [each[name] for each in values] for name in statistics}
        shown: dict[str, Any] = dict(series) if interval else {name: each[0] for name, each in series.items()}
        page.append({"groupings": groupings, "statistics": shown})
    content: dict[str, Any] = {"results": page}
    if interval:
        content["date_times"] = [moment.isoformat() for moment in moments]
    return content, encode_report_cursor(keys[size - 1]) if len(keys) > size else None


def _groupings(
    account: Account, kind: str, message: Message, names: list[str], conditions: list[Condition]
) -> Iterator[dict[str, str | None]]:
    """What a message is grouped by, once for each tag if that is asked for; nothing if the filter leaves it out."""
    tags: list[str | None] = [*account.related(kind, message.owner, "tags")] or [None]
    for condition in conditions:
        values = {_attribute(account, kind, message, tag, condition.field) for tag in tags}
        combine: Callable[..., bool] = all if condition.operator == "contains-all" else any
        if not combine(wanted in values for wanted in condition.values):
            return
    for tag in tags if {"tag_id", "tag_name"} & set(names) else [None]:
        yield {name: _attribute(account, kind, message, tag, name) for name in names}


def _attribute(account: Account, kind: str, message: Message, tag: str | None, name: str) -> str | None:
    """An attribute of a message; None for the groups of an audience and the formats of texts, which nothing tells."""
    match name.removeprefix(f"{kind}_"):
        case "id":
            return message.owner
        case "message_id":
            return message.id
        case "variation":
            return message.variation
        case "send_channel":
            return _channel(account, kind, message.id)
        case "message_name":
            return _name(account, f"{kind}-message", message.id)
        case "variation_name":
            return _name(account, f"{kind}-message", message.variation)
        case "name":
            return _name(account, kind, message.owner)
        case "tag_id":
            return tag
        case "tag_name":
            return _name(account, "tag", tag)
    return None


def _name(account: Account, type: str, id: str | None) -> str | None:
    resource = account.get(type, id) if id else None
    if resource is None:
        return None
    definition = resource.attributes.get("definition") or {}
    return resource.attributes.get("name") or definition.get("name") or definition.get("label")


def _channel(account: Account, kind: str, message_id: str) -> str:
    message = account.get(f"{kind}-message", message_id)
    if message is None:
        return "email"
    channel = message.attributes.get("channel") or (message.attributes.get("definition") or {}).get("channel")
    name = str(channel).lower().replace("_", "")
    return "push-notification" if name == "mobilepush" else name


def _interval(name: Any, length: timedelta) -> str:
    if not isinstance(name, str) or name not in INTERVALS:
        raise _wrong(f"'{name}' is not a valid choice for 'interval'.", "interval")
    interval, longest = INTERVALS[name]
    if length > longest:
        raise _wrong(f"The timeframe of an {name} series may be at most {longest.days} days.", "timeframe")
    return interval


def _group_by(kind: str, names: Any) -> list[str]:
    required = (f"{kind}_id", f"{kind}_message_id")
    if names is None:
        return [*required, "send_channel"]
    found = choices({"group_by": names}, "group_by", GROUPINGS[kind] + (AUDIENCE if kind == "campaign" else ()))
    if not set(required) <= set(found):
        raise _wrong(f"{' and '.join(required)} are required in group_by.", "group_by")
    return found


def _conditions(kind: str, source: Any, now: datetime) -> list[Condition]:
    if not source:
        return []
    allowed = {name: text("equals", "contains-any[]") for name in GROUPINGS[kind]}
    allowed |= {name: text("contains-any[]", "contains-all[]") for name in ("tag_id", "tag_name")}
    allowed["send_channel"] = text("equals", "contains-any[]", choices=CHANNELS)
    conditions = parse_filter(str(source), allowed, now)
    if len({each.field for each in conditions}) < len(conditions):
        raise _wrong("Only one filter can be used per attribute.", "filter")
    if any(len(each.values) > 100 for each in conditions):
        raise _wrong("A list of a filter may have at most 100 items.", "filter")
    return conditions


def _wrong(detail: str, attribute: str) -> ApiError:
    return invalid(detail, pointer=f"/data/attributes/{attribute}")
