"""The database's clock was a day ahead for a moment: what was stored then blocks nothing once the clock is right again.

Each test lets the product store its times, moves them a day ahead, as such a clock would have written them, and checks what
the product does next.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail as mailbox
from django.db.models import F, Model
from django.utils import timezone

from integrations.delivery import host_failures, rate_limit, refusals
from integrations.delivery.circuit_breaker import SendPermission, connection_scope, host_scope, record_failure
from integrations.delivery.claim import ClaimRequest, claim
from integrations.delivery.connection_state import read_connections
from integrations.delivery.database_clock import CLOCK_SLACK, database_now, has_come
from integrations.models import (
    Breaker,
    CheckRun,
    Connection,
    Mail,
    PeriodicTask,
    PermitSync,
    RateBucket,
    WorkerHeartbeat,
)
from integrations.notifications import email_queue
from integrations.reconciliation import check_runs, rounds
from integrations.vendors.errors import FixConnection, FixRecord, TryLater
from integrations.vendors.protocol import Account, get_vendor
from integrations.worker import scheduler
from integrations.worker.scheduler import ScheduledTask, Scheduler, due_connections, take
from passport.models import AccessToken
from passport.tokens import DatabaseTokenStore, FetchedToken
from tests.fakes import FakeVendor
from tests.world import World

pytestmark = pytest.mark.django_db
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def move_ahead(model: type[Model], *names: str) -> None:
    """Move these columns to what a clock that is a day ahead would have written."""
    model._default_manager.update(**{name: F(name) + DAY for name in names})


def may_claim(world: World) -> Sequence[Any]:
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    request = ClaimRequest(account, get_vendor("passport"), 10, SendPermission(True), tests_only=False)
    return claim([request])


def test_a_time_beyond_the_longest_wait_has_come() -> None:
    now, most = timezone.now(), timedelta(minutes=2)
    assert has_come(now, now, at_most=most)
    assert not has_come(now + SECOND, now, at_most=most)
    assert not has_come(now + most + CLOCK_SLACK, now, at_most=most)
    assert has_come(now + most + CLOCK_SLACK + SECOND, now, at_most=most)


# --- Rows ---------------------------------------------------------------------------------------------------------


def test_a_row_that_was_tried_then_is_found_and_delivered(world: World) -> None:
    world.permit()
    world.fault("5xx", path="events", times=1)
    world.deliver()
    move_ahead(PermitSync, "next_attempt_at", "tried_at", "due_since")
    Breaker.objects.all().delete()
    world.heal()
    assert due_connections(database_now()) == [world.connection.pk]
    world.deliver()
    assert world.rights() == world.wanted()


def test_a_lease_that_was_taken_then_runs_out(world: World) -> None:
    world.permit()
    [row] = may_claim(world)
    assert may_claim(world) == []
    move_ahead(PermitSync, "leased_until", "next_attempt_at", "tried_at")
    assert due_connections(database_now()) == [world.connection.pk]
    assert [again.id for again in may_claim(world)] == [row.id]


def test_what_was_refused_then_is_tried_again_within_the_longest_pause(
    world: World, vendor: FakeVendor
) -> None:
    vendor.refuse["ABC1234"] = FixRecord("There is no such zone.")
    world.permit()
    world.deliver()
    move_ahead(PermitSync, "retry_at")
    assert refusals.retry_due(database_now()) == 1


# --- Breakers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [TryLater("Away."), FixConnection("Not authorised.")], ids=["away", "stopped"]
)
@pytest.mark.parametrize("whose", ["connection", "host"])
def test_a_breaker_that_opened_then_is_probed(world: World, error: Any, whose: str) -> None:
    now = database_now()
    scope = connection_scope(world.connection.pk) if whose == "connection" else host_scope("passport")
    record_failure(scope, error, now=now, began=now)
    move_ahead(Breaker, "open_until", "failing_since")
    world.permit()
    if whose == "connection":
        assert due_connections(database_now()) == [world.connection.pk]
    world.deliver()
    assert world.rights() == world.wanted()


def test_a_probe_that_was_taken_then_is_given_to_another(world: World) -> None:
    now = database_now()
    record_failure(connection_scope(world.connection.pk), TryLater("Away."), now=now - SECOND * 9, began=now)
    Breaker.objects.update(open_until=now - SECOND, probe_until=now + DAY)
    world.permit()
    world.deliver()
    assert world.rights() == world.wanted()


def test_a_breaker_that_closed_then_neither_lets_rows_retry_at_once_nor_hides_new_failures(
    world: World,
) -> None:
    now = database_now()
    Breaker.objects.create(connection=world.connection, recovered_at=now + DAY)
    world.permit()
    PermitSync.objects.update(next_attempt_at=now + timedelta(minutes=1), tried_at=now - SECOND)
    _now, states = read_connections([world.connection.pk])
    assert states[world.connection.pk].breakers[0].recovered_at is None
    assert due_connections(now + SECOND) == []
    world.deliver()
    assert world.events() == []
    assert record_failure(connection_scope(world.connection.pk), TryLater("Away."), now=now, began=now)
    assert Breaker.objects.get().open_until is not None


def test_a_host_that_answered_then_may_still_be_found_away() -> None:
    now = timezone.now()
    assert host_failures.host_looks_away(3, began=now, answered_at=now + DAY, now=now)
    assert not host_failures.host_looks_away(3, began=now - SECOND, answered_at=now, now=now)


# --- Everything else that waits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("every_s", "rests_s"), [(1, 0), (60, 900), (3600, 0)])
def test_no_periodic_task_is_stopped_for_longer_than_its_own_pace(every_s: float, rests_s: float) -> None:
    task, now = ScheduledTask("sweep the yard", every_s, lambda _now: None, rests_s), timezone.now()
    assert take(task, now + DAY)
    assert take(task, now)
    assert not take(task, now)
    # A time that the task set itself is kept.
    PeriodicTask.objects.update(next_at=now + timedelta(seconds=max(every_s, rests_s)))
    assert not take(task, now)


def test_the_scheduler_hands_out_what_was_put_off_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[datetime] = []
    task = ScheduledTask("sweep the yard", 60, done.append)
    monkeypatch.setattr(scheduler, "_scheduled_tasks", {task.name: task})
    PeriodicTask.objects.create(name=task.name, next_at=timezone.now() + DAY)
    worker = Scheduler(world.engine)
    monkeypatch.setattr(worker._pool, "submit", lambda work, *arguments: work(*arguments))
    worker.tick()
    worker.tick()
    assert len(done) == 1


def test_a_worker_reports_itself_again_and_one_from_the_future_is_forgotten(world: World) -> None:
    now = timezone.now()
    worker = Scheduler(world.engine)
    worker._beat(now + DAY)
    WorkerHeartbeat.objects.create(name="dead", started_at=now, seen_at=now + DAY)
    worker._beaten_at -= scheduler.BEAT_EVERY_S
    worker._beat(now)
    assert list(WorkerHeartbeat.objects.values_list("name", "seen_at")) == [(worker.name, now)]


def test_no_request_waits_a_day_for_the_rate_limit() -> None:
    slot, now = rate_limit.take("passport", 10)
    assert slot - now < SECOND
    move_ahead(RateBucket, "next_at", "taken_at")
    slot, now = rate_limit.take("passport", 10)
    assert slot - now < SECOND
    # A request behind many others still waits: its slot is far ahead, but was taken just now.
    RateBucket.objects.update(next_at=now + timedelta(hours=1), taken_at=now)
    slot, now = rate_limit.take("passport", 10)
    assert slot - now > timedelta(minutes=59)


def test_a_mail_that_was_written_or_put_off_then_leaves(world: World) -> None:
    email_queue.write(
        kind="alarm",
        to=["a@u.example"],
        subject="s",
        text="t",
        company=world.company,
        dedupe_key="k",
        asked_by=None,
    )
    move_ahead(Mail, "created_at", "next_attempt_at")
    assert email_queue.send_due(database_now()) == 1
    assert len(mailbox.outbox) == 1


def test_a_look_up_that_was_claimed_then_is_given_to_another(world: World) -> None:
    CheckRun.objects.create(company=world.company, kind="diagnostics", requested_at=timezone.now())
    assert check_runs.claim(database_now()) is not None
    assert check_runs.claim(database_now()) is None
    move_ahead(CheckRun, "leased_until")
    assert check_runs.claim(database_now()) is not None


def test_a_token_that_was_being_fetched_then_is_fetched(db: None) -> None:
    store = DatabaseTokenStore(base_url="http://p", client_id="c", client_secret="s")
    AccessToken.objects.create(key=store.key, fetching_until=timezone.now() + DAY)
    fetched = FetchedToken("secret", timezone.now() + timedelta(hours=1))
    assert store.get(lambda: fetched).secret == "secret"


def test_a_comparison_that_began_then_is_due_when_its_pace_says(world: World) -> None:
    now = database_now()
    Connection.objects.update(reconciled_at=now - timedelta(hours=1), comparing_until=None)
    assert rounds.claim(now) is not None
    assert rounds.claim(now) is None
    move_ahead(Connection, "reconciled_at", "comparing_until")
    assert rounds.claim(now) is not None
