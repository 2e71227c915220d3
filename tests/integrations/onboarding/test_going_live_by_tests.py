"""A connection goes live by a test that was sent and seen, but not if another location's test was not seen."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import Connection, Notice, TestPlate, Ticket, ZoneMapping
from integrations.onboarding import test_plate_poller, test_plates
from integrations.onboarding.doubts import not_seen
from locations.models import Location
from tests.factories import MembershipFactory
from tests.integrations import on_passport
from tests.pages import signed_in, text_of
from tests.world import World

pytestmark = pytest.mark.django_db

world = on_passport.world_before_live


def sent(world: World, location: Location) -> TestPlate:
    test = test_plates.start_test(connection=world.connection, location=location)
    world.deliver()
    test_plate_poller.follow_tests(timezone.now())
    test.refresh_from_db()
    return test


def answered(world: World, location: Location, *, seen: bool) -> None:
    test_plates.answer_test(
        test=sent(world, location), seen=seen, note="", by="officer@city.example", via="link"
    )
    world.deliver()


def status(world: World) -> str:
    return Connection.objects.get(pk=world.connection.pk).status


def test_a_test_plate_that_was_withdrawn_before_it_was_sent_proves_nothing(world: World) -> None:
    test = test_plates.start_test(connection=world.connection, location=world.here)
    test_plates.withdraw_test(test=test)
    world.deliver(turns=2)
    test_plate_poller.follow_tests(timezone.now())
    test.refresh_from_db()
    assert world.events() == []
    assert test.accepted_at is None
    with pytest.raises(ValidationError, match="has not accepted"):
        test_plates.answer_test(test=test, seen=True, note="", by="x", via="link")
    assert status(world) == Connection.Status.TESTING


def test_one_that_never_got_through_proves_nothing(world: World) -> None:
    world.fault("drop", path="events")
    test = test_plates.start_test(connection=world.connection, location=world.here)
    world.deliver()
    with pytest.raises(ValidationError, match="has not accepted"):
        test_plates.answer_test(test=test, seen=True, note="", by="x", via="link")


def test_a_yes_makes_it_live(world: World) -> None:
    answered(world, world.here, seen=True)
    assert status(world) == Connection.Status.LIVE


def test_a_no_elsewhere_keeps_it_from_going_live(world: World) -> None:
    ticket = Ticket.objects.create(
        company=world.company, connection=world.connection, subject="Set-up", opened_at=timezone.now()
    )
    answered(world, world.there, seen=False)
    answered(world, world.here, seen=True)
    assert status(world) == Connection.Status.TESTING
    assert [test.location for test in not_seen(world.connection)] == [world.there]
    assert ticket.entries.filter(kind="test_doubt", text__contains="not seen at There").exists()
    assert Notice.objects.filter(kind="test_no", done_at=None).exists()


def test_then_an_operator_sets_it_live_all_the_same(world: World) -> None:
    now = timezone.now()
    Connection.objects.update(
        requested_at=now,
        operator_id_at=now,
        operator_id_finding="ok",
        zones_pulled_at=now,
        ready_for_test_at=now,
    )
    Ticket.objects.create(company=world.company, connection=world.connection, subject="Set-up", opened_at=now)
    answered(world, world.there, seen=False)
    answered(world, world.here, seen=True)
    operator = signed_in(MembershipFactory(company=world.company).user)
    page = f"/c/{world.company.slug}/setup/{world.connection.pk}/"
    assert "The test plate was not seen at There" in text_of(operator.get(page))
    operator.post(f"{page}live/")
    assert status(world) == Connection.Status.LIVE


def test_or_the_location_is_tested_again(world: World) -> None:
    answered(world, world.there, seen=False)
    answered(world, world.here, seen=True)
    answered(world, world.there, seen=True)
    assert status(world) == Connection.Status.LIVE
    assert not Notice.objects.filter(kind="test_no", done_at=None).exists()


def test_a_no_of_a_location_that_sends_elsewhere_by_now_is_no_doubt(world: World) -> None:
    answered(world, world.there, seen=False)
    ZoneMapping.objects.filter(location=world.there).delete()
    answered(world, world.here, seen=True)
    assert status(world) == Connection.Status.LIVE
