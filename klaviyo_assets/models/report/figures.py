"""What happened in a period, out of klaviyo__events, which there always is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.models.report.period import Period
from klaviyo_assets.models.report.synced import read_names
from klaviyo_assets.warehouse.session import Session

FigureRow = Mapping[str, Any]

EVENTS = "klaviyo__events"
"""The model that they are read from."""

_KINDS = {
    "email": ("received email",),
    "text": ("received text message", "received sms"),
    "push": ("received push",),
    "opened": ("opened email",),
    "clicked": ("clicked email",),
    "text_clicked": ("clicked text message", "clicked sms"),
    "bounced": ("bounced email",),
    "complained": ("marked email as spam",),
    "unsubscribed": ("unsubscribed", "unsubscribed from email marketing"),
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

_WHATSAPP = "lower(type) LIKE 'received %whatsapp%'"
"""The condition that a message came over WhatsApp, as the marts have it."""

_REVENUES = {
    "revenue": "last_touch_type IS NOT NULL",
    "campaign_revenue": "last_touch_type = 'campaign'",
    "flow_revenue": "last_touch_type = 'flow'",
    "all_revenue": "true",
}
"""What the report adds up -> of which orders."""

_MEMBERS = (*_KINDS, "whatsapp", *_REVENUES)

PLACED_ORDER = ("Placed Order",)
"""The names of the metric whose events are orders, unless a variable of the models names another one."""


@dataclass(frozen=True)
class Figures:
    """The figures of a period: of those of its days that there are events of.

    total: one row. before: that of the period before; None if the account's events begin later. steps, campaigns,
    flows: rows with the same members, and `name` (a step's is its first day); campaigns and flows by revenue, most
    first; no step if there are no events. An open or click counts once for each person and message; who subscribes or
    leaves counts once a period.
    """

    period: Period
    total: FigureRow
    before: FigureRow | None
    steps: list[FigureRow]
    campaigns: list[FigureRow]
    flows: list[FigureRow]


def read_figures(
    session: Session,
    schema: str,
    period: Period,
    *,
    accounts: Sequence[str] = (),
    orders: Sequence[str] = PLACED_ORDER,
    top: int = 10,
) -> Figures:
    """Read the figures of a period from the models in `schema`.

    accounts: schemas of the synced tables, which know the names of what was deleted. orders: all names of the metric
    whose events are orders.
    """
    model = session.name(schema, EVENTS)
    events = f"""
        SELECT *, {session.dialect.monday("occurred_on")} AS week,
            CASE WHEN lower(type) IN ({", ".join("?" for _ in orders)}) THEN 1 ELSE 0 END AS is_order,
            coalesce(campaign_id, flow_message_id, flow_id) || '/' || person_id AS message_to_person
        FROM {model}
        WHERE occurred_on >= ? AND occurred_on < ?"""

    def rows(since: dt.date, until: dt.date, key: str | None, name: str, where: str) -> list[FigureRow]:
        group = f" GROUP BY {key}" if key else ""
        statement = f"SELECT {name}, {_sums()} FROM ({events}) AS events WHERE {where}{group}"
        return [_row(row) for row in session.sql(statement, [*map(str.lower, orders), since, until])]

    def total(since: dt.date, until: dt.date) -> FigureRow:
        (row,) = rows(since, until, None, "'all'", "true")
        return row

    def ranking(kind: str) -> list[FigureRow]:
        id = f"last_touch_{kind}_id"
        name = f"coalesce(max({kind}_name), 'Unknown {kind} ' || {id})"
        found = rows(period.since, period.until, id, name, f"{id} IS NOT NULL")
        found = sorted(found, key=lambda row: (-row["revenue"], -row["sent"], row["name"]))[:top]
        former = {f"Unknown {kind} {id}": known for id, known in read_names(session, accounts, kind).items()}
        return [{**row, "name": former.get(row["name"], row["name"])} for row in found]

    ((first, last),) = session.sql(f"SELECT min(occurred_on), max(occurred_on) FROM {model}")
    period = period if first is None else period.within(first, last)
    by = "week" if period.step == "week" else "occurred_on"
    found = {row["name"]: row for row in rows(period.since, period.until, by, by, "true")}
    is_comparable = first is not None and first <= period.before
    return Figures(
        period,
        total(period.since, period.until),
        total(period.before, period.before_end) if is_comparable else None,
        [found.get(day) or _row((day, *[0] * len(_MEMBERS))) for day in period.steps] if found else [],
        ranking("campaign"),
        ranking("flow"),
    )


def _is(kind: str) -> str:
    names = ", ".join(f"'{name}'" for name in _KINDS[kind])
    return f"lower(type) IN ({names})"


def _sums() -> str:
    counted = {
        **dict.fromkeys(("opened", "clicked", "text_clicked"), "message_to_person"),
        **dict.fromkeys(("unsubscribed", "joined", "left"), "person_id"),
    }
    parts = []
    for kind in _KINDS:
        distinct, what = ("DISTINCT ", counted[kind]) if kind in counted else ("", "1")
        parts.append(f"count({distinct}CASE WHEN {_is(kind)} THEN {what} END)")
    parts.append(f"count(CASE WHEN {_WHATSAPP} THEN 1 END)")
    for condition in _REVENUES.values():
        parts.append(f"sum(CASE WHEN is_order = 1 AND {condition} THEN numeric_value END)")
    return ", ".join(parts)


def _row(found: Sequence[Any]) -> FigureRow:
    row = dict(zip(("name", *_MEMBERS), found, strict=True))
    return _with_rates(row | {name: float(row[name] or 0) for name in _REVENUES})


def _with_rates(row: dict[str, Any]) -> FigureRow:
    sent = row["email"] + row["text"] + row["push"] + row["whatsapp"]
    attempted = row["email"] + row["bounced"]  # what Klaviyo dropped was never sent
    return {
        **row,
        "sent": sent,
        "organic_revenue": row["all_revenue"] - row["revenue"],
        "open_rate": share(row["opened"], row["email"]),
        "click_rate": share(row["clicked"] + row["text_clicked"], row["email"] + row["text"]),
        "revenue_per_recipient": share(row["revenue"], sent),
        "bounce_rate": share(row["bounced"], attempted),
        "complaint_rate": share(row["complained"], row["email"]),
        "unsubscribe_rate": share(row["unsubscribed"], row["email"]),
        "growth": row["joined"] - row["left"],
    }


def share(part: float, whole: float) -> float | None:
    """Return part / whole; None of nothing."""
    return part / whole if whole else None
