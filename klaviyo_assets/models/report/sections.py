"""What the marts say of a period: revenue by channel, subject lines, messages of flows, cohorts, inbox providers.

Each is None where a mart that it is read from is turned off, or not there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klaviyo_assets.models.report.figures import share
from klaviyo_assets.models.report.period import Period
from klaviyo_assets.models.report.synced import read_names
from klaviyo_assets.warehouse.session import Session

LEAST_RECIPIENTS = 100
"""A subject line that fewer people got is not compared: chance decides its open rate."""

SUBJECTS = 5
FLOWS = 20
PROVIDERS = 10
COHORT_MONTHS = 12
"""How many are shown."""


@dataclass(frozen=True)
class Channel:
    """Orders and their revenue by what earned them, on the days on which they were placed.

    credited_to: campaign, flow or none. share: of all revenue of the period, 0 to 1; None if there was none.
    """

    credited_to: str
    channel: str
    orders: int
    revenue: float
    share: float | None


@dataclass(frozen=True)
class Reached:
    """What became of messages that were sent in the period, whenever it happened: as often as they were delivered, and
    opened and clicked, which counts once for each person and day of sending.
    """

    delivered: int
    opened: int
    opened_without_machines: int
    clicked: int

    @property
    def open_rate(self) -> float | None:
        """The share that was opened, by people or their machines."""
        return share(self.opened, self.delivered)

    @property
    def open_rate_without_machines(self) -> float | None:
        """The share that people opened themselves."""
        return share(self.opened_without_machines, self.delivered)

    @property
    def click_rate(self) -> float | None:
        """The share that was clicked."""
        return share(self.clicked, self.delivered)


@dataclass(frozen=True)
class SubjectLine:
    """A subject line of an email campaign."""

    subject: str
    campaign: str
    reached: Reached


@dataclass(frozen=True)
class SubjectLines:
    """The subject lines with the highest and the lowest open rates, beginning with these; none is in both.

    compared: how many there are to choose from.
    """

    best: list[SubjectLine] = field(default_factory=list)
    worst: list[SubjectLine] = field(default_factory=list)
    compared: int = 0


@dataclass(frozen=True)
class FlowMessage:
    """A message of a flow, and the orders that were credited to what was sent of it in the period."""

    name: str
    subject: str
    channel: str
    reached: Reached
    orders: int
    revenue: float


@dataclass(frozen=True)
class FlowMessages:
    """The messages of a flow, those that reached most first."""

    flow: str
    messages: list[FlowMessage]

    @property
    def revenue(self) -> float:
        """Of all its messages."""
        return sum(message.revenue for message in self.messages)


@dataclass(frozen=True)
class Cohort:
    """Those who ordered first in a month. retention: the share that ordered again, in each month after it."""

    month: dt.date
    customers: int
    retention: tuple[float, ...]


@dataclass(frozen=True)
class Provider:
    """The emails to those whose inbox somebody keeps, in the weeks that the period touches."""

    name: str
    sent: int
    hard_bounced: int
    reached: Reached
    unsubscribed: int
    marked_as_spam: int

    @property
    def bounce_rate(self) -> float | None:
        """The share of what was sent that did not arrive."""
        return share(self.sent - self.reached.delivered, self.sent)


@dataclass(frozen=True)
class Sections:
    """All sections, and the names of the marts that are missing."""

    channels: list[Channel] | None = None
    subjects: SubjectLines | None = None
    flows: list[FlowMessages] | None = None
    cohorts: list[Cohort] | None = None
    providers: list[Provider] | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Marts:
    """Where the marts are, and what is asked of them."""

    session: Session
    schema: str
    period: Period
    accounts: Sequence[str]
    least_recipients: int

    def rows(self, mart: str, select: str, where: str, *parameters: Any, by: str = "") -> list[tuple[Any, ...]]:
        """Return columns of a mart, grouped by some of them, which come first."""
        group = f" GROUP BY {by}" if by else ""
        columns = f"{by}, {select}" if by else select
        relation = self.session.name(self.schema, mart)
        return self.session.sql(f"SELECT {columns} FROM {relation} WHERE {where}{group}", parameters)


def read_sections(
    session: Session,
    schema: str,
    period: Period,
    marts: Collection[str],
    *,
    accounts: Sequence[str] = (),
    least_recipients: int = LEAST_RECIPIENTS,
) -> Sections:
    """Read what the marts in `schema` say of a period.

    marts: those that are turned on. accounts: schemas of the synced tables, which know the names of what was deleted.
    least_recipients: of a subject line.
    """
    there = session.tables(schema) & set(marts)
    asked = _Marts(session, schema, period, accounts, least_recipients)
    found = {name: read(asked) for name, (needs, read) in _READERS.items() if there.issuperset(needs)}
    return Sections(**found, missing=tuple(mart for mart in MARTS if mart not in there))


def _channels(marts: _Marts) -> list[Channel]:
    found = marts.rows(
        "channel_revenue",
        "sum(orders), sum(revenue)",
        "period = 'day' AND period_start >= ? AND period_start < ?",
        marts.period.since,
        marts.period.until,
        by="credited_to, channel",
    )
    total = float(sum(revenue for *_, revenue in found))
    channels = [
        Channel(credited_to, channel, int(orders), float(revenue), share(float(revenue), total))
        for credited_to, channel, orders, revenue in found
    ]
    return sorted(
        channels, key=lambda each: (each.credited_to == "none", -each.revenue, each.credited_to, each.channel)
    )


_SENT = """message_type = ? AND date_type = 'send_date' AND period = 'day' AND period_start >= ? AND period_start < ?"""
_REACHED = "sum(delivered), sum(unique_opened), sum(unique_opened_without_machines), sum(unique_clicked)"


def _subjects(marts: _Marts) -> SubjectLines:
    """Compare subject lines of campaigns: of an A/B test by its variations, which may have subjects of their own."""
    since, until = (dt.datetime.combine(day, dt.time()) for day in (marts.period.since, marts.period.until))
    variations = marts.rows(
        "variation_results",
        "source_relation, message_id, campaign_id, subject, campaign_name, recipients, openers, "
        "openers_without_machines, clickers, CASE WHEN first_sent_at >= ? AND first_sent_at < ? THEN 1 ELSE 0 END",
        "message_type = 'campaign' AND channel = 'email'",
        since,
        until,
    )
    tested = {row[:2] for row in variations}
    messages = marts.rows(
        "message_performance",
        f"max(campaign_id), max(subject), max(campaign_name), {_REACHED}",
        f"{_SENT} AND channel = 'email'",
        "campaign",
        marts.period.since,
        marts.period.until,
        by="source_relation, message_id",
    )
    usual = {row[:2]: row[3] for row in messages}
    former = read_names(marts.session, marts.accounts, "campaign")
    lines: dict[tuple[str, str, str, str], list[int]] = {}
    for source, message, campaign, subject, name, *counts in (
        *(row[:-1] for row in variations if row[-1]),
        *(row for row in messages if row[:2] not in tested),
    ):
        if subject := subject or usual.get((source, message)):
            key = source, message, subject, name or former.get(campaign) or f"Unknown campaign {campaign}"
            known = lines.get(key, [0] * len(counts))
            lines[key] = [int(count) + before for count, before in zip(counts, known, strict=True)]
    found = [
        SubjectLine(subject, name, Reached(*counts))
        for (_, _, subject, name), counts in lines.items()
        if counts[0] >= max(1, marts.least_recipients)
    ]
    found.sort(key=lambda line: (-(line.reached.open_rate or 0), -line.reached.delivered, line.subject, line.campaign))
    best, rest = found[:SUBJECTS], found[SUBJECTS:]
    return SubjectLines(best, rest[::-1][:SUBJECTS], len(found))


def _flows(marts: _Marts) -> list[FlowMessages]:
    found = marts.rows(
        "message_performance",
        f"max(flow_name), max(message_name), max(subject), {_REACHED}, sum(orders), sum(revenue)",
        _SENT,
        "flow",
        marts.period.since,
        marts.period.until,
        by="source_relation, flow_id, message_id, channel",
    )
    former = read_names(marts.session, marts.accounts, "flow")
    flows: dict[tuple[str, str, str], list[FlowMessage]] = {}
    for source, flow, id, channel, flow_name, name, subject, *counts, orders, revenue in found:
        flow_name = flow_name or former.get(flow) or f"Unknown flow {flow}"
        name = name or subject or (f"Message {id}" if id != flow else "Unknown message")
        message = FlowMessage(name, subject or "", channel, Reached(*map(int, counts)), int(orders), float(revenue))
        flows.setdefault((source, flow, flow_name), []).append(message)
    all_flows = [
        FlowMessages(name, sorted(messages, key=lambda each: (-each.reached.delivered, each.name, each.channel)))
        for (_, _, name), messages in flows.items()
    ]
    return sorted(all_flows, key=lambda each: (-each.revenue, each.flow))[:FLOWS]


def _cohorts(marts: _Marts) -> list[Cohort]:
    """Return the cohorts of the year up to the end of the period, with the months until then."""
    last = _month_number(marts.period.last_day)
    found = marts.rows(
        "cohorts",
        "sum(customers), sum(unique_customers_ordering)",
        "cohort_month >= ? AND cohort_month < ?",
        _month(last - COHORT_MONTHS + 1),
        _month(last + 1),
        by="cohort_month, months_since_first",
    )
    months: dict[dt.date, dict[int, tuple[int, int]]] = {}
    for month, since, customers, ordering in found:
        months.setdefault(month, {})[int(since)] = (int(customers), int(ordering))
    return [
        Cohort(
            month,
            cells[0][0],
            tuple(
                share(cells[since][1], cells[since][0]) or 0
                for since in range(1, last - _month_number(month) + 1)
                if since in cells
            ),
        )
        for month, cells in sorted(months.items())
    ]


def _month_number(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def _month(number: int) -> dt.date:
    return dt.date(number // 12, number % 12 + 1, 1)


def _providers(marts: _Marts) -> list[Provider]:
    found = marts.rows(
        "deliverability",
        "sum(sent), sum(hard_bounced), sum(delivered), sum(messages_opened), sum(messages_opened_without_machines), "
        "sum(messages_clicked), sum(messages_unsubscribed), sum(messages_marked_as_spam)",
        "week_start >= ? AND week_start < ?",
        marts.period.monday,
        marts.period.until,
        by="inbox_provider",
    )
    providers = [
        Provider(name, int(sent), int(hard), Reached(*map(int, counts)), int(left), int(spam))
        for name, sent, hard, *counts, left, spam in found
    ]
    return sorted(providers, key=lambda each: (-each.sent, each.name))[:PROVIDERS]


_READERS: Mapping[str, tuple[Iterable[str], Callable[[_Marts], Any]]] = {
    "channels": (("channel_revenue",), _channels),
    "subjects": (("message_performance", "variation_results"), _subjects),
    "flows": (("message_performance",), _flows),
    "cohorts": (("cohorts",), _cohorts),
    "providers": (("deliverability",), _providers),
}
"""Section -> the marts that it is read from, and how."""

MARTS = tuple(dict.fromkeys(mart for needs, _ in _READERS.values() for mart in needs))
"""The marts that the report reads."""
