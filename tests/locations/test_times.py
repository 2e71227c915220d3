"""Local times: what a wall clock's time means, even in the two nights of the year when it means none or two."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from locations.times import (
    FIRST,
    SECOND,
    clean_local,
    fold_of,
    input_value,
    parse_local,
    problem_sentence,
    say_both,
    say_clock,
    say_time,
)

NEW_YORK = ZoneInfo("America/New_York")
ZONES = [
    NEW_YORK,
    ZoneInfo("America/St_Johns"),
    ZoneInfo("America/Phoenix"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Europe/London"),
    ZoneInfo("UTC"),
]
moments = st.datetimes(
    min_value=datetime(2001, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
    max_value=datetime(2037, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(second=0, microsecond=0))


@given(moments, st.sampled_from(ZONES))
def test_every_moment_that_is_shown_reads_back_as_itself(moment: datetime, tz: ZoneInfo) -> None:
    assert parse_local(input_value(moment, tz), tz, fold_of(moment, tz)).moment == moment


@given(moments, st.sampled_from(ZONES), st.sampled_from(["", FIRST, SECOND]))
def test_what_is_read_shows_the_very_clock_that_was_typed(typed: datetime, tz: ZoneInfo, choice: str) -> None:
    text = typed.strftime("%Y-%m-%dT%H:%M")
    read = parse_local(text, tz, choice)
    if read.moment is None:
        assert read.problem in ("missing", "double")
        assert problem_sentence(read, tz)
    else:
        assert read.moment.tzinfo is UTC
        assert input_value(read.moment, tz) == text


@given(moments, st.sampled_from(ZONES))
def test_a_double_time_offers_two_moments_in_order_and_takes_the_one_that_is_chosen(
    moment: datetime, tz: ZoneInfo
) -> None:
    read = parse_local(input_value(moment, tz), tz)
    if read.problem != "double":
        return
    assert read.first is not None
    assert read.second is not None
    assert timedelta(0) < read.second - read.first <= timedelta(hours=2)
    assert input_value(read.first, tz) == input_value(read.second, tz)
    for choice, chosen in ((FIRST, read.first), (SECOND, read.second)):
        assert parse_local(input_value(moment, tz), tz, choice).moment == chosen


def test_the_hour_that_is_skipped_is_no_time_and_the_clock_that_follows_is_named() -> None:
    read = parse_local("2026-03-08T02:30", NEW_YORK)
    assert (read.moment, read.problem) == (None, "missing")
    assert read.first == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    assert "03:00" in problem_sentence(read, NEW_YORK)


def test_the_hour_that_happens_twice_is_asked_about() -> None:
    read = parse_local("2026-11-01T01:30", NEW_YORK)
    assert (read.moment, read.problem) == (None, "double")
    assert read.first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert read.second == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert parse_local("2026-11-01T01:30", NEW_YORK, SECOND).moment == read.second


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-12-05T18:00", 23),
        ("2026-12-05 18:00", 23),
        ("2026-12-05 18:00:00", 23),
        ("Dec 5, 2026 6:00 PM", 23),
        ("5 Dec 2026 18:00", 23),
        ("2026-12-05T18:00Z", 18),
        ("2026-12-05T18:00-08:00", 26),
    ],
)
def test_times_are_read_as_people_and_programs_write_them(text: str, hour: int) -> None:
    assert parse_local(text, NEW_YORK).moment == datetime(2026, 12, 5, tzinfo=UTC) + timedelta(hours=hour)


@pytest.mark.parametrize("text", ["soon", "2026-13-05T10:00", "18:00", "2026-12-05 8", "2026-12-05T24:00"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    read = parse_local(text, NEW_YORK)
    assert (read.moment, read.problem) == (None, "unreadable")


def test_clean_local_raises_one_sentence_with_the_problem_as_its_code() -> None:
    with pytest.raises(ValidationError) as caught:
        clean_local("", NEW_YORK)
    assert caught.value.code == "empty"
    assert clean_local("2026-12-05T18:00", NEW_YORK) == datetime(2026, 12, 5, 23, tzinfo=UTC)


def test_times_are_said_as_people_say_them() -> None:
    moment, now = datetime(2026, 12, 5, 23, 0, 4, tzinfo=UTC), datetime(2026, 12, 6, 1, 0, tzinfo=UTC)
    assert say_clock(moment, NEW_YORK, now) == "18:00:04"
    assert say_clock(moment, NEW_YORK, now + timedelta(days=1)) == "5 Dec, 18:00"
    assert say_clock(moment, NEW_YORK, now + timedelta(days=100)) == "5 Dec 2026, 18:00"
    assert say_time(moment, NEW_YORK) == "5 Dec 2026, 18:00 EST"
    assert say_both(moment, NEW_YORK) == "5 Dec 2026, 18:00 EST (23:00 UTC)"
    assert say_both(moment + timedelta(hours=2), NEW_YORK) == "5 Dec 2026, 20:00 EST (6 Dec, 01:00 UTC)"


@pytest.mark.parametrize(
    "text", ["99999-01-01T00:00", "0001-01-01T00:00", "1999-12-31 23:00", "2100-01-01 00:00"]
)
def test_a_year_outside_the_range_is_said_to_be_one(text: str) -> None:
    read = parse_local(text, NEW_YORK)
    assert (read.moment, read.problem) == (None, "year")
    assert problem_sentence(read, NEW_YORK) == "Enter a year from 2000 to 2099."


def test_a_day_alone_begins_at_its_first_moment_and_ends_at_its_last() -> None:
    assert parse_local("1 Nov 2026", NEW_YORK).moment == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert parse_local("1 Nov 2026", NEW_YORK, is_end=True).moment == datetime(2026, 11, 2, 5, tzinfo=UTC)


def test_a_date_that_could_be_two_is_asked_and_then_the_hour_that_occurs_twice() -> None:
    text = "11/01/2026 1:30 AM"
    asked = parse_local(text, NEW_YORK)
    assert (asked.moment, asked.problem) == (None, "ambiguous")
    assert parse_local(text, NEW_YORK, "dmy").moment == datetime(2026, 1, 11, 6, 30, tzinfo=UTC)
    twice = parse_local(text, NEW_YORK, "mdy")
    assert (twice.moment, twice.problem, twice.order) == (None, "double", "mdy")
    assert parse_local(text, NEW_YORK, "mdy-second").moment == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    # The company's setting answers it, and a person's answer goes before the setting.
    assert parse_local(text, NEW_YORK, order="dmy").moment == datetime(2026, 1, 11, 6, 30, tzinfo=UTC)
    assert parse_local(text, NEW_YORK, "first", order="mdy").moment == datetime(
        2026, 11, 1, 5, 30, tzinfo=UTC
    )
    assert parse_local(text, NEW_YORK, "mdy-first", order="dmy").moment == datetime(
        2026, 11, 1, 5, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "2026-11-01 1:30",
            "This hour occurs twice that night. Enter 2026-11-01T01:30:00-04:00 for the first or "
            "2026-11-01T01:30:00-05:00 for the second.",
        ),
        ("2026-03-08 2:30", "This time doesn't exist: the clocks there go forward to 03:00 that night."),
        (
            "03/11/2026",
            "This could be 3 November 2026 or 11 March 2026. Enter 2026-11-03 or 2026-03-11.",
        ),
    ],
)
def test_where_nobody_can_be_asked_the_sentence_says_what_to_enter(text: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        clean_local(text, NEW_YORK)
    assert caught.value.messages == [sentence]
