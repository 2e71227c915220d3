"""Times are shown as people say them, in the location's time zone, and never guessed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template

from locations.times import duration_text
from offstreet.templatetags.times import NOTHING, ago_text

EASTERN = "America/New_York"
WHEN = datetime(2026, 12, 5, 23, 0, 7, 210_000, tzinfo=UTC)


def render(source: str, **context: object) -> str:
    return Template("{% load times %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("span", "parts", "text"),
    [
        (timedelta(0), 1, "0 s"),
        (timedelta(milliseconds=400), 1, "0.4 s"),
        (timedelta(seconds=4), 1, "4 s"),
        (timedelta(seconds=59, milliseconds=900), 1, "59 s"),
        (timedelta(minutes=6, seconds=50), 1, "6 min"),
        (timedelta(hours=1, minutes=20), 1, "1 h"),
        (timedelta(hours=1, minutes=20), 2, "1 h 20 min"),
        (timedelta(hours=1, seconds=20), 2, "1 h"),
        (timedelta(days=1, hours=3), 1, "1 day"),
        (timedelta(days=2), 1, "2 days"),
        (timedelta(seconds=-5), 1, "0 s"),
    ],
)
def test_a_span_is_written_as_people_say_it(span: timedelta, parts: int, text: str) -> None:
    assert duration_text(span, parts) == text


def test_tenths_are_for_spans_below_a_minute() -> None:
    seconds = (0, 0.065, 1.24, 59.9, 61)
    assert [duration_text(timedelta(seconds=n), tenths=True) for n in seconds] == [
        "0 s", "0.1 s", "1.2 s", "59.9 s", "1 min",
    ]  # fmt: skip


def test_past_now_and_future_are_distinguished() -> None:
    assert ago_text(WHEN - timedelta(minutes=6), WHEN) == "6 min ago"
    assert ago_text(WHEN + timedelta(days=2), WHEN) == "in 2 days"
    assert ago_text(WHEN, WHEN) == "just now"


@pytest.mark.parametrize(
    "tz",
    [EASTERN, ZoneInfo(EASTERN), SimpleNamespace(tz=ZoneInfo(EASTERN))],
    ids=["a name", "a zone", "a location"],
)
def test_a_time_is_shown_in_the_locations_zone_with_utc_on_hover(tz: object) -> None:
    shown = render("{% localtime when tz %}", when=WHEN, tz=tz)
    assert shown == (
        '<time datetime="2026-12-05T23:00:07.210Z" title="5 Dec 2026, 23:00:07 UTC">5 Dec 2026, 18:00</time>'
    )


def test_a_time_can_be_shown_to_the_millisecond() -> None:
    assert ">5 Dec, 18:00:07.210<" in render(
        "{% localtime when tz style='second' milliseconds=True %}", when=WHEN, tz=EASTERN
    )


def test_local_and_utc_time_stand_side_by_side_and_name_another_day() -> None:
    assert ">5 Dec 2026, 18:00 EST (23:00 UTC)<" in render("{% bothtimes when tz %}", when=WHEN, tz=EASTERN)
    late = WHEN + timedelta(hours=3)
    assert ">5 Dec 2026, 21:00 EST (6 Dec, 02:00 UTC)<" in render(
        "{% bothtimes when tz %}", when=late, tz=EASTERN
    )


def test_the_double_hour_of_autumn_is_distinguished_by_its_name() -> None:
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert ">1 Nov 2026, 01:30 EDT (05:30 UTC)<" in render("{% bothtimes when tz %}", when=first, tz=EASTERN)
    assert ">1 Nov 2026, 01:30 EST (06:30 UTC)<" in render("{% bothtimes when tz %}", when=second, tz=EASTERN)


def test_a_relative_time_says_the_exact_one_on_hover() -> None:
    shown = render("{% ago when now=now tz=tz %}", when=WHEN, now=WHEN + timedelta(minutes=6), tz=EASTERN)
    assert ">6 min ago<" in shown
    assert "5 Dec 2026, 18:00:07 · 5 Dec 2026, 23:00:07 UTC" in shown


def test_nothing_is_shown_as_a_dash() -> None:
    for tag in ("localtime", "localday", "bothtimes", "ago", "since"):
        assert render("{% " + tag + " when %}", when=None) == NOTHING
    assert render("{{ span|duration }}", span=None) == NOTHING


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        render("{% localtime when %}", when=datetime(2026, 12, 5, 18, 0))  # noqa: DTZ001 - the mistake itself
