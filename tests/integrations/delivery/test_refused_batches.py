"""Single plates among many that are refused, blocked or told to wait: what becomes of the others."""

import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.delivery import outbox
from integrations.models import Breaker, PermitSync
from integrations.vendors.protocol import Account, get_vendor
from tests.integrations.delivery.refusing import DONE, HOUR, REFUSED, later, refuse, wanted, whole
from tests.world import World


def bar(world: World, *plates: str) -> None:
    """Let a firewall answer each request that contains one of these plates with a page."""
    vendor = get_vendor("passport")
    send, one_by_one = vendor.send, threading.Lock()

    def barred(account: Account, steps: Any) -> Any:
        # The fault must hit this request, and not one that is sent at the same time.
        with one_by_one:
            if any(step["event"]["vehicle"]["vehicle_plate"] in plates for step in steps):
                world.fault("html", status=404, path="events", times=1)
            return send(account, steps)

    vendor.send = barred  # type: ignore[method-assign]


# --- Something on the way --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_plate_that_a_firewall_blocks_holds_up_no_others_and_opens_no_breaker_for_long(
    world: World,
) -> None:
    bar(world, "SELECT1")
    odd = world.permit("SELECT1")
    world.deliver(turns=3)
    for number in range(3):
        world.permit(f"GOOD{number}")
        world.deliver()
        assert whole(world) == [right for right in wanted(world) if right[0] != "SELECT1"]
    row = world.permit_sync(odd)
    assert row.state != DONE
    assert row.error == "Something between Offstreet and Passport answered 404 instead of Passport."
    assert not Breaker.objects.filter(open_until__gt=timezone.now()).exists()


@pytest.mark.django_db
def test_a_breaker_that_barred_plates_have_opened_is_probed_with_another(world: World) -> None:
    plates = [f"SELECT{number}" for number in range(4)]
    bar(world, *plates)
    barred = []
    for plate in plates:
        barred.append(world.permit(plate))
        world.deliver()
    assert Breaker.objects.filter(open_until__isnull=False).exists()
    # Later than all of them, so last in their order.
    world.permit("GOOD")
    world.deliver(turns=4)
    assert world.plates() == ["GOOD"]
    world.deliver()
    # From then on they are tried again slowly, and open no breaker.
    assert {row.state for row in map(world.permit_sync, barred)} == {REFUSED}
    assert not Breaker.objects.filter(open_until__isnull=False).exists()


@pytest.mark.django_db
def test_a_retry_by_hand_goes_at_once(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world)
    world.deliver()
    world.heal()
    outbox.retry(permit_sync_ids=[world.permit_sync(permit).pk])
    world.deliver()
    assert whole(world) == wanted(world)


# --- Told one by one to wait -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_retry_after_on_an_answer_to_single_events_is_obeyed(world: World) -> None:
    """99 of 100 events are throttled one by one, with a `Retry-After` on the whole answer."""
    inner, seen = world.transport.handle_request, []

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return inner(request)
        events = json.loads(request.read())["data"]
        seen.append(len(events))
        throttled = {"status": 429, "type": "io.passportlabs:error:too_many_requests"}
        parts = [{"status": 202}] + [throttled] * (len(events) - 1)
        return httpx.Response(207, json={"data": parts}, headers={"Retry-After": "120"})

    world.transport.handle_request = handle  # type: ignore[method-assign]
    for number in range(60):
        world.permit(f"THR{number}")
    for _ in range(5):
        world.engine.drain([world.connection.pk])
    assert seen == [60]
    breaker = Breaker.objects.get(connection=world.connection)
    assert breaker.open_until is not None
    assert breaker.open_until > timezone.now() + timedelta(seconds=100)
    assert PermitSync.objects.due().count() == 59


# --- Many that are bad -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_hundred_of_which_thirty_are_bad_cost_the_thirty_twice_and_the_others_next_to_nothing(
    world: World,
) -> None:
    zone = next(
        zone
        for zone in world.passport_operator["zones"]
        if zone["session_type"] == "space" and zone["number"] in world.zones
    )
    place, bad = world.location("Spaces", zone["number"]), set(range(0, 100, 3)) - {99, 96, 93, 90}
    for number in range(100):
        space = "no such space" if number in bad else zone["spaces"][number % len(zone["spaces"])]
        world.permit(f"P{number:02d}", location=place, space_number=str(space))
    world.deliver()
    assert len(bad) == 30
    # The sandbox names the first bad one by its number: one request that names it, and one for it alone.
    assert len(world.events()) <= 2 * len(bad) + 2
    assert whole(world) == [right for right in wanted(world) if int(right[0][1:]) not in bad]
    refused = PermitSync.objects.refused().values_list("permit__plate", flat=True)
    assert {int(plate[1:]) for plate in refused} == bad
    # They are never sent together with others again.
    before = len(world.events())
    world.permit("LATER")
    later(HOUR.total_seconds(), world)
    sizes = [len(request["data"]) for request in world.events()[before:]]
    assert sorted(sizes) == [1] * 31
