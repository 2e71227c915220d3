"""Breakers: when nothing is sent, who may send a probe, and how sending resumes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery import circuit_breaker
from integrations.delivery.circuit_breaker import (
    OBEY_MAX,
    OPEN_FIRST,
    OPEN_MAX,
    PROBE_LEASE,
    STOP_FIRST,
    STOP_MAX,
    BreakerState,
    Scope,
    SendPermission,
    after_failure,
    connection_scope,
    free_connections,
    host_scope,
    record_failure,
    record_success,
    release_probe,
)
from integrations.models import Breaker
from integrations.vendors.errors import FixConnection, TryLater
from tests.factories import CompanyFactory, ConnectionFactory

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
AWAY = TryLater("Passport can't be reached.", code="unreachable")
STOPPED = FixConnection("Not authorised.", remedy="Ask.", code="http_403")
HOST = host_scope("passport")


def gates(
    connections: Iterable[tuple[int, str]], *, now: datetime, most_probes: int | None = None
) -> dict[int, SendPermission]:
    """Ask for permission to send for connections, given as (id, vendor), with their present breakers."""
    rows = {Scope(row.connection_id, row.vendor): row for row in Breaker.objects.all()}

    def states(pk: int, vendor: str) -> list[BreakerState]:
        mine = [scope for scope in (connection_scope(pk), host_scope(vendor)) if scope in rows]
        return [
            BreakerState(scope, row.failures, row.open_until, row.recovered_at)
            for scope in mine
            for row in (rows[scope],)
        ]

    return circuit_breaker.send_permissions(
        {pk: states(pk, vendor) for pk, vendor in connections}, now=now, most_probes=most_probes
    )


@pytest.fixture(autouse=True)
def connections(request: pytest.FixtureRequest) -> None:
    """Connections with the ids 1 to 10, if the test has a database."""
    if "django_db" in request.keywords:
        request.getfixturevalue("db")
        company = CompanyFactory()
        for number in range(1, 11):
            ConnectionFactory(pk=number, company=company)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def open_until(connection_id: int) -> datetime | None:
    return Breaker.objects.get(connection=connection_id).open_until


# --- How long it stays open ---------------------------------------------------------------------------------------


@given(failures=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_a_breaker_opens_for_ever_longer_but_never_so_long_that_a_return_is_found_late(
    failures: int, draw: float
) -> None:
    verdict = after_failure(failures, AWAY, draw=lambda: draw)
    assert OPEN_FIRST / 2 <= verdict.open_for <= OPEN_MAX < seconds(10)
    assert not verdict.stopped


def test_the_pauses_of_a_fleet_are_spread_and_not_in_step() -> None:
    pauses = {after_failure(20, AWAY).open_for for _ in range(50)}
    assert len(pauses) > 40
    assert max(pauses) - min(pauses) > OPEN_MAX / 10


@pytest.mark.parametrize(
    ("asked", "least"),
    [(seconds(30), seconds(30)), (seconds(0), seconds(0)), (timedelta(days=400), OBEY_MAX)],
    ids=["obeyed", "at once", "absurd"],
)
def test_what_retry_after_asks_for_is_the_least_and_an_absurd_one_is_capped(
    asked: timedelta, least: timedelta
) -> None:
    verdict = after_failure(1, TryLater("Slow down.", retry_after=asked), draw=lambda: 0)
    assert max(least, OPEN_FIRST / 2) == verdict.open_for


@given(failures=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_a_failure_that_people_must_fix_is_probed_at_growing_intervals(failures: int, draw: float) -> None:
    verdict = after_failure(failures, STOPPED, draw=lambda: draw)
    assert STOP_FIRST * 0.75 <= verdict.open_for <= STOP_MAX
    assert verdict.stopped


# --- Who may send -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_without_failures_everything_is_sent() -> None:
    assert gates([(1, "passport")], now=NOW)[1].may_send
    assert not gates([(1, "passport")], now=NOW)[1].probing


@pytest.mark.django_db
def test_an_open_breaker_sends_nothing_and_then_one_probe() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    assert not gates([(1, "passport")], now=NOW)[1].may_send
    later = NOW + seconds(1)
    first, second = (gates([(1, "passport")], now=later)[1] for _ in range(2))
    assert (first.may_send, first.probing) == (True, True)
    assert not second.may_send


@pytest.mark.django_db
def test_another_connection_is_not_held_back_by_one_that_is_dead() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    gate = gates([(1, "passport"), (2, "passport")], now=NOW)[2]
    assert gate.may_send
    assert not gate.probing


@pytest.mark.django_db
def test_a_host_that_is_away_gets_one_probe_for_all_connections() -> None:
    record_failure(HOST, AWAY, now=NOW, began=NOW)
    found = gates([(number, "passport") for number in range(1, 100)], now=NOW + seconds(1))
    assert [gate.may_send for gate in found.values()].count(True) == 1


@pytest.mark.django_db
def test_the_hosts_probe_goes_to_a_connection_that_has_not_failed_itself() -> None:
    record_failure(HOST, AWAY, now=NOW, began=NOW)
    for number in range(1, 10):
        Breaker.objects.create(connection_id=number, failures=1, open_until=NOW)
    found = gates([(number, "passport") for number in range(1, 11)], now=NOW + seconds(1))
    assert [number for number, gate in found.items() if gate.probing] == [10]


@pytest.mark.django_db
def test_only_some_of_many_that_have_failed_are_tried_at_once() -> None:
    for number in range(1, 10):
        record_failure(connection_scope(number), AWAY, now=NOW, began=NOW)
    pairs = [(number, "passport") for number in range(1, 11)]
    found = gates(pairs, now=NOW + seconds(1), most_probes=4)
    assert [gate.probing for gate in found.values()].count(True) == 4
    assert found[10].may_send
    assert not found[10].probing
    # A connection that was left out keeps its permission for the next time.
    assert [gate.probing for gate in gates(pairs, now=NOW + seconds(1)).values()].count(True) == 5


@pytest.mark.django_db
def test_a_connection_that_may_not_probe_yet_does_not_take_the_hosts_probe_from_one_that_may() -> None:
    record_failure(HOST, AWAY, now=NOW, began=NOW)
    Breaker.objects.create(connection_id=1, failures=9, open_until=NOW + seconds(60))
    found = gates([(1, "passport"), (2, "passport")], now=NOW + seconds(1))
    assert not found[1].may_send
    assert found[2].probing


@pytest.mark.django_db
def test_a_connection_whose_own_probe_is_taken_gives_the_hosts_probe_back() -> None:
    at = NOW + seconds(1)
    record_failure(HOST, AWAY, now=NOW, began=NOW)
    Breaker.objects.create(connection_id=1, failures=9, open_until=NOW, probe_until=at + seconds(5))
    found = gates([(1, "passport"), (2, "passport")], now=at)
    assert not found[1].may_send
    assert found[2].probing


@pytest.mark.django_db
def test_a_probe_whose_worker_died_is_given_to_another_in_time() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    at = NOW + seconds(1)
    assert gates([(1, "passport")], now=at)[1].probing
    assert not gates([(1, "passport")], now=at + PROBE_LEASE / 2)[1].may_send
    assert gates([(1, "passport")], now=at + PROBE_LEASE + seconds(0.01))[1].probing
    # Its rows must continue within fifteen seconds, including the sweep's second.
    assert seconds(13) >= PROBE_LEASE


@pytest.mark.django_db
def test_a_probe_with_nothing_to_send_gives_its_permission_back() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    at = NOW + seconds(1)
    assert gates([(1, "passport")], now=at)[1].probing
    release_probe(1, "passport")
    assert gates([(1, "passport")], now=at)[1].probing


# --- Failures and successes ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_requests_that_were_under_way_together_are_one_failure() -> None:
    for _ in range(16):
        record_failure(connection_scope(1), AWAY, now=NOW, began=NOW - seconds(1))
    assert Breaker.objects.get().failures == 1


@pytest.mark.django_db
def test_a_late_answer_that_asks_for_more_time_gets_it() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    record_failure(connection_scope(1), TryLater("Slow down.", retry_after=seconds(40)), now=NOW, began=NOW)
    assert open_until(1) == NOW + seconds(40)


@pytest.mark.django_db
def test_a_failure_from_before_the_recovery_opens_nothing() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    assert record_success(connection_scope(1), now=NOW + seconds(2))
    record_failure(connection_scope(1), AWAY, now=NOW + seconds(3), began=NOW + seconds(1))
    assert gates([(1, "passport")], now=NOW + seconds(3))[1].may_send


@pytest.mark.django_db
def test_a_failed_probe_opens_it_again_for_longer() -> None:
    at, spans = NOW, []
    record_failure(connection_scope(1), AWAY, now=at, began=at)
    for _ in range(8):
        at = (open_until(1) or at) + seconds(0.001)
        assert gates([(1, "passport")], now=at)[1].probing
        record_failure(connection_scope(1), AWAY, now=at, began=at)
        spans.append((open_until(1) or at) - at)
    assert spans[-1] > spans[0]
    assert Breaker.objects.get().failing_since == NOW


@pytest.mark.django_db
def test_an_acceptance_closes_it_and_says_when() -> None:
    record_failure(connection_scope(1), STOPPED, now=NOW, began=NOW)
    assert Breaker.objects.get().error == "Not authorised."
    assert record_success(connection_scope(1), now=NOW + seconds(9))
    row = Breaker.objects.get()
    assert (row.failures, row.stopped, row.open_until, row.error) == (0, False, None, "")
    assert gates([(1, "passport")], now=NOW + seconds(9))[1].recovered_at == NOW + seconds(9)
    assert not record_success(connection_scope(1), now=NOW + seconds(10))


@pytest.mark.django_db
def test_a_stop_counts_at_once_even_while_it_is_open_for_another_reason() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    row = record_failure(connection_scope(1), STOPPED, now=NOW, began=NOW)
    assert row is not None
    assert (row.stopped, row.failures) == (True, 1)
    assert record_failure(connection_scope(1), STOPPED, now=NOW, began=NOW) is None


@pytest.mark.django_db
def test_when_the_host_is_back_its_connections_probe_at_once_unless_told_to_wait() -> None:
    for number, wait in ((1, seconds(5)), (2, OBEY_MAX)):
        Breaker.objects.create(connection_id=number, failures=3, open_until=NOW + wait)
    Breaker.objects.create(connection_id=3, failures=3, open_until=NOW + seconds(5), stopped=True)
    free_connections("passport", now=NOW)
    found = gates([(number, "passport") for number in (1, 2, 3)], now=NOW)
    assert {pk: gate.may_send for pk, gate in found.items()} == {1: True, 2: False, 3: False}


@pytest.mark.django_db
def test_a_breaker_is_of_a_connection_or_of_a_vendor_and_there_is_one_of_each() -> None:
    with pytest.raises(ValueError, match="of a connection or of a vendor"):
        Breaker.objects.create(failures=1)
    with pytest.raises(ValueError, match="of a connection or of a vendor"):
        Breaker.objects.create(connection_id=1, vendor="passport")
    Breaker.objects.create(connection_id=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Breaker.objects.update(vendor="passport")
    Breaker.objects.create(vendor="passport")
    with pytest.raises(IntegrityError), transaction.atomic():
        Breaker.objects.filter(vendor="passport").update(vendor=None, connection=1)


@pytest.mark.django_db
def test_a_breaker_that_a_worker_from_before_the_columns_has_opened_is_taken_over() -> None:
    """During a deploy, such a worker runs beside this one and writes only the key."""
    Breaker.objects.bulk_create([Breaker(key="c:1", failures=2), Breaker(key="h:passport", failures=4)])
    row, host = (record_failure(scope, AWAY, now=NOW, began=NOW) for scope in (connection_scope(1), HOST))
    assert row is not None
    assert host is not None
    assert (row.connection_id, row.vendor, row.failures) == (1, None, 3)
    assert (host.connection_id, host.vendor, host.failures) == (None, "passport", 5)
    assert Breaker.objects.count() == 2


@pytest.mark.django_db
def test_the_keys_stay_as_workers_from_before_the_columns_read_them() -> None:
    record_failure(connection_scope(1), AWAY, now=NOW, began=NOW)
    record_failure(HOST, AWAY, now=NOW, began=NOW)
    assert set(Breaker.objects.values_list("key", flat=True)) == {"c:1", "h:passport"}


@pytest.mark.django_db
def test_the_migration_fills_the_columns_from_the_keys() -> None:
    keys = ["c:1", "c:9", "h:passport", "c:404", "c:x", "odd"]
    Breaker.objects.bulk_create([Breaker(key=key) for key in keys])
    import_module("integrations.migrations.0021_breaker_columns_filled").fill(apps, None)
    assert {row.key: (row.connection_id, row.vendor) for row in Breaker.objects.all()} == {
        "c:1": (1, None), "c:9": (9, None), "h:passport": (None, "passport"),
        "c:404": (None, None), "c:x": (None, None), "odd": (None, None),
    }  # fmt: skip
