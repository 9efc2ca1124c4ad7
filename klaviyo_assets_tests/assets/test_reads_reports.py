"""Reports: every number of every day, with one request a day, and nothing that was cut in two."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import KlaviyoClient, KlaviyoError, PaginationError
from klaviyo_assets.assets.reads import READS
from klaviyo_assets.assets.reads.reports import conversion_metric
from klaviyo_assets.resources import KlaviyoAccount
from klaviyo_assets.sandbox import Sandbox
from klaviyo_assets.sandbox.generate import generate_account
from klaviyo_assets.tables.catalogue import table
from klaviyo_assets.tables.reports import STATISTICS
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.columns import Columns
from klaviyo_assets.warehouse.duckdb import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import SyncState
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets_tests.api.fake import KEY, FakeApi, FakeClock, Reply, Request, document, error

TODAY = dt.date(2026, 9, 4)
DAY = dt.timedelta(days=1)
KEYS = {"last_365_days": 365, "last_30_days": 30}


class Reports(FakeApi):
    """Reports of made-up sendings: `sent[message][day]` people got a message on a day of the account."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[dt.date, int]] = {}
        self.asked: list[tuple[dt.date, dt.date]] = []
        self.next: str | None = None
        metric = {"type": "mapped-metric", "id": "revenue", "relationships": {"metric": {"data": {"id": "Order1"}}}}
        self.routes = {
            "mapped-metrics/revenue": Reply({"data": metric}),
            "campaign-values-reports": self.values,
            "flow-series-reports": self.series,
        }

    def days(self, attributes: dict[str, Any]) -> list[dt.date]:
        assert attributes["conversion_metric_id"] == "Order1"
        assert set(attributes["statistics"]) == set(STATISTICS)
        frame = attributes["timeframe"]
        if "key" in frame:
            end = TODAY + DAY
            start = end - KEYS[frame["key"]] * DAY
        else:
            start, end = (dt.datetime.fromisoformat(frame[name]).date() for name in ("start", "end"))
        assert dt.timedelta(0) < end - start <= 365 * DAY
        self.asked.append((start, end))
        return [start + number * DAY for number in range((end - start).days)]

    def values(self, request: Request) -> Reply:
        attributes = json.loads(request.body)["data"]["attributes"]
        days = self.days(attributes)
        results = [
            {"groupings": dict(zip(attributes["group_by"], (f"C{message}", message, "email"), strict=True)),
             "statistics": {"recipients": float(sum(sent.get(day, 0) for day in days))}}
            for message, sent in self.sent.items() if sent.keys() & set(days)
        ]  # fmt: skip
        return self.report("campaign-values-report", {"results": results})

    def series(self, request: Request) -> Reply:
        attributes = json.loads(request.body)["data"]["attributes"]
        days = self.days(attributes)
        assert attributes["interval"] == "daily" and len(days) <= 60
        results = [
            {"groupings": dict(zip(attributes["group_by"], (f"F{message}", message, "email"), strict=True)),
             "statistics": {"recipients": [float(sent.get(day, 0)) for day in days]}}
            for message, sent in self.sent.items() if sent.keys() & set(days)
        ]  # fmt: skip
        moments = [f"{day}T00:00:00-04:00" for day in days]
        return self.report("flow-series-report", {"results": results, "date_times": moments})

    def report(self, type: str, attributes: dict[str, Any]) -> Reply:
        return Reply({"data": {"type": type, "id": "1", "attributes": attributes}, "links": {"next": self.next}})


@pytest.fixture
def reports() -> Iterator[Reports]:
    reports = Reports()
    yield reports
    reports.close()


@pytest.fixture
def source(reports: Reports, tmp_path: Path) -> Iterator[KlaviyoAccount]:
    source = KlaviyoAccount(warehouse=DuckDBWarehouse(database=str(tmp_path / "warehouse.duckdb")), api_url=reports.url)
    clock = FakeClock()
    source._client = KlaviyoClient(KEY, base_url=reports.url, clock=clock, sleep=clock.sleep)
    yield source
    source.client.close()


def read(source: KlaviyoAccount, name: str, *, through: dt.date | None = None) -> dict[tuple[str, ...], float]:
    """Read a report into the warehouse, as if it was `through` that day; returns what the warehouse holds then."""
    spec = table(name)
    now = dt.datetime.combine(through or TODAY, dt.time(13), dt.UTC)
    rows = [row for page in READS[f"{name}s"](source) for row in page[name]]
    with temporary_spool() as spool:
        spool.write(typed_batch(Columns.of_rows(rows, spec.types), spec))
        state = SyncState(name, synced_through=now, complete=True)
        source.warehouse.load(spec, spool, synced_at=now, states=[state])
    stored = source.warehouse.rows(name, (*spec.primary_key, "recipients"))
    return {tuple(str(value) for value in key): recipients for *key, recipients in stored}


def daily(message: str, *ago: int) -> dict[dt.date, int]:
    return {TODAY - days * DAY: 100 + days + len(message) for days in ago}


def test_flow_reports_hold_every_day_once_and_go_back_until_a_year_of_nothing(
    reports: Reports, source: KlaviyoAccount
) -> None:
    ago = [0, 1, 27, 28, 29, 30, 31, 84, 85, 86, 87, 88, 89, 300, 420, 600]
    reports.sent = {"a": daily("a", *ago), "bb": daily("bb", *ago[1::2]), "old": daily("old", 1200)}
    found = read(source, "flow_report")
    expected = {
        (str(day), f"F{message}", message, "email"): float(count)
        for message in ("a", "bb")
        for day, count in reports.sent[message].items()
    }
    assert {key: count for key, count in found.items() if count} == expected
    assert len(reports.asked) <= 1 + (600 + 2 * 365) // 56

    reports.asked.clear()
    reports.sent["a"][TODAY - 3 * DAY] = 7
    found = read(source, "flow_report")
    assert found[str(TODAY - 3 * DAY), "Fa", "a", "email"] == 7
    assert len(reports.asked) == 1


def test_flow_reports_after_a_pause_leave_no_gap(reports: Reports, source: KlaviyoAccount) -> None:
    reports.sent = {"a": daily("a", *range(0, 400))}
    with temporary_spool() as nothing:
        through = dt.datetime.combine(TODAY - 100 * DAY, dt.time(13), dt.UTC)
        state = SyncState("flow_report", synced_through=through, complete=True)
        source.warehouse.load(table("flow_report"), nothing, synced_at=through, states=[state])
    found = read(source, "flow_report")
    assert {key[0] for key in found} >= {str(TODAY - number * DAY) for number in range(0, 115)}
    assert len(reports.asked) == 3


def test_campaign_reports_need_one_request_a_day(reports: Reports, source: KlaviyoAccount) -> None:
    reports.sent = {"a": daily("a", 1), "b": daily("b", 200), "c": daily("c", 600), "d": daily("d", 1500)}
    assert {key[1] for key in read(source, "campaign_report")} == {"a", "b", "c"}
    assert len(reports.asked) == 3
    reports.asked.clear()
    reports.sent["e"] = daily("e", 0)
    assert read(source, "campaign_report")["Ce", "e", "email"] == 101.0
    assert len(reports.asked) == 1 and reports.count("mapped-metrics/revenue") == 2


@pytest.mark.parametrize("first", range(360, 368))
def test_a_campaign_that_a_timeframe_cuts_keeps_its_numbers(
    reports: Reports, source: KlaviyoAccount, first: int
) -> None:
    """Sent over four days, around the beginning of the latest timeframe: at first sight, and when known already."""
    reports.sent = {"a": daily("a", *range(first, first + 4)), "now": daily("now", 1)}
    total = float(sum(reports.sent["a"].values()))
    assert read(source, "campaign_report")["Ca", "a", "email"] == total
    assert read(source, "campaign_report")["Ca", "a", "email"] == total


def test_a_report_of_several_pages_is_an_error_and_not_a_part(reports: Reports, source: KlaviyoAccount) -> None:
    reports.next = f"{reports.url}/campaign-values-reports?page_cursor=x"
    with pytest.raises(PaginationError):
        read(source, "campaign_report")


def test_the_metric_that_counts_as_a_conversion(reports: Reports, source: KlaviyoAccount) -> None:
    assert conversion_metric(source.client) == "Order1"

    def metric(id: str, name: str, category: str | None) -> dict[str, Any]:
        return {
            "type": "metric",
            "id": id,
            "attributes": {"name": name, "integration": category and {"category": category}},
        }

    custom = {"type": "mapped-metric", "id": "revenue", "relationships": {"metric": {"data": None}}}
    reports.routes["metrics"] = Reply(
        document(
            [
                metric("A", "Viewed", "eCommerce"),
                metric("B", "Placed Order", None),
                metric("C", "Placed Order", "eCommerce"),
            ]
        )
    )
    for nothing in (
        Reply({"data": custom}),
        error(400, "'revenue' is not a valid choice for 'id'."),
        error(404, "No."),
    ):
        reports.routes["mapped-metrics/revenue"] = nothing
        assert conversion_metric(source.client) == "C"
    reports.routes["metrics"] = Reply(document([metric("A", "Viewed", "eCommerce")]))
    with pytest.raises(KlaviyoError, match="Mapped metrics"):
        conversion_metric(source.client)


def test_campaign_report_of_the_sandbox(tmp_path: Path) -> None:
    account = generate_account(events=3_000, profiles=60, days=20, seed=3)
    received = {each.id for each in account.all("metric") if each.attributes["name"].startswith("Received ")}
    delivered: dict[str, int] = defaultdict(int)
    for event in account.events:
        properties = event.properties
        if event.metric_id in received and properties.get("$message") and not properties.get("$flow"):
            delivered[properties["$message"]] += event.visible_at <= account.clock.timestamp()
    with Sandbox(account) as sandbox:
        source = KlaviyoAccount(warehouse=DuckDBWarehouse(database=str(tmp_path / "w.duckdb")), api_url=sandbox.url)
        clock = FakeClock()
        source._client = KlaviyoClient("pk_sandbox", base_url=sandbox.url, clock=clock, sleep=clock.sleep)
        rows = [row for page in READS["campaign_reports"](source) for row in page["campaign_report"]]
        source.client.close()
    found = {row["campaign_message_id"]: row for row in rows}
    messages = {id: count for id, count in delivered.items() if account.get("campaign-message", id)}
    assert messages and {id: found[id]["delivered"] for id in messages} == messages
    assert {row["conversion_metric_id"] for row in rows} == {
        id for each in account.all("mapped-metric") if each.id == "revenue" for id in each.ids("metric")
    }
