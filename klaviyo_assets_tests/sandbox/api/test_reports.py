"""Metric aggregates and the reports of campaigns and flows agree with the events that they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from klaviyo_assets.sandbox import Resource, Sandbox
from klaviyo_assets.sandbox.api.message_events import STATISTICS
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets_tests.sandbox.samples import sample_account
from klaviyo_assets_tests.sandbox.support import HEADERS

CAMPAIGN, MESSAGE = "01K4ABCDEF0123456789GHJKMN", "01K4ABCDEG0123456789GHJKMN"
START = datetime(2026, 8, 31, 20, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    account = sample_account()
    for id, name in (("Rcv", "Received Email"), ("Opn", "Opened Email"), ("Ord", "Placed Order")):
        account.add(Resource("metric", id, {"name": name}))
    for number in range(50):
        account.add_event(
            "Ord",
            START + timedelta(hours=number),
            profile_id=f"P{number % 7}",
            properties={"$value": 2, "Campaign Name": f"c{number % 2}"},
            attribution={"campaign": CAMPAIGN, "campaign-message": MESSAGE} if number < 4 else None,
        )
    for number in range(10):
        sent = {"$message": MESSAGE, "$value": None}
        account.add_event("Rcv", START, profile_id=f"P{number}", properties=sent)
        account.add_event("Opn", START, profile_id=f"P{number % 5}", properties=sent)
    for number in range(3):
        properties = {"$message": "StDwe4", "$flow": "T6EyQF"}
        account.add_event("Rcv", START, profile_id=f"P{number}", properties=properties)
    account.add_event("Ord", START, visible_at=account.clock.now() + timedelta(days=1))
    with Sandbox(account) as sandbox:
        yield sandbox


def ask(sandbox: Sandbox, path: str, *, status: int = 200, **attributes: Any) -> Any:
    body = {"data": {"type": path.removesuffix("s"), "attributes": attributes}}
    response = requests.post(f"{sandbox.url}/{path}", json=body, headers=HEADERS, timeout=60)
    assert response.status_code == status, response.text
    return response.json()


def aggregate(sandbox: Sandbox, interval: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    document = ask(
        sandbox,
        "metric-aggregates",
        metric_id="Ord",
        measurements=["count", "sum_value", "unique"],
        interval=interval,
        filter=["greater-or-equal(datetime,2026-08-31T00:00:00)", "less-than(datetime,2026-09-04T00:00:00)"],
        timezone=zone,
        **more,
    )
    return document["data"]["attributes"]


@pytest.mark.parametrize(
    ("interval", "zone", "format"),
    [
        ("hour", "UTC", "%Y-%m-%dT%H:00:00+00:00"),
        ("day", "UTC", "%Y-%m-%dT00:00:00+00:00"),
        ("month", "UTC", "%Y-%m-01T00:00:00+00:00"),
    ],
)
def test_counts_per_interval(sandbox: Sandbox, interval: str, zone: str, format: str) -> None:
    expected = Counter((START + timedelta(hours=number)).strftime(format) for number in range(50))
    found = aggregate(sandbox, interval, zone)
    [row] = found["data"]
    counts = dict(zip(found["dates"], row["measurements"]["count"], strict=True))
    assert {date: count for date, count in counts.items() if count} == expected
    assert sum(row["measurements"]["sum_value"]) == 100.0
    assert row["dimensions"] == []


def test_days_of_another_time_zone(sandbox: Sandbox) -> None:
    found = aggregate(sandbox, "day", "Europe/Copenhagen")
    assert found["dates"][:2] == ["2026-08-30T22:00:00+00:00", "2026-08-31T22:00:00+00:00"]
    assert found["data"][0]["measurements"]["count"][:2] == [2.0, 24.0]
    assert found["data"][0]["measurements"]["unique"][:2] == [2.0, 7.0]


def test_dimensions_and_their_pages(sandbox: Sandbox) -> None:
    rows = aggregate(sandbox, "week", by=["Campaign Name"])["data"]
    assert [(row["dimensions"], sum(row["measurements"]["count"])) for row in rows] == [(["c0"], 25.0), (["c1"], 25.0)]
    by_message = aggregate(sandbox, "week", by=["$attributed_message"])["data"]
    assert {row["dimensions"][0]: sum(row["measurements"]["count"]) for row in by_message} == {"": 46.0, MESSAGE: 4.0}
    assert len(aggregate(sandbox, "week", by=["Campaign Name"], page_size=1, page_cursor="1")["data"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"metric_id": "nope"}, {"interval": "year"}, {"measurements": ["median"]}, {"filter": []}, {"timezone": "Nope/X"}],
)
def test_what_aggregates_refuse(sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    bounds = ["greater-or-equal(datetime,2026-08-31)", "less-than(datetime,2026-09-04)"]
    right = {"metric_id": "Ord", "measurements": ["count"], "filter": bounds}
    assert ask(sandbox, "metric-aggregates", **right)["data"]["attributes"]["data"]
    ask(sandbox, "metric-aggregates", status=400, **right | wrong)


def test_values_of_a_campaign_and_a_flow(sandbox: Sandbox) -> None:
    request = {
        "statistics": ["recipients", "opens", "opens_unique", "open_rate", "conversions", "conversion_value"],
        "timeframe": {"start": "2026-08-01T00:00:00Z", "end": "2026-09-04T00:00:00Z"},
        "conversion_metric_id": "Ord",
    }
    [row] = ask(sandbox, "campaign-values-reports", **request)["data"]["attributes"]["results"]
    assert row == {
        "groupings": {"campaign_id": CAMPAIGN, "campaign_message_id": MESSAGE, "send_channel": "email"},
        "statistics": {
            "recipients": 10.0,
            "opens": 10.0,
            "opens_unique": 5.0,
            "open_rate": 0.5,
            "conversions": 4.0,
            "conversion_value": 8.0,
        },
    }
    [row] = ask(sandbox, "flow-values-reports", **request)["data"]["attributes"]["results"]
    assert row["groupings"] == {"flow_id": "T6EyQF", "flow_message_id": "StDwe4", "send_channel": "email"}
    assert row["statistics"]["recipients"] == 3.0
    filtered = ask(sandbox, "flow-values-reports", **request, filter="equals(send_channel,'sms')")
    assert filtered["data"]["attributes"]["results"] == []
    ask(sandbox, "campaign-values-reports", status=400, **request | {"conversion_metric_id": None})
    ask(sandbox, "campaign-values-reports", status=400, **request | {"timeframe": {}})


SERIES = {
    "statistics": ["delivered"],
    "timeframe": {"key": "last_7_days"},
    "interval": "daily",
    "conversion_metric_id": "Ord",
}


def frame(start: str, end: str) -> dict[str, Any]:
    return {"timeframe": {"start": start, "end": end}}


@pytest.mark.parametrize(
    ("wrong", "attribute"),
    [
        ({"interval": None}, "interval"),
        ({"interval": "day"}, "interval"),
        ({"interval": ["daily"]}, "interval"),
        (frame("2026-06-01T00:00:00Z", "2026-08-01T00:00:00Z"), "timeframe"),
        ({"interval": "hourly", **frame("2026-08-01T00:00:00Z", "2026-08-08T01:00:00Z")}, "timeframe"),
        ({"interval": "monthly", **frame("2025-08-01T00:00:00Z", "2026-08-01T00:00:00Z")}, "timeframe"),
        ({"interval": "weekly", **frame("2025-01-01T00:00:00Z", "2026-08-01T00:00:00Z")}, "timeframe"),
        (frame("2026-08-02T00:00:00Z", "2026-08-01T00:00:00Z"), "timeframe"),
        ({"timeframe": {"key": "last_6_days"}}, "timeframe"),
        ({"timeframe": None}, "timeframe"),
        ({"conversion_metric_id": None}, "conversion_metric_id"),
        ({"conversion_metric_id": "nope"}, "conversion_metric_id"),
        ({"statistics": []}, ""),
        ({"statistics": ["delivered", "median"]}, ""),
        ({"group_by": ["flow_id", "send_channel"]}, "group_by"),
        ({"group_by": ["flow_id", "flow_message_id", "campaign_id"]}, ""),
        ({"filter": "equals(send_channel,'fax')"}, None),
        ({"filter": "any(send_channel,['sms'])"}, None),
        ({"filter": "equals(campaign_id,'x')"}, None),
        ({"filter": "equals(flow_id,'x'),contains-any(flow_id,['y'])"}, "filter"),
        ({"filter": f"contains-any(flow_id,{['x'] * 101})".replace("'", '"')}, "filter"),
    ],
)
def test_what_a_series_refuses(sandbox: Sandbox, wrong: dict[str, Any], attribute: str | None) -> None:
    ask(sandbox, "flow-series-reports", **SERIES)
    error = ask(sandbox, "flow-series-reports", status=400, **SERIES | wrong)["errors"][0]
    blamed = {"parameter": "filter"} if attribute is None else f"/data/attributes/{attribute}".rstrip("/")
    assert error["source"] == (blamed if attribute is None else {"pointer": blamed})


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("hourly", "2026-08-01T00:00:00Z", "2026-08-08T00:00:00Z"),
        ("daily", "2026-06-02T00:00:00Z", "2026-08-01T00:00:00Z"),
        ("weekly", "2025-08-01T00:00:00Z", "2026-08-01T00:00:00Z"),
        ("monthly", "2025-08-02T00:00:00Z", "2026-08-01T00:00:00Z"),
    ],
)
def test_the_longest_series(sandbox: Sandbox, interval: str, start: str, end: str) -> None:
    content = ask(sandbox, "flow-series-reports", **SERIES | {"interval": interval} | frame(start, end))
    moments = content["data"]["attributes"]["date_times"]
    assert len(moments) == {"hourly": 7 * 24, "daily": 60, "weekly": 53, "monthly": 12}[interval]


def test_groups_and_filters(sandbox: Sandbox) -> None:
    names = {
        "flow_id": "T6EyQF",
        "flow_message_id": "StDwe4",
        "flow_name": "Welcome",
        "flow_message_name": "Welcome #1",
        "send_channel": "email",
        "tag_name": "seasonal",
        "tag_id": "b6d9d1f2-6a83-4b54-9a5c-2d9d6f0c1a11",
        "variation": None,
        "text_message_format": None,
    }
    request = {**SERIES, "group_by": list(names)}
    for kept, filter in (
        (True, "equals(flow_name,'Welcome')"),
        (True, "and(equals(flow_id,'T6EyQF'),contains-any(send_channel,['sms','email']))"),
        (True, "contains-any(tag_name,['x','seasonal'])"),
        (False, "contains-all(tag_name,['x','seasonal'])"),
        (False, "contains-any(flow_message_id,['x'])"),
        (False, "equals(variation,'x')"),
    ):
        results = ask(sandbox, "flow-series-reports", **request, filter=filter)["data"]["attributes"]["results"]
        assert [result["groupings"] for result in results] == [names] * kept


def test_a_message_counts_for_the_day_it_was_sent_on(sandbox: Sandbox) -> None:
    """An open and an order, days after the timeframe, of a message that was sent in it, and the other way round."""
    account = sandbox.account
    sent = int(datetime(2025, 5, 3, 23, tzinfo=UTC).timestamp())
    properties = {"$message": "StDwe4", "$flow": "T6EyQF", "$_cohort$message_send_cohort": f"{sent}:StDwe4"}
    for second in (sent + 60, sent + 61):
        account.add_event("Rcv", second, profile_id="P1", properties=properties)
    later = sent + 3 * 86_400
    opened = account.add_event("Opn", later, profile_id="P1", properties=properties)
    credit = {"flow": "T6EyQF", "flow-message": "StDwe4", "attributed-event": opened.id}
    account.add_event("Ord", later + 60, profile_id="P1", properties={"$value": 5}, attribution=credit)
    account.add_event("Ord", later, attribution=credit, attributed_at=account.clock.now() + timedelta(hours=1))
    request = {**SERIES, "statistics": ["delivered", "opens", "open_rate", "conversions", "conversion_value"]}
    days = frame("2025-05-02T00:00:00Z", "2025-05-05T00:00:00Z")
    content = ask(sandbox, "flow-series-reports", **request | days)["data"]["attributes"]
    assert content["date_times"] == [f"2025-05-0{day}T00:00:00+00:00" for day in (2, 3, 4)]
    [row] = content["results"]
    assert row["statistics"] == {
        "delivered": [0.0, 2.0, 0.0],
        "opens": [0.0, 1.0, 0.0],
        "open_rate": [0.0, 0.5, 0.0],
        "conversions": [0.0, 1.0, 0.0],
        "conversion_value": [0.0, 5.0, 0.0],
    }
    days = frame("2025-05-04T00:00:00Z", "2025-05-09T00:00:00Z")
    assert ask(sandbox, "flow-series-reports", **request | days)["data"]["attributes"]["results"] == []


@pytest.fixture(scope="module")
def shop() -> Iterator[Sandbox]:
    """A shop in New York, over the change to summer time."""
    now = datetime(2026, 3, 20, 2, 30, tzinfo=UTC)
    with Sandbox(generate_account(events=3_000, profiles=60, days=25, seed=5, now=now)) as sandbox:
        yield sandbox


def of(shop: Sandbox, path: str, **attributes: Any) -> dict[str, Any]:
    metric = next(each.id for each in shop.account.all("metric") if each.attributes["name"] == "Placed Order")
    attributes = {"statistics": sorted(STATISTICS), "conversion_metric_id": metric, **attributes}
    return ask(shop, path, **attributes)["data"]["attributes"]


def keyed(content: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(result["groupings"].values()): result["statistics"] for result in content["results"]}
    assert len(found) == len(content["results"])
    return found


def test_a_day_of_a_series_is_what_the_values_of_that_day_are(shop: Sandbox) -> None:
    series = of(shop, "flow-series-reports", interval="daily", timeframe={"key": "last_30_days"})
    moments = [datetime.fromisoformat(moment) for moment in series["date_times"]]
    assert len(moments) == 30 and moments[-1].isoformat() == "2026-03-19T00:00:00-04:00"
    assert {moment.isoformat()[10:] for moment in moments} == {"T00:00:00-04:00", "T00:00:00-05:00"}
    for number in (5, 12, 16, 17, 18, 22, 29):
        day = frame(moments[number].isoformat(), (moments[number] + timedelta(days=1)).isoformat())
        values = keyed(of(shop, "flow-values-reports", **day))
        for groupings, statistics in keyed(series).items():
            expected = values.get(groupings, dict.fromkeys(statistics, 0.0))
            assert {name: each[number] for name, each in statistics.items()} == expected
        assert values.keys() <= keyed(series).keys() and values


@pytest.mark.parametrize("interval", ["hourly", "daily", "weekly", "monthly"])
def test_a_series_adds_up_to_the_values(shop: Sandbox, interval: str) -> None:
    days = frame("2026-03-05T00:00:00Z", "2026-03-12T00:00:00Z")
    series = keyed(of(shop, "flow-series-reports", interval=interval, **days))
    values = keyed(of(shop, "flow-values-reports", **days))
    assert series.keys() == values.keys() and values
    for groupings, statistics in values.items():
        for name in ("delivered", "opens", "clicks", "bounced", "failed", "recipients", "conversions"):
            assert sum(series[groupings][name]) == statistics[name]


@pytest.mark.parametrize("path", ["campaign-values-reports", "flow-values-reports", "flow-series-reports"])
@pytest.mark.parametrize("size", [1, 3])
def test_pages_of_a_report(shop: Sandbox, path: str, size: int) -> None:
    interval = {"interval": "daily"} if "series" in path else {}
    whole = of(shop, path, timeframe={"key": "last_30_days"}, **interval)
    metric = next(each.id for each in shop.account.all("metric") if each.attributes["name"] == "Placed Order")
    attributes = {"statistics": sorted(STATISTICS), "conversion_metric_id": metric, **interval}
    body = {"data": {"type": path[:-1], "attributes": {**attributes, "timeframe": {"key": "last_30_days"}}}}
    shop.report_page_size = size
    try:
        url, pages = f"{shop.url}/{path}?fields[{path[:-1]}]=results", []
        while url:
            document = requests.post(url, json=body, headers=HEADERS, timeout=60).json()
            pages.append(document["data"]["attributes"].pop("results"))
            assert document["data"]["attributes"] == {}
            assert document["links"]["next"] != url, "a page leads to itself"
            url = document["links"]["next"]
            assert url is None or ("page_cursor=" in url and "fields" in url)
    finally:
        shop.report_page_size = 500
    assert [result for page in pages for result in page] == whole["results"] and len(whole["results"]) > size
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1) and pages[-1]
    broken = requests.post(f"{shop.url}/{path}?page_cursor=W10x", json=body, headers=HEADERS, timeout=60)
    assert (broken.status_code, broken.json()["errors"][0]["detail"]) == (400, "Invalid cursor provided.")


def test_a_post_needs_json(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/metric-aggregates"
    assert requests.post(url, data="x", headers=HEADERS, timeout=60).status_code == 415
    for broken in ("x", "[]", "{}", '{"data": {"attributes": []}}'):
        headers = HEADERS | {"content-type": "application/json"}
        assert requests.post(url, data=broken, headers=headers, timeout=60).status_code == 400
