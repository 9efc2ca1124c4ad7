"""The figures of the report: what happened in a period, out of klaviyo__events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from klaviyo_assets.warehouse.sql import quote

Row = Mapping[str, Any]

_KINDS = {
    "email": ("received email",),
    "text": ("received text message", "received sms"),
    "push": ("received push",),
    "opened": ("opened email",),
    "clicked": ("clicked email",),
    "text_clicked": ("clicked text message", "clicked sms"),
    "bounced": ("bounced email",),
    "dropped": ("dropped email",),
    "complained": ("marked email as spam",),
    "unsubscribed": ("unsubscribed", "unsubscribed from email marketing"),
    "ordered": ("placed order",),
    "joined": (
        "subscribed to email marketing",
        "subscribed to list",
        "subscribed to text messaging marketing",
        "subscribed to sms marketing",
    ),
    "left": (
        "unsubscribed",
        "unsubscribed from list",
        "unsubscribed from email marketing",
        "unsubscribed from text messaging marketing",
        "unsubscribed from sms marketing",
    ),
}
"""What the report counts -> names of metrics, before and after Klaviyo renamed them."""


@dataclass(frozen=True)
class Figures:
    """The figures of the days from `since` until before `until`, UTC.

    total: one row. weeks, campaigns, flows: rows with the same members, and `week` (its Monday) or `name`; campaigns
    and flows by revenue, most first. An open or click counts once for each person and message; who subscribes or leaves
    counts once a period.
    """

    since: dt.date
    until: dt.date
    total: Row
    weeks: list[Row]
    campaigns: list[Row]
    flows: list[Row]


def read_figures(
    connection: duckdb.DuckDBPyConnection, schema: str, since: dt.date, until: dt.date, *, top: int = 10
) -> Figures:
    """Read the figures of a period from the models in `schema`."""
    ((database,),) = connection.execute("SELECT current_database()").fetchall()
    events = f"""
        SELECT *, date_trunc('week', occurred_on)::DATE AS week,
            coalesce(campaign_id, flow_message_id, flow_id) || '/' || person_id AS message_to_person
        FROM {quote(database, schema, "klaviyo__events")}
        WHERE occurred_on >= ? AND occurred_on < ?"""

    def rows(key: str, name: str, where: str, order: str) -> list[Row]:
        statement = f"SELECT {name} AS name, {_sums()} FROM ({events}) WHERE {where} GROUP BY {key} ORDER BY {order}"
        found = connection.execute(statement, [since, until])
        names = [column[0] for column in found.description]
        return [_with_rates(dict(zip(names, row, strict=True))) for row in found.fetchall()]

    (total,) = rows("ALL", "'all'", "true", "1")
    by_revenue = f"revenue DESC, email + text + push DESC, name LIMIT {int(top)}"
    return Figures(
        since,
        until,
        total,
        rows("week", "week", "true", "week"),
        rows(
            "last_touch_campaign_id",
            "coalesce(max(campaign_name), 'Deleted campaign ' || last_touch_campaign_id)",
            "last_touch_campaign_id IS NOT NULL",
            by_revenue,
        ),
        rows(
            "last_touch_flow_id",
            "coalesce(max(flow_name), 'Deleted flow ' || last_touch_flow_id)",
            "last_touch_flow_id IS NOT NULL",
            by_revenue,
        ),
    )


def _is(kind: str) -> str:
    names = ", ".join(f"'{name}'" for name in _KINDS[kind])
    return f"lower(type) IN ({names})"


def _sums() -> str:
    counted = {
        **dict.fromkeys(("opened", "clicked", "text_clicked"), "DISTINCT message_to_person"),
        **dict.fromkeys(("unsubscribed", "joined", "left"), "DISTINCT person_id"),
    }
    parts = [f"count({counted.get(kind, '*')}) FILTER ({_is(kind)}) AS {quote(kind)}" for kind in _KINDS]
    for name, condition in {
        "revenue": "last_touch_type IS NOT NULL",
        "campaign_revenue": "last_touch_type = 'campaign'",
        "flow_revenue": "last_touch_type = 'flow'",
        "all_revenue": "true",
    }.items():
        parts.append(f"coalesce(sum(numeric_value) FILTER ({_is('ordered')} AND {condition}), 0)::DOUBLE AS {name}")
    return ", ".join(parts)


def _with_rates(row: dict[str, Any]) -> Row:
    sent = row["email"] + row["text"] + row["push"]
    attempted = row["email"] + row["bounced"] + row["dropped"]
    return {
        **row,
        "sent": sent,
        "open_rate": _share(row["opened"], row["email"]),
        "click_rate": _share(row["clicked"] + row["text_clicked"], row["email"] + row["text"]),
        "revenue_per_recipient": _share(row["revenue"], sent),
        "bounce_rate": _share(row["bounced"] + row["dropped"], attempted),
        "complaint_rate": _share(row["complained"], row["email"]),
        "unsubscribe_rate": _share(row["unsubscribed"], row["email"]),
        "growth": row["joined"] - row["left"],
    }


def _share(part: float, whole: float) -> float | None:
    """Return part / whole; None of nothing."""
    return part / whole if whole else None
