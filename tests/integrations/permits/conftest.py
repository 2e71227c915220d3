"""What tests of permits share: a mapped location of a company, an operator's browser, and a permit saved at START."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from integrations.models import PermitSync
from locations.models import Location, Membership, Permit
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)
from tests.integrations.permits.proof_samples import START


@pytest.fixture
def member() -> Membership:
    """An operator of a company with one mapped location on a live connection."""
    found: Membership = MembershipFactory(company__name="University", company__slug="university")
    connection = ConnectionFactory(company=found.company, live=True)
    ZoneMappingFactory(
        location=LocationFactory(company=found.company, name="North Campus Garage"),
        zone=ZoneFactory(connection=connection, number="Z123"),
    )
    return found


@pytest.fixture
def place(member: Membership) -> Location:
    """The company's mapped location."""
    return Location.objects.get(company=member.company)


@pytest.fixture
def operator(client: Client, member: Membership) -> Client:
    """The operator's browser."""
    client.force_login(member.user)
    return client


@pytest.fixture
def permit() -> Permit:
    """A permit at a mapped location of a live connection, registered by Olive at START."""
    with time_machine.travel(START - timedelta(days=1), tick=False):
        connection = ConnectionFactory(live=True)
        place = LocationFactory(company=connection.company, name="North Campus Garage")
        ZoneMappingFactory(
            location=place, zone=ZoneFactory(connection=connection, number="Z123", name="North")
        )
    with time_machine.travel(START, tick=False):
        found: Permit = PermitFactory(
            location=place,
            plate="ABC 1234",
            actor=UserFactory(first_name="Olive"),
            source=Permit.Source.DASHBOARD,
            end=START + timedelta(days=8),
        )
    # The database goes by its own clock, by which the permit may be over.
    due = {"due_since": START + timedelta(milliseconds=4), "next_attempt_at": START}
    PermitSync.objects.update_or_create(permit=found, connection=connection, defaults=due)
    return found
