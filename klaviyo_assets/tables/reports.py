"""CAMPAIGN_REPORT from `POST /campaign-values-reports`, FLOW_REPORT from `POST /flow-series-reports` (daily).

Ask for the groupings `CAMPAIGN_GROUPINGS` or `FLOW_GROUPINGS` and any of `STATISTICS`. Klaviyo counts a statistic
for the day on which the message was sent, in the time zone of the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from klaviyo_assets.schema.decoding import text_of
from klaviyo_assets.schema.lost import note
from klaviyo_assets.tables.jsonapi import Row, Rows, described, latest, listed, mapping, objects
from klaviyo_assets.tables.table import DAILY, Family, Table, date, double, references, text

STATISTICS = {
    "average_order_value": "Value of a conversion, on average.",
    "bounce_rate": "Share of messages that bounced, 0 to 1.",
    "bounced": "Messages that bounced.",
    "bounced_or_failed": "Messages that bounced or failed.",
    "bounced_or_failed_rate": "Share of messages that bounced or failed, 0 to 1.",
    "click_rate": "Share of delivered messages that were clicked, 0 to 1.",
    "click_to_open_rate": "Share of opened messages that were clicked, 0 to 1.",
    "clicks": "Clicks.",
    "clicks_unique": "People who clicked.",
    "conversion_rate": "Share of delivered messages that led to a conversion, 0 to 1.",
    "conversion_uniques": "People who converted.",
    "conversion_value": "Value of the conversions.",
    "conversions": "Conversions.",
    "delivered": "Messages that were delivered.",
    "delivery_rate": "Share of messages that were delivered, 0 to 1.",
    "failed": "Messages that failed.",
    "failed_rate": "Share of messages that failed, 0 to 1.",
    "message_segment_count_sum": "SMS segments that were sent.",
    "open_rate": "Share of delivered messages that were opened, 0 to 1.",
    "opens": "Opens.",
    "opens_unique": "People who opened.",
    "recipients": "People that the message was sent to.",
    "revenue_per_recipient": "Value of the conversions per recipient.",
    "spam_complaint_rate": "Share of delivered messages that were called spam, 0 to 1.",
    "spam_complaints": "Messages that were called spam.",
    "text_message_credit_usage_amount": "SMS credits used.",
    "text_message_roi": "Return on what the SMS cost.",
    "text_message_spend": "What the SMS cost.",
    "unsubscribe_rate": "Share of delivered messages that made someone unsubscribe, 0 to 1.",
    "unsubscribe_uniques": "People who unsubscribed.",
    "unsubscribes": "Unsubscriptions.",
}
"""Statistic of campaigns and flows -> what it says."""

CAMPAIGN_GROUPINGS = ("campaign_id", "campaign_message_id", "send_channel")
FLOW_GROUPINGS = ("flow_id", "flow_message_id", "send_channel")

_STATISTICS = tuple(double(name, description) for name, description in STATISTICS.items())
_METRIC = text("conversion_metric_id", "The metric that counts as a conversion.")
_CHANNEL = text("send_channel", "email, sms, push-notification or whatsapp.")

CAMPAIGN_REPORT = Table(
    name="campaign_report",
    family=Family("campaign_reports", ("campaigns:read",)),
    captures_deletes=False,
    cadence=DAILY,
    optional=True,
    description="What became of each campaign message: opens, clicks, conversions and so on.",
    columns=(
        text("campaign_id", "The campaign."),
        text("campaign_message_id", "The message."),
        _CHANNEL,
        _METRIC,
        *_STATISTICS,
    ),
    primary_key=CAMPAIGN_GROUPINGS,
    foreign_keys=references(
        campaign_id="campaign",
        campaign_message_id="campaign_message",
        conversion_metric_id="metric",
        nominal=["campaign_id", "campaign_message_id"],
    ),
)

FLOW_REPORT = Table(
    name="flow_report",
    family=Family("flow_reports", ("flows:read",)),
    captures_deletes=False,
    cadence=DAILY,
    optional=True,
    description="What became of each flow message, by the day on which it was sent.",
    columns=(
        date("date", "The day, in the time zone of the account."),
        text("flow_id", "The flow."),
        text("flow_message_id", "The message."),
        _CHANNEL,
        _METRIC,
        *_STATISTICS,
    ),
    primary_key=("date", *FLOW_GROUPINGS),
    foreign_keys=references(flow_id="flow", flow_message_id="flow_message", conversion_metric_id="metric"),
)

TABLES = (CAMPAIGN_REPORT, FLOW_REPORT)


def campaigns(document: Mapping[str, Any], conversion_metric_id: str | None = None) -> Rows:
    """Return the rows of CAMPAIGN_REPORT on a page of a values report.

    conversion_metric_id: the metric that the request named.
    """
    found = (
        {**_groupings(result, CAMPAIGN_GROUPINGS), "conversion_metric_id": conversion_metric_id}
        | {name: mapping(result.get("statistics")).get(name) for name in STATISTICS}
        for result in _results(document)
    )
    return {"campaign_report": latest(found, *CAMPAIGN_REPORT.primary_key)}


def flows(document: Mapping[str, Any], conversion_metric_id: str | None = None) -> Rows:
    """Return the rows of FLOW_REPORT on a page of a daily series report, one per day and message.

    conversion_metric_id: the metric that the request named.
    A series that is not as long as the list of days is NULL, and noted.
    """
    days = [moment[:10] for report in described(document) for moment in listed(report, "date_times", str)]
    found: list[Row] = []
    for result in _results(document):
        series = {name: _series(result, name, len(days)) for name in STATISTICS}
        found.extend(
            {"date": day, **_groupings(result, FLOW_GROUPINGS), "conversion_metric_id": conversion_metric_id}
            | {name: values[number] for name, values in series.items()}
            for number, day in enumerate(days)
        )
    return {"flow_report": latest(found, *FLOW_REPORT.primary_key)}


def _results(document: Mapping[str, Any]) -> list[Row]:
    return [result for report in described(document) for result in objects(report, "results")]


def _groupings(result: Row, names: tuple[str, ...]) -> Row:
    return {name: mapping(result.get("groupings")).get(name) for name in names}


def _series(result: Row, name: str, days: int) -> list[Any]:
    values = mapping(result.get("statistics")).get(name)
    if isinstance(values, list) and len(values) == days:
        return values
    if values is not None:
        note(next(map(text_of, mapping(result.get("groupings")).values()), None), f"statistics.{name}")
    return [None] * days
