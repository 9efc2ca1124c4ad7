"""The charts of the report, as SVG: no script, no request, and they print; each with the table behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.models.report.figures import FigureRow
from klaviyo_assets.models.report.formats import Format, Money, number, percent
from klaviyo_assets.models.report.period import Step
from klaviyo_assets.models.report.svg import draw
from klaviyo_assets.models.report.tables import Line, Table

_WIDTH, _HEIGHT = 300, 180
_INK, _GRID = "#3d4451", "#e3e6eb"
_COLOURS = ("#2f6f9f", "#c2661a", "#6d8496", "#a33c4a")
"""Each at least three times as bright or as dark as the page."""

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """Some figures of each step. series: member of a step -> what it is called. axis: what the values are. written: how
    values are. format: the same for the axis, as D3 has it. below: the member that is drawn downwards.
    """

    heading: str
    step: Step
    series: Mapping[str, str]
    axis: str
    written: Format
    format: str = ",d"
    is_stacked: bool = True
    below: str = ""

    @property
    def times(self) -> str:
        """What the steps are called."""
        return "day" if self.step == "day" else "week from"

    def shown(self, steps: Sequence[FigureRow]) -> dict[str, str]:
        """Return the series that there is something of, or all of them."""
        found = {name: label for name, label in self.series.items() if any(each[name] for each in steps)}
        return found or dict(self.series)

    def table(self, steps: Sequence[FigureRow]) -> Table:
        """Return the figures themselves."""
        series = self.shown(steps)
        lines = [Line(str(each["name"]), [self.written(each[name]) for name in series]) for each in steps]
        return Table(self.heading, self.axis, self.times.capitalize(), list(series.values()), lines)

    def text(self, steps: Sequence[FigureRow]) -> str:
        """Return what the picture shows, for those who can't see it."""
        kind = "Bars" if self.is_stacked else "Lines"
        series = ", ".join(self.shown(steps).values())
        return f"{self.heading}. {kind} of {series}: {self.axis}, in {len(steps)} {self.step}s."


def charts(currency: str, step: Step) -> list[Chart]:
    """Return the charts of the report."""
    amount = f"revenue, {currency}" if currency else "revenue"
    money = Money(currency)
    return [
        Chart(
            f"Messages received, by {step}",
            step,
            {"email": "E-mail", "text": "Text message", "push": "Push", "whatsapp": "WhatsApp"},
            "messages received",
            number,
        ),
        Chart(
            f"Open and click rate, by {step}",
            step,
            {"open_rate": "opened", "click_rate": "clicked"},
            "of those received",
            percent,
            ".0%",
            is_stacked=False,
        ),
        Chart(
            f"Revenue, by {step}",
            step,
            {"campaign_revenue": "Campaigns", "flow_revenue": "Flows", "organic_revenue": "Not attributed"},
            amount,
            money,
        ),
        Chart(
            f"Revenue per recipient, by {step}",
            step,
            {"revenue_per_recipient": "revenue"},
            f"{amount} per message received",
            money,
            ",.2f",
            is_stacked=False,
        ),
        Chart(
            f"List growth, by {step}",
            step,
            {"joined": "Subscribed", "left": "Left"},
            "people",
            number,
            below="left",
        ),
        Chart(
            f"Deliverability, by {step}",
            step,
            {"bounce_rate": "bounced", "unsubscribe_rate": "unsubscribed", "complaint_rate": "marked as spam"},
            "of all e-mails",
            percent,
            ".1%",
            is_stacked=False,
        ),
    ]


def drawn(found: Sequence[Chart], steps: Sequence[FigureRow]) -> list[str]:
    """Return the SVG of each chart; of nothing, no picture. Raises NotDrawn."""
    if not steps:
        return [""] * len(found)
    pictures = draw({str(place): _spec(chart, steps) for place, chart in enumerate(found)})
    return [pictures[str(place)] for place in range(len(found))]


def _spec(chart: Chart, steps: Sequence[FigureRow]) -> Spec:
    import altair as alt  # a second, for which nobody should wait who only wants the figures

    series = chart.shown(steps)
    pattern = "%-d %b" if len(steps) < 53 else "%-d %b %Y"  # what is called the same would be drawn in one place
    data = alt.Data(
        values=[
            {
                "time": each["name"].strftime(pattern),
                "series": label,
                "value": -each[name] if name == chart.below else each[name],
                "order": order,
            }
            for each in steps
            for order, (name, label) in enumerate(series.items())
            if each[name] is not None
        ]
    )
    x = alt.X("time:O", title=chart.times, sort=None, axis=alt.Axis(grid=False, labelAngle=0, labelOverlap=True))
    stack = "zero" if chart.is_stacked else None
    y = alt.Y("value:Q", title=chart.axis, axis=alt.Axis(format=chart.format, tickCount=5), stack=stack)
    labels = list(series.values())
    scale = alt.Scale(domain=labels, range=list(_COLOURS[: len(labels)]))
    colour = alt.Color("series:N", title=None, scale=scale, legend=alt.Legend(orient="top"))
    if chart.is_stacked:
        encoded = alt.Chart(data).mark_bar().encode(x=x, y=y, color=colour, order="order:Q")
    else:
        shape = alt.Shape("series:N", title=None, scale=alt.Scale(domain=labels))
        encoded = (
            alt.Chart(data)
            .mark_line(point={"size": 45, "filled": True}, strokeWidth=2)
            .encode(x=x, y=y, color=colour, shape=shape)
        )
    return _styled(encoded)


def _styled(chart: Any) -> Spec:
    axis = {"labelColor": _INK, "titleColor": _INK, "gridColor": _GRID, "domainColor": _GRID, "tickColor": _GRID}
    styled = chart.properties(width=_WIDTH, height=_HEIGHT, background="transparent").configure(
        font="Helvetica, Arial, sans-serif"
    )
    styled = styled.configure_view(stroke=None).configure_axis(
        titleFontWeight="normal", labelFontSize=12, titleFontSize=12, **axis
    )
    return dict(styled.configure_legend(labelFontSize=12, labelColor=_INK, labelLimit=0).to_dict())
