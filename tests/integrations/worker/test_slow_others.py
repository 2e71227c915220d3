"""A vendor that hangs holds up the tasks that ask it, each on a thread of its own, and none of the others."""

import operator
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from django.utils import timezone

from integrations.delivery.engine import Engine
from integrations.models import Connection
from integrations.reconciliation import canary
from integrations.vendors.errors import TryLater
from integrations.worker import periodic_tasks, scheduler
from integrations.worker.scheduler import ScheduledTask, Scheduler
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.fakes import FakeVendor

pytestmark = pytest.mark.django_db
ASKS = ("fetch_zones", "fetch_rights", "read_rights", "check_token", "send")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[ScheduledTask]:
    """The periodic tasks of every worker, as they are registered."""
    monkeypatch.setattr(scheduler, "_scheduled_tasks", {})
    periodic_tasks.register_all()
    return list(scheduler.scheduled_tasks())


@pytest.fixture
def asked(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what the vendor was asked; it answers nothing."""
    names: list[str] = []

    def refuse(name: str) -> Any:
        def ask(*_args: object, **_options: object) -> None:
            names.append(name)
            raise TryLater("No answer.")

        return ask

    for name in ASKS:
        monkeypatch.setattr(vendor, name, refuse(name))
    return names


def test_only_tasks_with_a_thread_of_their_own_ask_the_vendor(
    tasks: list[ScheduledTask], asked: list[str]
) -> None:
    live = ConnectionFactory(live=True, canary_minutes=60)
    # Its zones aren't due too: two would be refreshed in threads, which don't see what this test has written.
    ConnectionFactory(zones_due_at=timezone.now() + timedelta(hours=1))
    zone = ZoneFactory(connection=live)
    location = LocationFactory(company=live.company)
    ZoneMappingFactory(location=location, zone=zone)
    PermitFactory(location=location)
    for task in tasks:
        if not task.waits_for_others:
            task.work(timezone.now())
    assert asked == []
    for task in tasks:
        if task.waits_for_others:
            try:
                task.work(timezone.now())
            except TryLater:
                assert task.work is canary.follow
    assert {"fetch_zones", "check_token", "send"} <= set(asked)


def test_a_vendor_that_hangs_delays_no_task_that_does_not_ask_it(
    tasks: list[ScheduledTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, rounds = threading.Event(), dict.fromkeys((task.name for task in tasks), 0)
    changed = threading.Condition()

    def work(task: ScheduledTask, _now: datetime) -> None:
        with changed:
            rounds[task.name] += 1
            changed.notify_all()
        if task.waits_for_others:
            hangs.wait(60)

    # Threads of their own would not see what this test's transaction has written.
    monkeypatch.setattr(scheduler, "perform", work)
    now = timezone.now()
    engine = Engine(senders=1)
    worker = Scheduler(engine)
    try:
        for turn in range(1, 4):
            at = now + turn * timedelta(days=1)
            monkeypatch.setattr(scheduler, "database_now", Mock(return_value=at))
            expected = {task.name: 1 if task.waits_for_others else turn for task in tasks}
            worker.tick()
            with changed:
                assert changed.wait_for(partial(operator.eq, rounds, expected), timeout=30), rounds
            wait_until_free(worker, [task.name for task in tasks if not task.waits_for_others])
    finally:
        hangs.set()
        worker.stop_tasks()
        engine.close()
    assert Connection.objects.count() == 0


def wait_until_free(worker: Scheduler, names: list[str]) -> None:
    """Wait until these tasks have ended; they only have to leave their threads."""
    tries = threading.Event()
    for _try in range(3_000):
        with worker._lock:
            if not worker._running.intersection(names):
                return
        tries.wait(0.01)
    pytest.fail(f"still running: {worker._running}")
