"""The form that registers and changes a permit: what is saved, what is said beside a field, and the hints while typing."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import PermitSync
from locations.models import Company, Location, Membership, Permit
from locations.services import cancel_permit
from passport.vendor import Passport
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.integrations.permits.pages import NEW_YORK, plates, text_of, typed, url

pytestmark = pytest.mark.django_db


def test_a_plate_is_registered_at_the_times_of_its_place(
    operator: Client, member: Membership, place: Location
) -> None:
    response = operator.post(url("permit_add"), typed(place, unit="A-12", type="Visitor", external_id="R-1"))
    permit = Permit.objects.get()
    assert response.headers["Location"] == url("permit", permit.pk)
    assert (permit.plate, permit.plate_typed, permit.country) == ("ABC1234", "abc-1234", "US")
    assert permit.start == datetime(2026, 12, 5, 18, 0, tzinfo=NEW_YORK)
    assert (permit.source, permit.created_by) == ("dashboard", member.user)
    assert PermitSync.objects.get(permit=permit).state == "due"


def test_the_form_for_another_plate_keeps_the_place(operator: Client, place: Location) -> None:
    response = operator.post(url("permit_add"), typed(place, another="yes"), follow=True)
    assert response.context["form"]["location"].value() == place.pk


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"plate": ""}, "plate", "required"),
        ({"plate": "AB?12"}, "plate", "not “?”"),
        ({"plate": "A" * 13}, "plate", "at most 12"),
        ({"subdivision": "US-ZZ"}, "subdivision", "valid choice"),
        ({"location": "0"}, "location", "valid choice"),
        ({"location": "9" * 30}, "location", "valid choice"),
        ({"start": "soon"}, "start", "like this: 2026-12-05 18:00"),
        ({"end": "2026-12-05T18:00"}, "end", "later than"),
        ({"end": "2027-03-14T02:30"}, "end", "doesn't exist"),
        ({"start": "2026-11-01T01:30"}, "start", "occurs twice"),
        ({"unit": "x" * 61}, "unit", "at most 60"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_saved(
    operator: Client, place: Location, wrong: dict[str, str], field: str, words: str
) -> None:
    response = operator.post(url("permit_add"), typed(place, **wrong))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert words in " ".join(response.context["form"].errors[field])
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Permit.objects.exists()


def test_an_hour_that_happens_twice_is_chosen(operator: Client, place: Location) -> None:
    asked = operator.post(url("permit_add"), typed(place, start="2026-11-01T01:30"))
    assert 'name="start_choice"' in asked.content.decode()
    operator.post(url("permit_add"), typed(place, start="2026-11-01T01:30", start_choice="second"))
    assert Permit.objects.get().start == datetime(2026, 11, 1, 6, 30, tzinfo=ZoneInfo("UTC"))


def test_a_place_of_another_company_cannot_be_chosen(operator: Client, place: Location) -> None:
    response = operator.post(url("permit_add"), typed(LocationFactory()))
    assert "location" in response.context["form"].errors
    assert not Permit.objects.exists()


def test_an_external_id_is_used_once(operator: Client, place: Location) -> None:
    PermitFactory(location=place, external_id="R-1")
    response = operator.post(url("permit_add"), typed(place, external_id="R-1"))
    assert response.status_code == 422
    assert "external_id" in response.context["form"].errors


def test_a_plate_that_looks_like_another_is_asked_about_and_never_rewritten(
    operator: Client, place: Location
) -> None:
    PermitFactory(location=place, plate="ABC1234")
    asked = operator.post(url("permit_add"), typed(place, plate="A8C1234"))
    assert asked.status_code == 422
    assert "Is A8C1234 right?" in text_of(asked)
    assert asked.context["form"]["plate"].value() == "A8C1234"
    # The confirmation is for that plate only.
    assert operator.post(url("permit_add"), typed(place, plate="A8C1234", sure="ABCI234")).status_code == 422
    assert operator.post(url("permit_add"), typed(place, plate="A8C1234", sure="A8C1234")).status_code == 302
    assert Permit.objects.filter(plate="A8C1234").exists()


def test_hints_come_while_typing_and_save_nothing(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    words = text_of(operator.post(url("permit_hints"), typed(place, plate="ABCI234")))
    assert "Is ABCI234 right?" in words
    assert "5 Dec 2026, 18:00 EST (23:00 UTC)" in words
    now_too = {"start": "2020-01-01T08:00"}
    words = text_of(operator.post(url("permit_hints"), typed(place, plate="ABC1234", **now_too)))
    assert "ABC1234 already has a permit at North Campus Garage" in words
    # A permit isn't a duplicate of itself.
    words = text_of(
        operator.post(url("permit_hints"), typed(place, plate="ABC1234", permit=permit.pk, **now_too))
    )
    assert "already has" not in words
    assert "letter O or a zero" in text_of(operator.post(url("permit_hints"), typed(place, plate="12O4")))
    assert (
        operator.post(
            url("permit_hints"), {"plate": "\u202e", "location": "x" * 99, "start": "?"}
        ).status_code
        == 200
    )
    assert Permit.objects.count() == 1


def test_the_prefilled_from_is_one_moment_at_whichever_location(
    operator: Client, member: Membership, place: Location
) -> None:
    west = LocationFactory(company=member.company, name="West", timezone="America/Los_Angeles")
    form = operator.get(url("permit_add")).context["form"]
    shown, kept = form["start"].value(), form["start_shown"].value()
    now = timezone.now()
    ahead = f"{(now + timedelta(days=2)).astimezone(NEW_YORK):%Y-%m-%dT%H:%M}"
    values = typed(west, start=shown, start_shown=kept, end=ahead)
    # While typing, the field shows the clock of the location that was chosen.
    local = now.astimezone(ZoneInfo("America/Los_Angeles"))
    hints = operator.post(url("permit_hints"), values | {"part": "space"}).content.decode()
    assert 'id="start-part" hx-swap-oob' in hints
    assert f'value="{local:%Y-%m-%dT%H:}' in hints
    assert (
        'id="start-part"'
        not in operator.post(url("permit_hints"), values | {"location": place.pk}).content.decode()
    )
    # Without JavaScript nothing was updated, and the time is the same.
    assert operator.post(url("permit_add"), values).status_code == 302
    assert abs(Permit.objects.get().start - now) < timedelta(minutes=2)


def test_a_from_that_was_typed_is_the_chosen_locations_clock(
    operator: Client, member: Membership, place: Location
) -> None:
    west = LocationFactory(company=member.company, name="West", timezone="America/Los_Angeles")
    kept = operator.get(url("permit_add")).context["form"]["start_shown"].value()
    assert operator.post(url("permit_add"), typed(west, start_shown=kept)).status_code == 302
    assert Permit.objects.get().start == datetime(2026, 12, 5, 18, tzinfo=west.tz)


@pytest.mark.parametrize(
    "kept", ["x", "2026-12-05T18:00 x", "2026-12-05T18:00", " ", "2026-12-05T18:00 9999-99-99T00:00Z"]
)
def test_a_broken_hidden_field_does_not_crash_the_form(operator: Client, place: Location, kept: str) -> None:
    response = operator.post(url("permit_add"), typed(place, start_shown=kept))
    assert response.status_code in (302, 422)


def test_hints_about_permits_of_others_are_not_given(operator: Client, place: Location) -> None:
    PermitFactory(plate="ABC1234")
    assert "right?" not in text_of(operator.post(url("permit_hints"), typed(place, plate="ABCI234")))
    assert operator.post(url("permit_hints"), typed(place, permit=PermitFactory().pk)).status_code == 404


def test_a_zone_that_goes_by_space_asks_for_one_of_its_spaces(operator: Client, member: Membership) -> None:
    zone = ZoneFactory(
        connection=ConnectionFactory(company=member.company),
        session_type="space",
        raw={"spaces": ["1", "4A"]},
    )
    place = LocationFactory(company=member.company)
    ZoneMappingFactory(location=place, zone=zone)
    missing = operator.post(url("permit_add"), typed(place))
    assert "space_number" in missing.context["form"].errors
    assert '<option value="4A"' in missing.content.decode()
    assert (
        "space_number"
        in operator.post(url("permit_add"), typed(place, space_number="7")).context["form"].errors
    )
    operator.post(url("permit_add"), typed(place, space_number="4A"))
    assert Permit.objects.get().space_number == "4A"


def test_a_change_writes_what_changed_and_keeps_what_did_not(operator: Client, place: Location) -> None:
    start = timezone.now().replace(microsecond=123_000) - timedelta(hours=1)
    permit = PermitFactory(location=place, plate="ABC 1234", start=start)
    form = operator.get(url("permit_change", permit.pk)).context["form"]
    data = {name: form[name].value() or "" for name in form.fields}
    assert operator.post(url("permit_change", permit.pk), data).status_code == 302
    permit.refresh_from_db()
    assert (permit.revision, permit.start) == (1, start)
    operator.post(url("permit_change", permit.pk), {**data, "end": "2027-01-05T18:00"})
    permit.refresh_from_db()
    assert (permit.revision, permit.start) == (2, start)
    assert permit.end == datetime(2027, 1, 5, 18, 0, tzinfo=NEW_YORK)


def test_someone_elses_change_in_the_meantime_is_not_overwritten(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    form = operator.get(url("permit_change", permit.pk)).context["form"]
    data = {name: form[name].value() or "" for name in form.fields}
    operator.post(url("permit_change", permit.pk), {**data, "unit": "theirs"})
    response = operator.post(url("permit_change", permit.pk), {**data, "unit": "mine"})
    assert response.status_code == 422
    assert "Somebody else changed this permit" in text_of(response)
    assert Permit.objects.get().unit == "theirs"


def test_a_cancelled_permit_is_not_changed(operator: Client, place: Location) -> None:
    permit = cancel_permit(permit=PermitFactory(location=place))
    assert operator.get(url("permit_change", permit.pk)).headers["Location"] == url("permit", permit.pk)


@pytest.mark.parametrize(
    ("key", "country", "words"),
    [
        ("DEU", "DE", "Germany"),
        ("USA", "US", "United States, no state"),
        ("MEX", "MX", "Mexico, no state"),
    ],
)
def test_a_plate_that_no_state_issued_is_registered_shown_found_and_changed(
    operator: Client, place: Location, key: str, country: str, words: str
) -> None:
    operator.post(url("permit_add"), typed(place, subdivision=key))
    permit = Permit.objects.get()
    assert (permit.country, permit.subdivision) == (country, "")
    assert words in text_of(operator.get(url("permit", permit.pk)))
    assert (
        f'<option value="{key}" selected>' in operator.get(url("permit_change", permit.pk)).content.decode()
    )
    PermitFactory(location=place, plate="OTHER1")
    assert plates(operator.get(url("permits"), {"state": key})) == ["ABC1234"]
    assert plates(operator.get(url("permits"), {"state": "US-NC"})) == ["OTHER1"]
    values = typed(place, subdivision="FRA", revision=permit.revision)
    operator.post(url("permit_change", permit.pk), values)
    permit.refresh_from_db()
    assert (permit.country, permit.subdivision, permit.revision) == ("FR", "", 2)
    operator.post(url("permit_change", permit.pk), {**values, "subdivision": "CA-ON", "revision": 2})
    permit.refresh_from_db()
    assert (permit.country, permit.subdivision) == ("CA", "CA-ON")


def test_the_state_of_the_last_registration_is_not_chosen_for_the_next(
    operator: Client, place: Location
) -> None:
    PermitFactory(location=place, subdivision="US-TX")
    form = operator.get(url("permit_add")).context["form"]
    assert not form["subdivision"].value()


def test_a_pasted_date_that_could_be_two_is_asked_and_the_answer_is_taken(
    operator: Client, place: Location
) -> None:
    values = typed(place, start="11/12/2026 8:00:00 AM", end="31 Dec 2026")
    asked = operator.post(url("permit_add"), values)
    assert asked.status_code == 422
    page = asked.content.decode()
    assert "Which day is meant?" in page
    # What was pasted is still there, in an input that can show it.
    assert re.search(r'<input type="text"[^>]*value="11/12/2026 8:00:00 AM"', page)
    operator.post(url("permit_add"), {**values, "start_choice": "mdy"})
    permit = Permit.objects.get()
    assert permit.start == datetime(2026, 11, 12, 8, tzinfo=NEW_YORK)
    assert permit.end == datetime(2027, 1, 1, tzinfo=NEW_YORK)


def test_the_company_says_how_dates_are_meant_and_which_state_comes_first(
    operator: Client, member: Membership, place: Location
) -> None:
    Company.objects.filter(pk=member.company_id).update(date_order="dmy", default_region="US-NC")
    assert operator.get(url("permit_add")).context["form"]["subdivision"].value() == "US-NC"
    operator.post(url("permit_add"), typed(place, start="11/12/2026 8:00", end="2027-01-01T00:00"))
    assert Permit.objects.get().start == datetime(2026, 12, 11, 8, tzinfo=NEW_YORK)


def test_a_window_shorter_than_a_millisecond_is_refused(operator: Client, place: Location) -> None:
    values = typed(place, start="2026-12-05 18:00:00.0001", end="2026-12-05 18:00:00.0009")
    response = operator.post(url("permit_add"), values)
    assert "at least a millisecond" in " ".join(response.context["form"].errors["end"])
    assert not Permit.objects.exists()


def test_no_end_is_a_button_that_types_an_end_which_is_taken(operator: Client, place: Location) -> None:
    page = operator.get(url("permit_add")).content.decode()
    found = re.search(r'id="end-never"[^>]*data-type="([^"]+)" data-into="id_end"', page)
    assert found
    operator.post(url("permit_add"), typed(place, end=found[1]))
    end = Permit.objects.get().end
    assert timedelta(0) <= Passport.latest_end - end < timedelta(days=2)


@pytest.mark.parametrize("year", ["1999", "2100", "20260"])
def test_a_year_out_of_range_is_said(operator: Client, place: Location, year: str) -> None:
    response = operator.post(url("permit_add"), typed(place, end=f"{year}-01-01T00:00"))
    assert response.context["form"].errors["end"] == ["Enter a year from 2000 to 2099."]


@pytest.mark.parametrize(
    ("decorated", "offer"), [("TEA&2", "TEA2"), ("I♥TEA", "ITEA"), ("D'ARK", "DARK"), ("D’ARK", "DARK")]
)
def test_a_plate_with_decoration_is_offered_without_it_and_never_changed_silently(
    operator: Client, place: Location, decorated: str, offer: str
) -> None:
    hints = operator.post(url("permit_hints"), typed(place, plate=decorated))
    assert f"Registered as {offer} in most states: use it?" in text_of(hints)
    assert f'data-type="{offer}" data-into="id_plate"' in hints.content.decode()
    answer = operator.post(url("permit_add"), typed(place, plate=decorated))
    assert answer.status_code == 422
    assert f"Registered as {offer} in most states" in text_of(answer)
    assert not Permit.objects.exists()
    assert "in most states" not in text_of(operator.post(url("permit_hints"), typed(place, plate=offer)))


def test_a_letter_that_the_issuer_never_uses_is_asked_about(operator: Client, place: Location) -> None:
    def hints(plate: str, state: str) -> str:
        return text_of(operator.post(url("permit_hints"), typed(place, plate=plate, subdivision=state)))

    assert "have no letter O. Is it a zero?" in hints("ABO123", "CA-QC")
    assert "have no letter O" not in hints("AB0123", "CA-QC")
    assert "have no letter O" not in hints("ABO123", "CA-ON")
    # A personalised plate may have it.
    assert (
        operator.post(url("permit_add"), typed(place, plate="ABO123", subdivision="CA-QC")).status_code == 302
    )
