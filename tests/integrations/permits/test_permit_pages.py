"""The permits' pages: what each role may do there, what is saved, and what each page costs the database."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as db
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Breaker, CheckRun, PermitSync
from integrations.permits import bulk_cancel
from integrations.vendors.errors import TryLater
from locations.models import Location, Membership, Permit, Role
from locations.services import cancel_permit, change_permit
from tests.checks import make_check_runs
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)
from tests.fakes import FakeVendor

pytestmark = pytest.mark.django_db
NEW_YORK = ZoneInfo("America/New_York")
MAX_QUERIES = 15


@pytest.fixture
def member() -> Membership:
    """An operator of a company with one mapped location on a live connection."""
    found: Membership = MembershipFactory(company__name="University", company__slug="university")
    connection = ConnectionFactory(company=found.company, live=True)
    ZoneMappingFactory(
        location=LocationFactory(company=found.company, name="North Campus Garage"),
        zone=ZoneFactory(connection=connection, number="Z123"),
    )
    return found


@pytest.fixture
def place(member: Membership) -> Location:
    """The company's mapped location."""
    return Location.objects.get(company=member.company)


@pytest.fixture
def operator(client: Client, member: Membership) -> Client:
    """The operator's browser."""
    client.force_login(member.user)
    return client


def url(name: str, *args: Any) -> str:
    return reverse(name, args=["university", *args])


def typed(place: Location, **values: Any) -> dict[str, Any]:
    """What the form sends for a plate that is valid for a day."""
    return {
        "location": place.pk,
        "plate": "abc-1234",
        "subdivision": "US-NC",
        "start": "2026-12-05T18:00",
        "end": "2026-12-06T18:00",
        **values,
    }


def accept(permit: Permit, **values: Any) -> PermitSync:
    """Let the vendor have accepted a permit."""
    row, _ = PermitSync.objects.update_or_create(
        permit=permit,
        connection=permit.location.zone_mapping.zone.connection,
        defaults={
            "state": "done",
            "due_since": permit.updated_at,
            "next_attempt_at": permit.updated_at,
            "remote_state": {"session_id": f"os-{permit.pk}-1", "plate": permit.plate},
            "remote_until": permit.end,
            "accepted_at": timezone.now(),
            "session_count": 1,
            **values,
        },
    )
    return row


def text_of(response: Any) -> str:
    """The page's words, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def plates(response: Any) -> list[str]:
    return [row.permit.plate for row in response.context["page"].rows]


# --- Access -----------------------------------------------------------------------------------------------

READ = ["permits", "permit", "permit_states", "validity"]
WRITE = ["permit_add", "permit_change", "permit_cancel"]
POSTS = ["permit_hints", "permit_cancel", "permit_reinstate", "permits_cancel", "permit_add", "permit_change"]
WITH_ID = {"permit", "permit_change", "permit_cancel", "permit_reinstate", "permit_check"}


def address(name: str, permit: Permit) -> str:
    return url(name, permit.pk) if name in WITH_ID else url(name)


@pytest.mark.parametrize("name", READ)
def test_a_viewer_reads(client: Client, member: Membership, place: Location, name: str) -> None:
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert client.get(address(name, PermitFactory(location=place))).status_code in (200, 286)


@pytest.mark.parametrize(
    ("method", "name"), [*(("get", name) for name in WRITE), *(("post", name) for name in POSTS)]
)
def test_a_viewer_writes_nothing(
    client: Client, member: Membership, place: Location, method: str, name: str
) -> None:
    permit = PermitFactory(location=place)
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert getattr(client, method)(address(name, permit)).status_code == 403
    assert Permit.objects.get(pk=permit.pk).revision == 1


@pytest.mark.parametrize(("method", "name"), [
    *(("get", name) for name in [*READ, *WRITE]), *(("post", name) for name in [*POSTS, "permit_check", "validity"])
])  # fmt: skip
def test_for_an_outsider_nothing_exists(client: Client, place: Location, method: str, name: str) -> None:
    permit = PermitFactory(location=place)
    client.force_login(MembershipFactory(role=Role.MANAGER).user)
    assert getattr(client, method)(address(name, permit)).status_code == 404
    assert Permit.objects.get(pk=permit.pk).revision == 1


@pytest.mark.parametrize("name", sorted(WITH_ID))
def test_a_permit_of_another_company_does_not_exist_below_ones_own(operator: Client, name: str) -> None:
    foreign = PermitFactory()
    assert operator.post(url(name, foreign.pk)).status_code in (404, 405)
    assert operator.get(url(name, foreign.pk)).status_code in (404, 405)


def test_nobody_is_asked_to_sign_in(client: Client, place: Location) -> None:
    response = client.get(url("permits"))
    assert response.status_code == 302
    assert "login" in response.headers["Location"]


def test_support_sees_every_company(client: Client, place: Location) -> None:
    PermitFactory(location=place, plate="ABC1234")
    client.force_login(UserFactory(support=True))
    assert plates(client.get(url("permits"))) == ["ABC1234"]


# --- The list ---------------------------------------------------------------------------------------------


def test_the_list_shows_the_newest_first_with_state_and_zone(operator: Client, place: Location) -> None:
    PermitFactory(location=place, plate="OLD1")
    accept(PermitFactory(location=place, plate="NEW 2"))
    response = operator.get(url("permits"))
    assert plates(response) == ["NEW2", "OLD1"]
    words = text_of(response)
    assert "waiting to be sent" in words
    assert "accepted" in words
    assert "Z123" in words


@pytest.mark.parametrize("query", ["abc 12", "ABC-12", "a.b.c", "UNIT", "unit 7", "r-004", "R-00412"])
def test_a_permit_is_found_by_plate_however_typed_by_unit_and_by_external_id(
    operator: Client, place: Location, query: str
) -> None:
    PermitFactory(location=place, plate="ABC 1234", unit="Unit 7", external_id="R-00412")
    PermitFactory(location=place, plate="ZZZ 9", unit="9", external_id="X-1")
    assert plates(operator.post(url("permits_search"), {"q": query}, follow=True)) == ["ABC1234"]


def test_filters_narrow_and_stay_in_the_address(
    operator: Client, member: Membership, place: Location
) -> None:
    now = timezone.now()
    other = LocationFactory(company=member.company, name="Lot B")
    PermitFactory(location=place, plate="NOW1", type="Visitor")
    PermitFactory(location=other, plate="LOTB1", subdivision="CA-ON")
    PermitFactory(location=place, plate="SOON1", start=now + timedelta(days=1), end=now + timedelta(days=2))
    PermitFactory(location=place, plate="OVER1", start=now - timedelta(days=2), end=now - timedelta(days=1))
    cancel_permit(permit=PermitFactory(location=place, plate="GONE1"))

    def found(**query: Any) -> list[str]:
        return sorted(plates(operator.get(url("permits"), query, follow=True)))

    assert found(location=other.pk) == ["LOTB1"]
    assert found(state="CA-ON") == ["LOTB1"]
    assert found(type="Visitor") == ["NOW1"]
    assert found(when="current") == ["LOTB1", "NOW1"]
    assert found(when="coming") == ["SOON1"]
    assert found(when="ended") == ["GONE1", "OVER1"]
    assert found(when="cancelled") == ["GONE1"]
    assert found(when="current", state="US-NC") == ["NOW1"]
    assert found(q="L", when="current") == ["LOTB1"]
    # What is not understood narrows nothing.
    assert len(found(when="nonsense", location="x", push="'", after="-1")) == 5


def test_permits_are_found_by_what_became_of_them(
    operator: Client, member: Membership, place: Location
) -> None:
    accept(PermitFactory(location=place, plate="IN1"))
    accept(PermitFactory(location=place, plate="BAD1"), state="refused", remote_state=None, remote_until=None)
    PermitFactory(location=place, plate="DUE1")
    later = timezone.now() + timedelta(days=1)
    PermitFactory(location=place, plate="LATER1", start=later, end=later + timedelta(days=1))
    PermitFactory(location=LocationFactory(company=member.company), plate="NOZONE1")

    def found(push: str) -> list[str]:
        return sorted(plates(operator.get(url("permits"), {"push": push})))

    assert found("accepted") == ["IN1"]
    assert found("refused") == ["BAD1"]
    assert found("waiting") == ["DUE1", "LATER1", "NOZONE1"]
    assert found("unprotected") == ["BAD1", "DUE1", "NOZONE1"]


def test_test_plates_are_shown_only_when_asked_for_and_are_marked(operator: Client, place: Location) -> None:
    PermitFactory(location=place, plate="TEST123", is_test=True)
    assert plates(operator.get(url("permits"))) == []
    response = operator.get(url("permits"), {"tests": "on"})
    assert plates(response) == ["TEST123"]
    assert "os-badge" in response.content.decode()


def test_pages_are_walked_by_key_forth_and_back(operator: Client, place: Location, monkeypatch: Any) -> None:
    from integrations.permits import queries as permit_queries

    monkeypatch.setattr(
        permit_queries.list_permits,
        "__kwdefaults__",
        {**(permit_queries.list_permits.__kwdefaults__ or {}), "rows": 3},
    )
    for number in range(8):
        PermitFactory(location=place, plate=f"P{number}")
    first = operator.get(url("permits"), {"when": "current"})
    assert plates(first) == ["P7", "P6", "P5"]
    assert first.context["newer"] == ""
    second = operator.get(first.context["older"])
    assert plates(second) == ["P4", "P3", "P2"]
    assert "when=current" in second.context["older"]
    third = operator.get(second.context["older"])
    assert plates(third) == ["P1", "P0"]
    assert third.context["older"] == ""
    back = operator.get(third.context["newer"])
    assert plates(back) == ["P4", "P3", "P2"]
    assert plates(operator.get(back.context["newer"])) == ["P7", "P6", "P5"]


def test_a_list_that_waits_polls_and_stops_when_nothing_waits(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    page = operator.get(url("permits")).content.decode()
    assert f"{url('permit_states')}?id={permit.pk}&amp;" in page
    poll = operator.get(url("permit_states"), {"id": permit.pk})
    assert poll.status_code == 200
    assert f'id="state-{permit.pk}"' in poll.content.decode()
    accept(permit)
    poll = operator.get(url("permit_states"), {"id": permit.pk})
    assert poll.status_code == 286
    assert "accepted" in poll.content.decode()
    assert url("permit_states") not in operator.get(url("permits")).content.decode()


def test_a_poll_for_permits_of_others_tells_nothing(operator: Client, place: Location) -> None:
    foreign = PermitFactory()
    poll = operator.get(url("permit_states"), {"id": [foreign.pk, "x", "-1", "9" * 40]})
    assert poll.status_code == 286
    assert "state-" not in poll.content.decode()


def test_an_empty_list_says_what_to_do_first_and_an_empty_search_how_to_go_on(
    operator: Client, place: Location
) -> None:
    assert "Register a vehicle" in text_of(operator.get(url("permits")))
    assert "Show all permits" in text_of(operator.get(url("permits"), {"q": "NONE"}, follow=True))


# --- Add and change ---------------------------------------------------------------------------------------


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
    # The tick belongs to that very plate.
    assert operator.post(url("permit_add"), typed(place, plate="A8C1234", sure="ABCI234")).status_code == 422
    assert operator.post(url("permit_add"), typed(place, plate="A8C1234", sure="A8C1234")).status_code == 302
    assert Permit.objects.filter(plate="A8C1234").exists()


def test_hints_come_while_typing_and_save_nothing(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    words = text_of(operator.post(url("permit_hints"), typed(place, plate="ABCI234")))
    assert "Is ABCI234 right?" in words
    assert "5 Dec 2026, 18:00 EST (23:00 UTC)" in words
    words = text_of(operator.post(url("permit_hints"), typed(place, plate="ABC1234")))
    assert "already has a current permit at North Campus Garage" in words
    # One's own permit is no other.
    words = text_of(operator.post(url("permit_hints"), typed(place, plate="ABC1234", permit=permit.pk)))
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
    # Without JavaScript nothing was shown anew, and the moment is the same.
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
def test_a_spoilt_note_of_what_was_filled_in_is_no_crash(
    operator: Client, place: Location, kept: str
) -> None:
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


def test_somebody_elses_change_meanwhile_is_not_overwritten(operator: Client, place: Location) -> None:
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


# --- Cancel -----------------------------------------------------------------------------------------------


def test_a_cancellation_can_be_undone_for_ten_seconds(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC 1234")
    assert operator.get(url("permit_cancel", permit.pk)).status_code == 200
    after = operator.post(url("permit_cancel", permit.pk), follow=True)
    assert Permit.objects.get().status == "cancelled"
    assert url("permit_reinstate", permit.pk) in after.content.decode()
    again = operator.post(url("permit_reinstate", permit.pk), {"next": url("permits")}, follow=True)
    assert Permit.objects.get().status == "active"
    assert url("permit_reinstate", permit.pk) not in again.content.decode()
    assert again.request["PATH_INFO"] == url("permits")


def test_after_that_it_stays_cancelled(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    operator.post(url("permit_cancel", permit.pk))
    Permit.objects.update(cancelled_at=timezone.now() - timedelta(seconds=60))
    response = operator.post(url("permit_reinstate", permit.pk), follow=True)
    assert Permit.objects.get().status == "cancelled"
    assert "stays cancelled" in text_of(response)


def test_a_person_is_never_sent_to_a_foreign_address(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    response = operator.post(url("permit_cancel", permit.pk), {"next": "https://evil.example/"})
    assert response.headers["Location"] == url("permit", permit.pk)


def test_several_are_cancelled_after_a_look_at_what_would_happen(operator: Client, place: Location) -> None:
    one, two = (
        accept(PermitFactory(location=place, plate="ONE1")).permit,
        PermitFactory(location=place, plate="TWO2"),
    )
    gone = cancel_permit(permit=PermitFactory(location=place, plate="GONE3"))
    foreign = PermitFactory(plate="NOT4")
    chosen = {"permit": [one.pk, two.pk, gone.pk, foreign.pk, "x"]}
    preview = operator.post(url("permits_cancel"), chosen)
    words = text_of(preview)
    assert "2 permits will be cancelled." in words
    assert "1 of them is in Passport" in words
    assert "1 of the selected permits has already ended" in words
    assert "NOT4" not in words
    assert Permit.objects.filter(status="cancelled").count() == 1
    ids = preview.context["preview"].packed
    assert f'value="{ids}"' in preview.content.decode()
    after = operator.post(url("permits_cancel"), {"ids": ids, "confirm": "yes"}, follow=True)
    assert set(Permit.objects.filter(status="active").values_list("pk", flat=True)) == {foreign.pk}
    assert "2 permits were cancelled." in text_of(after)


def cancel_all(operator: Client, query: str, **body: str) -> Any:
    """Ask for all that a list's filters match; with `confirm` and `ids` it is done."""
    return operator.post(f"{url('permits_cancel')}?{query}", {"matching": "yes", **body}, follow=True)


def test_all_that_match_are_cancelled_after_a_look_and_undone_together(
    operator: Client, member: Membership, place: Location
) -> None:
    other = LocationFactory(company=member.company, name="Rec Garage")
    stays = PermitFactory(location=place)
    permits = [PermitFactory(location=other) for _ in range(60)]
    accept(PermitFactory(location=place, unit="B-1"))
    query = f"location={other.pk}&when=current&after=7"
    assert "Cancel all matching" in text_of(operator.get(f"{url('permits')}?location={other.pk}"))
    assert "Cancel all matching" not in text_of(operator.get(url("permits")))
    look = cancel_all(operator, query)
    assert "60 permits will be cancelled." in text_of(look)
    assert "the newest 10 of 60" in text_of(look)
    assert not Permit.objects.filter(status="cancelled").exists()
    after = cancel_all(operator, query, confirm="yes", ids=look.context["preview"].packed)
    assert after.request["PATH_INFO"] + "?" + after.request["QUERY_STRING"] == f"{url('permits')}?{query}"
    assert "60 permits were cancelled." in text_of(after)
    assert Permit.objects.filter(status="cancelled").count() == 60
    stays.refresh_from_db()
    assert stays.status == "active"
    back = operator.post(url("permits_reinstate"), {"next": f"{url('permits')}?{query}"}, follow=True)
    assert "60 permits are registered again." in text_of(back)
    assert set(Permit.objects.filter(status="active", revision=3)) == set(permits)
    assert "There is nothing to undo." in text_of(operator.post(url("permits_reinstate"), follow=True))


def test_the_preview_counts_by_location_and_by_what_passport_has(
    operator: Client, member: Membership, place: Location
) -> None:
    other = LocationFactory(company=member.company, name="Rec Garage")
    for _ in range(3):
        accept(PermitFactory(location=place, type="Guest"))
    PermitFactory(location=other, type="Guest")
    words = text_of(cancel_all(operator, "type=Guest"))
    assert "4 permits will be cancelled." in words
    assert "3 of them are in Passport" in words
    assert words.index("North Campus Garage") < words.index("3 permits") < words.index("Rec Garage")


def test_an_old_preview_cancels_only_what_was_looked_at_and_still_matches(
    operator: Client, place: Location
) -> None:
    seen = [PermitFactory(location=place, type="Guest") for _ in range(3)]
    ids = cancel_all(operator, "type=Guest").context["preview"].packed
    change_permit(permit=seen[0], type="Staff")
    cancel_permit(permit=seen[1])
    later = PermitFactory(location=place, type="Guest")
    after = text_of(cancel_all(operator, "type=Guest", confirm="yes", ids=ids))
    assert "2 permits that you looked at have changed or ended since" in after
    assert "1 permit was cancelled." in after
    active = Permit.objects.filter(status="active").values_list("pk", flat=True)
    assert set(active) == {seen[0].pk, later.pk}


def test_nobody_cancels_a_whole_company_by_not_narrowing(operator: Client, place: Location) -> None:
    PermitFactory(location=place)
    assert "Narrow the list first" in text_of(cancel_all(operator, "tests=on"))
    assert "None that matches" in text_of(cancel_all(operator, "when=ended"))


def test_one_go_has_an_upper_bound_that_is_said(
    operator: Client, place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_cancel, "MOST_AT_ONCE", 2)
    permits = [PermitFactory(location=place, type="Guest") for _ in range(4)]
    look = cancel_all(operator, "type=Guest")
    assert "More than 2 permits match." in text_of(look)
    cancel_all(operator, "type=Guest", confirm="yes", ids=look.context["preview"].packed)
    assert set(Permit.objects.filter(status="cancelled")) == set(permits[2:])


def test_permits_of_others_are_never_cancelled(operator: Client, place: Location) -> None:
    foreign = PermitFactory()
    operator.post(url("permits_cancel"), {"ids": bulk_cancel.pack([foreign.pk]), "confirm": "yes"})
    foreign.refresh_from_db()
    assert foreign.status == "active"


def test_a_lot_is_not_undone_when_its_time_is_over_or_by_another_companys_page(
    operator: Client, place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    permit = PermitFactory(location=place)
    ids = bulk_cancel.pack([permit.pk])
    operator.post(url("permits_cancel"), {"ids": ids, "confirm": "yes"})
    monkeypatch.setattr("integrations.permits.cancel_views.UNDO_GRACE_S", -10)
    assert "The 10 seconds are over" in text_of(operator.post(url("permits_reinstate"), follow=True))
    assert Permit.objects.get().status == "cancelled"


@pytest.mark.parametrize("ids", [[], [1], [7, 8, 9, 4_000_000_000], list(range(5, 900, 7))])
def test_ids_travel_as_short_texts(ids: list[int]) -> None:
    assert bulk_cancel.unpack(bulk_cancel.pack(ids)) == ids


@pytest.mark.parametrize("text", ["", "x", "1..2", "-1", "1.z", "٣", "f" * 16, "1." * 100_000])
def test_a_text_that_holds_no_ids_gives_none(text: str) -> None:
    assert bulk_cancel.unpack(text) == []


@pytest.mark.parametrize("rows", [20, 200])
def test_looking_and_cancelling_take_as_many_queries_for_few_as_for_many(
    operator: Client, place: Location, rows: int
) -> None:
    for _ in range(rows):
        accept(PermitFactory(location=place, type="Guest"))
    searched = operator.post(url("permits_search"), {"q": "ABC", "type": "Guest", "push": "waiting"})
    address = f"{url('permits_cancel')}?{urlsplit(searched['Location']).query}"
    operator.post(address, {"matching": "yes"})
    PermitSync.objects.update(state="due")
    with CaptureQueriesContext(db) as look:
        page = operator.post(address, {"matching": "yes"})
    ids = page.context["preview"].packed
    with CaptureQueriesContext(db) as done:
        operator.post(address, {"matching": "yes", "confirm": "yes", "ids": ids})
    assert Permit.objects.filter(status="cancelled").count() == rows
    assert len(look) <= MAX_QUERIES
    # Locks, rows, history and registrations take one each; the rest is the transaction and the session.
    assert len(done) <= 24, [query["sql"][:90] for query in done.captured_queries]


def test_choosing_nothing_is_said(operator: Client, place: Location) -> None:
    assert "Choose at least one" in text_of(operator.post(url("permits_cancel"), follow=True))


# --- The proof --------------------------------------------------------------------------------------------


def test_a_permits_page_answers_first_and_then_proves(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC 1234")
    waiting = operator.get(url("permit", permit.pk))
    assert "Not in Passport yet: Waiting to be sent." in text_of(waiting)
    assert 'hx-trigger="every 2s"' in waiting.content.decode()
    accept(permit, seen_at=timezone.now() + timedelta(seconds=1))
    done = operator.get(url("permit", permit.pk))
    assert "Passport shows officers this plate in zone Z123 since" in text_of(done)
    assert 'hx-trigger="every 2s"' not in done.content.decode()


def test_what_passport_holds_is_asked_for_and_shown(
    operator: Client, place: Location, vendor: FakeVendor
) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    accept(permit)
    vendor.sessions[f"os-{permit.pk}-1"] = {
        "zone_id": place.zone_mapping.zone.remote_id,
        "plate": "ABC1234",
        "country": "US",
        "subdivision": "US-NC",
        "start": permit.start.isoformat(),
        "end": permit.end.isoformat(),
        "space_number": "",
    }
    asked = operator.post(url("permit_check", permit.pk))
    waiting = operator.get(asked["Location"].partition("#")[0])
    assert "Checking with Passport." in text_of(waiting)
    assert "<html" in waiting.content.decode()
    part = operator.post(url("permit_check", permit.pk), headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    # The same question is still open, so it is asked once.
    assert CheckRun.objects.count() == 1
    (follow,) = re.findall(r'hx-get="([^"]+)" hx-trigger="every 1s"', part.content.decode())
    assert "Checking with Passport." in text_of(operator.get(follow))
    assert PermitSync.objects.get().checked_at is None
    assert make_check_runs() == 1
    for page in (operator.get(asked["Location"].partition("#")[0]), operator.get(follow)):
        assert "Passport lists this permit in zone Z123 now." in text_of(page)
        assert f"?check={CheckRun.objects.get().pk}" not in page.content.decode()
    row = PermitSync.objects.get()
    assert row.seen_at is not None
    assert row.checked_at is not None
    assert row.accepted_at is not None
    assert row.accepted_at < row.seen_at <= row.checked_at


def check(client: Client, permit: Permit) -> str:
    """Press "check now", let a worker ask, and return what the page says then."""
    asked = client.post(url("permit_check", permit.pk))
    if asked.status_code == 200:
        return text_of(asked)
    make_check_runs()
    return text_of(client.get(asked["Location"].partition("#")[0]))


@pytest.fixture
def shown(place: Location, vendor: FakeVendor) -> Permit:
    """A permit that the vendor accepted an hour ago and shows."""
    permit: Permit = PermitFactory(location=place, plate="ABC1234")
    accept(permit, accepted_at=timezone.now() - timedelta(hours=1))
    vendor.sessions[f"os-{permit.pk}-1"] = {
        "zone_id": place.zone_mapping.zone.remote_id, "plate": "ABC1234", "country": "US", "subdivision": "US-NC",
        "start": permit.start.isoformat(), "end": permit.end.isoformat(), "space_number": "",
    }  # fmt: skip
    return permit


def test_seen_is_said_of_the_present_acceptance(operator: Client, shown: Permit) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    PermitSync.objects.update(seen_at=long_ago)
    check(operator, shown)
    seen = PermitSync.objects.get().seen_at
    assert seen is not None
    assert seen > long_ago
    check(operator, shown)
    assert PermitSync.objects.get().seen_at == seen


def test_what_was_accepted_while_passport_answered_is_not_called_seen(
    operator: Client, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = vendor.fetch_rights

    def slowly(*args: Any, **kwargs: Any) -> Any:
        rights = ask(*args, **kwargs)
        PermitSync.objects.update(accepted_at=timezone.now())
        return rights

    monkeypatch.setattr(vendor, "fetch_rights", slowly)
    assert "lists this permit" in check(operator, shown)
    assert PermitSync.objects.get().seen_at is None


def test_nobody_asks_passport_more_than_a_few_times_a_minute(
    operator: Client, member: Membership, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = vendor.fetch_rights

    def count(operator_id: str, **rest: str) -> Any:
        asked.append(operator_id)
        return ask(operator_id, **rest)

    monkeypatch.setattr(vendor, "fetch_rights", count)
    pages = []
    for _ in range(8):
        pages.append(operator.post(url("permit_check", shown.pk), headers={"HX-Request": "true"}))
        make_check_runs()
    assert len(asked) == 6
    assert pages[-1].status_code == 200
    words = text_of(pages[-1])
    assert "You have asked several times within a minute. Wait a minute, then check again." in words
    assert "Checked" not in words
    # Another person has a count of their own.
    client = Client()
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert "lists this permit" in check(client, shown)


@pytest.mark.parametrize(
    ("of", "values", "words"),
    [
        (
            "connection",
            {"error": "Passport answered 503."},
            "since it is in trouble. Passport answered 503. Check again",
        ),
        ("vendor", {}, "since it is in trouble. Passport gives no answer."),
        (
            "connection",
            {"stopped": True, "error": "Passport refuses our credentials.", "remedy": "Enter new ones."},
            "the connection is stopped. Passport refuses our credentials. Enter new ones.",
        ),
    ],
)
def test_while_the_connection_is_held_back_nobody_asks(
    operator: Client, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch,
    of: str, values: dict[str, Any], words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(vendor, "fetch_rights", lambda *_args, **_kwargs: pytest.fail("Passport was asked"))
    connection = shown.location.zone_mapping.zone.connection
    whose = {"connection": connection} if of == "connection" else {"vendor": connection.vendor}
    Breaker.objects.create(**whose, open_until=timezone.now() + timedelta(seconds=8), **values)
    page = check(operator, shown)
    assert "Passport was not asked" in page
    assert words in page
    assert PermitSync.objects.get().checked_at is None


def test_no_answer_is_an_answer_too(
    operator: Client, place: Location, vendor: FakeVendor, monkeypatch: Any
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise TryLater("Passport answered 503.", remedy="Try again in a minute.")

    monkeypatch.setattr(vendor, "fetch_rights", fail)
    assert "Passport answered 503. Try again in a minute." in check(operator, PermitFactory(location=place))
    assert operator.get(url("permit_check", PermitFactory(location=place).pk)).status_code == 405


def test_names_that_look_like_markup_stay_text(operator: Client, member: Membership) -> None:
    place = LocationFactory(company=member.company, name="<script>alert(1)</script>")
    permit = PermitFactory(location=place, type="<b>x</b>", unit="<i>")
    for page in (
        url("permits"),
        url("permit", permit.pk),
        url("permit_change", permit.pk),
        url("permit_add"),
    ):
        body = operator.get(page).content.decode()
        assert "<script>alert" not in body
        assert "<b>x</b>" not in body


# --- What pages cost --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["", "?q=ABC", "?push=waiting&q=ABC&when=current", "?push=unprotected", "?before=1"]
)
def test_the_list_costs_the_same_however_many_rows_it_has(
    operator: Client, place: Location, query: str
) -> None:
    counts = []
    for _round in range(2):
        for _number in range(5):
            accept(PermitFactory(location=place))
            PermitFactory(location=place)
        answer = operator.get(url("permits") + query, follow=True)
        address = f"{answer.request['PATH_INFO']}?{answer.request['QUERY_STRING']}"
        with CaptureQueriesContext(db) as queries:
            assert operator.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[1] <= counts[0]
    assert counts[1] <= MAX_QUERIES


def test_no_page_needs_more_than_fifteen_queries(
    operator: Client, place: Location, vendor: FakeVendor, django_assert_max_num_queries: Any
) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    PermitFactory(location=place, plate="ABCI234")
    accept(permit)
    for page in (
        url("permit_add"),
        url("permit", permit.pk),
        url("permit_change", permit.pk),
        url("permit_cancel", permit.pk),
    ):
        with django_assert_max_num_queries(MAX_QUERIES):
            assert operator.get(page).status_code == 200
    for page, data in (
        (url("permit_hints"), typed(place, plate="ABCI234")),
        (url("permits_cancel"), {"permit": permit.pk}),
        (url("permit_check", permit.pk), {}),
        (url("validity"), {"plate": "ABC1234", "location": place.pk}),
    ):
        with django_assert_max_num_queries(MAX_QUERIES):
            assert operator.post(page, data).status_code in (200, 302)


def test_pages_hold_the_content_security_policy(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    for page in (url("permits"), url("permit_add"), url("permit", permit.pk), url("validity")):
        body = operator.get(page).content.decode()
        assert not re.search(r"<[^>]+\sstyle=", body)
        assert not re.search(r"<[^>]+\son[a-z]+=", body)
        assert not re.search(r"<script(?![^>]+src=)", body)
