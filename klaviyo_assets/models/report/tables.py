"""The figures as the page shows them: tiles, tables and a heat map of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from klaviyo_assets.models.report.figures import FigureRow, Figures
from klaviyo_assets.models.report.formats import NOTHING, Change, Format, Money, change, number, percent
from klaviyo_assets.models.report.period import Period
from klaviyo_assets.models.report.sections import Cohort, Sections, SubjectLine

_DARKEST = 0.7
"""Of a cell of the heat map, 0 to 1: text can still be read on it."""

_CHANNELS = {"email": "e-mail", "text": "text message", "push": "push", "whatsapp": "WhatsApp"}


@dataclass(frozen=True)
class Tile:
    """A figure of the whole period."""

    label: str
    value: str
    change: Change


@dataclass(frozen=True)
class Line:
    """A row of a table. cells: all but the name. note: small, under the name. bar: how long its bar is, 0 to 1.
    shades: how dark each cell is, 0 to 1. is_heading: whether it is the name of what follows.
    """

    name: str
    cells: Sequence[str] = ()
    note: str = ""
    bar: float | None = None
    shades: Sequence[float] = ()
    is_heading: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its heading and what one has to know of it. name: of the first column. columns: of the cells. parts:
    tables instead of lines. is_wide: whether there is no room for another one beside it.
    """

    heading: str
    note: str
    name: str = ""
    columns: Sequence[str] = ()
    lines: Sequence[Line] = ()
    parts: Sequence[Table] = ()
    is_wide: bool = False


def tiles(figures: Figures, currency: str) -> list[Tile]:
    """Return the figures that matter most."""
    formats: dict[tuple[str, str], Format] = {
        ("messages received", "sent"): number,
        ("e-mails opened", "open_rate"): percent,
        ("e-mails, texts clicked", "click_rate"): percent,
        ("attributed revenue", "revenue"): Money(currency, 0),
        ("revenue per recipient", "revenue_per_recipient"): Money(currency),
        ("subscribers gained", "growth"): number,
        ("e-mails bounced", "bounce_rate"): percent,
    }
    none = Change("", "no period before")
    return [
        Tile(
            label,
            written(figures.total[member]),
            change(figures.total[member], figures.before[member], written) if figures.before else none,
        )
        for (label, member), written in formats.items()
    ]


def rankings(figures: Figures, currency: str) -> list[Table]:
    """Return the campaigns and the flows with the most revenue."""
    note = "By the days on which it happened."
    columns = ("revenue", "received", "opened", "clicked", "per recipient")
    return [
        Table(f"{kind} with the most revenue", note, kind[:-1], columns, _ranked(rows, currency))
        for kind, rows in (("Campaigns", figures.campaigns), ("Flows", figures.flows))
    ]


def _ranked(rows: Sequence[FigureRow], currency: str) -> list[Line]:
    bars = _bars([row["revenue"] for row in rows])
    return [
        Line(
            row["name"],
            (
                Money(currency, 0)(row["revenue"]),
                number(row["sent"]),
                percent(row["open_rate"]),
                percent(row["click_rate"]),
                Money(currency)(row["revenue_per_recipient"]),
            ),
            bar=bar,
        )
        for row, bar in zip(rows, bars, strict=True)
    ]


def sections(found: Sections, period: Period, currency: str, least_recipients: int) -> list[Table]:
    """Return what the marts say, without the sections that are missing."""
    made = (
        _channels(found, currency),
        _subjects(found, least_recipients),
        _flows(found, currency),
        _cohorts(found),
        _providers(found, period),
    )
    return [table for table in made if table]


def _channels(found: Sections, currency: str) -> Table | None:
    if found.channels is None:
        return None
    names = {"campaign": "Campaigns", "flow": "Flows"}
    lines = [
        Line(
            f"{names[each.credited_to]}, {_CHANNELS.get(each.channel, each.channel)}"
            if each.credited_to in names
            else "No message",
            (percent(each.share), Money(currency, 0)(each.revenue), number(each.orders)),
            bar=max(0, each.share or 0),
        )
        for each in found.channels
    ]
    note = "All orders of the period, by the message that Klaviyo credits them to."
    return Table("Revenue by channel", note, "Channel", ("share", "revenue", "orders"), lines)


def _subjects(found: Sections, least_recipients: int) -> Table | None:
    if found.subjects is None:
        return None
    columns = ("opened", "without machines", "clicked", "received")
    note = (
        f"Of e-mail campaigns that were sent in the period to {number(least_recipients)} people or more "
        f"({number(found.subjects.compared)} subject lines), with all that came of them since."
    )
    parts = [
        Table(heading, "", "Subject line", columns, [_subject(line) for line in lines])
        for heading, lines in (
            ("Highest open rates", found.subjects.best),
            ("Lowest open rates", found.subjects.worst),
        )
        if lines
    ]
    return Table("Subject lines", note, parts=parts, is_wide=True)


def _subject(line: SubjectLine) -> Line:
    reached = line.reached
    cells = (
        percent(reached.open_rate),
        percent(reached.open_rate_without_machines),
        percent(reached.click_rate),
        number(reached.delivered),
    )
    return Line(line.subject, cells, note=line.campaign, bar=reached.open_rate)


def _flows(found: Sections, currency: str) -> Table | None:
    if found.flows is None:
        return None
    lines: list[Line] = []
    for flow in found.flows:
        lines.append(Line(flow.flow, is_heading=True))
        for message in flow.messages:
            reached, has_opens = message.reached, message.channel != "text"
            cells = (
                _CHANNELS.get(message.channel, message.channel),
                number(reached.delivered),
                percent(reached.open_rate) if has_opens else NOTHING,
                percent(reached.open_rate_without_machines) if has_opens else NOTHING,
                percent(reached.click_rate),
                number(message.orders),
                Money(currency, 0)(message.revenue),
            )
            lines.append(Line(message.name, cells, note=message.subject if message.subject != message.name else ""))
    note = (
        "What was sent in the period, with the opens, clicks and orders that came of it, whenever they came, as on "
        "Klaviyo's screens. An open or click counts once for each person and day of sending."
    )
    columns = ("channel", "received", "opened", "without machines", "clicked", "orders", "revenue")
    return Table("Flows, message by message", note, "Message", columns, lines, is_wide=True)


def _cohorts(found: Sections) -> Table | None:
    if found.cohorts is None:
        return None
    months = max((len(cohort.retention) for cohort in found.cohorts), default=0)
    highest = max((rate for cohort in found.cohorts for rate in cohort.retention), default=0)
    lines = [_cohort(cohort, months, highest) for cohort in found.cohorts]
    note = (
        "Of the customers who ordered first in a month, the share that ordered again, by months after it. The last "
        "figure of a row is of a month that may not be over."
    )
    columns = ("customers", *(f"+{number}" for number in range(1, months + 1)))
    return Table("Customers who came back", note, "First order", columns, lines, is_wide=True)


def _cohort(cohort: Cohort, months: int, highest: float) -> Line:
    missing = months - len(cohort.retention)
    return Line(
        f"{cohort.month:%B %Y}",
        (number(cohort.customers), *(f"{rate:.0%}" for rate in cohort.retention), *[""] * missing),
        shades=(0, *(rate / highest * _DARKEST if highest else 0 for rate in cohort.retention), *[0] * missing),
    )


def _providers(found: Sections, period: Period) -> Table | None:
    if found.providers is None:
        return None
    lines = [
        Line(
            each.name,
            (
                number(each.sent),
                percent(each.reached.open_rate),
                percent(each.reached.open_rate_without_machines),
                percent(each.reached.click_rate),
                percent(each.bounce_rate),
                number(each.hard_bounced),
                _rare(each.unsubscribed, each.reached.delivered),
                _rare(each.marked_as_spam, each.reached.delivered),
            ),
        )
        for each in found.providers
    ]
    note = f"E-mails of the weeks from {period.monday} on, by who keeps the inbox."
    columns = (
        "sent", "opened", "without machines", "clicked", "bounced", "hard bounces", "unsubscribed", "marked as spam",
    )  # fmt: skip
    return Table("Deliverability by inbox provider", note, "Inbox provider", columns, lines, is_wide=True)


def _rare(part: int, whole: int) -> str:
    """Write a share that is small: of complaints, a tenth of a percent is too many."""
    return f"{part / whole:.2%}" if whole else NOTHING


def _bars(values: Sequence[float]) -> list[float]:
    widest = max(values, default=0)
    return [max(0.0, value / widest) if widest > 0 else 0.0 for value in values]
