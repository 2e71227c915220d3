"""Many connections are compared at once, each on its own thread with its own database connection."""

import threading
import time

import pytest
from django.db import connection as db
from django.utils import timezone

from integrations.models import Connection
from integrations.reconciliation import rounds
from tests.factories import ConnectionFactory
from tests.fakes import FakeVendor


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(db.vendor != "postgresql", reason="SQLite has a single writer")
def test_a_slow_connection_keeps_no_other_waiting(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, *others = (ConnectionFactory(live=True) for _ in range(9))
    may_end = threading.Event()

    def read(operator_id: str, _take: object) -> None:
        if operator_id == slow.operator_id:
            may_end.wait(30)

    monkeypatch.setattr(vendor, "read_rights", read)
    rounds.reconcile_all(timezone.now())
    wait_for(len(others))
    assert not Connection.objects.filter(pk=slow.pk, compared_at__isnull=False).exists()
    # The next round finds nothing that is due, and the slow one is left to the thread that has it.
    rounds.reconcile_all(timezone.now())
    may_end.set()
    wait_for(len(others) + 1)
    assert not Connection.objects.exclude(comparing_until=None).exists()


def wait_for(count: int) -> None:
    until = time.monotonic() + 20
    while Connection.objects.filter(compared_at__isnull=False).count() < count:
        assert time.monotonic() < until
        time.sleep(0.02)
    # The threads have returned their connections.
    while any(thread.name == "comparing" for thread in threading.enumerate()) and count > 8:
        assert time.monotonic() < until
        time.sleep(0.02)
