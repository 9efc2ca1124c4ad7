"""The charts of the report, as SVG: no script, no request, and they print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from klaviyo_assets.models.figures import FigureRow, Figures
from klaviyo_assets.models.svg import draw
from klaviyo_assets.text import clean

_WIDTH, _HEIGHT = 400, 190
_INK, _GRID = "#3d4451", "#e8eaee"
_COLOURS = ["#2f6f9f", "#e39b3b", "#8aa6b8", "#b5545c"]


Spec = dict[str, Any]


def charts(figures: Figures) -> dict[str, str]:
    """Return name -> SVG. Raises NotDrawn."""
    return draw({name: _cleaned(spec) for name, spec in _specs(figures).items()})


def _cleaned(value: Any) -> Any:
    """Clean all text of a specification; the renderer ends its process over the rest."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _cleaned(part) for name, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list) else value


def _specs(figures: Figures) -> dict[str, Spec]:
    weeks = figures.weeks
    amount = f"revenue, {figures.currency}" if figures.currency else "revenue"
    return {
        "sends": _bars(weeks, {"email": "E-mail", "text": "Text message", "push": "Push"}, "messages received"),
        "rates": _lines(weeks, {"open_rate": "opened", "click_rate": "clicked"}, "of those received", ".0%"),
        "revenue": _bars(
            [{**week, "organic": week["all_revenue"] - week["revenue"]} for week in weeks],
            {"campaign_revenue": "Campaigns", "flow_revenue": "Flows", "organic": "Not attributed"},
            amount,
        ),
        "per_recipient": _lines(weeks, {"revenue_per_recipient": "revenue"}, f"{amount} per message received", ",.2f"),
        "growth": _bars(
            [{**week, "left": -week["left"]} for week in weeks], {"joined": "Subscribed", "left": "Left"}, "people"
        ),
        "deliverability": _lines(
            weeks,
            {"bounce_rate": "bounced", "unsubscribe_rate": "unsubscribed", "complaint_rate": "marked as spam"},
            "of all e-mails",
            ".1%",
        ),
        "campaigns": _ranking(figures.campaigns, amount),
        "flows": _ranking(figures.flows, amount),
    }


def _long(rows: Sequence[FigureRow], series: Mapping[str, str]) -> alt.Data:
    return alt.Data(
        values=[
            {"week": f"{row['name']:%-d %b}", "series": label, "value": row[name], "order": order}
            for row in rows
            for order, (name, label) in enumerate(series.items())
            if row[name] is not None
        ]
    )


def _week() -> alt.X:
    return alt.X("week:O", title="week from", sort=None, axis=alt.Axis(grid=False, labelAngle=0, labelOverlap=True))


def _colour(series: Mapping[str, str]) -> alt.Color:
    scale = alt.Scale(domain=list(series.values()), range=_COLOURS[: len(series)])
    return alt.Color("series:N", title=None, scale=scale, legend=alt.Legend(orient="top"))


def _bars(rows: Sequence[FigureRow], series: Mapping[str, str], title: str) -> Spec:
    y = alt.Y("value:Q", title=title, axis=alt.Axis(format=",d", tickCount=5), stack="zero")
    chart = alt.Chart(_long(rows, series)).mark_bar()
    return _styled(chart.encode(x=_week(), y=y, color=_colour(series), order="order:Q"))


def _lines(rows: Sequence[FigureRow], series: Mapping[str, str], title: str, format: str) -> Spec:
    y = alt.Y("value:Q", title=title, axis=alt.Axis(format=format, tickCount=5))
    chart = alt.Chart(_long(rows, series)).mark_line(point=True, strokeWidth=2)
    return _styled(chart.encode(x=_week(), y=y, color=_colour(series)))


def _ranking(rows: Sequence[FigureRow], title: str) -> Spec:
    data = alt.Data(values=[{"name": row["name"], "value": row["revenue"]} for row in rows])
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=220, grid=False))
    x = alt.X("value:Q", title=title, axis=alt.Axis(format=",d", tickCount=5))
    chart = alt.Chart(data).mark_bar(color=_COLOURS[0], height=14).encode(x=x, y=y)
    return _styled(chart, height=max(60, 24 * len(rows)))


def _styled(chart: alt.Chart, height: int = _HEIGHT) -> Spec:
    axis = {"labelColor": _INK, "titleColor": _INK, "gridColor": _GRID, "domainColor": _GRID, "tickColor": _GRID}
    styled: Any = chart.properties(width=_WIDTH, height=height, background="transparent").configure(
        font="Helvetica, Arial, sans-serif"
    )
    styled = styled.configure_view(stroke=None).configure_axis(titleFontWeight="normal", labelFontSize=11, **axis)
    return dict(styled.to_dict())
