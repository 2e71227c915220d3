"""The delivery engine when Passport refuses, answers get lost or nothing answers: the sandbox's state is asserted."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Breaker, PermitSync
from locations import services
from tests.world import World

pytestmark = pytest.mark.django_db


def test_what_passport_refuses_is_shown_and_the_rest_flows_on(world: World) -> None:
    # A zone that Passport doesn't know: the whole request is refused, then halved down to the bad event.
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    bad_place = world.location("Unknown to Passport", "RG")
    drafts = [
        services.PermitDraft(
            bad_place if number == 17 else world.here,
            f"P{number}",
            "US-NC",
            timezone.now(),
            timezone.now() + timedelta(days=1),
        )
        for number in range(40)
    ]
    permits = services.register_permits(drafts=drafts)
    world.deliver()
    assert len(world.plates()) == 39
    refused = PermitSync.objects.get(permit=permits[17])
    assert refused.state == PermitSync.State.REFUSED
    assert refused.error
    assert refused.error_code == "zone_not_found"
    assert refused.remedy
    assert PermitSync.objects.filter(state=PermitSync.State.DONE).count() == 39


def test_an_edit_makes_a_refused_permit_due_again(world: World) -> None:
    space_zone = world.location("Spaces", "SP-01")
    permit = world.permit(location=space_zone)
    world.deliver()
    refused = world.permit_sync(permit)
    assert (refused.state, refused.error_code) == (PermitSync.State.REFUSED, "space_number_required")
    assert not world.events()
    services.change_permit(permit=permit, space_number="3")
    world.deliver()
    assert world.permit_sync(permit).state == PermitSync.State.DONE
    assert world.rights() == world.wanted()


def test_a_refused_replacement_does_not_leave_the_old_plate_parking(world: World) -> None:
    permit = world.permit()
    world.deliver()
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    services.change_permit(permit=permit, location=world.location("Unknown to Passport", "RG"))
    world.deliver()
    assert world.plates() == []
    assert world.permit_sync(permit).state == PermitSync.State.REFUSED


def test_an_answer_lost_after_acceptance_makes_no_second_session(world: World) -> None:
    world.permit()
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    assert PermitSync.objects.get().state == PermitSync.State.DUE
    world.let_time_pass()
    world.deliver()
    started = {event["session_id"] for request in world.events() for event in request["data"]}
    assert len(started) == 1
    assert len(world.plates()) == 1
    assert PermitSync.objects.get().state == PermitSync.State.DONE


def test_a_change_after_a_lost_answer_sends_the_same_events_first(world: World) -> None:
    permit = world.permit("OLD1")
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    services.change_permit(permit=permit, plate="NEW1")
    world.let_time_pass()
    world.deliver()
    assert world.plates() == ["NEW1"]


def test_a_revoke_after_a_lost_answer_is_not_lost(world: World) -> None:
    permit = world.permit()
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    services.cancel_permit(permit=permit)
    world.let_time_pass()
    world.deliver()
    assert world.plates() == []
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_a_start_that_may_have_arrived_and_is_then_refused_is_ended(world: World) -> None:
    permit = world.permit()
    world.fault("answer_lost", path="events", times=1)
    world.deliver()
    assert len(world.plates()) == 1
    world.let_time_pass()
    session = world.permit_sync(permit).pending_steps
    assert session
    # Passport refuses exactly the same event now.
    row = PermitSync.objects.get()
    assert row.pending_steps is not None
    row.pending_steps[0]["event"]["end_time"] = "not a time"
    row.save()
    services.cancel_permit(permit=permit)
    world.deliver()
    assert world.plates() == []


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("5xx", {"status": 503}),
        ("5xx", {"status": 500}),
        ("429", {"retry_after_s": 2}),
        ("html", {}),
        ("broken_json", {}),
        ("drop", {}),
        ("truncated", {}),
        ("huge_body", {}),
        ("wrong_json", {}),
        ("401", {}),
        ("answer_lost", {}),
    ],
)
def test_every_passing_fault_is_survived(world: World, kind: str, rest: dict[str, Any]) -> None:
    permits = [world.permit(f"P{number}") for number in range(5)]
    world.fault(kind, path="events", times=3, **rest)
    world.deliver(turns=6)
    world.heal()
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    services.cancel_permit(permit=permits[0])
    world.deliver()
    assert world.rights() == world.wanted()


def test_an_expired_token_is_fetched_again_once(world: World) -> None:
    world.permit("P1")
    world.deliver()
    world.transport.simulator.expire_tokens()
    world.permit("P2")
    world.deliver()
    assert world.plates() == ["P1", "P2"]


def test_a_missing_authorisation_stops_the_connection_without_hammering_passport(world: World) -> None:
    world.permit()
    world.fault("403", path="events")
    for _ in range(5):
        world.engine.drain([world.connection.pk])
    assert len(world.events()) == 1
    breaker = Breaker.objects.get(connection=world.connection)
    assert breaker.stopped
    assert PermitSync.objects.get().state == PermitSync.State.DUE
    world.heal()
    world.let_time_pass()
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert not Breaker.objects.get(connection=world.connection).stopped


def test_after_an_outage_a_single_probe_goes_first(world: World) -> None:
    for number in range(30):
        world.permit(f"P{number}")
    world.fault("5xx", status=503, path="events", times=1)
    world.engine.drain([world.connection.pk])
    world.let_time_pass()
    world.engine.drain([world.connection.pk])
    assert [len(request["data"]) for request in world.events()][:2] == [30, 1]
    world.deliver()
    assert len(world.plates()) == 30
