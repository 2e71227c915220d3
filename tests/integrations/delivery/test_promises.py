"""The engine's promises, one by one, on the sandbox in memory (real processes: `tests/faults`)."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone

from integrations.delivery import circuit_breaker
from integrations.delivery.batch import Batch, batches
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest, claim, release
from integrations.delivery.engine import Engine
from integrations.delivery.outbox import retry
from integrations.delivery.record_results import record
from integrations.delivery.row_outcome import ClaimedRow
from integrations.models import Breaker, Notice, PermitSync
from integrations.onboarding import connections
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import Account, get_vendor
from locations import services
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import LAKESHORE, World, passport_in_memory

pytestmark = pytest.mark.django_db


@pytest.fixture
def transport() -> SandboxTransport:
    return SandboxTransport()


@pytest.fixture
def world(transport: SandboxTransport) -> Iterator[World]:
    with passport_in_memory(transport):
        world = World(transport)
        yield world
        world.engine.close()


class Hand:
    """One worker, moved step by step by the test: claim, send, settle."""

    def __init__(self, world: World) -> None:
        self.vendor = get_vendor("passport")
        self.account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)

    def claim(self) -> list[ClaimedRow]:
        return claim([ClaimRequest(self.account, self.vendor, 100, SendPermission(True), tests_only=False)])

    def units(self, works: list[ClaimedRow]) -> list[Batch]:
        busy = [work for work in works if work.steps]
        return batches(busy, self.account, self.vendor, now=timezone.now(), probing=False)


def sessions_started(world: World) -> list[str]:
    """The session ids that Passport holds, stopped ones too."""
    return sorted(world.transport.simulator.sessions.by_id)


# --- Nothing lost, nothing stale ----------------------------------------------------------------------------------


def test_an_extension_of_a_session_that_passport_lost_begins_it_anew(world: World) -> None:
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
    # The worker dies before it settles; meanwhile the session is ended at Passport.
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


def test_a_refusal_in_hostile_words_is_kept_all_the_same(world: World) -> None:
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
    # They had arrived; the edit of one and the retry of the others must know.
    services.change_permit(permit=permits[0], plate="EDITED1")
    retry(permit_sync_ids=[world.permit_sync(permit).pk for permit in permits[1:]])
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert len([plate for plate in world.plates() if plate == "EDITED1"]) == 1
    assert len(sessions_started(world)) == 9


def test_answers_of_which_nothing_can_be_made_open_the_breaker_and_hammer_nobody(world: World) -> None:
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


def test_one_operators_refused_token_stops_nobody_else(transport: SandboxTransport) -> None:
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


# --- One effect ---------------------------------------------------------------------------------------------------


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
    for unit in zombies:  # its request leaves only now, after the stop
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


# --- Order per registration ---------------------------------------------------------------------------------------


def test_create_edit_and_revoke_while_the_first_call_is_slow_ends_revoked(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    slow = hand.units(hand.claim())
    services.change_permit(permit=permit, plate="EDITED1")
    services.cancel_permit(permit=permit)
    world.deliver()  # the row is under way: nobody else touches it
    assert world.plates() == []
    for unit in slow:
        unit.deliver()
    record(slow)
    assert world.plates() == ["ABC1234"]
    world.deliver()
    assert world.plates() == []
    assert world.permit_sync(permit).state == PermitSync.State.DONE


# --- Isolation ----------------------------------------------------------------------------------------------------


def import_many(world: World, count: int) -> None:
    now = timezone.now()
    services.register_permits(
        drafts=[
            services.PermitDraft(world.here, f"M{number}", "US-NC", now, now + timedelta(days=1))
            for number in range(count)
        ]
    )


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


# --- Deploys ------------------------------------------------------------------------------------------------------


def test_a_worker_that_ends_leaves_nothing_leased(world: World) -> None:
    vendor = get_vendor("passport")
    vendor.batch_size = 10
    import_many(world, 100)
    engine, stop, gate = world.engine, threading.Event(), threading.Event()
    engine.wake([world.connection.pk])
    real = vendor.send
    with mock.patch.object(vendor, "send", side_effect=lambda *args: (gate.wait(10), real(*args))[1]):
        engine._turn(0.01)
        assert engine._share.flights
        assert engine._pipeline.lined_up or len(engine._share.flights) == 2
        gate.set()
        stop.set()
        engine.run(stop)
    assert not PermitSync.objects.exclude(lease=None).exists()
    sent = PermitSync.objects.filter(state=PermitSync.State.DONE).count()
    assert sent == len(world.plates()) > 0
    following = Engine(senders=4)
    following.drain([world.connection.pk])
    following.close()
    assert world.rights() == world.wanted()
    assert len(sessions_started(world)) == 100


def test_what_was_claimed_and_not_sent_is_given_back_and_decided_anew(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    release(hand.claim())
    row = world.permit_sync(permit)
    assert (row.lease, row.state, row.pending_steps, row.attempts) == (None, PermitSync.State.DUE, None, 0)
    services.cancel_permit(permit=permit)
    world.deliver()
    # Nothing had gone out, so there is nothing to take away.
    assert world.events() == []
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_what_may_have_gone_out_before_keeps_its_intent_when_it_is_given_back(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    [first] = hand.claim()
    session = first.steps[0]["session"]
    # That worker dies with its request under way; the next one claims, and ends before it sends.
    world.let_time_pass()
    [second] = hand.claim()
    release([second])
    pending_steps = world.permit_sync(permit).pending_steps
    assert pending_steps is not None
    assert [step["session"] for step in pending_steps] == [session]
    world.deliver()
    assert sessions_started(world) == [session]
    assert world.rights() == world.wanted()


def test_an_edit_after_the_claim_is_no_obstacle_to_giving_back(world: World) -> None:
    permit = world.permit()
    works = Hand(world).claim()
    services.change_permit(permit=permit, end=permit.end + timedelta(days=1))
    release(works)
    assert world.permit_sync(permit).attempts == 0
    world.deliver()
    assert world.rights() == world.wanted()


# --- Manners ------------------------------------------------------------------------------------------------------


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


def test_a_probe_that_finds_no_room_gives_the_word_back(world: World) -> None:
    world.permit()
    Breaker.objects.create(
        connection=world.connection, failures=1, open_until=timezone.now() - timedelta(seconds=1)
    )
    engine = world.engine
    engine._share.busy[world.connection.pk] = 99
    engine._inbox.awaken([world.connection.pk])
    engine._claim()
    assert Breaker.objects.get().probe_until is None


def test_wrong_credentials_stop_everything_tell_people_once_and_hammer_nobody(
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
