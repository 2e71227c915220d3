"""A cancelled permit is reinstated from its page, long after the ten seconds, after a look at what happens."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import PermitSync
from locations.models import Location, Membership, Permit
from locations.services import cancel_permit
from tests.factories import PermitFactory
from tests.integrations.permits.pages import accept, text_of, url
from tests.pages import count_queries

pytestmark = pytest.mark.django_db


def cancelled(place: Location, **values: object) -> Permit:
    """A permit that was cancelled an hour ago."""
    permit: Permit = cancel_permit(permit=PermitFactory(location=place, plate="ABC1234", **values))
    Permit.objects.filter(pk=permit.pk).update(cancelled_at=timezone.now() - timedelta(hours=1))
    permit.refresh_from_db()
    return permit


def test_its_page_leads_to_a_preview_and_that_reinstates_it(
    operator: Client, member: Membership, place: Location
) -> None:
    permit = cancelled(place)
    accept(permit)
    address = url("permit_reinstate", permit.pk)
    assert f'href="{address}"' in operator.get(url("permit", permit.pk)).content.decode()
    words = text_of(operator.get(address))
    assert "ABC1234 will be valid again at North Campus Garage until" in words
    assert "officers see it within seconds" in words
    assert Permit.objects.get().status == "cancelled"
    response = operator.post(address, {"sure": "yes"}, follow=True)
    assert "ABC1234 was reinstated." in text_of(response)
    found = Permit.objects.get()
    assert (found.status, found.cancelled_at, found.updated_by) == ("active", None, member.user)
    assert (found.plate, found.start, found.end) == (permit.plate, permit.start, permit.end)
    assert PermitSync.objects.get(permit=permit).state == "due"
    assert "Reinstate" not in text_of(operator.get(url("permit", permit.pk)))


def test_one_that_lies_ahead_says_from_when(operator: Client, place: Location) -> None:
    now = timezone.now()
    permit = cancelled(place, start=now + timedelta(days=2), end=now + timedelta(days=4))
    assert "will be valid again at North Campus Garage from" in text_of(
        operator.get(url("permit_reinstate", permit.pk))
    )


def test_another_permit_of_the_plate_is_told_before(operator: Client, place: Location) -> None:
    permit = cancelled(place)
    PermitFactory(location=place, plate="ABC1234", subdivision=permit.subdivision)
    words = text_of(operator.get(url("permit_reinstate", permit.pk)))
    assert "This plate has another permit here" in words


@pytest.mark.parametrize("case", ["over", "a test", "not cancelled"])
def test_what_cannot_be_reinstated_says_why(operator: Client, place: Location, case: str) -> None:
    now = timezone.now()
    permit: Permit
    if case == "not cancelled":
        permit, words = PermitFactory(location=place), "isn't cancelled"
    elif case == "a test":
        permit, words = cancelled(place, is_test=True), "stays withdrawn"
    else:
        permit = cancelled(place, start=now - timedelta(days=4), end=now - timedelta(minutes=1))
        words = "would have ended by now"
    before = Permit.objects.values().get()
    if case != "not cancelled":
        assert "Reinstate" not in text_of(operator.get(url("permit", permit.pk)))
    address = url("permit_reinstate", permit.pk)
    for response in (
        operator.get(address, follow=True),
        operator.post(address, {"sure": "yes"}, follow=True),
    ):
        assert words in text_of(response).replace("&#x27;", "'")
    assert Permit.objects.values().get() == before


def test_the_preview_takes_few_queries(operator: Client, place: Location) -> None:
    count_queries(operator, url("permit_reinstate", cancelled(place).pk))
