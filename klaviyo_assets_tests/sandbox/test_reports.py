"""Metric aggregates, campaign and flow values agree with the events that they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from klaviyo_assets.sandbox import Resource, Sandbox
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
    response = requests.post(f"{sandbox.url}/{path}", json=body, headers=HEADERS, timeout=10)
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


def test_a_post_needs_json(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/metric-aggregates"
    assert requests.post(url, data="x", headers=HEADERS, timeout=10).status_code == 415
    broken = requests.post(url, data="x", headers=HEADERS | {"content-type": "application/json"}, timeout=10)
    assert broken.status_code == 400
