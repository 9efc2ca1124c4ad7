"""Reports: every number of every day, with one request a day, and nothing that was cut in two."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.api import KlaviyoClient, KlaviyoError, PaginationError
from klaviyo_assets.assets.resources import KlaviyoAccount
from klaviyo_assets.sandbox.shop.generate import generate_account
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.sync.reads import READS
from klaviyo_assets.sync.reads.reports import conversion_metric
from klaviyo_assets.tables.registry import table
from klaviyo_assets.tables.reports import STATISTICS
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from klaviyo_assets.warehouse.extract import Extract
from klaviyo_assets.warehouse.spool import temporary_spool
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets_tests.api.fake import KEY, FakeApi, FakeClock, Reply, Request, document, error
from klaviyo_assets_tests.conftest import Project, only
from klaviyo_assets_tests.expected import live, mismatches, stored
from klaviyo_assets_tests.expected.reports import campaign_report, flow_report

TODAY = dt.date(2026, 9, 4)
DAY = dt.timedelta(days=1)
KEYS = {"last_365_days": 365, "last_30_days": 30}


class Reports(FakeApi):
    """Reports of made-up sendings: `sent[message][day]` people got a message on a day of the account."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[dt.date, int]] = {}
        self.asked: list[tuple[dt.date, dt.date]] = []
        self.page_size = 100
        self.following: Callable[[int], str] = lambda first: f"?page_cursor={first}"
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
        return self.report(request, "campaign-values-report", {"results": results})

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
        return self.report(request, "flow-series-report", {"results": results, "date_times": moments})

    def report(self, request: Request, type: str, attributes: dict[str, Any]) -> Reply:
        first = int(request.query.get("page_cursor", 0))
        last = first + self.page_size
        more = last < len(attributes["results"])
        page = attributes | {"results": attributes["results"][first:last]}
        links = {"next": f"{self.url}/{type}s{self.following(last)}" if more else None}
        return Reply({"data": {"type": type, "id": "1", "attributes": page}, "links": links})


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
    rows = [row for page in READS[table(name).family](source) for row in page[name]]
    with temporary_spool() as spool:
        spool.write(typed_batch(Columns.of_rows(rows, spec.types), spec))
        state = SyncState(name, synced_through=now, complete=True)
        source.warehouse.load(Extract(spec, states=(state,)), spool)
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
        source.warehouse.load(Extract(table("flow_report"), states=(state,)), nothing)
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


@pytest.mark.parametrize("name", ["campaign_report", "flow_report"])
def test_a_report_of_several_pages_is_read_to_its_end(reports: Reports, source: KlaviyoAccount, name: str) -> None:
    reports.sent = {f"m{number}": daily(f"m{number}", number % 5, 5) for number in range(7)}
    whole = [row for page in READS[table(name).family](source) for row in page[name]]
    timeframes = len(reports.asked)
    assert len({row["send_channel"] + row["conversion_metric_id"] for row in whole}) == 1 and len(whole) >= 7
    reports.page_size = 3
    reports.asked.clear()
    assert [row for page in READS[table(name).family](source) for row in page[name]] == whole
    assert len(reports.asked) == timeframes + 2  # nothing was sent in the other timeframes


@pytest.mark.parametrize(
    "links", [[""], ["?page_cursor="], ["?page[cursor]=3"], ["?page_cursor=1"], ["?page_cursor=1", "?page_cursor=2"]]
)
def test_a_report_that_does_not_go_on_is_an_error_and_not_a_part(
    reports: Reports, source: KlaviyoAccount, links: list[str]
) -> None:
    """Links without a cursor, with the same one for ever, and with two by turns."""
    reports.sent = {f"m{number}": daily(f"m{number}", 1) for number in range(7)}
    reports.page_size = 3
    turns = itertools.cycle(links)
    reports.following = lambda _: next(turns)
    with pytest.raises(PaginationError):
        read(source, "campaign_report")
    assert len(reports.asked) <= 3 and source.warehouse.rows("campaign_report", ["recipients"]) == []


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


REPORTS = {"campaign_report": campaign_report, "flow_report": flow_report}


def wrong(klaviyo: Project) -> list[str]:
    """What is wrong with the report tables, in words: all but the days of a flow message on which it did nothing."""
    problems = []
    for name, expected in REPORTS.items():
        found = live(klaviyo.warehouse, name, table(name).primary_key)
        counted = {key: row for key, row in found.items() if any(row[statistic] for statistic in STATISTICS)}
        assert counted, f"{name} is empty"
        problems += mismatches(name, expected(klaviyo.account), counted)
    return problems


@pytest.mark.parametrize("page_size", [pytest.param(500, marks=pytest.mark.soak), 4])
def test_a_run_lands_what_the_events_of_the_sandbox_add_up_to(project: Callable[..., Project], page_size: int) -> None:
    """Of several timeframes and pages, in a time zone that is not UTC; then what a day adds to it."""
    now = dt.datetime(2026, 3, 20, 2, 30, tzinfo=dt.UTC)
    account = generate_account(events=4_000, profiles=80, days=100, seed=4, now=now)
    klaviyo = project(account, tables=only("campaign_report", "flow_report", "metric"))
    klaviyo.sandbox.report_page_size = page_size
    klaviyo.refresh()
    assert wrong(klaviyo) == []
    assert klaviyo.differences("metric") == []

    account.clock.advance(dt.timedelta(days=1))
    metrics = {each.attributes["name"]: each.id for each in account.all("metric")}
    clicks = {name: sum(row["clicks"] for row in stored(klaviyo.warehouse, name)) for name in REPORTS}
    for of_flow in (True, False):
        opened = (event for event in account.events if event.metric_id == metrics["Opened Email"])
        *_, last = (event for event in opened if ("$flow" in event.properties) == of_flow)
        account.add_event(metrics["Clicked Email"], account.clock.now(), properties=last.properties)
    klaviyo.sandbox.requests.clear()
    klaviyo.sync()
    assert wrong(klaviyo) == []
    assert {name: sum(row["clicks"] for row in stored(klaviyo.warehouse, name)) for name in REPORTS} == {
        name: count + 1 for name, count in clicks.items()
    }
    asked = [each.operation for each in klaviyo.sandbox.requests if "page_cursor" not in each.query]
    assert (asked.count("query_campaign_values"), asked.count("query_flow_series")) == (1, 1)
