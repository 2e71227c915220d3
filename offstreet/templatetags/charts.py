"""Draws the charts of `offstreet.charts`: SVG for the eye, one sentence and a table for everybody."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from offstreet import charts

register = template.Library()


def as_chart(chart: charts.Chart | Mapping[str, Any]) -> charts.Chart:
    """Return a chart as it is, or made from a mapping of its fields: pages of the apps below know no class of ours."""
    if isinstance(chart, charts.Chart):
        return chart
    return charts.Chart(**{**chart, "series": [charts.Series(**one) for one in chart["series"]]})


def _draw(given: charts.Chart | Mapping[str, Any], kind: str, id: str, summary: str) -> SafeString:
    chart = as_chart(given)
    top = charts.bar_top(chart) if kind == "bars" else charts.line_top(chart)
    bottom = charts.TOP_ROOM_PX + charts.PLOT_HEIGHT_PX
    context: dict[str, Any] = {
        "chart": chart,
        "id": id,
        "summary": summary or chart.title,
        "slots": charts.slots(chart, top if kind == "bars" else 0),
        "guides": charts.guides(chart, top),
        "left": f"{charts.LEFT_ROOM_PERCENT}%",
        "plot_width": f"{100 - charts.LEFT_ROOM_PERCENT}%",
        "top": charts.TOP_ROOM_PX,
        "plot_height": charts.PLOT_HEIGHT_PX,
        "bottom": bottom,
        "tick_y": bottom + 17,
        "height": bottom + charts.TICK_ROW_PX,
        "paths": charts.line_paths(chart, top) if kind == "lines" else [],
        "dots": charts.dots(chart, top) if kind == "lines" else [],
        "empty": not any(value for one in chart.series for value in one.values),
    }
    return render_to_string("components/chart.html", context)


@register.simple_tag
def bar_chart(chart: charts.Chart | Mapping[str, Any], id: str = "chart", summary: str = "") -> SafeString:
    """Draw a chart's series as bars that stand on one another. `summary` says what it shows, for who cannot see it."""
    return _draw(chart, "bars", id, summary)


@register.simple_tag
def line_chart(chart: charts.Chart | Mapping[str, Any], id: str = "chart", summary: str = "") -> SafeString:
    """Draw a chart's series as lines."""
    return _draw(chart, "lines", id, summary)
