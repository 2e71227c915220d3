"""When zones are refreshed automatically: each connection at its own time, failing ones less and less often."""

import threading
from datetime import datetime, timedelta
from typing import NoReturn

import pytest
from django.db import connection as db
from django.utils import timezone

from integrations.models import Connection
from integrations.vendors.errors import TryLater
from integrations.worker import periodic_tasks
from integrations.zones import refresh as zone_refresh
from tests.factories import ConnectionFactory
from tests.fakes import FakeVendor, zone_seen

pytestmark = pytest.mark.django_db
FOR_LONG = timedelta(days=10)


def test_many_that_always_fail_do_not_keep_another_waiting() -> None:
    now = timezone.now()
    bad = {ConnectionFactory(live=True).pk for _ in range(310)}
    Connection.objects.update(zones_pulled_at=now - FOR_LONG, zones_due_at=now - FOR_LONG)
    good = ConnectionFactory(live=True, zones_due_at=now + timedelta(hours=1))
    failures = dict.fromkeys(bad, 0)
    clock, turns = now, 0
    while turns < 2_000:
        turns += 1
        clock += timedelta(minutes=1)
        found = periodic_tasks.connections_for_refresh(clock)
        if good in found:
            break
        for connection in found:
            failures[connection.pk] += 1
            due = clock + zone_refresh.again_after(failures[connection.pk])
            Connection.objects.filter(pk=connection.pk).update(zones_due_at=due)
    assert clock - now <= timedelta(hours=3)


@pytest.mark.parametrize(
    ("failures", "hours"), [(0, 24), (1, 1), (2, 2), (3, 4), (5, 16), (6, 24), (1_000, 24)]
)
def test_the_wait_doubles_up_to_a_day(failures: int, hours: int) -> None:
    assert zone_refresh.again_after(failures) == timedelta(hours=hours)


def due_in(connection: Connection) -> timedelta:
    found: datetime | None = Connection.objects.get(pk=connection.pk).zones_due_at
    assert found is not None
    return found - timezone.now()


def test_a_refresh_says_when_the_next_one_is_due(vendor: FakeVendor) -> None:
    connection = ConnectionFactory(live=True)
    vendor.zones_error = TryLater("No answer.")
    for hours in (1, 2, 4):
        zone_refresh.refresh_zones(connection=connection)
        assert timedelta(hours=hours - 0.1) < due_in(connection) <= timedelta(hours=hours)
    vendor.zones_error = None
    vendor.zones = [zone_seen("a", "Z1")]
    zone_refresh.refresh_zones(connection=connection)
    assert timedelta(hours=23) < due_in(connection) <= timedelta(days=1)
    assert Connection.objects.get(pk=connection.pk).zones_failures == 0


def test_one_that_was_interrupted_is_due_again_within_an_hour(vendor: FakeVendor) -> None:
    connection = ConnectionFactory(live=True)
    zone_refresh.begin_refresh(connection=connection)
    assert due_in(connection) <= timedelta(hours=1)
    assert connection not in periodic_tasks.connections_for_refresh(timezone.now())


def test_a_time_that_a_wrong_clock_wrote_is_not_waited_for() -> None:
    connection = ConnectionFactory(live=True, zones_due_at=timezone.now() + timedelta(days=400))
    assert periodic_tasks.connections_for_refresh(timezone.now()) == [connection]


def test_the_first_zones_of_a_set_up_are_left_to_the_set_up() -> None:
    long_ago = timezone.now() - FOR_LONG
    ConnectionFactory(zones_pulled_at=None)
    set_up, live = (
        ConnectionFactory(zones_pulled_at=long_ago),
        ConnectionFactory(live=True, zones_pulled_at=None),
    )
    assert set(periodic_tasks.connections_for_refresh(timezone.now())) == {set_up, live}


def test_one_that_fails_unexpectedly_is_noted_and_does_not_end_the_task(vendor: FakeVendor) -> None:
    connection = ConnectionFactory(live=True)
    vendor.zones_error = RuntimeError("boom")
    periodic_tasks.refresh_oldest_zones(timezone.now())
    assert connection.refreshes.get().outcome == "failed"
    assert Connection.objects.get(pk=connection.pk).zones_failures == 1


def test_when_it_is_due_is_told_by_the_database_s_clock(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ConnectionFactory(live=True)
    theirs = timezone.now() - timedelta(hours=3)
    monkeypatch.setattr(zone_refresh, "database_now", lambda: theirs)
    vendor.zones = [zone_seen("a", "Z1")]
    begun, _is_ours = zone_refresh.begin_refresh(connection=connection)
    connection.refresh_from_db()
    assert connection.zones_due_at == theirs + zone_refresh.AGAIN_AFTER
    zone_refresh.run_refresh(refresh=begun)
    connection.refresh_from_db()
    assert connection.zones_due_at == theirs + zone_refresh.EVERY
    assert connection.zones_pulled_at == theirs


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(db.vendor != "postgresql", reason="SQLite has a single writer")
def test_several_are_refreshed_at_once(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    for _number in range(periodic_tasks.ZONES_AT_A_TIME):
        ConnectionFactory(live=True)
    together = threading.Barrier(periodic_tasks.ZONES_AT_A_TIME, timeout=30)

    def fetch_zones(_operator_id: str) -> NoReturn:
        together.wait()
        raise TryLater("No answer.")

    monkeypatch.setattr(vendor, "fetch_zones", fetch_zones)
    periodic_tasks.refresh_oldest_zones(timezone.now())
    assert list(Connection.objects.values_list("zones_failures", flat=True)) == [1] * 5
