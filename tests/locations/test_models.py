"""The database guards the invariants: a raw write that breaks one fails, no matter who makes it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from integrations.models import Connection, Zone, ZoneMapping
from integrations.models.connections import integration_name
from locations.models import Company, Invitation, Location, Membership, Permit, User
from locations.models.permits import NeverDeleted
from tests.factories import (
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)

pytestmark = pytest.mark.django_db


def write(row: Model, **values: Any) -> None:
    """Change a row by SQL, bypassing models and services."""
    names = ", ".join(f"{connection.ops.quote_name(name)} = %s" for name in values)
    table = connection.ops.quote_name(row._meta.db_table)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {names} WHERE id = %s", [*values.values(), row.pk])


BROKEN: list[tuple[str, Callable[[], Model], dict[str, Any]]] = [
    (
        "a window that is empty",
        PermitFactory,
        {"start": timezone.now(), "end": timezone.now() - timedelta(days=1)},
    ),
    ("a plate in small letters", PermitFactory, {"plate": "abc"}),
    ("a plate with a blank", PermitFactory, {"plate": "AB C"}),
    ("no plate", PermitFactory, {"plate": ""}),
    ("a plate that is too long", PermitFactory, {"plate": "A" * 13}),
    ("a country in words", PermitFactory, {"country": "us"}),
    ("a subdivision without its country", PermitFactory, {"subdivision": "NC"}),
    ("cancelled without a time", PermitFactory, {"status": "cancelled"}),
    ("active with a time of cancelling", PermitFactory, {"cancelled_at": timezone.now()}),
    ("a status that nobody knows", PermitFactory, {"status": "deleted"}),
    ("a revision that counts from nothing", PermitFactory, {"revision": 0}),
    ("a company without a name", CompanyFactory, {"name": ""}),
    ("a company without an Offstreet id", CompanyFactory, {"offstreet_id": ""}),
    ("a slug that is none", CompanyFactory, {"slug": "Two Words"}),
    ("a location without a name", LocationFactory, {"name": ""}),
    ("a role that nobody knows", MembershipFactory, {"role": "owner"}),
    # The vendor checks its form; the database keeps out what can't be valid for any vendor.
    ("an operator id with a blank", ConnectionFactory, {"operator_id": "CL 12345"}),
    ("an operator id with a sign outside ASCII", ConnectionFactory, {"operator_id": "CL-1234５"}),
    ("a connection in no known status", ConnectionFactory, {"status": "broken"}),
    ("live without an operator id", ConnectionFactory, {"status": "live", "operator_id": ""}),
    ("paused without an operator id", ConnectionFactory, {"status": "paused", "operator_id": ""}),
    ("a zone without an id", ZoneFactory, {"remote_id": ""}),
]


@pytest.mark.parametrize(("what", "make", "values"), BROKEN, ids=[what for what, _, _ in BROKEN])
def test_the_database_refuses(what: str, make: Callable[[], Model], values: dict[str, Any]) -> None:
    row = make()
    with pytest.raises((IntegrityError, DataError)):  # PostgreSQL: a text that is too long
        write(row, **values)


def test_a_registration_is_whole_in_the_database() -> None:
    permit = PermitFactory(location=ZoneMappingFactory().location)
    row = permit.permit_syncs.get()
    for values in (
        {"state": "lost"},
        {"observed": '{"a": 1}'},
        {"lease": "x"},
        {"leased_until": timezone.now()},
    ):
        with pytest.raises(IntegrityError):
            write(row, **values)


TWICE: list[tuple[str, Callable[[], object]]] = [
    ("one company per Offstreet id", lambda: CompanyFactory(offstreet_id=CompanyFactory().offstreet_id)),
    ("one company per slug", lambda: CompanyFactory(slug=CompanyFactory().slug)),
    (
        "one person per address in any case",
        lambda: UserFactory(email=UserFactory(email="kim@x.org").email.upper()),
    ),
    ("one mapping per location", lambda: ZoneMappingFactory(location=ZoneMappingFactory().location)),
    (
        "one live account per operator id",
        lambda: ConnectionFactory(operator_id=ConnectionFactory().operator_id),
    ),
]


@pytest.mark.parametrize(("what", "make"), TWICE, ids=[what for what, _ in TWICE])
def test_there_is_at_most(what: str, make: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_a_person_has_one_role_and_one_open_invitation_in_a_company() -> None:
    member = MembershipFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(user=member.user, company=member.company)
    later = timezone.now() + timedelta(days=1)
    Invitation.objects.create(company=member.company, email="a@x.org", secret_hash="1", expires_at=later)
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.create(company=member.company, email="A@x.org", secret_hash="2", expires_at=later)
    Invitation.objects.update(withdrawn_at=timezone.now())
    Invitation.objects.create(company=member.company, email="A@x.org", secret_hash="2", expires_at=later)


def test_names_numbers_and_external_ids_are_unique_letter_for_letter() -> None:
    location = LocationFactory(name="Lot B", external_id="b")
    LocationFactory(company=location.company, name="lot b", external_id="B")
    with pytest.raises(IntegrityError), transaction.atomic():
        LocationFactory(company=location.company, name="Lot B")
    with pytest.raises(IntegrityError), transaction.atomic():
        LocationFactory(company=location.company, external_id="b")
    zone = ZoneFactory(number="Z123")
    for number in ("z123", "Z123"):  # a number is unique in its region only
        ZoneFactory(connection=zone.connection, number=number)
    assert set(Zone.objects.filter(number="Z123").values_list("number", flat=True)) == {"Z123"}
    with pytest.raises(IntegrityError), transaction.atomic():
        ZoneFactory(connection=zone.connection, remote_id=zone.remote_id)


def test_what_enforcement_saw_is_never_deleted() -> None:
    mapping = ZoneMappingFactory()
    PermitFactory(location=mapping.location)
    for row in (Permit.objects.get(), Connection.objects.get(), Zone.objects.get()):
        with pytest.raises(NeverDeleted):
            row.delete()
    with pytest.raises(NeverDeleted):
        Permit.objects.all().delete()
    for row in (mapping.location, mapping.location.company):
        with pytest.raises(Exception, match="protected foreign keys"):
            row.delete()
    assert ZoneMapping.objects.exists()


def test_a_time_zone_that_does_not_exist_is_refused_outside_of_forms_too() -> None:
    with pytest.raises(Exception, match="not a time zone"):
        Location.objects.create(company=CompanyFactory(), name="Base", timezone="Mars/Base")


@pytest.mark.parametrize(
    ("company", "name"),
    [
        ("University", "PASSPORTUNIVERSITY"),
        ("St. Mary’s College 2", "PASSPORTSTMARYSCOLLEGE2"),
        ("Zürich", "PASSPORTZURICH"),
        ("Université", "PASSPORTUNIVERSITE"),
        ("大学", "PASSPORTDAXUE"),
        ("ü", "PASSPORTU"),
        ("🚗", "PASSPORTREDCAR"),
        ("!!!", "PASSPORTTHESLUG"),
        ("大" * 120, "PASSPORT" + "DA" * 60),
    ],
)
def test_a_connection_is_named_by_the_convention(company: str, name: str) -> None:
    assert integration_name("passport", company, "the-slug") == name


def test_permits_are_current_coming_or_ended_by_their_half_open_window() -> None:
    now = timezone.now().replace(microsecond=0)
    begins = PermitFactory(start=now, end=now + timedelta(hours=1))
    ends = PermitFactory(start=now - timedelta(hours=1), end=now)
    coming = PermitFactory(start=now + timedelta(seconds=1), end=now + timedelta(hours=1))
    assert list(Permit.objects.current(now)) == [begins]
    assert list(Permit.objects.ended(now)) == [ends]
    assert list(Permit.objects.coming(now)) == [coming]
    assert set(Permit.objects.not_ended(now)) == {begins, coming}
    assert begins.is_current(now)
    assert not ends.is_current(now)


def test_a_test_plate_is_no_real_permit() -> None:
    PermitFactory(is_test=True)
    assert not Permit.objects.real().exists()


def test_a_person_is_known_by_the_address() -> None:
    person = User.objects.create_user("kim@example.org", "x")
    assert person.label == "kim@example.org"
    assert not person.is_support
    boss = User.objects.create_superuser("boss@example.org", "x")
    assert boss.is_support
    with pytest.raises(ValueError, match="email"):
        User.objects.create_user("")
    assert Company.objects.count() == 0
