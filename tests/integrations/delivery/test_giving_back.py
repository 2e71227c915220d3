"""What a worker gives back when it ends: nothing stays leased, and what may have been sent keeps its pending steps."""

import threading
from datetime import timedelta
from unittest import mock

import pytest

from integrations.delivery.claim import release
from integrations.delivery.engine import Engine
from integrations.models import PermitSync
from integrations.vendors.protocol import get_vendor
from locations import services
from tests.integrations.delivery.by_hand import Hand, import_many, sessions_started
from tests.world import World

pytestmark = pytest.mark.django_db


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


def test_what_was_claimed_and_not_sent_is_given_back_and_planned_again(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    release(hand.claim())
    row = world.permit_sync(permit)
    assert (row.lease, row.state, row.pending_steps, row.attempts) == (None, PermitSync.State.DUE, None, 0)
    services.cancel_permit(permit=permit)
    world.deliver()
    # Nothing had been sent, so there is nothing to remove.
    assert world.events() == []
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_what_may_have_gone_out_before_keeps_its_intent_when_it_is_given_back(world: World) -> None:
    permit = world.permit()
    hand = Hand(world)
    [first] = hand.claim()
    session = first.steps[0]["session"]
    # That worker dies during its request; the next one claims, and ends before it sends.
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
