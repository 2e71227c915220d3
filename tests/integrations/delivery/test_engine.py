"""The delivery engine with the real plan, the real client and the sandbox's simulator, whose state is asserted."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.models import PermitSync, Push, PushEvent
from integrations.zones import mapping
from locations import services
from tests.factories import PermitFactory
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

pytestmark = pytest.mark.django_db


def test_a_saved_permit_is_what_enforcement_sees(world: World) -> None:
    permit = world.permit("ab c-12.34")
    world.deliver()
    assert world.plates() == ["ABC1234"]
    assert world.rights() == world.wanted()
    permit_sync = world.permit_sync(permit)
    assert permit_sync.state == PermitSync.State.DONE
    assert permit_sync.accepted_revision == 1
    assert permit_sync.pending_steps is None
    assert permit_sync.lease is None


def test_a_permit_that_begins_later_is_sent_at_once(world: World) -> None:
    world.permit(start=timezone.now() + timedelta(days=3), end=timezone.now() + timedelta(days=4))
    world.deliver()
    assert world.plates() == ["ABC1234"]


def test_a_permit_that_has_ended_is_not_sent(world: World) -> None:
    permit = world.permit(start=timezone.now() - timedelta(days=3), end=timezone.now() - timedelta(days=1))
    world.deliver()
    assert not world.events()
    assert not PermitSync.objects.filter(permit=permit).exists()


@pytest.mark.parametrize(
    "change",
    [
        {"end": timedelta(days=5)},
        {"end": timedelta(hours=2)},
        {"plate": "XYZ 99"},
        {"subdivision": "CA-ON"},
        {"start": timedelta(hours=-3)},
    ],
    ids=["extend", "shorten", "plate", "state", "start"],
)
def test_a_change_is_what_enforcement_sees_next(world: World, change: dict[str, Any]) -> None:
    permit = world.permit()
    world.deliver()
    moved: dict[str, Any] = {
        name: timezone.now() + value if isinstance(value, timedelta) else value
        for name, value in change.items()
    }
    services.change_permit(permit=permit, **moved)
    world.deliver()
    assert world.rights() == world.wanted()
    assert len(world.plates()) == 1


def test_a_cancelled_permit_disappears(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    assert world.plates() == []
    assert world.permit_sync(permit).remote_state is None


def test_a_permit_cancelled_before_its_window_disappears(world: World) -> None:
    permit = world.permit(start=timezone.now() + timedelta(days=3), end=timezone.now() + timedelta(days=4))
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    assert world.plates() == []


def test_a_permit_ended_early_disappears(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.change_permit(permit=permit, end=timezone.now() - timedelta(minutes=1))
    world.deliver()
    assert world.plates() == []


def test_a_reinstated_permit_gets_a_session_of_its_own(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    services.reinstate_permit(permit=permit)
    world.deliver()
    assert world.rights() == world.wanted()
    started = [
        event["session_id"]
        for request in world.events()
        if request["type"].endswith("started")
        for event in request["data"]
    ]
    assert len(started) == len(set(started)) == 2


def test_a_permit_moved_to_another_location_is_seen_in_its_zone(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.change_permit(permit=permit, location=world.there)
    world.deliver()
    assert world.rights() == world.wanted()


def test_many_permits_travel_in_one_request(world: World) -> None:
    services.register_permits(
        drafts=[
            services.PermitDraft(
                world.here, f"P{number}", "US-NC", timezone.now(), timezone.now() + timedelta(days=1)
            )
            for number in range(40)
        ]
    )
    world.deliver()
    assert world.rights() == world.wanted()
    assert [len(request["data"]) for request in world.events()] == [40]


def test_edits_between_two_looks_are_one_event(world: World) -> None:
    permit = world.permit()
    for days in range(2, 9):
        services.change_permit(permit=permit, end=timezone.now() + timedelta(days=days))
    world.deliver()
    assert len(world.events()) == 1
    assert world.rights() == world.wanted()


def test_a_permit_of_an_unmapped_location_waits_for_its_mapping(world: World) -> None:
    unmapped = world.location("Nowhere")
    permit = world.permit(location=unmapped)
    world.deliver()
    assert not world.events()
    from tests.factories import ZoneMappingFactory

    ZoneMappingFactory(location=unmapped, zone=world.zones["RG"])
    with transaction.atomic():
        mapping.mark_locations([unmapped.pk])
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_a_connection_that_is_not_live_sends_test_plates_alone(transport: SandboxTransport) -> None:
    with passport_in_memory(transport):
        world = World(transport, live=False)
        world.permit("REAL1")
        PermitFactory(location=world.here, plate="TEST123", is_test=True)
        world.deliver()
        assert world.plates() == ["TEST123"]
        assert PermitSync.objects.get(permit__plate="REAL1").state == PermitSync.State.DUE
        world.connection.status, world.connection.live_since = "live", timezone.now()
        world.connection.save()
        world.deliver()
        assert world.plates() == ["REAL1", "TEST123"]
        world.engine.close()


def test_cancellations_and_vehicles_parked_now_go_before_what_begins_later(world: World) -> None:
    gone = world.permit("GONE")
    world.deliver()
    services.register_permits(
        drafts=[
            services.PermitDraft(
                world.here, plate, "US-NC", timezone.now() + begins, timezone.now() + timedelta(days=9)
            )
            for plate, begins in [
                ("LATER1", timedelta(days=1)),
                ("NOW1", timedelta(0)),
                ("LATER2", timedelta(days=1)),
            ]
        ]
    )
    world.permit("SINGLE", start=timezone.now() + timedelta(days=2), end=timezone.now() + timedelta(days=3))
    services.cancel_permit(permit=gone)
    # Permits that are saved together are due since the same time.
    order = PermitSync.objects.due().order_by("priority", "due_since", "permit_id")
    assert list(order.values_list("permit__plate", flat=True)) == [
        "GONE",
        "SINGLE",
        "NOW1",
        "LATER1",
        "LATER2",
    ]


def test_evidence_lists_each_attempt(world: World) -> None:
    permit = world.permit()
    world.fault("5xx", status=503, path="events", times=1)
    world.deliver(turns=2)
    events = PushEvent.objects.filter(permit_sync__permit=permit).order_by("id")
    assert [event.result for event in events] == ["later", "accepted"]
    pushes = Push.objects.order_by("id")
    assert [push.outcome for push in pushes] == ["later", "accepted"]
    assert pushes[0].status == 503
    assert len({push.trace_id for push in pushes}) == 2


def test_a_batch_with_results_for_each_event_is_read_one_by_one(world: World) -> None:
    world.transport.simulator.change_options({"answer_mode": "multi_status"})
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    bad = world.permit("BAD1", location=world.location("Unknown", "RG"))
    good = world.permit("GOOD1")
    world.deliver()
    assert world.plates() == ["GOOD1"]
    assert world.permit_sync(bad).state == PermitSync.State.REFUSED
    assert world.permit_sync(good).state == PermitSync.State.DONE
    assert len(world.events()) == 1


def test_a_change_while_a_push_is_under_way_is_not_lost(world: World) -> None:
    permit = world.permit()
    # The test makes the edit between claiming and settling itself, since one thread has one database connection here.
    from integrations.delivery import claim, record_results
    from integrations.delivery.batch import batches
    from integrations.delivery.circuit_breaker import SendPermission
    from integrations.delivery.claim import ClaimRequest
    from integrations.vendors.protocol import Account, get_vendor

    vendor = get_vendor("passport")
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    works = claim.claim([ClaimRequest(account, vendor, 10, SendPermission(True), tests_only=False)])
    [unit] = batches(works, account, vendor, now=timezone.now(), probing=False)
    services.change_permit(permit=permit, plate="EDITED1")
    unit.deliver()
    record_results.record([unit])
    assert PermitSync.objects.get().state == PermitSync.State.DUE
    world.deliver()
    assert world.plates() == ["EDITED1"]
