"""The charts of the report, as SVG: no script, no request, and they print; each with the table behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klaviyo_assets.models.report.figures import FigureRow
from klaviyo_assets.models.report.formats import Format, Money, number, percent
from klaviyo_assets.models.report.svg import draw
from klaviyo_assets.models.report.tables import Line, Table

_WIDTH, _HEIGHT = 300, 180
_INK, _GRID = "#3d4451", "#e3e6eb"
_COLOURS = ("#2f6f9f", "#c2661a", "#6d8496", "#a33c4a")
"""Each at least three times as bright or as dark as the page."""

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """Some figures of each week. series: member of a week -> what it is called. axis: what the values are. written: how
    values are. format: the same for the axis, as D3 has it. below: the member that is drawn downwards.
    """

    heading: str
    series: Mapping[str, str]
    axis: str
    written: Format
    format: str = ",d"
    is_stacked: bool = True
    below: str = ""

    def shown(self, weeks: Sequence[FigureRow]) -> dict[str, str]:
        """Return the series that there is something of, or all of them."""
        found = {name: label for name, label in self.series.items() if any(week[name] for week in weeks)}
        return found or dict(self.series)

    def table(self, weeks: Sequence[FigureRow]) -> Table:
        """Return the figures themselves."""
        series = self.shown(weeks)
        lines = [Line(str(week["name"]), [self.written(week[name]) for name in series]) for week in weeks]
        return Table(self.heading, self.axis, "Week from", list(series.values()), lines)

    def text(self, weeks: Sequence[FigureRow]) -> str:
        """Return what the picture shows, for those who can't see it."""
        kind = "Bars" if self.is_stacked else "Lines"
        return f"{self.heading}. {kind} of {', '.join(self.shown(weeks).values())}: {self.axis}, in {len(weeks)} weeks."


def charts(currency: str) -> tuple[Chart, ...]:
    """Return the charts of the report."""
    amount = f"revenue, {currency}" if currency else "revenue"
    money = Money(currency)
    return (
        Chart(
            "Messages received, by week",
            {"email": "E-mail", "text": "Text message", "push": "Push", "whatsapp": "WhatsApp"},
            "messages received",
            number,
        ),
        Chart(
            "Open and click rate",
            {"open_rate": "opened", "click_rate": "clicked"},
            "of those received",
            percent,
            ".0%",
            is_stacked=False,
        ),
        Chart(
            "Revenue, by week",
            {"campaign_revenue": "Campaigns", "flow_revenue": "Flows", "organic_revenue": "Not attributed"},
            amount,
            money,
        ),
        Chart(
            "Revenue per recipient",
            {"revenue_per_recipient": "revenue"},
            f"{amount} per message received",
            money,
            ",.2f",
            is_stacked=False,
        ),
        Chart("List growth", {"joined": "Subscribed", "left": "Left"}, "people", number, below="left"),
        Chart(
            "Deliverability",
            {"bounce_rate": "bounced", "unsubscribe_rate": "unsubscribed", "complaint_rate": "marked as spam"},
            "of all e-mails",
            percent,
            ".1%",
            is_stacked=False,
        ),
    )


def drawn(found: Sequence[Chart], weeks: Sequence[FigureRow]) -> list[str]:
    """Return the SVG of each chart. Raises NotDrawn."""
    pictures = draw({str(place): _spec(chart, weeks) for place, chart in enumerate(found)})
    return [pictures[str(place)] for place in range(len(found))]


def _spec(chart: Chart, weeks: Sequence[FigureRow]) -> Spec:
    import altair as alt  # a second, for which nobody should wait who only wants the figures

    series = chart.shown(weeks)
    data = alt.Data(
        values=[
            {
                "week": f"{week['name']:%-d %b}",
                "series": label,
                "value": -week[name] if name == chart.below else week[name],
                "order": order,
            }
            for week in weeks
            for order, (name, label) in enumerate(series.items())
            if week[name] is not None
        ]
    )
    x = alt.X("week:O", title="week from", sort=None, axis=alt.Axis(grid=False, labelAngle=0, labelOverlap=True))
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
