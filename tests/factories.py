"""Builds what tests need, with valid, neutral defaults.

Permits are saved through `locations.services`, as everywhere, so they are marked for delivery.
Times are aware; a permit is valid from an hour ago until a day from now unless the test sets other times.
"""

import uuid
from datetime import timedelta
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from factory.django import DjangoModelFactory

from integrations.models import Connection, Zone, ZoneMapping
from integrations.models.connections import integration_name
from locations.addresses import verify_address
from locations.models import Company, Location, Membership, Permit, Role, User
from locations.services import PermitDraft, register_permit

PASSWORD = "demo-passport"
# An operator ID as a company types it in; the connections that the factories make have others.
OPERATOR_ID = "072e8b73-87ba-52be-ad93-16807143d145"


class UserFactory(DjangoModelFactory[User]):
    """A person with the password `PASSWORD` and a verified address; `support=True` makes them support."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        support = factory.Trait(is_staff=True, is_superuser=True)

    email = factory.Sequence(lambda number: f"person{number}@example.org")
    password = factory.LazyFunction(lambda: make_password(PASSWORD))

    @factory.post_generation
    def verified(self: User, create: bool, wanted: bool | None, **_rest: Any) -> None:
        """Verify the address, unless the test says `verified=False`."""
        if create and wanted is not False:
            verify_address(self)


class CompanyFactory(DjangoModelFactory[Company]):
    """A company with a slug and an Offstreet id of its own."""

    class Meta:
        model = Company

    name = factory.Sequence(lambda number: f"Company {number}")
    slug = factory.Sequence(lambda number: f"company-{number}")
    offstreet_id = factory.Sequence(lambda number: f"OS-{number}")


class MembershipFactory(DjangoModelFactory[Membership]):
    """A person's role in a company; operator by default."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    company = factory.SubFactory(CompanyFactory)
    role = Role.OPERATOR


class LocationFactory(DjangoModelFactory[Location]):
    """An active location."""

    class Meta:
        model = Location

    company = factory.SubFactory(CompanyFactory)
    name = factory.Sequence(lambda number: f"Location {number}")


class PermitFactory(DjangoModelFactory[Permit]):
    """A current permit, saved through `locations.services.register_permit`."""

    class Meta:
        model = Permit

    location = factory.SubFactory(LocationFactory)
    plate = factory.Sequence(lambda number: f"ABC{number:04d}")
    subdivision = "US-NC"
    start = factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1))
    end = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))

    @classmethod
    def _create(cls, model_class: type[Permit], *args: Any, **values: Any) -> Permit:
        outside = {name: values.pop(name) for name in ("actor", "source") if name in values}
        if isinstance(values.get("company"), Company):
            raise TypeError("A permit's company is its location's.")
        return register_permit(draft=PermitDraft(**values), **outside)


class ConnectionFactory(DjangoModelFactory[Connection]):
    """A connection with a confirmed operator id; being set up unless `testing=True`, `live=True` or `paused=True`.

    `claimed=True` makes one whose operator id is not confirmed yet.
    """

    class Meta:
        model = Connection

    class Params:
        claimed = factory.Trait(operator_confirmed_at=None)
        testing = factory.Trait(status=Connection.Status.TESTING)
        live = factory.Trait(status=Connection.Status.LIVE, live_since=factory.LazyFunction(timezone.now))
        paused = factory.Trait(status=Connection.Status.PAUSED, live_since=factory.LazyFunction(timezone.now))

    company = factory.SubFactory(CompanyFactory)
    vendor = "passport"
    name = factory.LazyAttribute(lambda built: integration_name(built.vendor, built.company.name))
    operator_id = factory.LazyFunction(lambda: str(uuid.uuid4()))
    operator_confirmed_at = factory.LazyAttribute(lambda built: timezone.now() if built.operator_id else None)
    status = Connection.Status.SETUP
    status_since = factory.LazyFunction(timezone.now)
    created_at = factory.LazyFunction(timezone.now)


class ZoneFactory(DjangoModelFactory[Zone]):
    """A zone that the vendor lists; `session_type="space"` and `raw` make one that requires space numbers."""

    class Meta:
        model = Zone

    connection = factory.SubFactory(ConnectionFactory)
    remote_id = factory.LazyFunction(lambda: str(uuid.uuid4()))
    number = factory.Sequence(lambda number: f"Z{number}")
    name = factory.LazyAttribute(lambda built: f"Zone {built.number}")
    session_type = "vehicle"
    raw = factory.LazyAttribute(
        lambda built: {
            "id": built.remote_id,
            "number": built.number,
            "name": built.name,
            "session_type": built.session_type,
        }
    )
    first_seen_at = factory.LazyFunction(timezone.now)
    changed_at = factory.LazyFunction(timezone.now)


class ZoneMappingFactory(DjangoModelFactory[ZoneMapping]):
    """A location mapped to a zone of a connection of its company."""

    class Meta:
        model = ZoneMapping

    location = factory.SubFactory(LocationFactory)
    zone = factory.SubFactory(
        ZoneFactory,
        connection=factory.SubFactory(
            ConnectionFactory, company=factory.SelfAttribute("...location.company")
        ),
    )
    mapped_at = factory.LazyFunction(timezone.now)


def mapped_location(connection: Connection, zone: Zone | None = None, **values: Any) -> Location:
    """Return a location of the connection's company, mapped to `zone`, or to a new zone of the connection."""
    location: Location = LocationFactory(company=connection.company, **values)
    ZoneMappingFactory(location=location, zone=zone or ZoneFactory(connection=connection))
    return location


def listed_zone(connection: Connection, listed: dict[str, Any]) -> Zone:
    """Return a zone of the connection as the vendor lists it (`listed` is its JSON object)."""
    zone: Zone = ZoneFactory(
        connection=connection,
        remote_id=listed["id"],
        raw=listed,
        **{name: listed[name] for name in ("number", "name", "session_type")},
    )
    return zone
