"""The figures of the report: what happened in a period, out of klaviyo__events."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.warehouse.session import Session

FigureRow = Mapping[str, Any]

_CODE = re.compile("[A-Z]{3}")

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

_REVENUES = {
    "revenue": "last_touch_type IS NOT NULL",
    "campaign_revenue": "last_touch_type = 'campaign'",
    "flow_revenue": "last_touch_type = 'flow'",
    "all_revenue": "true",
}
"""What the report adds up -> of which orders."""

_MEMBERS = (*_KINDS, *_REVENUES)


@dataclass(frozen=True)
class Figures:
    """The figures of the days from `since` until before `until`, UTC: those of the period that there are events of.

    currency: ISO code, empty if it is not known or if the accounts have several. total: one row. weeks, campaigns,
    flows: rows with the same members, and `name` (a week's is its Monday); campaigns and flows by revenue, most first.
    An open or click counts once for each person and message; who subscribes or leaves counts once a period.
    """

    since: dt.date
    until: dt.date
    currency: str
    total: FigureRow
    weeks: list[FigureRow]
    campaigns: list[FigureRow]
    flows: list[FigureRow]


def read_figures(
    session: Session,
    schema: str,
    since: dt.date,
    until: dt.date,
    *,
    accounts: Sequence[str] = (),
    top: int = 10,
) -> Figures:
    """Read the figures of a period from the models in `schema`.

    accounts: schemas of the synced tables, which know the currency and the names of what was deleted.
    """
    model = session.name(schema, "klaviyo__events")
    events = f"""
        SELECT *, {session.dialect.monday("occurred_on")} AS week,
            coalesce(campaign_id, flow_message_id, flow_id) || '/' || person_id AS message_to_person
        FROM {model}
        WHERE occurred_on >= ? AND occurred_on < ?"""

    def rows(key: str | None, name: str, where: str) -> list[FigureRow]:
        group = f" GROUP BY {key}" if key else ""
        statement = f"SELECT {name}, {_sums()} FROM ({events}) AS events WHERE {where}{group}"
        return [_row(row) for row in session.sql(statement, [since, until])]

    def ranking(kind: str) -> list[FigureRow]:
        id = f"last_touch_{kind}_id"
        found = rows(id, f"coalesce(max({kind}_name), 'Unknown {kind} ' || {id})", f"{id} IS NOT NULL")
        found = sorted(found, key=lambda row: (-row["revenue"], -row["sent"], row["name"]))[:top]
        former = _names(session, accounts, kind)
        return [{**row, "name": former.get(row["name"], row["name"])} for row in found]

    ((first, last),) = session.sql(
        f"SELECT min(occurred_on), max(occurred_on) FROM {model} WHERE occurred_on < ?", [until]
    )
    (total,) = rows(None, "'all'", "true")
    return Figures(
        since if first is None else max(since, first),
        until if last is None else max(since, last) + dt.timedelta(days=1),
        _currency(session, accounts),
        total,
        sorted(rows("week", "week", "true"), key=lambda row: row["name"]),
        ranking("campaign"),
        ranking("flow"),
    )


def _names(session: Session, accounts: Iterable[str], kind: str) -> dict[str, str]:
    """Return, of campaigns or flows, what the models call one whose name they do not know -> its name."""
    found: dict[str, str] = {}
    for columns, table in _tables(session, accounts, kind):
        texts = ", ".join(name for name in ("name", "subject") if name in columns)
        select = f"SELECT id, coalesce({texts}), _fivetran_deleted FROM {table}"
        for id, name, is_deleted in session.sql(select) if texts else ():
            found[f"Unknown {kind} {id}"] = (name or f"Unnamed {kind} {id}") + " (deleted)" * bool(is_deleted)
    return found


def _currency(session: Session, accounts: Iterable[str]) -> str:
    found = set()
    for columns, table in _tables(session, accounts, "account_history"):
        if "preferred_currency" in columns:
            select = f"SELECT id, preferred_currency FROM {table} ORDER BY observed_at"
            found |= set(dict(session.sql(select)).values()) - {None, ""}
    return found.pop() if len(found) == 1 and all(map(_CODE.fullmatch, found)) else ""


def _tables(session: Session, accounts: Iterable[str], name: str) -> Iterator[tuple[set[str], str]]:
    """Yield columns and quoted name of a table, for each account that has it."""
    for account in accounts:
        if name in session.tables(account):
            yield set(session.columns(account, name)), session.name(account, name)


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
    for condition in _REVENUES.values():
        parts.append(f"sum(CASE WHEN {_is('ordered')} AND {condition} THEN numeric_value END)")
    return ", ".join(parts)


def _row(found: Sequence[Any]) -> FigureRow:
    row = dict(zip(("name", *_MEMBERS), found, strict=True))
    return _with_rates(row | {name: float(row[name] or 0) for name in _REVENUES})


def _with_rates(row: dict[str, Any]) -> FigureRow:
    sent = row["email"] + row["text"] + row["push"]
    attempted = row["email"] + row["bounced"]  # what Klaviyo dropped was never sent
    return {
        **row,
        "sent": sent,
        "open_rate": _share(row["opened"], row["email"]),
        "click_rate": _share(row["clicked"] + row["text_clicked"], row["email"] + row["text"]),
        "revenue_per_recipient": _share(row["revenue"], sent),
        "bounce_rate": _share(row["bounced"], attempted),
        "complaint_rate": _share(row["complained"], row["email"]),
        "unsubscribe_rate": _share(row["unsubscribed"], row["email"]),
        "growth": row["joined"] - row["left"],
    }


def _share(part: float, whole: float) -> float | None:
    """Return part / whole; None of nothing."""
    return part / whole if whole else None
