"""CAMPAIGN_REPORT and FLOW_REPORT. Klaviyo allows 2 reports a minute and 225 a day, of each kind.

A read takes one report: it covers the last 365 days of campaigns, the last 30 days of flows. Numbers of older messages
hardly change any more. Only the first read, and one after a long pause, goes further back: until a year in which
nothing was sent, or to where the last read ended. That is one report for each 11 months of campaigns or 8 weeks of
flows.

Klaviyo counts everything for the day that the message was sent, in the time zone of the account. A campaign that was
sent over several days may be cut by the beginning of a timeframe: of several rows of a message, the one with the most
recipients counts, and older timeframes overlap by a month.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from klaviyo_assets.api import InvalidRequest, KlaviyoClient, KlaviyoError, PaginationError
from klaviyo_assets.settings.model import FOUNDED
from klaviyo_assets.sync.reads.reading import Account
from klaviyo_assets.tables import metrics as metric_tables
from klaviyo_assets.tables import reports as report_tables
from klaviyo_assets.tables.jsonapi import Row, Rows, related_id, resources
from klaviyo_assets.tables.table import Table

YEAR = dt.timedelta(days=365)

STILL_CHANGING = dt.timedelta(days=14)
"""How long after a message was sent its numbers are read again, if a pause of the syncs came in between."""


@dataclass(frozen=True)
class Report:
    """How one of the reports is asked for.

    latest, covers: name and length of the timeframe that every read asks for.
    span, overlap: length of an older timeframe, and how much of it the following one covers too.
    """

    table: Table
    rows: Callable[[Mapping[str, Any], str | None], Rows]
    operation: str
    path: str
    attributes: Mapping[str, Any]
    latest: str
    covers: dt.timedelta
    span: dt.timedelta
    overlap: dt.timedelta

    def ask(self, client: KlaviyoClient, metric: str, timeframe: Mapping[str, str]) -> list[Row]:
        """Return the rows of one timeframe. Raises PaginationError if its pages do not lead on."""
        attributes = {
            "statistics": list(report_tables.STATISTICS),
            "timeframe": timeframe,
            "conversion_metric_id": metric,
            **self.attributes,
        }
        body = {"data": {"type": self.path.strip("/").removesuffix("s"), "attributes": attributes}}
        rows: list[Row] = []
        cursor: str | None = None
        followed: set[str | None] = {None}
        while True:
            page = client.post(self.operation, self.path, body, {"page_cursor": cursor})
            rows += self.rows(page.json(), metric)[self.table.name]
            if page.may_go_on:
                raise PaginationError(self.operation, "the link to the next page can't be read")
            if page.next is None:
                return rows
            cursor = parse_qs(urlsplit(page.next).query).get("page_cursor", [None])[0]
            if cursor in followed:
                raise PaginationError(self.operation, "the report does not say how it goes on")
            followed.add(cursor)


CAMPAIGNS = Report(
    report_tables.CAMPAIGN_REPORT,
    report_tables.campaigns,
    "query_campaign_values",
    "/campaign-values-reports",
    {"group_by": list(report_tables.CAMPAIGN_GROUPINGS)},
    latest="last_365_days",
    covers=YEAR,
    span=YEAR,
    overlap=dt.timedelta(days=31),
)

FLOWS = Report(
    report_tables.FLOW_REPORT,
    report_tables.flows,
    "query_flow_series",
    "/flow-series-reports",
    {"group_by": list(report_tables.FLOW_GROUPINGS), "interval": "daily"},
    latest="last_30_days",
    covers=dt.timedelta(days=30),
    span=dt.timedelta(days=58),  # of 60 that a daily series may have
    overlap=dt.timedelta(days=2),  # the ends of a timeframe are days of the account, which may be a day off
)


def campaign_reports(account: Account) -> Iterator[Rows]:
    """Read the numbers of every campaign message."""
    key = report_tables.CAMPAIGN_REPORT.primary_key
    known = account.warehouse.rows("campaign_report", (*key, "recipients"))
    return _read(account, CAMPAIGNS, {tuple(values): recipients or 0 for *values, recipients in known})


def flow_reports(account: Account) -> Iterator[Rows]:
    """Read the numbers of every flow message, day by day."""
    return _read(account, FLOWS, {})


def conversion_metric(client: KlaviyoClient) -> str:
    """Return the id of the metric that counts as a conversion: the account's revenue metric, else its Placed Order.

    Of several metrics of that name, that of an integration of the category eCommerce comes first. Raises
    KlaviyoError if there is none.
    """
    try:
        page = client.get("get_mapped_metric", "/mapped-metrics/revenue", {"include": ["metric", "custom-metric"]})
        mapped = resources(page.json())
    except InvalidRequest:
        mapped = []
    for metric in filter(None, (related_id(each, "metric") for each in mapped)):
        return metric
    orders = [
        row
        for page in client.pages("get_metrics", "/metrics")
        for row in metric_tables.rows(page.json())["metric"]
        if row["name"] == "Placed Order"
    ]
    if not orders:
        raise KlaviyoError(
            "Reports need a metric that counts as a conversion, and the account has none: choose the metric of "
            "revenue in Klaviyo (Settings > Mapped metrics), or turn off the report tables."
        )
    return str(min(orders, key=lambda row: row["integration_category"] != "eCommerce")["id"])


def _read(account: Account, report: Report, most: dict[tuple[Any, ...], float]) -> Iterator[Rows]:
    """Yield the rows of one timeframe after another, the latest first.

    most: key of a row -> the most recipients that it was seen with, rows of the warehouse included.
    """
    client = account.client
    state = account.warehouse.state(report.table.name)
    since = state.synced_through - STILL_CHANGING if state and state.synced_through else None
    metric = conversion_metric(client)
    end = client.now()
    start = end - report.covers
    timeframe = {"key": report.latest}
    empty = dt.timedelta(0)
    while True:
        rows = report.ask(client, metric, timeframe)
        fullest = []
        for row in rows:
            key = tuple(row[name] for name in report.table.primary_key)
            recipients = _number(row["recipients"])
            if recipients >= most.get(key, 0):
                most[key] = recipients
                fullest.append(row)
        yield {report.table.name: fullest}
        empty = dt.timedelta(0) if any(_number(row["recipients"]) for row in rows) else empty + (end - start)
        if start.date() < FOUNDED or (start <= since if since else empty >= YEAR):
            return
        end = start + report.overlap
        start = end - report.span
        timeframe = {"start": f"{start:%Y-%m-%d}T00:00:00+00:00", "end": f"{end:%Y-%m-%d}T00:00:00+00:00"}


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0
