"""What one row, one lock or one frozen worker must not hold up, and who may close a breaker."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.utils import DataError
from django.utils import timezone

from integrations.delivery import bulk_sql, host_failures, record_results
from integrations.delivery.batch import Batch, batches
from integrations.delivery.circuit_breaker import (
    OPEN_MAX,
    SendPermission,
    connection_scope,
    record_failure,
    record_success,
)
from integrations.delivery.claim import ClaimRequest, claim
from integrations.delivery.record_results import record
from integrations.models import Breaker, Connection, PermitSync, PushEvent
from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.protocol import Account, Sent, get_vendor
from integrations.worker import service, tasks
from passport.vendor import Passport
from tests.factories import ConnectionFactory
from tests.world import World


def claimed_units(world: World) -> list[Batch]:
    """Claim all that is due, as a worker does."""
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    vendor = get_vendor("passport")
    works = claim([ClaimRequest(account, vendor, 100, SendPermission(True), tests_only=False)])
    return batches(works, account, vendor, now=timezone.now(), probing=False)


# --- One row ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_row_that_can_not_be_planned_is_refused_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = {plate: world.permit(plate) for plate in ("GOOD1", "BAD1", "GOOD2")}
    plan = Passport.plan

    def stumble(self: Passport, account: Any, remote_state: Any, desired: Any, **rest: Any) -> Any:
        if desired is not None and desired.plate == "BAD1":
            raise KeyError("zone_id")
        return plan(self, account, remote_state, desired, **rest)

    monkeypatch.setattr(Passport, "plan", stumble)
    world.deliver()
    assert world.plates() == ["GOOD1", "GOOD2"]
    bad = world.permit_sync(permits["BAD1"])
    assert (bad.state, bad.error) == (PermitSync.State.REFUSED, "Planning failed: KeyError.")


@pytest.mark.django_db
def test_a_result_that_the_database_does_not_take_is_shown_and_the_others_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = {plate: world.permit(plate) for plate in ("GOOD1", "BAD1")}
    write = record_results._write_events

    def stumble(done: Sequence[Batch], pushes: Any) -> None:
        if any(
            outcome.steps == [] and (outcome.remote_state or {}).get("plate") == "BAD1" and outcome.evidence
            for batch in done
            for outcome in batch.outcomes
        ):
            raise DataError("value too long")
        write(done, pushes)

    monkeypatch.setattr(record_results, "_write_events", stumble)
    # Units of one row each: that is how rows are sent that have failed before.
    PermitSync.objects.update(attempts=9)
    world.deliver()
    assert world.permit_sync(permits["GOOD1"]).state == PermitSync.State.DONE
    bad = world.permit_sync(permits["BAD1"])
    assert (bad.state, bad.error) == (
        PermitSync.State.REFUSED,
        "The result could not be written: DataError.",
    )


# --- A frozen worker ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_worker_that_was_frozen_beyond_its_leases_sends_nothing_more(world: World) -> None:
    permit = world.permit()
    [unit] = claimed_units(world)
    unit.good_until = time.monotonic() - 0.001
    unit.deliver()
    record([unit])
    assert world.plates() == []
    assert world.permit_sync(permit).state == PermitSync.State.DUE
    assert not PushEvent.objects.exists()


# --- Who may close a breaker, and until when it is open ------------------------------------------------------------


def answered(world: World, error: DeliveryError | None, *, sent_at: datetime, probing: bool = False) -> Batch:
    """Return a unit whose one request was answered."""
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    unit = Batch(account, get_vendor("passport"), [], sent_at, probing)
    unit.pushes = [
        ("started", 1, Sent([error], trace_id="t", sent_at=sent_at, answered_at=sent_at, error=error))
    ]
    unit.trouble = error
    return unit


@pytest.mark.django_db
def test_a_success_that_was_under_way_does_not_lift_what_another_answer_asked_for(world: World) -> None:
    now, watch = timezone.now(), host_failures.HostFailureDetector()
    wait = TryLater("Slow down.", retry_after=timedelta(seconds=30))
    watch.note(answered(world, wait, sent_at=now), now=now)
    watch.note(answered(world, None, sent_at=now), now=now)
    opened = Breaker.objects.get()
    assert opened.open_until is not None
    assert opened.open_until >= now + timedelta(seconds=30)
    watch.note(answered(world, None, sent_at=now, probing=True), now=now)
    assert Breaker.objects.get().open_until is None


@pytest.mark.django_db
def test_a_failure_counts_also_where_this_processs_clock_is_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, scope = timezone.now(), connection_scope(world.connection.pk)
    record_failure(scope, TryLater("Away."), now=now - timedelta(seconds=9), began=now - timedelta(seconds=9))
    record_success(scope, now=now - timedelta(seconds=5))
    behind = now - timedelta(seconds=60)
    monkeypatch.setattr("integrations.delivery.host_failures.timezone.now", lambda: behind)
    host_failures.HostFailureDetector().note(answered(world, TryLater("Away."), sent_at=behind), now=now)
    assert Breaker.objects.get().open_until is not None


@pytest.mark.django_db
def test_companies_that_stay_dead_hold_up_the_others_once_at_most(world: World) -> None:
    """Three that begin to fail look like a host that is down; the probe of a working one disproves that, permanently."""
    vendor = get_vendor("passport")
    dead = [ConnectionFactory(live=True) for _ in range(host_failures.HOST_CONNECTIONS)]
    now, watch, away = timezone.now(), host_failures.HostFailureDetector(), TryLater("Away.")

    def one(connection: Connection, error: DeliveryError | None, *, probing: bool) -> None:
        unit = answered(world, error, sent_at=now, probing=probing)
        unit.account = Account(connection.pk, connection.operator_id, connection.key)
        assert unit.vendor is vendor
        watch.note(unit, now=now)

    for connection in dead[:-1]:
        one(connection, away, probing=False)
    assert not Breaker.objects.filter(vendor="passport").exists()
    one(dead[-1], away, probing=False)
    assert Breaker.objects.get(vendor="passport").open_until is not None
    now += timedelta(seconds=10)
    one(world.connection, None, probing=True)
    for _ in range(5):
        now += timedelta(seconds=10)
        for connection in dead:
            Breaker.objects.filter(connection=connection).update(probe_until=now)
            one(connection, away, probing=True)
        assert Breaker.objects.get(vendor="passport").open_until is None
    assert Breaker.objects.get(connection=dead[0]).failures > 3


@pytest.mark.parametrize(
    ("failing", "began_s", "answered_s", "is_away"),
    [
        (3, -6, None, True),
        (2, -6, None, False),
        (3, -6, -7, True),
        # Another request was answered while these were waiting, so it isn't the host.
        (40, -6, -3, False),
        # All fail at once, as a few companies may that go down together; if it is the host, the next failure shows it.
        (3, -0.1, -0.5, False),
        (3, -0.1, -1.5, True),
    ],
)
def test_a_failure_counts_for_the_host_only_if_no_one_was_answered_in_the_meantime(
    failing: int, began_s: float, answered_s: float | None, is_away: bool
) -> None:
    now = timezone.now()
    answered_at = None if answered_s is None else now + timedelta(seconds=answered_s)
    began = now + timedelta(seconds=began_s)
    assert host_failures.host_looks_away(failing, began=began, answered_at=answered_at, now=now) is is_away


@pytest.mark.django_db
def test_half_of_the_companies_dying_at_once_do_not_stop_the_other_half(world: World) -> None:
    now, watch, away = timezone.now(), host_failures.HostFailureDetector(), TryLater("No answer.")
    watch.note(answered(world, None, sent_at=now - timedelta(seconds=2)), now=now - timedelta(seconds=2))
    for connection in [ConnectionFactory(live=True) for _ in range(20)]:
        unit = answered(world, away, sent_at=now - timedelta(seconds=6))
        unit.account = Account(connection.pk, connection.operator_id, connection.key)
        watch.note(unit, now=now)
    assert Breaker.objects.filter(connection__isnull=False, open_until__isnull=False).count() == 20
    assert not Breaker.objects.filter(vendor="passport").exists()


@pytest.mark.django_db
def test_a_host_that_goes_away_right_after_an_answer_is_found_by_the_next_failure(world: World) -> None:
    now, watch, away = timezone.now(), host_failures.HostFailureDetector(), TryLater("No answer.")
    watch.note(answered(world, None, sent_at=now), now=now)
    dead = [ConnectionFactory(live=True) for _ in range(host_failures.HOST_CONNECTIONS)]
    for after in (timedelta(seconds=0.2), timedelta(seconds=2)):
        for connection in dead:
            unit = answered(world, away, sent_at=timezone.now(), probing=after > host_failures.HOST_QUIET)
            unit.account = Account(connection.pk, connection.operator_id, connection.key)
            Breaker.objects.filter(connection=connection).update(probe_until=now + after)
            watch.note(unit, now=now + after)
    assert Breaker.objects.get(vendor="passport").open_until is not None


@pytest.mark.django_db
def test_a_remote_that_does_not_answer_for_long_is_looked_for_again_just_as_soon() -> None:
    now = timezone.now()
    began = now - timedelta(seconds=6)
    connection = ConnectionFactory()
    Breaker.objects.create(connection=connection, failures=40, open_until=began, probe_until=now)
    row = record_failure(connection_scope(connection.pk), TryLater("No answer."), now=now, began=began)
    assert row is not None
    assert row.open_until is not None
    assert now < row.open_until <= began + OPEN_MAX


@pytest.mark.django_db
def test_an_answer_that_asks_for_time_counts_even_where_it_is_old() -> None:
    now = timezone.now()
    connection = ConnectionFactory()
    Breaker.objects.create(connection=connection, failures=0, recovered_at=now)
    wait = TryLater("Slow down.", retry_after=timedelta(seconds=30))
    row = record_failure(connection_scope(connection.pk), wait, now=now, began=now - timedelta(seconds=1))
    assert row is not None
    assert row.open_until is not None
    assert row.open_until >= now + timedelta(seconds=30)


# --- Hints --------------------------------------------------------------------------------------------------------


class Woken:
    """An engine that remembers what it was told."""

    def __init__(self) -> None:
        self.ids: list[list[int]] = []

    def wake(self, ids: list[int]) -> None:
        self.ids.append(ids)


class Message:
    def __init__(self, payload: Any) -> None:
        self.payload = payload


class Consumer:
    connection_errors = (OSError,)


@pytest.mark.parametrize(
    ("payload", "woken"),
    [(([[3, 4]], {}, {}), [[3, 4]]), (([], {}, {}), []), (([["x"]], {}, {}), []), ((None,), []), ({}, [])],
    ids=["a hint", "without ids", "no numbers", "nothing", "no list"],
)
def test_a_hint_is_taken_where_it_arrives_and_acknowledged_whatever_it_says(
    payload: Any, woken: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, acknowledged = Woken(), []
    monkeypatch.setattr(service, "engine", lambda: engine)
    take = tasks.wake_at_once(None, None, Consumer())
    take(Message(payload), None, lambda *args: acknowledged.append(args), None, [])
    assert engine.ids == woken
    assert len(acknowledged) == 1


def test_hints_do_take_that_way() -> None:
    assert tasks.wake_connections.Strategy == "integrations.worker.tasks:wake_at_once"


# --- How rows travel ----------------------------------------------------------------------------------------------


def test_a_column_is_written_as_postgresql_reads_it() -> None:
    at = timezone.now()
    assert bulk_sql._array("int", [1, None, 3]) == "{1,NULL,3}"
    assert bulk_sql._array("int", [1, 2]) == "{1,2}"
    assert bulk_sql._array("timestamptz", [at, None]) == f"{{{at.isoformat()},NULL}}"
    assert bulk_sql._array("word", [None, None]) == "{}"
    assert bulk_sql._array("jsonb", [None, {"a": 1}]) == '[null,{"a":1}]'
    assert bulk_sql._array("text", [None, None]) == "[]"
