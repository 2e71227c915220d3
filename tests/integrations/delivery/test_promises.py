"""The engine's promises on the sandbox in memory: nothing lost, one effect, order (real processes: `tests/faults`)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from integrations.delivery.outbox import retry
from integrations.delivery.record_results import record
from integrations.models import Breaker, PermitSync
from integrations.vendors.protocol import get_vendor
from locations import services
from tests.integrations.delivery.by_hand import Hand, sessions_started
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import LAKESHORE, World, passport_in_memory

pytestmark = pytest.mark.django_db


# --- Nothing lost, nothing stale -------------------------------------------------------------------------


def test_an_extension_of_a_session_that_passport_lost_starts_it_again(world: World) -> None:
    permit = world.permit()
    world.deliver()
    [session] = sessions_started(world)
    world.transport.simulator.forget_session(session)
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=5))
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_an_extension_of_a_session_that_was_stopped_at_passport_begins_another(world: World) -> None:
    permit = world.permit()
    world.deliver()
    [session] = world.transport.simulator.sessions.by_id.values()
    session.stopped = True
    session.show(None)
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=5))
    world.deliver()
    assert world.rights() == world.wanted()
    assert len(sessions_started(world)) == 2


def test_a_start_that_comes_after_its_own_stop_is_not_taken_for_accepted(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    [unit] = hand.units(hand.claim())
    unit.deliver()
    # The worker dies before it settles; in the meantime the session is ended at Passport.
    [session] = world.transport.simulator.sessions.by_id.values()
    session.stopped = True
    session.show(None)
    world.let_time_pass()
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_our_own_database_going_away_while_sending_refuses_no_registration(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = [world.permit(f"P{number}") for number in range(5)]
    client = get_vendor("passport")._client  # type: ignore[attr-defined]

    def away(*_: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(client._tokens, "get", away)
        world.deliver()
    assert {world.permit_sync(permit).state for permit in permits} == {PermitSync.State.DUE}
    world.let_time_pass()
    world.deliver(turns=2)
    assert world.rights() == world.wanted()


def test_a_refusal_with_a_hostile_text_is_stored(world: World) -> None:
    body = '{"type": "io.passportlabs:error:odd\\u0000", "title": "a\\u0000b \\u0007 c", "detail": null}'
    permit = world.permit()
    world.fault("5xx", status=422, body=body, path="events")
    world.deliver()
    row = world.permit_sync(permit)
    assert (row.state, row.error) == (PermitSync.State.REFUSED, "ab c")
    assert "\0" not in row.error_code


def test_a_fault_of_our_own_while_the_answer_is_read_begins_no_second_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = [world.permit(f"P{number}") for number in range(8)]

    def stumble(*_: Any) -> Any:
        raise RecursionError

    with monkeypatch.context() as patched:
        patched.setattr("passport.vendor.read_answer", stumble)
        world.deliver()
    assert len(world.events()) == 1
    assert {world.permit_sync(permit).state for permit in permits} == {PermitSync.State.REFUSED}
    # They had arrived; the edit of one and the retry of the others must take that into account.
    services.change_permit(permit=permits[0], plate="EDITED1")
    retry(permit_sync_ids=[world.permit_sync(permit).pk for permit in permits[1:]])
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert len([plate for plate in world.plates() if plate == "EDITED1"]) == 1
    assert len(sessions_started(world)) == 9


def test_unreadable_answers_open_the_breaker_and_do_not_hammer_passport(world: World) -> None:
    world.transport.simulator.change_options({"answer_mode": "multi_status"})
    for number in range(20):
        world.permit(f"P{number}")
    world.fault("5xx", status=207, body='{"data": "all is well"}', path="events")
    for _ in range(5):
        world.engine.drain([world.connection.pk])
    assert len(world.events()) == 1
    assert Breaker.objects.get(connection=world.connection).open_until is not None
    world.heal()
    world.deliver(turns=3)
    assert world.rights() == world.wanted()


def test_one_operators_refused_token_stops_no_one_else(transport: SandboxTransport) -> None:
    with passport_in_memory(transport):
        barred, fine = World(transport), World(transport, LAKESHORE)
        transport.simulator.faults.add(
            {"kind": "401", "path": "events", "operator_id": barred.connection.operator_id}
        )
        for world in (barred, fine):
            world.permit("ANY1")
        barred.engine.drain([barred.connection.pk])
        fine.engine.drain([fine.connection.pk])
        assert fine.plates() == ["ANY1"]
        assert Breaker.objects.get(connection=barred.connection).stopped
        assert not Breaker.objects.filter(vendor="passport", failures__gt=0).exists()
        for world in (barred, fine):
            world.engine.close()


# --- One effect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [0, 1, 2, 5])
def test_any_number_of_workers_and_lost_answers_make_one_session(world: World, lost: int) -> None:
    permit = world.permit()
    hand = Hand(world)
    for _ in range(lost):  # each claims, sends, and dies before it settles
        for unit in hand.units(hand.claim()):
            unit.deliver()
        world.let_time_pass()
    world.deliver()
    assert len(sessions_started(world)) == 1
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_two_workers_never_hold_the_same_row(world: World) -> None:
    for number in range(10):
        world.permit(f"P{number}")
    hand = Hand(world)
    first, second = hand.claim(), hand.claim()
    assert len(first) == 10
    assert second == []


def test_a_worker_that_was_thought_dead_cannot_overwrite_what_its_successor_learned(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    zombies = hand.units(hand.claim())
    world.let_time_pass()
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    for unit in zombies:  # its request is sent only now, after the stop
        unit.deliver()
    record(zombies)
    assert world.plates() == []
    row = world.permit_sync(permit)
    assert (row.state, row.remote_state) == (PermitSync.State.DONE, None)
    assert len(sessions_started(world)) == 1


def test_a_session_once_stopped_is_not_started_again(world: World) -> None:
    permit = world.permit()
    for _ in range(3):
        world.deliver()
        services.cancel_permit(permit=permit)
        world.deliver()
        services.reinstate_permit(permit=permit)
    world.deliver()
    started = [event["session_id"] for request in world.events() for event in request["data"]
               if request["type"].endswith("started")]  # fmt: skip
    assert len(started) == len(set(started)) == 4
    assert world.rights() == world.wanted()


# --- Order for each permit -------------------------------------------------------------------------------


def test_create_edit_and_revoke_while_the_first_call_is_slow_ends_revoked(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    slow = hand.units(hand.claim())
    services.change_permit(permit=permit, plate="EDITED1")
    services.cancel_permit(permit=permit)
    world.deliver()  # the row is under way: no other worker touches it
    assert world.plates() == []
    for unit in slow:
        unit.deliver()
    record(slow)
    assert world.plates() == ["ABC1234"]
    world.deliver()
    assert world.plates() == []
    assert world.permit_sync(permit).state == PermitSync.State.DONE
