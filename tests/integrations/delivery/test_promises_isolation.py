"""The engine's promises on the sandbox in memory: companies don't slow each other down, and Passport is not hammered."""

import threading
from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone

from integrations.delivery import circuit_breaker
from integrations.models import Breaker, Notice, PermitSync
from integrations.onboarding import connections
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import get_vendor
from tests.integrations.delivery.by_hand import Hand, import_many
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import LAKESHORE, World, passport_in_memory

pytestmark = pytest.mark.django_db


# --- Isolation -------------------------------------------------------------------------------------------


def test_a_persons_own_edit_overtakes_an_import(world: World) -> None:
    import_many(world, 300)
    world.permit("MINE1")
    first = Hand(world).claim()[0]
    assert PermitSync.objects.get(pk=first.id).permit.plate == "MINE1"


def test_an_import_never_takes_all_senders_even_while_nothing_else_waits(world: World) -> None:
    vendor = get_vendor("passport")
    vendor.batch_size = 10
    import_many(world, 400)
    engine = world.engine
    engine.wake([world.connection.pk])
    gate, real = threading.Event(), vendor.send
    with mock.patch.object(vendor, "send", side_effect=lambda *args: (gate.wait(10), real(*args))[1]):
        for _ in range(5):
            engine._turn(0.01)
        under_way = len(engine._share.flights)
        gate.set()
        engine.drain([world.connection.pk])
    assert 0 < under_way <= 2  # of four senders
    assert world.rights() == world.wanted()


@pytest.mark.parametrize("by", ["another worker's answer", "a person"])
def test_what_is_lined_up_is_given_back_when_its_connection_is_stopped_elsewhere(
    world: World, by: str
) -> None:
    vendor, connection = get_vendor("passport"), world.connection
    vendor.batch_size = 10
    import_many(world, 100)
    engine = world.engine
    engine.wake([connection.pk])
    gate, real = threading.Event(), vendor.send
    with mock.patch.object(vendor, "send", side_effect=lambda *args: (gate.wait(10), real(*args))[1]) as send:
        for _ in range(5):
            engine._turn(0.01)
        assert engine._pipeline.lined_up
        if by == "a person":
            connections.pause(connection=connection, reason="A gate is rebuilt.")
        else:
            now = timezone.now()
            error = TryLater("Slow down.", retry_after=timedelta(minutes=1))
            circuit_breaker.record_failure(
                circuit_breaker.connection_scope(connection.pk), error, now=now, began=now
            )
        under_way = len(engine._share.flights)
        engine.wake([connection.pk])
        engine._turn(0.01)
        assert not engine._pipeline.lined_up
        waiting = PermitSync.objects.filter(state="due", lease=None)
        assert set(waiting.values_list("pending_steps", "attempts")) == {(None, 0)}
        gate.set()
        engine.drain([connection.pk])
        assert send.call_count == under_way
    if by == "a person":
        connections.resume(connection=connection)
    world.deliver(turns=3)
    assert world.rights() == world.wanted()


def test_a_company_that_is_refused_leaves_the_others_alone(transport: SandboxTransport) -> None:
    with passport_in_memory(transport):
        refused, fine = World(transport), World(transport, LAKESHORE)
        transport.simulator.faults.add(
            {"kind": "403", "path": "events", "operator_id": refused.connection.operator_id}
        )
        refused.permit("NO1")
        fine.permit("YES1")
        refused.engine.drain([refused.connection.pk, fine.connection.pk])
        assert fine.plates() == ["YES1"]
        assert not Breaker.objects.filter(vendor="passport").exists()
        for world in (refused, fine):
            world.engine.close()


# --- Manners ---------------------------------------------------------------------------------------------


def test_what_is_lined_up_stays_here_once_a_request_was_told_to_wait(world: World) -> None:
    vendor = get_vendor("passport")
    vendor.batch_size = 10
    import_many(world, 200)
    world.fault("429", path="events", retry_after_s=30)
    world.engine.drain([world.connection.pk])
    assert len(world.events()) <= 2  # as many as were under way together
    assert PermitSync.objects.due().count() == 200
    breaker = Breaker.objects.get(connection=world.connection)
    assert breaker.open_until is not None
    assert breaker.open_until > timezone.now() + timedelta(seconds=25)


def test_a_probe_that_finds_no_free_slot_gives_its_permission_back(world: World) -> None:
    world.permit()
    Breaker.objects.create(
        connection=world.connection, failures=1, open_until=timezone.now() - timedelta(seconds=1)
    )
    engine = world.engine
    engine._share.busy[world.connection.pk] = 99
    engine._inbox.awaken([world.connection.pk])
    engine._claim()
    assert Breaker.objects.get().probe_until is None


def test_wrong_credentials_stop_everything_notify_people_once_and_do_not_hammer_passport(
    transport: SandboxTransport,
) -> None:
    with passport_in_memory(transport):
        worlds = [World(transport), World(transport, LAKESHORE)]
        for world in worlds:
            world.permit()
        transport.simulator.faults.add({"kind": "401", "path": "token"})
        for _ in range(5):
            for world in worlds:
                world.engine.drain([world.connection.pk])
        tokens = [request for request in transport.requests if request.url.path.endswith("access-tokens")]
        assert len(tokens) == 1
        assert not worlds[0].events()
        assert Breaker.objects.get(vendor="passport").stopped
        assert Notice.objects.filter(kind="host_stopped").count() == 1
        transport.simulator.faults.clear()
        worlds[0].let_time_pass()
        for world in worlds:
            world.deliver(turns=2)
            assert world.rights() == world.wanted()
            world.engine.close()
        assert Notice.objects.filter(kind="host_stopped", done_at=None).count() == 0
