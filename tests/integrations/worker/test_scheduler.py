"""The sweep and the periodic tasks: they make up for lost hints, and run once no matter how many workers there are."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from integrations.delivery.engine import Engine
from integrations.models import Breaker, Connection, PeriodicTask, PermitSync, WorkerHeartbeat
from integrations.models.delivery import Priority
from integrations.worker import scheduler
from integrations.worker.periodic_tasks import TOKENS_TASK, keep_tokens
from integrations.worker.scheduler import (
    ScheduledTask,
    Scheduler,
    due_connections,
    perform,
    raise_urgency,
    take,
)
from tests.factories import PermitFactory
from tests.world import World

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def soon() -> datetime:
    return timezone.now() + SECOND


def test_the_sweep_finds_what_is_due_and_nothing_else(world: World) -> None:
    assert due_connections(soon()) == []
    world.permit()
    assert due_connections(soon()) == [world.connection.pk]
    world.deliver()
    assert due_connections(soon()) == []


def test_a_row_under_way_is_not_found_until_its_lease_has_run_out(world: World) -> None:
    world.permit()
    now = soon()
    PermitSync.objects.update(lease="x", leased_until=now + SECOND)
    assert due_connections(now) == []
    assert due_connections(now + 2 * SECOND) == [world.connection.pk]


def test_a_row_that_waits_out_its_backoff_is_found_afterwards_or_as_soon_as_the_remote_is_back(
    world: World,
) -> None:
    world.permit()
    now = soon()
    PermitSync.objects.update(next_attempt_at=now + timedelta(minutes=2), tried_at=now - SECOND)
    assert due_connections(now) == []
    Breaker.objects.create(connection=world.connection, recovered_at=now)
    assert due_connections(now + SECOND) == [world.connection.pk]
    Breaker.objects.update(connection=None, vendor="passport")
    assert due_connections(now + SECOND) == [world.connection.pk]


def test_a_breaker_whose_probe_is_due_wakes_its_connection(world: World) -> None:
    now = soon()
    Breaker.objects.create(connection=world.connection, failures=2, open_until=now + SECOND)
    assert due_connections(now) == []
    assert due_connections(now + 2 * SECOND) == [world.connection.pk]


def test_of_a_connection_that_is_not_live_test_plates_alone_are_found(world: World) -> None:
    Connection.objects.update(status=Connection.Status.PAUSED)
    world.permit()
    assert due_connections(soon()) == []
    PermitFactory(location=world.here, plate="TEST123", is_test=True)
    assert due_connections(soon()) == [world.connection.pk]


def test_a_tick_delivers_what_no_hint_was_about(world: World) -> None:
    world.permit()
    worker = Scheduler(world.engine)
    worker.tick()
    world.engine.drain([])
    assert world.rights() == world.wanted()
    assert WorkerHeartbeat.objects.get().name == worker.name


def test_a_periodic_task_is_done_by_one_worker_each_round() -> None:
    task, now = ScheduledTask("sweep the yard", 60, lambda _now: None), timezone.now()
    assert [take(task, now) for _worker in range(5)] == [True, False, False, False, False]
    assert take(task, now + timedelta(seconds=61))


def test_a_periodic_task_that_fails_says_so_and_is_tried_again() -> None:
    def fail(_now: object) -> None:
        raise ValueError("no broom")

    task, now = ScheduledTask("sweep the yard", 60, fail), timezone.now()
    assert take(task, now)
    perform(task, now)
    row = PeriodicTask.objects.get()
    assert row.last_error == "ValueError: no broom"
    assert row.last_ended_at is not None
    perform(ScheduledTask("sweep the yard", 60, lambda _now: None), now)
    assert PeriodicTask.objects.get().last_error == ""


def test_waiting_rows_whose_window_has_begun_move_up(world: World) -> None:
    now = timezone.now()
    one, many, later = (
        world.permit(plate, start=now + begins, end=now + timedelta(days=2))
        for plate, begins in (("ONE", SECOND), ("MANY", SECOND), ("LATER", timedelta(hours=5)))
    )
    PermitSync.objects.filter(permit=many).update(priority=Priority.MASS_SOON)
    raise_urgency(now + timedelta(minutes=1))
    found = {row.permit_id: row.priority for row in PermitSync.objects.all()}
    assert found == {one.pk: Priority.NOW, many.pk: Priority.MASS_NOW, later.pk: Priority.SOON}


def test_a_database_that_is_away_does_not_end_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, ticks = threading.Event(), []

    def tick(self: Scheduler) -> None:
        ticks.append(1)
        if len(ticks) > 1:
            stop.set()
        raise OperationalError("away")

    engine = Engine(senders=1)
    monkeypatch.setattr(scheduler, "SWEEP_EVERY_S", 0.001)
    monkeypatch.setattr(Scheduler, "tick", tick)
    Scheduler(engine).run(stop)
    engine.close()
    assert len(ticks) == 2


def token_requests(world: World) -> int:
    return sum(request.url.path.endswith("/access-tokens") for request in world.transport.requests)


def test_the_token_is_at_hand_before_the_first_plate_and_asked_for_once(world: World) -> None:
    keep_tokens(timezone.now())
    keep_tokens(timezone.now())
    assert token_requests(world) == 1
    world.permit()
    world.deliver()
    assert token_requests(world) == 1


def test_no_token_is_fetched_if_no_one_needs_one_or_the_host_is_down(world: World) -> None:
    Breaker.objects.create(vendor="passport", failures=1)
    keep_tokens(timezone.now())
    Breaker.objects.update(failures=0)
    Connection.objects.update(status=Connection.Status.ENDED)
    keep_tokens(timezone.now())
    assert token_requests(world) == 0


def test_a_token_that_can_not_be_renewed_ahead_is_not_a_failed_task(world: World) -> None:
    world.fault("5xx", path="token")
    keep_tokens(timezone.now())
    assert token_requests(world) == 1
    world.heal()
    world.permit()
    world.deliver()
    assert world.rights() == world.wanted()


@pytest.mark.parametrize(
    ("fault", "rest"),
    [
        ({"kind": "401"}, timedelta(minutes=15)),
        ({"kind": "429", "retry_after_s": 200}, timedelta(seconds=200)),
        ({"kind": "429", "retry_after_s": 9_000_000}, timedelta(minutes=5)),
        ({"kind": "5xx"}, timedelta(minutes=1)),
    ],
    ids=["wrong credentials", "told to wait", "told absurdly", "away"],
)
def test_an_operator_without_a_token_is_not_tried_every_minute(
    world: World, fault: dict[str, Any], rest: timedelta
) -> None:
    now = timezone.now()
    PeriodicTask.objects.create(name=TOKENS_TASK, next_at=now + timedelta(minutes=1))
    world.fault(**fault, path="token")
    keep_tokens(now)
    [(next_at, error)] = PeriodicTask.objects.values_list("next_at", "last_error")
    assert abs(next_at - now - rest) < timedelta(seconds=2)
    assert error == ""
