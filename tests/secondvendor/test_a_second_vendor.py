"""A second vendor, added as a folder and one line of settings: from connection to accepted push, through the pages."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from integrations.delivery.engine import Engine
from integrations.models import (
    Connection,
    Mail,
    PermitSync,
    Push,
    TestPlate,
    WorkerHeartbeat,
    ZoneRefresh,
)
from integrations.onboarding import automation, connections, test_plate_poller
from integrations.reconciliation import rounds
from integrations.vendors.protocol import get_vendor
from integrations.zones import refresh as zone_refresh
from locations.models import Company, Location, Permit
from offstreet.guards import vendor_faults
from tests.checks import make_check_runs
from tests.factories import OPERATOR_ID, CompanyFactory, LocationFactory
from tests.pages import World, text_of
from tests.secondvendor.vendor import STREET, Seen

CURBLINE = {"curbline": "tests.secondvendor.vendor.Curbline"}
ACCOUNT = "CL-12345"
FOREIGN_WORDS = re.compile(r"passport|opsman", re.IGNORECASE)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def curbline() -> Iterator[None]:
    """The one line of settings; a company without a connection is led to the first vendor."""
    get_vendor.cache_clear()
    STREET.open_account(ACCOUNT, "a1", "B2")
    with override_settings(INTEGRATION_VENDORS=CURBLINE):
        yield
    get_vendor.cache_clear()


class Story(World):
    """A company that has nothing yet; each page that it sees is searched for the other vendor's words."""

    @property
    def current(self) -> Connection:
        return self.company.connections.get()

    def get(self, client: Client, name: str, *args: Any) -> str:
        return self.read(client.get(self.url(name, *args)))

    def post(self, client: Client, name: str, *args: Any, **data: Any) -> str:
        return self.read(client.post(self.url(name, *args), data, follow=True))

    def read(self, response: Any) -> str:
        text = text_of(response)
        assert response.status_code == 200, text
        assert words_of_the_other(text) == []
        return text


def words_of_the_other(page: str) -> list[str]:
    return FOREIGN_WORDS.findall(page)


def work() -> None:
    """Do what workers do: report as alive, follow set-ups, fetch zones, send, compare, poll test plates, run look-ups."""
    now = timezone.now()
    WorkerHeartbeat.objects.update_or_create(name="w", defaults={"started_at": now, "seen_at": now})
    automation.follow_set_ups(timezone.now())
    for refresh in ZoneRefresh.objects.filter(outcome=ZoneRefresh.Outcome.RUNNING):
        zone_refresh.run_refresh(refresh=refresh)
    automation.follow_set_ups(timezone.now())
    Engine(senders=2).drain(list(Connection.objects.values_list("pk", flat=True)))
    rounds.compare_due(timezone.now())
    PermitSync.objects.filter(permit__is_test=True).update(checked_at=None)
    test_plate_poller.follow_tests(timezone.now())
    automation.follow_set_ups(timezone.now())


def story() -> Story:
    company: Company = CompanyFactory(name="Harbour City", slug="harbour")
    return Story(company, Connection())


def test_it_goes_from_connection_to_accepted_push_through_the_pages() -> None:
    here = story()
    place: Location = LocationFactory(company=here.company, name="A1")

    # The operator ID.
    page = here.get(here.operator, "setup")
    assert "Curbline account manager" in page
    assert "our Curbline account number, such as CL-12345" in page
    assert "CL and five digits" in page
    wrong = here.operator.post(here.url("setup_begin_operator_id"), {"operator_id": OPERATOR_ID})
    assert wrong.status_code == 422
    assert "looks like CL-12345" in text_of(wrong)
    here.post(here.operator, "setup_begin_operator_id", operator_id=" cl-12345 ")
    connection = here.current
    assert (connection.vendor, connection.operator_id, connection.name) == (
        "curbline", ACCOUNT, "CURBLINEHARBOURCITY",
    )  # fmt: skip

    # Support confirms; the company sets up; workers pull the zones.
    here.post(here.support, "setup_confirm_operator", connection.pk, operator_id=ACCOUNT, how="By phone")
    here.post(here.operator, "setup_set_up", connection.pk)
    work()
    assert "a1" in here.get(here.operator, "zones")
    assert set(connection.zones.values_list("remote_id", "number")) == {("A1", "a1"), ("B2", "B2")}

    # "A1" is the zone "a1" here: it is suggested, without a warning about case.
    board = here.get(here.operator, "locations")
    assert "same number" in board
    assert "differs from" not in board
    zone = connection.zones.get(number="a1")
    here.post(here.operator, "location_map", place.pk, zone=zone.pk)
    work()

    # The test plate.
    here.post(
        here.operator, "setup_test", connection.pk, location=place.pk, plate="TEST 1", subdivision="US-NC"
    )
    work()
    test = TestPlate.objects.get()
    assert test.seen_at is not None
    shown = here.get(here.operator, "test_plate", test.pk)
    assert "Warden Pocket" in shown
    assert "Curbline lists it" in shown
    here.post(here.operator, "test_plate_answer", test.pk, answer="yes")
    here.post(here.operator, "setup_live", connection.pk)
    work()
    assert here.current.status == Connection.Status.LIVE
    assert STREET.seen(ACCOUNT) == set()

    # A permit: what the wardens see is what counts.
    permit = register(here, place, "ABC 1234", hours=5)
    work()
    assert STREET.seen(ACCOUNT) == {Seen("ABC1234", "A1", permit.start, permit.end)}
    assert "Curbline" in here.get(here.operator, "permit", permit.pk)
    assert "Accepted by Curbline" in here.get(here.operator, "permit", permit.pk)

    asked = here.post(here.operator, "validity", plate="ABC1234", location=place.pk)
    assert "Yes: ABC1234 is valid at A1, and Curbline has it." in asked
    read_every_page(here, permit, test)
    # Support's lists are of all companies together, whose only vendor this is here.
    for name in ("companies", "setups"):
        here.read(here.support.get(reverse(name)))

    # Once cancelled, it is gone there.
    here.post(here.operator, "permit_cancel", permit.pk)
    work()
    assert STREET.seen(ACCOUNT) == set()
    assert "Removed from Curbline" in here.get(here.operator, "permit", permit.pk)
    assert [
        mail.kind for mail in Mail.objects.all() if words_of_the_other(f"{mail.subject} {mail.text}")
    ] == []


def read_every_page(here: Story, permit: Permit, test: TestPlate) -> None:
    """Read each page of the company as the role with the most rights on it sees it."""
    zone = permit.location.zone_mapping.zone
    push, refresh = Push.objects.latest("pk"), ZoneRefresh.objects.latest("pk")
    for client in (here.viewer, here.manager, here.support):
        for name in (
            "overview", "setup", "setup_another", "locations", "zones", "zone_refreshes", "permits", "validity",
            "activity", "activity_people", "refused", "settings", "contacts", "diagnostics",
        ):  # fmt: skip
            if client is not here.viewer or name != "setup_another":
                here.get(client, name)
        here.get(client, "zone", zone.pk)
        here.get(client, "zone_refresh", refresh.pk)
        here.get(client, "push", push.pk)
        here.get(client, "permit", permit.pk)
        here.get(client, "test_plate", test.pk)
    here.get(here.operator, "permit_add")
    here.get(here.operator, "permit_change", permit.pk)
    here.get(here.operator, "permit_cancel", permit.pk)
    assert "Warden" in here.get(here.operator, "overview")
    for symptom in ("", "plate", "zones"):
        read_diagnostics(here, symptom)
    here.post(here.operator, "permit_check", permit.pk)
    make_check_runs()
    assert "Curbline" in here.get(here.operator, "permit", permit.pk)
    here.post(here.operator, "status_link_make", here.current.pk)


def read_diagnostics(here: Story, symptom: str) -> None:
    address = here.url("diagnostics") + (f"?symptom={symptom}" if symptom else "")
    here.read(here.operator.get(address))
    make_check_runs()
    here.read(here.operator.get(address))


def register(here: Story, place: Location, plate: str, *, hours: int) -> Permit:
    begin = timezone.now() - timedelta(minutes=5)
    end = timezone.now() + timedelta(hours=hours)
    local = "%Y-%m-%dT%H:%M"
    here.post(
        here.operator,
        "permit_add",
        location=place.pk,
        plate=plate,
        subdivision="US-NC",
        start=begin.astimezone(place.tz).strftime(local),
        end=end.astimezone(place.tz).strftime(local),
    )
    return Permit.objects.real().get(plate=plate.replace(" ", ""))


def test_beside_another_vendor_its_company_reads_its_own_words_alone() -> None:
    both = {"passport": "passport.vendor.Passport", **CURBLINE}
    with override_settings(INTEGRATION_VENDORS=both):
        here = story()
        place: Location = LocationFactory(company=here.company, name="A1")
        connection = connections.connect(company=here.company, operator_id="cl-12345", vendor="curbline")
        here.get(here.operator, "setup")
        here.post(here.operator, "setup_recheck", connection.pk)
        here.post(here.support, "setup_confirm_operator", connection.pk, operator_id=ACCOUNT, how="By phone")
        here.post(here.operator, "setup_set_up", connection.pk)
        work()
        here.post(here.operator, "suggestions_accept", suggestion=f"{place.pk}")
        zone = connection.zones.get(number="a1")
        here.post(here.operator, "location_map", place.pk, zone=zone.pk)
        here.post(
            here.operator, "setup_test", connection.pk, location=place.pk, plate="TEST 1", subdivision="US-NC"
        )
        work()
        test = TestPlate.objects.get()
        here.get(here.operator, "test_plate", test.pk)
        here.post(here.operator, "test_plate_answer", test.pk, answer="no", note="Not there")
        here.get(here.operator, "setup")
        here.post(here.operator, "test_plate_answer", test.pk, answer="yes")
        here.post(here.support, "setup_live", connection.pk, reason="Agreed by phone")
        permit = register(here, place, "ABC 1234", hours=5)
        here.get(here.operator, "permit", permit.pk)
        work()
        assert STREET.seen(ACCOUNT) == {Seen("ABC1234", "A1", permit.start, permit.end)}
        read_every_page(here, permit, test)
        here.post(here.manager, "setup_pause", connection.pk, reason="Holidays")
        here.get(here.operator, "overview")
        here.get(here.operator, "setup")
        here.post(here.manager, "setup_resume", connection.pk)
        unmapped: Location = LocationFactory(company=here.company, name="Nowhere")
        lost = register(here, unmapped, "LOST 1", hours=5)
        assert "Curbline" in here.get(here.operator, "permit", lost.pk)
        here.post(here.operator, "validity", plate="LOST1", location=unmapped.pk)


def test_a_zone_written_in_another_case_is_no_other_zone() -> None:
    here = story()
    here.post(here.operator, "setup_begin_operator_id", operator_id=ACCOUNT)
    here.post(here.support, "setup_confirm_operator", here.current.pk, operator_id=ACCOUNT, how="By phone")
    here.post(here.operator, "setup_set_up", here.current.pk)
    work()
    STREET.zones[ACCOUNT] = ["A1", "B2"]
    refresh = zone_refresh.refresh_zones(connection=here.current)
    assert refresh.found["counts"].get("case_changed", 0) == 0
    assert set(here.current.zones.listed().values_list("remote_id", "number")) == {("A1", "A1"), ("B2", "B2")}


def test_its_guard_is_asked_before_production_starts() -> None:
    assert vendor_faults(CURBLINE["curbline"], {}) == [
        "CURBLINE_KEY is empty: Curbline would refuse every call."
    ]
    assert vendor_faults(CURBLINE["curbline"], {"CURBLINE_KEY": "secret"}) == []
