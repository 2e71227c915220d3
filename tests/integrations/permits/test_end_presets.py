"""The buttons beside “Until”: what they type, on the location's clock, and that what they type can be saved."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from integrations.permits.end_presets import end_presets
from integrations.permits.forms import PermitForm
from locations.models import Location, Permit
from tests.factories import LocationFactory, PermitFactory
from tests.integrations.permits.pages import typed, url

pytestmark = pytest.mark.django_db
NO_END = "2099-12-30T23:59"


def presets(place: Location, now: datetime, **values: Any) -> dict[str, str]:
    form = PermitForm(typed(place, **values), company=place.company, now=now)
    return {preset.key: preset.typed for preset in end_presets(form)}


@pytest.mark.parametrize(
    ("now", "start", "today", "week"),
    [
        # 8 March 2026 has 23 hours in New York, 1 November has 25; late in the evening UTC is a day ahead.
        (datetime(2026, 3, 8, 5, 30, tzinfo=UTC), "2026-03-08T00:30", "2026-03-09T00:00", "2026-03-15T00:30"),
        (datetime(2026, 3, 5, 15, 0, tzinfo=UTC), "2026-03-05T10:00", "2026-03-06T00:00", "2026-03-12T10:00"),
        (datetime(2026, 11, 1, 5, 0, tzinfo=UTC), "2026-11-01T01:00", "2026-11-02T00:00", "2026-11-08T01:00"),
        (
            datetime(2026, 11, 2, 4, 30, tzinfo=UTC),
            "2026-11-01T23:30",
            "2026-11-02T00:00",
            "2026-11-08T23:30",
        ),
    ],
)
def test_they_type_times_of_the_locations_clock(
    place: Location, now: datetime, start: str, today: str, week: str
) -> None:
    found = presets(place, now, start=start, start_choice="first")
    assert (found["today"], found["week"]) == (today, week)


def test_a_time_that_the_clocks_skip_becomes_the_one_they_go_forward_to(place: Location) -> None:
    found = presets(place, datetime(2026, 3, 1, 7, 30, tzinfo=UTC), start="2026-03-01T02:30")
    assert found["week"] == "2026-03-08T03:00"


def test_where_midnight_does_not_exist_today_ends_when_the_clocks_go_forward(place: Location) -> None:
    havana = LocationFactory(company=place.company, name="Havana", timezone="America/Havana")
    found = presets(havana, datetime(2026, 3, 7, 15, 0, tzinfo=UTC), start="2026-03-07T10:00")
    assert found["today"] == "2026-03-08T01:00"


def test_a_time_that_occurs_twice_is_typed_and_the_form_asks(operator: Client, place: Location) -> None:
    found = presets(place, datetime(2026, 10, 25, 5, 30, tzinfo=UTC), start="2026-10-25T01:30")
    assert found["week"] == "2026-11-01T01:30"
    answer = operator.post(url("permit_add"), typed(place, start="2026-10-25T01:30", end=found["week"]))
    assert "occurs twice" in " ".join(answer.context["form"].errors["end"])


def test_a_year_after_29_february_is_the_28th(place: Location) -> None:
    found = presets(place, datetime(2028, 2, 29, 15, 0, tzinfo=UTC), start="2028-02-29T10:00")
    assert (found["month"], found["year"]) == ("2028-03-30T10:00", "2029-02-28T10:00")


def test_an_end_before_from_or_past_the_furthest_end_is_not_offered(place: Location) -> None:
    now = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
    assert presets(place, now, start="2026-12-05T18:00").keys() == {"week", "month", "year", "never"}
    assert presets(place, now, start="2099-12-29T10:00") == {"never": NO_END}
    assert presets(place, now, location="") == {"never": NO_END}


def test_those_of_a_stored_permit_count_from_its_end_and_once_that_has_passed_from_now(
    place: Location,
) -> None:
    now = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
    begin = datetime(2026, 11, 1, 15, 0, tzinfo=UTC)
    for end, week in (
        (datetime(2026, 12, 10, 17, 0, tzinfo=UTC), "2026-12-17T12:00"),
        (datetime(2026, 11, 20, 17, 0, tzinfo=UTC), "2026-12-08T10:00"),
    ):
        permit = PermitFactory(location=place, start=begin, end=end)
        form = PermitForm(None, company=place.company, now=now, permit=permit)
        assert {preset.key: preset.typed for preset in end_presets(form)}["week"] == week


def test_the_buttons_are_hidden_until_javascript_runs_and_the_hints_bring_those_of_the_chosen_location(
    operator: Client, place: Location
) -> None:
    page = operator.get(url("permit_add")).content.decode()
    assert re.search(r'<button type="button" id="end-never" hidden', page)
    hints = operator.post(url("permit_hints"), typed(place)).content.decode()
    found = re.search(r'id="end-week" class="btn btn-sm"\s+data-type="([^"]+)" data-into="id_end"', hints)
    assert found
    assert found[1] == "2026-12-12T18:00"
    assert operator.post(url("permit_add"), typed(place, end=found[1])).status_code == 302
    assert Permit.objects.get().end.isoformat() == "2026-12-12T23:00:00+00:00"
