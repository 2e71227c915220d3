"""The seed: three companies in every state, made once however often it is run, and never in production."""

import io
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from integrations.dashboard.hourly_stats import CLASSES, count_hours, floor_hour
from integrations.models import (
    Connection,
    Contact,
    Mail,
    Notice,
    PermitSync,
    PushHour,
    Zone,
    ZoneMapping,
    ZoneRefresh,
)
from integrations.onboarding import automation, connections
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from integrations.zones.mapping import Suggestion, case_twins, suggest
from locations.models import Company, Location, Membership, Permit, User
from offstreet import seeding
from passport import reading
from passport.sandbox.zones import DEFAULT_ZONES_FILE
from tests.fakes import FakeVendor, fake_vendor
from tests.pages import signed_in

pytestmark = pytest.mark.django_db


SHIPPED = {
    entry["operator_id"]: reading.zones(entry["zones"], operator_id=entry["operator_id"])
    for entry in orjson.loads(DEFAULT_ZONES_FILE.read_bytes())["operators"]
}


@pytest.fixture(autouse=True)
def vendor() -> Iterator[FakeVendor]:
    """A Passport that lists the sandbox's zones."""
    with fake_vendor() as fake:
        # One list for all operators: those of others are left out when it is applied.
        fake.zones = [zone for zones in SHIPPED.values() for zone in zones]
        yield fake


def seed() -> str:
    out = io.StringIO()
    call_command("seed", stdout=out)
    return out.getvalue()


def test_three_companies_stand_at_three_points_of_their_way() -> None:
    printed = seed()
    assert dict(Connection.objects.values_list("company__slug", "status")) == {
        "university": "live",
        "lakeshore-city": "testing",
        "harbor-properties": "setup",
    }
    assert Zone.objects.listed().count() == 314
    assert set(ZoneRefresh.objects.values_list("outcome", flat=True)) == {"done"}
    assert "operator@university.example" in printed
    assert seeding.PASSWORD in printed


def test_the_seed_leaves_no_email_to_send_and_nothing_for_the_workers_to_announce() -> None:
    seed()
    automation.follow_set_ups(timezone.now())
    assert not Mail.objects.exists()


def test_people_can_sign_in_and_see_their_own_company() -> None:
    seed()
    roles = dict(Membership.objects.filter(company__slug="university").values_list("user__email", "role"))
    assert roles == {
        "operator@university.example": "operator",
        "manager@university.example": "manager",
        "viewer@university.example": "viewer",
    }
    support = User.objects.get(email="support@offstreet.example")
    assert support.is_support
    assert support.is_superuser
    assert support.check_password("demo-passport")
    assert Contact.objects.filter(company__slug="university").count() == 3


def test_permits_are_in_every_state() -> None:
    seed()
    now = timezone.now()
    permits = Permit.objects.filter(company__slug="university")
    assert permits.count() > 300
    for found in (
        permits.current(now),
        permits.coming(now),
        permits.filter(end__lte=now),
        permits.filter(status="cancelled"),
    ):
        assert found.count() >= 10
    assert PermitSync.objects.filter(permit__in=permits, state="due").exists()
    assert permits.filter(location__zone_mapping=None).not_ended(now).exists()
    by_space = permits.filter(location__name="Short stay").not_ended(now)
    spaces = set(by_space.values_list("space_number", flat=True))
    assert any(int(space) > 40 for space in spaces)
    assert any(int(space) <= 40 for space in spaces)
    assert PermitSync.objects.filter(connection__status="testing", state="due").exists()


def test_unmapped_locations_show_suggestions_and_near_misses() -> None:
    seed()
    found: dict[str, Suggestion] = {}
    for company in Company.objects.all():
        unmapped = Location.objects.filter(company=company, zone_mapping=None)
        zones = Zone.objects.filter(connection__company=company)
        found |= {suggestion.location.name: suggestion for suggestion in suggest(unmapped, zones)}
    assert found["E. 24th Street"].zone is not None
    assert found["Main Street"].zone is not None
    assert found["LOT 70"].zone is None
    assert found["LOT 70"].near
    assert found["Visitor lane"].zone is None
    assert len(case_twins(Zone.objects.filter(connection__company__slug="university"))) == 2


def test_seeding_again_changes_nothing() -> None:
    seed()
    models = (
        Company,
        User,
        Membership,
        Location,
        Permit,
        Connection,
        Zone,
        ZoneMapping,
        ZoneRefresh,
        PermitSync,
    )
    before = [list(model.objects.order_by("pk").values()) for model in models]
    seed()
    assert [list(model.objects.order_by("pk").values()) for model in models] == before


def test_what_people_have_changed_stays() -> None:
    seed()
    ZoneMapping.objects.filter(location__name="Lot B").update(zone=Zone.objects.get(number="LOTB"))
    Connection.objects.filter(company__slug="lakeshore-city").update(status=Connection.Status.ENDED)
    seed()
    assert ZoneMapping.objects.get(location__name="Lot B").zone.number == "LOTB"
    assert Connection.objects.get(company__slug="lakeshore-city").status == Connection.Status.ENDED


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (FixConnection("Passport does not know this operator ID.", status=404), 3),
        (FixConnection("Passport does not accept our credentials.", scope="host"), 3),
        (TryLater("Passport can't be reached."), 1),
    ],
)
def test_without_a_passport_that_knows_its_operators_the_companies_come_without_integrations(
    vendor: FakeVendor, error: DeliveryError, asked: int
) -> None:
    vendor.zones_error = error
    printed = seed()
    assert not Connection.objects.exists()
    assert Company.objects.count() == 3
    assert Permit.objects.count() == sum(story.permits for story in seeding.STORIES)
    assert printed.count(f"no integration: {error.sentence}") == 3
    assert len(vendor.asked_for) == asked
    # Each company's pages say so, once, however often it is seeded.
    seed()
    for company in Company.objects.all():
        notice = Notice.objects.get(company=company, done_at=None)
        assert notice.text == f"The demo could not connect this company to Passport. {error.sentence}"
        client = signed_in(User.objects.get(email=f"operator@{company.slug}.example"))
        page = client.get(reverse("setup", args=[company.slug])).content.decode()
        assert escape(notice.text) in page
    assert not Mail.objects.exists()


def test_seeding_again_connects_the_companies_once_passport_knows_them(vendor: FakeVendor) -> None:
    with transaction.atomic():
        seed()
        expected = stand()
        transaction.set_rollback(True)
    vendor.zones_error = TryLater("Passport can't be reached.")
    seed()
    vendor.zones_error = None
    seed()
    assert stand() == expected
    assert not Notice.objects.filter(kind="demo_without_integration", done_at=None).exists()
    assert not Mail.objects.exists()


def stand() -> dict[str, tuple[str, int, int]]:
    """Each company's status, its mapped locations and those of its permits that Passport is to have."""
    return {
        one.company.slug: (
            one.status,
            ZoneMapping.objects.filter(zone__connection=one).count(),
            PermitSync.objects.filter(
                connection=one, permit__status="active", permit__end__gt=timezone.now()
            ).count(),
        )
        for one in Connection.objects.select_related("company")
    }


def test_an_integration_that_people_have_begun_themselves_is_left_alone(vendor: FakeVendor) -> None:
    vendor.zones_error = TryLater("Passport can't be reached.")
    seed()
    theirs = "00000000-0000-4000-8000-00000000000a"
    company = Company.objects.get(slug="university")
    connections.connect(
        company=company, operator_id=theirs, actor=User.objects.get(email="operator@university.example")
    )
    vendor.zones_error = None
    seed()
    mine = Connection.objects.get(company=company)
    assert (mine.operator_id, mine.status, mine.is_confirmed) == (theirs, "setup", False)
    assert not Zone.objects.filter(connection=mine).exists()


def test_production_refuses_accounts_that_everyone_knows(settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="refused"):
        seed()
    assert not User.objects.exists()


def test_the_charts_of_the_live_company_begin_with_thirty_days_made_up_once() -> None:
    seed()
    live = Connection.objects.get(status="live")
    own, together = PushHour.objects.filter(connection=live), PushHour.objects.filter(connection=None)
    assert own.count() == 30 * 24
    assert sum(own.values_list("accepted", flat=True)) > 1_000
    assert list(own.values_list("hour", "accepted", "refused")) == list(
        together.exclude(hour__gte=floor_hour(timezone.now())).values_list("hour", "accepted", "refused")
    )
    for hour in own:
        assert len(hour.latencies) == CLASSES
        assert sum(hour.latencies) == hour.accepted
    seed()
    assert PushHour.objects.filter(connection=live).count() == 30 * 24


def test_counting_continues_where_the_made_up_hours_end() -> None:
    seed()
    before = PushHour.objects.filter(connection__isnull=False).count()
    count_hours(timezone.now())
    assert PushHour.objects.filter(connection__isnull=False).count() >= before - 1
