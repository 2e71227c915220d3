"""Set-ups that always fail keep no others waiting."""

import threading
from datetime import datetime, timedelta
from typing import NoReturn

import pytest
from django.db import connection as db
from django.utils import timezone

from integrations.models import Connection
from integrations.onboarding import automation
from integrations.vendors.errors import TryLater
from tests.factories import ConnectionFactory
from tests.fakes import FakeVendor

# On PostgreSQL several are done at once, in threads, which see what is committed alone.
pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def tried(connection: Connection) -> datetime | None:
    return Connection.objects.get(pk=connection.pk).operator_id_checked_at


def test_each_of_many_that_fail_has_its_turn(vendor: FakeVendor) -> None:
    made = [ConnectionFactory() for _ in range(4 * automation.AT_ONCE)]
    vendor.zones_error = TryLater("No answer.")
    now = timezone.now()
    for turn in range(1, 5):
        # So late that each of them is due again in each round.
        now += 2 * MINUTE
        automation.follow_set_ups(now)
        assert sum(tried(connection) is not None for connection in made) == turn * automation.AT_ONCE


def test_a_new_one_goes_before_all_that_have_failed(vendor: FakeVendor) -> None:
    for _number in range(4 * automation.AT_ONCE):
        ConnectionFactory(
            operator_id_finding="unreachable", operator_id_checked_at=timezone.now() - timedelta(days=1)
        )
    vendor.zones_error = TryLater("No answer.")
    new = ConnectionFactory()
    automation.follow_set_ups(timezone.now())
    assert tried(new) is not None


def test_one_for_which_nobody_is_asked_goes_on_however_many_fail(vendor: FakeVendor) -> None:
    failing = [ConnectionFactory() for _ in range(2 * automation.AT_ONCE)]
    vendor.zones_error = TryLater("No answer.")
    ready = ConnectionFactory(
        operator_id_finding="ok", operator_id_checked_at=timezone.now(), zones_pulled_at=timezone.now()
    )
    automation.follow_set_ups(timezone.now())
    assert sum(tried(connection) is not None for connection in failing) == automation.AT_ONCE
    assert ready.tickets.exists()


def test_one_that_fails_unexpectedly_keeps_none_of_the_others_from_their_turn(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = ConnectionFactory(), ConnectionFactory()
    fetch = vendor.fetch_zones

    def fetch_zones(operator_id: str) -> object:
        return fetch(operator_id) if operator_id == good.operator_id else 1 // 0

    monkeypatch.setattr(vendor, "fetch_zones", fetch_zones)
    with pytest.raises(ZeroDivisionError):
        automation.follow_set_ups(timezone.now())
    assert (tried(bad), tried(good) is None) == (None, False)


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(hours=2)])
def test_a_time_that_a_wrong_clock_wrote_is_not_waited_for(ahead: timedelta) -> None:
    now = timezone.now()
    unreachable = ConnectionFactory(operator_id_finding="unreachable", operator_id_checked_at=now + ahead)
    assert automation.is_trial_due(unreachable, now)
    unreachable.operator_id_checked_at = now
    assert not automation.is_trial_due(unreachable, now)
    assert automation.is_trial_due(unreachable, now + MINUTE)


@pytest.mark.skipif(db.vendor != "postgresql", reason="SQLite has a single writer")
def test_several_are_asked_about_at_once(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [ConnectionFactory() for _ in range(automation.AT_ONCE)]
    # Nobody gets through before all of them ask.
    together = threading.Barrier(automation.AT_ONCE, timeout=30)

    def fetch_zones(_operator_id: str) -> NoReturn:
        together.wait()
        raise TryLater("No answer.")

    monkeypatch.setattr(vendor, "fetch_zones", fetch_zones)
    automation.follow_set_ups(timezone.now())
    assert all(tried(connection) is not None for connection in made)
