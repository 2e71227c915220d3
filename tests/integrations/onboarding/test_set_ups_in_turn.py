"""Set-ups that always fail keep no others waiting."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from integrations.models import Connection
from integrations.onboarding import automation
from integrations.vendors.errors import TryLater
from tests.factories import ConnectionFactory
from tests.fakes import FakeVendor

pytestmark = pytest.mark.django_db


def tried(connection: Connection) -> datetime | None:
    return Connection.objects.get(pk=connection.pk).operator_id_checked_at


def test_each_of_many_that_fail_has_its_turn(vendor: FakeVendor) -> None:
    made = [ConnectionFactory() for _ in range(6)]
    vendor.zones_error = TryLater("No answer.")
    now = timezone.now()
    for _ in made:
        # So late that each of them is due again in every round.
        now += timedelta(minutes=2)
        automation.follow_set_ups(now)
    assert all(tried(connection) is not None for connection in made)


def test_one_that_waits_for_no_one_goes_first(vendor: FakeVendor) -> None:
    failing = ConnectionFactory()
    vendor.zones_error = TryLater("No answer.")
    ready = ConnectionFactory(
        operator_id_finding="ok", operator_id_checked_at=timezone.now(), zones_pulled_at=timezone.now()
    )
    automation.follow_set_ups(timezone.now())
    assert tried(failing) is not None
    assert ready.tickets.exists()
