"""The page, and its summary as Markdown, out of the figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_assets.models.report import charts
from klaviyo_assets.models.report.figures import Figures
from klaviyo_assets.models.report.formats import Money, number, percent, short
from klaviyo_assets.models.report.sections import LEAST_RECIPIENTS, Sections
from klaviyo_assets.models.report.synced import Account
from klaviyo_assets.models.report.tables import rankings, sections, tiles
from klaviyo_assets.text import clean

_TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True)
class Content:
    """All that a page says. title: its heading. order_metric: whose events are orders. notes: why something is not
    there. least_recipients: of the subject lines.
    """

    title: str
    figures: Figures
    sections: Sections
    account: Account = field(default_factory=Account)
    order_metric: str = "Placed Order"
    notes: Sequence[str] = ()
    least_recipients: int = LEAST_RECIPIENTS


def render(content: Content) -> str:
    """Return the page. Raises NotDrawn."""
    import jinja2  # not needed to load the code location

    def cleaned(value: Any) -> Any:
        return clean(value) if type(value) is str else value  # what is marked as safe is SVG

    figures, currency = content.figures, content.account.currency
    found, steps = charts.charts(currency, figures.period.step), figures.steps
    pictures = zip(found, charts.drawn(found, steps), strict=True)
    environment = jinja2.Environment(autoescape=True, finalize=cleaned, trim_blocks=True, lstrip_blocks=True)
    environment.filters["short"] = short
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        content=content,
        period=figures.period,
        tiles=tiles(figures, currency),
        charts=[(chart.text(steps), chart.table(steps), picture) for chart, picture in pictures],
        rankings=rankings(figures, currency),
        sections=sections(content.sections, figures.period, currency, content.least_recipients),
    )


def summary(content: Content) -> str:
    """Return the report in short, as Markdown."""
    figures, currency = content.figures, content.account.currency
    lines = [f"{figures.period.since} to {figures.period.last_day}", ""]
    lines += ["| | | |", "|---|---:|---|"]
    lines += [f"| {tile.label} | {tile.value} | {tile.change.text} |" for tile in tiles(figures, currency)]
    for heading, rows in (("campaign", figures.campaigns), ("flow", figures.flows)):
        lines += ["", f"| {heading} | received | opened | clicked | revenue |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {_cell(row['name'])} | {number(row['sent'])} | {percent(row['open_rate'])} "
            f"| {percent(row['click_rate'])} | {Money(currency, 0)(row['revenue'])} |"
            for row in rows[:5]
        ]
    return "\n".join([*lines, "", *content.notes])


def _cell(text: str) -> str:
    return re.sub(r"([\\|])", r"\\\1", clean(short(text))).replace("\n", " ")
