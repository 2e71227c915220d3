"""`manage.py permit`: times and states as people type them, and which option was wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from locations.models import Company, Location, Permit

pytestmark = pytest.mark.django_db


def add(place: Location, **options: str) -> None:
    given: dict[str, Any] = {
        "company": place.company.slug,
        "location": place.name,
        "plate": "ABC1234",
        "state": "NC",
        "start": "1 Nov 2026",
        "end": "2026-12-06 18:00",
        **options,
    }
    call_command("permit", "add", *(part for name, value in given.items() for part in (f"--{name}", value)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"start": "soon"}, "--start: Enter the time like this: 2026-12-05 18:00."),
        ({"end": "2150-01-01 10:00"}, "--end: Enter a year from 2000 to 2099."),
        (
            {"start": "03/11/2026"},
            "--start: This could be 3 November 2026 or 11 March 2026. Enter 2026-11-03 or 2026-03-11.",
        ),
        (
            {"start": "2026-11-01 1:30"},
            "--start: This hour occurs twice that night. Enter 2026-11-01T01:30:00-04:00 for the first or "
            "2026-11-01T01:30:00-05:00 for the second.",
        ),
        (
            {"end": "2027-03-14 2:30"},
            "--end: This time doesn't exist: the clocks there go forward to 03:00 that night.",
        ),
        ({"state": "QUE"}, "--state: “QUE” could be Quebec or Querétaro. Enter CA-QC or MX-QUE."),
    ],
)
def test_the_option_that_is_wrong_is_named_with_what_to_enter(
    place: Location, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CommandError) as caught:
        add(place, **options)
    assert str(caught.value) == sentence
    assert not Permit.objects.exists()


def test_the_hour_that_occurs_twice_is_chosen_by_its_offset(place: Location) -> None:
    add(place, start="2026-11-01T01:30:00-05:00", state="Germany")
    permit = Permit.objects.get()
    assert permit.start == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert (permit.country, permit.subdivision) == ("DE", "")


def test_dates_in_numbers_follow_the_company(place: Location) -> None:
    Company.objects.update(date_order="mdy")
    add(place, start="11/1/2026 8:00:00 AM", end="11/02/26 6:00 PM", state="Ont.")
    permit = Permit.objects.get()
    assert permit.start == datetime(2026, 11, 1, 13, tzinfo=UTC)
    assert permit.end == datetime(2026, 11, 2, 23, tzinfo=UTC)
    assert permit.subdivision == "CA-ON"
