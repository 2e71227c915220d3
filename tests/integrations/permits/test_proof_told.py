"""What each piece of evidence says about its session: which plate was where until when, also after the permit has changed.

The whole engine on the sandbox's Passport: the tests assert what a step was about, not how it got there.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import PushEvent
from locations import services
from locations.models import Permit
from tests.integrations import on_passport
from tests.world import World

pytestmark = pytest.mark.django_db

world = on_passport.world
NOTHING = ("", "", "", None, None)


def told(permit: Permit) -> list[tuple[str, str, tuple[object, ...]]]:
    """Return kind, result and what is said about the session, in order."""
    return [
        (event.kind, event.result, (event.plate, event.subdivision, event.zone, event.since, event.until))
        for event in PushEvent.objects.filter(permit_sync__permit=permit).order_by("id")
    ]


def passport_time(at: datetime) -> datetime:
    """Return a time as Passport keeps it: to the millisecond."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def said(world: World, permit: Permit, number: str) -> tuple[object, ...]:
    """Return what is said about a session for a permit as it is now."""
    permit = Permit.objects.get(pk=permit.pk)
    return (
        permit.plate,
        permit.subdivision,
        world.zones[number].remote_id,
        passport_time(permit.start),
        passport_time(permit.end),
    )


def zone_of(permit: Permit) -> str:
    number: str = permit.location.zone_mapping.zone.number
    return number


def test_a_start_says_plate_state_zone_and_window(world: World) -> None:
    permit = world.permit("ab c-12.34")
    world.deliver()
    assert told(permit) == [("started", "accepted", said(world, permit, zone_of(permit)))]


def test_an_extension_says_the_new_end_and_a_stop_the_session_that_it_ended(world: World) -> None:
    permit = world.permit()
    world.deliver()
    begun = said(world, permit, zone_of(permit))
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=5))
    world.deliver()
    extended = said(world, permit, zone_of(permit))
    services.cancel_permit(permit=permit)
    world.deliver()
    assert begun != extended
    assert told(permit) == [
        ("started", "accepted", begun),
        ("extended", "accepted", extended),
        ("stopped", "accepted", extended),
    ]


@pytest.mark.parametrize("change", ["plate", "subdivision", "location"])
def test_a_replacement_says_the_new_session_and_of_the_old_ones_stop_nothing(
    world: World, change: str
) -> None:
    permit = world.permit()
    world.deliver()
    old = said(world, permit, zone_of(permit))
    values: dict[str, Any] = {"plate": "XYZ 99", "subdivision": "US-VA", "location": world.there}
    permit = services.change_permit(permit=permit, **{change: values[change]})
    world.deliver()
    new = said(world, permit, zone_of(permit))
    assert old != new
    assert told(permit) == [
        ("started", "accepted", old),
        ("started", "accepted", new),
        ("stopped", "accepted", NOTHING),
    ]
    first, second, last = PushEvent.objects.order_by("id").values_list("session_id", flat=True)
    assert first == last != second


def test_a_refused_start_says_what_was_refused(world: World) -> None:
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    permit = world.permit(location=world.location("Unknown to Passport", "RG"))
    world.deliver()
    assert told(permit) == [("started", "refused", said(world, permit, "RG"))]


def test_a_refused_replacement_says_what_was_refused_and_what_was_taken_away(world: World) -> None:
    permit = world.permit()
    world.deliver()
    old = said(world, permit, zone_of(permit))
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    services.change_permit(permit=permit, location=world.location("Unknown to Passport", "RG"))
    world.deliver()
    assert told(permit) == [
        ("started", "accepted", old),
        ("started", "refused", said(world, permit, "RG")),
        ("stopped", "accepted", old),
    ]


def test_after_a_lost_answer_the_replay_says_what_was_sent_and_not_what_was_changed_since(
    world: World,
) -> None:
    permit = world.permit("OLD1")
    old = said(world, permit, zone_of(permit))
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    services.change_permit(permit=permit, plate="NEW1")
    world.let_time_pass()
    world.deliver()
    assert told(permit) == [
        ("started", "later", old),
        ("started", "accepted", old),
        ("started", "accepted", said(world, permit, zone_of(permit))),
        ("stopped", "accepted", NOTHING),
    ]


def test_a_try_that_was_not_reached_says_what_was_to_be_sent(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=5))
    world.fault("5xx", status=503, path="events", times=1)
    world.deliver(turns=2)
    extended = said(world, permit, zone_of(permit))
    assert told(permit)[1:] == [("extended", "later", extended), ("extended", "accepted", extended)]


def test_a_time_that_cannot_be_read_is_left_out_and_stops_nothing(world: World) -> None:
    permit = world.permit()
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    row = world.permit_sync(permit)
    assert row.pending_steps is not None
    row.pending_steps[0]["event"]["end_time"] = "not a time"
    row.save()
    world.let_time_pass()
    world.deliver()
    start, zone = passport_time(permit.start), world.zones[zone_of(permit)].remote_id
    assert ("started", "refused", ("ABC1234", "US-NC", zone, start, None)) in told(permit)
