"""Klaviyo's own Python SDK, with its strict models, reads everything that the sandbox serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from klaviyo_api import KlaviyoAPI

from klaviyo_assets.sandbox import Account, Sandbox
from klaviyo_assets.sandbox.account.relations import relation
from klaviyo_assets.sandbox.api.operation import Operation
from klaviyo_assets.sandbox.api.operations import OPERATIONS
from klaviyo_assets.sandbox.api.serialize import COLLECTIONS
from klaviyo_assets.sandbox.shop.generate import generate_account

NOW = datetime(2026, 9, 4, 12, tzinfo=UTC)
TYPES = {collection: type for type, collection in COLLECTIONS.items()}
GETS = [operation for operation in OPERATIONS.values() if operation.method == "GET" and not operation.since]
"""Without those of later revisions, which this version of the SDK does not have."""
WHOLE = [operation for operation in GETS if "{id}" not in operation.path]
PARTS = [operation for operation in GETS if "{id}" in operation.path]
CHANNELS = ("email", "sms", "mobile_push")
FILTERS = {
    "get_campaigns": [
        f'equals(messages.channel,"{channel}"),equals(archived,{archived})'
        for channel in CHANNELS
        for archived in ("false", "true")
    ],
    "get_coupon_codes": [f'equals(coupon.id,"{coupon}")' for coupon in ("10OFF", "WELCOME10", "FREESHIP", "EMPTY")],
    "get_flows": ["equals(archived,false)", "equals(archived,true)"],
    "get_images": ["equals(hidden,false)", "equals(hidden,true)"],
}
"""Where one query does not return the whole collection."""

Method = Callable[..., Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(generate_account(events=2_300, profiles=220, days=30, now=NOW)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def methods(sandbox: Sandbox) -> dict[str, Method]:
    """Every method of the SDK that reads what the sandbox serves, by operation id."""
    sdk = KlaviyoAPI("pk_sandbox", max_retries=1, test_host=sandbox.url.removesuffix("/api"))
    sections = [getattr(sdk, name) for name, value in vars(KlaviyoAPI).items() if isinstance(value, property)]
    known = [id for id, operation in OPERATIONS.items() if not operation.since]
    return {id: next(getattr(each, id) for each in sections if hasattr(each, id)) for id in known}


def options(operation: Operation) -> dict[str, Any]:
    """Arguments that ask for everything: all included and additional, on the largest pages."""
    found: dict[str, Any] = {
        f"additional_fields_{type.replace('-', '_')}": list(fields) for type, fields in operation.additional.items()
    }
    if operation.includes:
        found["include"] = list(operation.includes)
    if operation.page and operation.page.maximum:
        found["page_size"] = operation.page.maximum
    return found


def read(method: Method, **arguments: Any) -> Iterator[tuple[str, str]]:
    """Type and id of every row, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        document = method(**arguments)
        data = document.data if isinstance(document.data, list) else [document.data]
        for row in data:
            yield str(getattr(row.type, "value", row.type)), row.id
        following = getattr(document.links, "next", None)
        cursor = parse_qs(urlsplit(following).query)["page[cursor]"][0] if following else None
        arguments["page_cursor"] = cursor


def stored(account: Account, type: str) -> set[str]:
    """Ids of a type that its collection returns."""
    if type == "event":
        return {event.id for event in account.events}
    return {each.id for each in account.all(type) if not (type == "template" and account.is_clone(each.id))}


@pytest.mark.parametrize("operation", WHOLE, ids=lambda operation: operation.id)
def test_sdk_reads_whole_collection(sandbox: Sandbox, methods: dict[str, Method], operation: Operation) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for filter in FILTERS.get(operation.id, [None]):
        query = {"filter": filter} if filter else {}
        found.update(read(methods[operation.id], **options(operation), **query))
    assert found == Counter((operation.type, id) for id in stored(sandbox.account, operation.type))


def owners(account: Account, operation: Operation) -> list[str]:
    """Ids that an operation can be asked for: of every kind, and with a target where it returns just one."""
    type, name = TYPES[operation.segments[0]], operation.relationship
    if type == "event":
        known = {None: lambda _: True, "metric": lambda e: account.get("metric", e.metric_id or ""),
                 "profile": account.profile_of}[name]  # fmt: skip
        return [event.id for event in account.events if known(event)][:40]
    many = name is None or relation(type, name).many
    return [each.id for each in account.all(type) if many or account.related(type, each.id, name)][:60]


@pytest.mark.parametrize("operation", PARTS, ids=lambda operation: operation.id)
def test_sdk_reads_one_by_one(sandbox: Sandbox, methods: dict[str, Method], operation: Operation) -> None:
    ids = owners(sandbox.account, operation)
    assert ids, "nothing to ask for"
    for id in ids:
        rows = list(read(methods[operation.id], id=id, **options(operation)))
        assert {type for type, _ in rows} <= {operation.type}
        if operation.by_id:
            assert rows == [(operation.type, id)]


def test_sdk_reads_attributions(sandbox: Sandbox, methods: dict[str, Method]) -> None:
    document = methods["get_events"](include=["attributions", "metric", "profile"], page_size=1000)
    attributions = {each["id"]: each for each in document.included if each["type"] == "attribution"}
    assert len(attributions) > 20
    for event in document.data:
        linked = event.relationships.attributions
        assert (event.id in attributions) == bool(linked and linked.data)
    events = {event.id: event for event in sandbox.account.events}
    for id, attribution in attributions.items():
        touch = events[attribution["relationships"]["attributed-event"]["data"]["id"]]
        assert touch.occurred_at <= events[id].occurred_at and touch.profile_id == events[id].profile_id


def test_sdk_aggregates_metrics(sandbox: Sandbox, methods: dict[str, Method]) -> None:
    metric = next(each for each in sandbox.account.all("metric") if each.attributes["name"] == "Received Email")
    first = NOW - timedelta(days=30)
    window = [f"greater-or-equal(datetime,{first:%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{NOW:%Y-%m-%dT%H:%M:%S})"]
    attributes = {"metric_id": metric.id, "measurements": ["count"], "interval": "day", "filter": window}
    document = methods["query_metric_aggregates"]({"data": {"type": "metric-aggregate", "attributes": attributes}})
    (row,) = document.data.attributes.data
    assert sum(row.measurements["count"]) == sum(event.metric_id == metric.id for event in sandbox.account.events)


def test_sdk_reads_a_series(sandbox: Sandbox, methods: dict[str, Method]) -> None:
    received = {each.id for each in sandbox.account.all("metric") if each.attributes["name"].startswith("Received ")}
    attributes = {
        "statistics": ["delivered"],
        "timeframe": {"key": "last_90_days"},
        "interval": "weekly",
        "conversion_metric_id": next(iter(received)),
    }
    body = {"data": {"type": "flow-series-report", "attributes": attributes}}
    report = methods["query_flow_series"](body).data.attributes
    series = [result.statistics["delivered"] for result in report.results]
    assert {len(each) for each in series} == {len(report.date_times)}
    flows = [event for event in sandbox.account.events if event.metric_id in received and "$flow" in event.properties]
    assert sum(map(sum, series)) == len(flows) > 0
