"""What was never sent is planned again when it is sent, and what was accepted stays even if a new one would be refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import PermitSync, Zone
from integrations.vendors.protocol import get_vendor
from locations import services
from locations.models import Permit
from tests.integrations.delivery.by_hand import Hand
from tests.world import World, audit_all

pytestmark = pytest.mark.django_db


def started(world: World, since: int = 0) -> set[str]:
    """The plates of all events that asked Passport to start a session, from the `since`-th request on."""
    return {
        event["vehicle"]["vehicle_plate"]
        for request in world.events()[since:]
        if request["type"].endswith("started")
        for event in request["data"]
    }


def put_off(world: World) -> tuple[list[Permit], list[Permit]]:
    """Let Passport fail during the first of many batches; return what was tried and what was not."""
    get_vendor("passport").batch_size = 2
    permits = [world.permit(f"Q{number:02d}") for number in range(20)]
    world.fault("drop", path="events")
    world.deliver()
    world.heal()
    tried = started(world)
    assert tried
    never = [permit for permit in permits if permit.plate not in tried]
    assert never
    return [permit for permit in permits if permit.plate in tried], never


def test_a_plate_that_was_never_sent_and_is_cancelled_during_an_outage_is_not_started(world: World) -> None:
    _tried, never = put_off(world)
    for permit in never:
        services.cancel_permit(permit=permit)
    before = len(world.events())
    world.deliver(turns=4)
    assert started(world, before).isdisjoint(permit.plate for permit in never)
    for permit in never:
        row = world.permit_sync(permit)
        assert (row.state, row.remote_state, row.pending_steps) == (PermitSync.State.DONE, None, None)
        assert row.accepted_at is None


def test_a_plate_that_was_corrected_during_an_outage_is_begun_as_it_is_now(world: World) -> None:
    _tried, never = put_off(world)
    services.change_permit(permit=never[0], plate="RIGHT1")
    before = len(world.events())
    world.deliver(turns=4)
    assert "RIGHT1" in started(world, before)
    assert never[0].plate not in started(world, before)
    assert world.rights() == world.wanted()


def test_what_may_have_arrived_goes_out_again_as_it_was_before_it_is_ended(world: World) -> None:
    permit = world.permit("MAYBE1")
    world.fault("answer_lost", path="events")
    world.deliver()
    world.heal()
    services.cancel_permit(permit=permit)
    world.deliver(turns=3)
    assert world.plates() == []
    first, second = (request["data"] for request in world.events() if request["type"].endswith("started"))
    assert first == second


def test_what_a_crashed_worker_had_planned_counts_as_sent(world: World) -> None:
    permit = world.permit("CRASH1")
    Hand(world).claim()
    services.cancel_permit(permit=permit)
    world.let_time_pass()
    world.deliver(turns=3)
    assert world.plates() == []
    assert started(world) == {"CRASH1"}


def test_a_row_with_nothing_to_send_was_not_accepted(world: World) -> None:
    permit = world.permit("NEVER1")
    services.cancel_permit(permit=permit)
    world.deliver()
    row = world.permit_sync(permit)
    assert (row.state, row.accepted_at, row.accepted_revision) == (PermitSync.State.DONE, None, 0)
    assert world.events() == []


def test_an_edit_that_changes_nothing_at_passport_leaves_the_time_of_acceptance(world: World) -> None:
    permit = world.permit("SAME01")
    world.deliver()
    accepted = world.permit_sync(permit).accepted_at
    changed = services.change_permit(permit=permit, unit="12 B")
    world.deliver()
    row = world.permit_sync(permit)
    assert row.accepted_at == accepted
    assert row.accepted_revision == changed.revision
    assert len(world.events()) == 1


# --- An error found before sending --------------------------------------------------------------------------------------


def asks_for_spaces(world: World) -> None:
    """Let the zone of `world.here` require a space number from now on."""
    Zone.objects.filter(pk=world.here.zone_mapping.zone_id).update(session_type="space")


def test_what_was_accepted_stays_when_its_zone_asks_for_a_space_number(world: World) -> None:
    permit = world.permit("STAYS1")
    world.deliver()
    asks_for_spaces(world)
    services.change_permit(permit=permit, unit="7")
    audit_all()
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert len(world.events()) == 1
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_its_end_can_still_be_moved(world: World) -> None:
    permit = world.permit("MOVES1")
    world.deliver()
    asks_for_spaces(world)
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=9))
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert world.events()[-1]["type"] == "parking_session_extended"


def test_another_plate_is_refused_there_and_ends_the_old_one(world: World) -> None:
    permit = world.permit("OLDONE")
    world.deliver()
    asks_for_spaces(world)
    services.change_permit(permit=permit, plate="NEWONE")
    world.deliver(turns=2)
    assert world.plates() == []
    row = world.permit_sync(permit)
    assert (row.state, row.error_code) == (PermitSync.State.REFUSED, "space_number_required")
    assert started(world) == {"OLDONE"}


def test_a_new_permit_there_is_refused_without_asking(world: World) -> None:
    asks_for_spaces(world)
    permit = world.permit("NOSPOT")
    world.deliver()
    assert world.permit_sync(permit).error_code == "space_number_required"
    assert world.events() == []
