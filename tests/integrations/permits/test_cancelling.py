"""Cancelling one permit, several, or all that match: the preview, what is cancelled, and undoing it."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection as db
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.models import PermitSync
from integrations.permits import bulk_cancel
from locations.models import Location, Membership, Permit
from locations.services import cancel_permit, change_permit
from tests.factories import LocationFactory, PermitFactory
from tests.integrations.permits.pages import MAX_QUERIES, accept, text_of, url

pytestmark = pytest.mark.django_db


def test_a_cancellation_can_be_undone_for_ten_seconds(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC 1234")
    assert operator.get(url("permit_cancel", permit.pk)).status_code == 200
    after = operator.post(url("permit_cancel", permit.pk), follow=True)
    assert Permit.objects.get().status == "cancelled"
    assert url("permit_reinstate", permit.pk) in after.content.decode()
    again = operator.post(url("permit_reinstate", permit.pk), {"next": url("permits")}, follow=True)
    assert Permit.objects.get().status == "active"
    assert "Undo" not in text_of(again)
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
    """Request the cancellation of everything that a list's filters match; with `confirm` and `ids` it is carried out."""
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
    assert "60 permits were reinstated." in text_of(back)
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
    assert "2 permits have changed or ended since" in after
    assert "1 permit was cancelled." in after
    active = Permit.objects.filter(status="active").values_list("pk", flat=True)
    assert set(active) == {seen[0].pk, later.pk}


def test_no_one_can_cancel_a_whole_company_by_not_filtering(operator: Client, place: Location) -> None:
    PermitFactory(location=place)
    assert "Narrow the list first" in text_of(cancel_all(operator, "tests=on"))
    assert "None of the matching" in text_of(cancel_all(operator, "when=ended"))


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
    monkeypatch.setattr("locations.undo.UNDO_GRACE_S", -10)
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
    # Locks, rows, history and permit syncs take one query each; the rest is the transaction and the session.
    assert len(done) <= 24, [query["sql"][:90] for query in done.captured_queries]


def test_choosing_nothing_is_said(operator: Client, place: Location) -> None:
    assert "Choose at least one" in text_of(operator.post(url("permits_cancel"), follow=True))
