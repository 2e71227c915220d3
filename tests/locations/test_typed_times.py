"""Dates and times as people and spreadsheets write them: read, asked about, or refused; never guessed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locations.typed_times import DAY_FIRST, EARLIEST_YEAR, LATEST_YEAR, MONTH_FIRST, parse, sentence

EVENING = datetime(2026, 11, 1, 18)  # noqa: DTZ001 - a wall clock's time
MORNING = datetime(2026, 11, 1, 8)  # noqa: DTZ001
DAY = datetime(2026, 11, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-01T18:00", EVENING),
        ("2026-11-01 18:00", EVENING),
        ("2026-11-01 18:00:00.000", EVENING),
        ("2026-11-01 6:00 PM", EVENING),
        ("2026/11/1 18:00", EVENING),
        ("20261101T1800", EVENING),
        ("1 Nov 2026 18:00", EVENING),
        ("1 November 2026, 6 pm", EVENING),
        ("1-Nov-26 6:00 PM", EVENING),
        ("Nov 1, 2026 6:00\u202fPM", EVENING),
        ("Nov. 1st, 2026 at 6 p.m.", EVENING),
        ("Sunday, November 1, 2026 6:00:00 PM", EVENING),
        ("sun 1 nov 2026 18:00", EVENING),
        ("2026-11-01T18:00Z", EVENING.replace(tzinfo=UTC)),
        ("2026-11-01T18:00-0500", EVENING.replace(tzinfo=timezone(timedelta(hours=-5)))),
        ("2026-11-01 18:00 +05:30", EVENING.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ("2026-11-01 12:00 AM", DAY),
        ("  2026-11-01   8:00 ", MORNING),
    ],
)
@pytest.mark.parametrize("order", ["", MONTH_FIRST, DAY_FIRST])
def test_what_can_be_read_one_way_is_read_that_way(text: str, at: datetime, order: str) -> None:
    read = parse(text, order)
    assert (read.at, read.problem, read.is_day) == (at, "", False)
    assert read.at is not None
    assert read.at.utcoffset() == at.utcoffset()


@pytest.mark.parametrize(
    "text", ["1 Nov 2026", "2026-11-01", "Nov 1, 2026", "Sunday, 1 November 2026", "1-Nov-26"]
)
def test_a_day_without_a_time_is_known_as_one(text: str) -> None:
    read = parse(text)
    assert (read.at, read.is_day) == (DAY, True)


@pytest.mark.parametrize(
    ("text", "month_first", "day_first"),
    [
        ("11/1/2026 8:00:00 AM", MORNING, datetime(2026, 1, 11, 8)),  # noqa: DTZ001
        ("11/01/26 6:00 PM", EVENING, datetime(2026, 1, 11, 18)),  # noqa: DTZ001
        ("11.01.2026 18:00", EVENING, datetime(2026, 1, 11, 18)),  # noqa: DTZ001
        ("11-01-2026 18:00", EVENING, datetime(2026, 1, 11, 18)),  # noqa: DTZ001
        ("03/11/2026", datetime(2026, 3, 11), datetime(2026, 11, 3)),  # noqa: DTZ001
    ],
)
def test_what_can_be_read_two_ways_is_asked_or_follows_the_order(
    text: str, month_first: datetime, day_first: datetime
) -> None:
    asked = parse(text)
    assert (asked.at, asked.problem) == (None, "ambiguous")
    assert (asked.month_first, asked.day_first) == (month_first, day_first)
    assert parse(text, MONTH_FIRST).at == asked.in_order(MONTH_FIRST).at == month_first
    assert parse(text, DAY_FIRST).at == asked.in_order(DAY_FIRST).at == day_first


def test_the_question_names_both_days() -> None:
    assert sentence(parse("03/11/2026")) == (
        "This could be 3 November 2026 or 11 March 2026. Enter 2026-11-03 or 2026-03-11."
    )


@pytest.mark.parametrize("order", ["", MONTH_FIRST, DAY_FIRST])
def test_numbers_that_are_a_date_in_one_order_only_are_that_date(order: str) -> None:
    assert parse("25/11/2026 18:00", order).at == parse("11/25/2026 18:00", order).at
    assert parse("5/5/2026", order).at == datetime(2026, 5, 5)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    ["soon", "18:00", "2026-13-05 10:00", "2026-02-30 10:00", "31/11/2026", "2026-11-01 25:00", "2026-11-01 13:00 PM",
     "2026-11-01 0:30 AM", "1 Nov 2026 8", "Monday, 1 Nov 2026", "26-11-01", "1/2", "2026-11-01T18:00+99:00", "46327.75"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    read = parse(text)
    assert (read.at, read.problem) == (None, "unreadable")
    assert sentence(read)


@pytest.mark.parametrize(
    "text", ["12026-01-01T00:00", "1999-12-31", "01/02/1999", "1 Nov 2100", "0026-11-01 18:00"]
)
def test_a_year_outside_the_range_gets_its_own_sentence(text: str) -> None:
    assert parse(text).problem == "year"
    assert sentence(parse(text)) == f"Enter a year from {EARLIEST_YEAR} to {LATEST_YEAR}."


@given(st.text(max_size=40) | st.text("0123456789/-.: tzapm,", max_size=30))
def test_reading_any_text_gives_a_time_or_a_problem(text: str) -> None:
    read = parse(text)
    assert (read.at is None) == bool(read.problem)
    assert bool(sentence(read)) == bool(read.problem)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31)),  # noqa: DTZ001
    st.sampled_from([MONTH_FIRST, DAY_FIRST]),
)
def test_every_moment_written_in_an_order_is_read_back_in_it(at: datetime, order: str) -> None:
    at = at.replace(microsecond=0)
    pattern = {MONTH_FIRST: "%m/%d/%Y", DAY_FIRST: "%d/%m/%Y"}[order] + " %I:%M:%S %p"
    assert parse(at.strftime(pattern), order).at == at
    asked = parse(at.strftime(pattern))
    assert at in (asked.at, asked.month_first, asked.day_first)
