"""Refusals that could be accepted by now are found: a zone that returns, and the audit."""

import pytest
from django.utils import timezone

from integrations.models import PermitSync
from integrations.zones import mapping
from integrations.zones import refresh as zone_refresh
from locations import services
from locations.models import Permit
from tests.integrations.delivery.refusing import DONE, GONE, HOUR, INVALID, REFUSED, refuse, wanted, whole
from tests.world import World, audit_all

# --- A zone that returns, or changes ---------------------------------------------------------------------


@pytest.mark.django_db
def test_a_zone_that_returns_sets_going_all_that_it_refused_wherever_the_location_is_by_now(
    world: World,
) -> None:
    sim, zone = world.transport.simulator, world.here.zone_mapping.zone
    away = {
        "do": "zone_gone",
        "operator_id": world.passport_operator["operator_id"],
        "zone_id": zone.remote_id,
    }
    back = {"do": "zone", "operator_id": world.passport_operator["operator_id"], "zone": zone.raw}
    stays, moves = world.permit("STAYS"), world.permit("MOVES")
    world.deliver()
    sim.change_directory(away)
    zone_refresh.refresh_zones(connection=world.connection)
    refuse(world)
    # Both stops are refused, one of a cancelled permit and one of a permit that has moved on.
    services.cancel_permit(permit=stays)
    services.change_permit(permit=moves, location=world.there)
    world.deliver(turns=2)
    mapping.map_location(location=world.here, zone=None)
    world.deliver()
    assert {world.permit_sync(permit).state for permit in (stays, moves)} == {REFUSED}
    world.heal()
    sim.change_directory(back)
    assert zone_refresh.refresh_zones(connection=world.connection).outcome == "done"
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.plates() == ["MOVES"]


# --- The audit -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_refused_permit_whose_correction_bypassed_the_services_is_found(world: World) -> None:
    zone = next(
        zone
        for zone in world.passport_operator["zones"]
        if zone["session_type"] == "space" and zone["number"] in world.zones
    )
    permit = world.permit("BADONE", location=world.location("Spaces", zone["number"]))
    world.deliver()
    row = world.permit_sync(permit)
    assert (row.state, row.error_code, row.retry_at) == (REFUSED, "space_number_required", None)
    assert audit_all() == 0
    Permit.objects.filter(pk=permit.pk).update(space_number=str(zone["spaces"][0]))
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.plates() == ["BADONE"]


@pytest.mark.django_db
@pytest.mark.parametrize("body", [GONE, INVALID], ids=["may pass", "for good"])
def test_a_permit_whose_cancellation_bypassed_the_services_is_found_though_it_is_refused(
    world: World, body: str
) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    services.change_permit(permit=permit, end=permit.end + HOUR)
    refuse(world, body, 400, times=1)
    world.deliver()
    assert world.permit_sync(permit).state == REFUSED
    assert audit_all() == 0
    assert world.plates() == ["REVOKED"]
    Permit.objects.filter(pk=permit.pk).update(status=Permit.Status.CANCELLED, cancelled_at=timezone.now())
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world) == []


@pytest.mark.django_db
def test_the_audit_finds_a_refused_row_once_and_not_again(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world, INVALID, 400)
    world.deliver()
    Permit.objects.filter(pk=permit.pk).update(plate="SQL1")
    assert audit_all() == 1
    world.deliver()
    assert [audit_all() for _ in range(3)] == [0, 0, 0]


@pytest.mark.django_db
def test_what_a_worker_of_before_has_refused_is_found(world: World) -> None:
    permit = world.permit("NEW")
    # It writes neither a key nor a time.
    PermitSync.objects.update(state=REFUSED, error="No.", refused_key="", retry_at=None)
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.permit_sync(permit).state == DONE


@pytest.mark.django_db
def test_a_refused_stop_whose_permit_has_ended_is_left_to_its_own_time(world: World) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    services.cancel_permit(permit=permit)
    refuse(world)
    world.deliver()
    assert world.permit_sync(permit).state == REFUSED
    assert audit_all() == 0
