"""Charts are plain geometry: what is drawn where, and the same in words."""

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from offstreet.charts import (
    PLOT_HEIGHT_PX,
    TOP_ROOM_PX,
    Chart,
    Series,
    bar_top,
    dots,
    line_paths,
    line_top,
    nice_ceiling,
    slots,
)


def chart(*series: Series, count: int = 3, **options: object) -> Chart:
    names = [f"{i}:00" for i in range(count)]
    return Chart(title="Pushes", labels=names, ticks=names, series=series, **options)  # type: ignore[arg-type]


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_the_axis_ends_at_or_above_the_greatest_value_and_not_far_above_it(value: float) -> None:
    assert value <= nice_ceiling(value) * (1 + 1e-9)
    assert nice_ceiling(value) <= value * 2.51


def test_bars_stand_on_one_another_and_on_the_axis() -> None:
    both = chart(Series("accepted", [80, 0, 0]), Series("refused", [20, 0, 0]))
    lower, upper = slots(both, bar_top(both))[0].rects
    assert float(lower.y) + float(lower.height) == pytest.approx(TOP_ROOM_PX + PLOT_HEIGHT_PX)
    assert float(upper.y) + float(upper.height) == pytest.approx(float(lower.y), abs=0.02)
    assert float(upper.y) == pytest.approx(TOP_ROOM_PX, abs=0.02)


def test_one_refusal_among_thousands_can_be_seen() -> None:
    both = chart(Series("accepted", [9_999, 0, 0]), Series("refused", [1, 0, 0]))
    assert float(slots(both, bar_top(both))[0].rects[1].height) >= 2


def test_a_line_has_a_gap_where_nothing_was_measured_and_a_lone_value_stays_visible() -> None:
    gapped = chart(Series("median", [0.4, None, 0.5]))
    (path,) = line_paths(gapped, line_top(gapped))
    assert path.count("M") == 2
    assert path.count("h0.1") == 2


def test_series_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        chart(Series("accepted", [1, 2]))
    with pytest.raises(ValueError, match="one to 3 series"):
        chart()


def test_a_chart_is_also_a_sentence_and_a_table() -> None:
    measured = chart(Series("median", [0.4, None, 1.25]), unit="s", decimals=1)
    page = Template("{% load charts %}{% line_chart c summary='Median below 2 s.' %}").render(
        Context({"c": measured})
    )
    assert 'role="img" aria-label="Median below 2 s."' in page
    assert "<title>0:00: median 0.4 s</title>" in page
    assert '<th scope="row">1:00</th><td class="os-num">–</td>' in page
    assert "style=" not in page


def test_an_empty_chart_says_so() -> None:
    page = Template("{% load charts %}{% bar_chart c %}").render(
        Context({"c": chart(Series("accepted", [0, 0, 0]))})
    )
    assert "Nothing in this period" in page


def test_each_measured_point_of_a_line_has_a_dot_where_the_line_passes() -> None:
    alone = chart(Series("median", [None, 5, None]), Series("95th", [10, None, 10]))
    points = dots(alone, line_top(alone))
    assert [one.series for one in points] == [1, 2, 2]
    assert points[0].x == slots(alone)[1].middle
    assert float(points[0].y) == pytest.approx(TOP_ROOM_PX + PLOT_HEIGHT_PX / 2)
