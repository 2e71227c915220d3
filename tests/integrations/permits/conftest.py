"""What tests of permits share: a mapped location of a company, an operator's browser, and a permit saved at START."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from integrations.models import PermitSync
from locations.models import Location, Membership, Permit
from tests.factories import (
    ConnectionFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    mapped_location,
)
from tests.integrations.permits.proof_samples import START
from tests.pages import World


@pytest.fixture
def member(world: World) -> Membership:
    """An operator of the company, which has one mapped location."""
    world.location("North Campus Garage", world.zone("Z123"))
    found: Membership = MembershipFactory(company=world.company)
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
        zone = ZoneFactory(connection=connection, number="Z123", name="North")
        place = mapped_location(connection, zone, name="North Campus Garage")
    with time_machine.travel(START, tick=False):
        found: Permit = PermitFactory(
            location=place,
            plate="ABC 1234",
            actor=UserFactory(first_name="Olive"),
            source=Permit.Source.DASHBOARD,
            end=START + timedelta(days=8),
        )
    # By the database's own clock the permit may already be over.
    due = {"due_since": START + timedelta(milliseconds=4), "next_attempt_at": START}
    PermitSync.objects.update_or_create(permit=found, connection=connection, defaults=due)
    return found
