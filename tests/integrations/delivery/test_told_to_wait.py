"""`Retry-After` from Passport is obeyed by every request of the connection, no matter which worker sends it."""

import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.delivery import engine as engines
from integrations.delivery.circuit_breaker import OBEY_MAX
from integrations.delivery.engine import Engine
from integrations.models import Breaker, PermitSync
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import get_vendor
from locations import services
from tests.integrations.delivery.by_hand import Hand, import_many
from tests.integrations.delivery.refusing import later, refuse, wanted, whole
from tests.world import World

pytestmark = pytest.mark.django_db


def throttle_but_one(world: World) -> None:
    """Let Passport accept the first event of each request and put off the others, with `Retry-After` on the answer."""
    real = world.transport.handle_request

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return real(request)
        world.transport.requests.append(request)
        count = len(json.loads(request.read())["data"])
        part = {"status": 429, "type": "io.passportlabs:error:too_many_requests"}
        return httpx.Response(
            207, json={"data": [{"status": 202}] + [part] * (count - 1)}, headers={"Retry-After": "120"}
        )

    world.transport.handle_request = handle  # type: ignore[method-assign]


def test_retry_after_on_an_answer_in_parts_is_obeyed(world: World) -> None:
    import_many(world, 60)
    throttle_but_one(world)
    for _ in range(5):
        world.engine.drain([world.connection.pk])
    assert len(world.events()) == 1
    assert PermitSync.objects.filter(state="done").count() == 1
    until = Breaker.objects.get(connection=world.connection).open_until
    assert until is not None
    assert timedelta(seconds=110) < until - timezone.now() <= OBEY_MAX


def test_a_batch_under_way_sends_no_second_request_once_another_was_told_to_wait(world: World) -> None:
    moved = world.permit("MOVED1")
    world.deliver()
    before = len(world.events())
    services.change_permit(permit=moved, plate="MOVED2")  # one starts, and then the other is stopped
    hand = Hand(world)
    [batch] = hand.units(hand.claim())
    answers = iter([True])
    batch.may_continue = lambda: next(answers, False)
    batch.deliver()
    assert [request["type"] for request in world.events()[before:]] == ["parking_session_started"]
    [outcome] = batch.outcomes
    assert isinstance(outcome.retry_error, TryLater)
    assert [step["kind"] for step in outcome.unsent_steps] == ["stopped"]


def test_what_one_batch_is_told_ends_the_others_of_its_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = get_vendor("passport")
    vendor.batch_size = 1
    first, second = (world.permit(plate) for plate in ("FIRST1", "SECOND1"))
    world.deliver()
    before = len(world.events())
    services.change_permit(permit=first, plate="FIRST2")
    services.change_permit(permit=second, plate="SECOND2")
    # The second has sent its start and waits until the first was told to wait and has returned.
    told, send = threading.Event(), vendor.send

    def sending(account: Any, steps: Any) -> Any:
        if steps[0]["event"].get("vehicle", {}).get("vehicle_plate") == "FIRST2":
            world.fault("429", path="events", retry_after_s=60)
            return send(account, steps)
        answer = send(account, steps)
        assert told.wait(10)
        return answer

    pause = set.add

    class Noted(set[int]):
        def add(self, item: int) -> None:
            pause(self, item)
            told.set()

    monkeypatch.setattr(vendor, "send", sending)
    world.engine._pipeline._paused = Noted()
    world.engine.drain([world.connection.pk])
    assert told.is_set()
    kinds = [request["type"].rpartition("_")[2] for request in world.events()[before:]]
    assert kinds.count("stopped") == 0
    assert len(kinds) <= 2


def test_what_another_worker_was_told_ends_what_is_lined_up_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = get_vendor("passport")
    vendor.batch_size = 10
    import_many(world, 200)
    looked, send, look = threading.Event(), vendor.send, Engine._look_at_breakers

    def look_after_the_other_worker(engine: Engine) -> None:
        if not engine._share.flights:
            return look(engine)
        Breaker.objects.get_or_create(
            connection=world.connection,
            defaults={"failures": 1, "open_until": timezone.now() + timedelta(minutes=2)},
        )
        look(engine)
        looked.set()
        return None

    def sending(account: Any, steps: Any) -> Any:
        assert looked.wait(10)
        return send(account, steps)

    monkeypatch.setattr(engines, "LOOK_EVERY_S", 0)
    monkeypatch.setattr(Engine, "_look_at_breakers", look_after_the_other_worker)
    monkeypatch.setattr(vendor, "send", sending)
    world.engine.drain([world.connection.pk])
    assert len(world.events()) <= 2  # as many as were under way together
    assert PermitSync.objects.filter(state="due", lease=None).count() == 200 - 10 * len(world.events())


TIMES = [
    "start_time: lies in the past",
    "end_time: is too far in the future",
    "occurred_at: is ahead of our clock",
]


@pytest.mark.parametrize("detail", TIMES)
def test_a_refusal_about_time_is_tried_again_while_it_matters(world: World, detail: str) -> None:
    """What is in the past or too far ahead by one clock, or one limit, may be fine by the next."""
    permit = world.permit()
    refuse(world, json.dumps({"type": "io.passportlabs:error:validation_error", "detail": detail}), 400)
    world.deliver()
    assert world.permit_sync(permit).state == PermitSync.State.REFUSED
    world.heal()
    later(61, world)
    assert whole(world) == wanted(world)
    assert world.plates() == [permit.plate]
