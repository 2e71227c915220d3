"""Diagnostics: each thing that can be wrong is found, said in words, and comes with what to do next."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations import diagnostics
from integrations.diagnostics.context import Check
from integrations.models import (
    Breaker,
    CheckRun,
    Connection,
    PeriodicTask,
    PermitSync,
    TestPlate,
    WorkerHeartbeat,
    Zone,
    ZoneMapping,
)
from integrations.onboarding import connections, test_plates
from integrations.reconciliation import notices as drift_notices
from integrations.vendors.errors import FixConnection, TryLater
from integrations.vendors.protocol import get_vendor
from integrations.zones import refresh as zone_refresh
from locations.models import Location
from tests.checks import make_check_runs
from tests.factories import LocationFactory, PermitFactory
from tests.fakes import FakeVendor, zone_seen
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(world: World, vendor: FakeVendor) -> World:
    """A live connection on which everything is in order."""
    vendor.zones = [zone_seen("z1", "Z123", "North Garage"), zone_seen("z2", "LotB")]
    zone_refresh.refresh_zones(connection=world.connection)
    world.location("North Garage", Zone.objects.get(number="Z123"))
    WorkerHeartbeat.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    PeriodicTask.objects.create(name="audit", next_at=timezone.now())
    return world


def findings(world: World, symptom: str = "", **rest: Any) -> dict[str, Check]:
    connection = Connection.objects.get(pk=world.connection.pk)
    return {
        check.key: check
        for check in diagnostics.examine(
            company=world.company, connection=connection, symptom=symptom, **rest
        )
    }


def test_where_all_is_well_it_says_so(world: World) -> None:
    found = findings(world)
    assert set(found) == set(diagnostics.CHECKS)
    assert diagnostics.worst(list(found.values())) == "success"


def cut_operator(world: World, vendor: FakeVendor) -> None:
    Connection.objects.update(operator_id="", operator_confirmed_at=None, status="setup")


def doubt_operator(world: World, vendor: FakeVendor) -> None:
    Connection.objects.update(operator_confirmed_at=None, status="setup")


def refuse_token(world: World, vendor: FakeVendor) -> None:
    vendor.token_error = FixConnection("Passport does not accept our credentials.", scope="host", status=401)


def reach_nobody(world: World, vendor: FakeVendor) -> None:
    vendor.token_error = TryLater("Passport can't be reached.")


def not_authorised(world: World, vendor: FakeVendor) -> None:
    vendor.zones_error = FixConnection("No.", status=403)


def not_known(world: World, vendor: FakeVendor) -> None:
    vendor.zones_error = FixConnection("No.", code="operator_not_found", status=404)


def lose_zones(world: World, vendor: FakeVendor) -> None:
    ZoneMapping.objects.all().delete()
    Zone.objects.update(missing_since=timezone.now())
    vendor.zones = []
    zone_refresh.refresh_zones(connection=world.connection)


def grow_old(world: World, vendor: FakeVendor) -> None:
    Connection.objects.update(zones_pulled_at=timezone.now() - timedelta(days=3))


def fail_pull(world: World, vendor: FakeVendor) -> None:
    vendor.zones_error = TryLater("Passport can't be reached.")
    zone_refresh.refresh_zones(connection=world.connection)


def lose_mapped_zone(world: World, vendor: FakeVendor) -> None:
    Zone.objects.filter(number="Z123").update(missing_since=timezone.now())


def leave_unmapped(world: World, vendor: FakeVendor) -> None:
    LocationFactory(company=world.company, name="Visitor lane")


def near_miss(world: World, vendor: FakeVendor) -> None:
    world.location("LOTB", Zone.objects.get(number="LotB"))


def rename(world: World, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("z1", "z123", "North Garage"), zone_seen("z2", "LotB")]


def pause(world: World, vendor: FakeVendor) -> None:
    connections.pause(connection=world.connection, reason="New signs")


def refuse(world: World, vendor: FakeVendor) -> None:
    PermitFactory(location=Location.objects.get(name="North Garage"))
    PermitSync.objects.update(
        state="refused", error_code="x", error="The plate is not valid.", remedy="Correct it."
    )


def wait_long(world: World, vendor: FakeVendor) -> None:
    PermitFactory(location=Location.objects.get(name="North Garage"))
    PermitSync.objects.update(due_since=timezone.now() - timedelta(hours=1))


def hold_back(world: World, vendor: FakeVendor) -> None:
    Breaker.objects.create(
        connection=world.connection, failures=3, failing_since=timezone.now(), stopped=True,
        error="Not authorised.", remedy="Ask Passport.",
    )  # fmt: skip


def list_too_little(world: World, vendor: FakeVendor) -> None:
    Connection.objects.update(reconciled_at=timezone.now())
    drift_notices.tell_held(world.connection, missing=21, expected=40)


def stop_workers(world: World, vendor: FakeVendor) -> None:
    WorkerHeartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=5))


def stop_chores(world: World, vendor: FakeVendor) -> None:
    PeriodicTask.objects.update(next_at=timezone.now() - timedelta(minutes=10))


def fail_chore(world: World, vendor: FakeVendor) -> None:
    PeriodicTask.objects.update(last_error="ValueError: no")


@pytest.mark.parametrize(
    ("harm", "key", "tone", "words"),
    [
        (cut_operator, "operator_id", "danger", "Not set"),
        (doubt_operator, "operator_id", "warning", "not confirmed"),
        (refuse_token, "token", "danger", "credentials"),
        (reach_nobody, "token", "danger", "can't be reached"),
        (reach_nobody, "authorised", "warning", "Unknown"),
        (not_authorised, "authorised", "danger", "hasn't authorised"),
        (not_known, "authorised", "danger", "doesn't know"),
        (lose_zones, "zones", "danger", "no zone"),
        (grow_old, "zones", "warning", "3 days"),
        (fail_pull, "zones", "warning", "can't be reached"),
        (lose_mapped_zone, "mapped", "danger", "Z123"),
        (leave_unmapped, "mapped", "warning", "Visitor lane"),
        (near_miss, "names", "warning", "in case"),
        (rename, "names", "warning", "z123"),
        (pause, "status", "warning", "New signs"),
        (refuse, "refused", "danger", "The plate is not valid."),
        (wait_long, "backlog", "danger", "1 permit has been waiting"),
        (hold_back, "held", "danger", "Not authorised."),
        (list_too_little, "compared", "danger", "of 40 current permits, Passport lists 21"),
        (stop_workers, "worker", "danger", "No worker is running"),
        (stop_chores, "sweeper", "danger", "audit"),
        (fail_chore, "sweeper", "warning", "ValueError"),
    ],
)
def test_each_harm_is_found_with_its_meaning_and_the_next_step(
    world: World,
    vendor: FakeVendor,
    harm: Callable[[World, FakeVendor], None],
    key: str,
    tone: str,
    words: str,
) -> None:
    harm(world, vendor)
    check = findings(world)[key]

    assert check.tone == tone
    assert words in check.finding
    assert check.next_step
    assert check.meaning or key == "status"


def test_a_company_without_a_connection_is_told_where_to_begin() -> None:
    company = LocationFactory().company
    found = diagnostics.examine(company=company, connection=None)
    assert diagnostics.worst(found) == "danger"
    assert found[0].key == "operator_id"
    assert found[0].next_step


@pytest.mark.parametrize(
    ("symptom", "first"), [("zones", "operator_id"), ("plate", "test"), ("", "operator_id")]
)
def test_a_symptom_puts_the_right_checks_first_and_leaves_none_out(symptom: str, first: str) -> None:
    order = diagnostics.order_of(symptom)
    assert order[0] == first
    assert sorted(order) == sorted(diagnostics.CHECKS)


def test_a_check_that_fails_itself_hides_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(context: object) -> Check:
        raise ZeroDivisionError

    monkeypatch.setitem(diagnostics.CHECKS, "clock", fail)
    found = findings(world)
    assert found["clock"].tone == "warning"
    assert "ZeroDivisionError" in found["clock"].finding
    assert found["zones"].tone == "success"


class TestTheLastTest:
    @pytest.fixture
    def test(self, world: World) -> TestPlate:
        return test_plates.start_test(
            connection=world.connection, location=Location.objects.get(name="North Garage"), plate="TEST123"
        )

    def at(self, test: TestPlate, **values: Any) -> None:
        TestPlate.objects.filter(pk=test.pk).update(**values)

    def test_one_that_waits_is_a_warning(self, world: World, test: TestPlate) -> None:
        assert findings(world)["test"].tone == "warning"

    def test_a_refused_one_says_why_and_what_to_do(self, world: World, test: TestPlate) -> None:
        PermitSync.objects.update(state="refused", error="Bad state.", remedy="Correct the state.")
        check = findings(world)["test"]
        assert (check.tone, check.next_step) == ("danger", "Correct the state.")
        assert "Bad state." in check.finding

    def test_one_that_is_accepted_and_not_listed_is_a_failure(self, world: World, test: TestPlate) -> None:
        self.at(test, accepted_at=timezone.now() - timedelta(minutes=5))
        check = findings(world)["test"]
        assert check.tone == "danger"
        assert "doesn't list it" in check.finding

    def test_one_that_is_listed_in_another_zone_names_both(self, world: World, test: TestPlate) -> None:
        self.at(test, accepted_at=timezone.now(), seen_right={"elsewhere": ["z2"]})
        assert "zone LotB instead of Z123" in findings(world)["test"].finding

    def test_no_although_it_is_listed_says_that_the_device_looked_elsewhere(
        self, world: World, test: TestPlate
    ) -> None:
        now = timezone.now()
        self.at(
            test,
            accepted_at=now,
            seen_at=now,
            answer="no",
            answered_at=now,
            answered_by="Robin",
            note="zone Z9",
        )
        check = findings(world)["test"]
        assert check.tone == "danger"
        assert "Robin said no: “zone Z9”" in check.finding
        assert "device" in check.meaning

    def test_one_that_was_seen_is_a_success(self, world: World, test: TestPlate) -> None:
        now = timezone.now()
        self.at(test, accepted_at=now, seen_at=now, answer="yes", answered_at=now, answered_by="Robin")
        assert findings(world)["test"].tone == "success"


def test_the_text_for_a_ticket_has_every_check_and_no_plate(world: World) -> None:
    test_plates.start_test(connection=world.connection, location=Location.objects.get(), plate="SECRET9")
    found = list(findings(world, "plate").values())
    text = diagnostics.as_text(world.company, world.connection, found)
    assert all(check.title in text for check in found)
    assert "SECRET9" not in text


class TestThePage:
    def test_it_offers_both_symptoms_and_runs_the_checks_when_asked(self, world: World) -> None:
        url = world.url("diagnostics")
        first = world.viewer.get(url).content.decode()
        assert "Zones not appearing" in first
        assert "Test plate doesn't appear" in first
        assert 'hx-trigger="load, submit"' in first

        asked = world.viewer.post(url, {"symptom": "zones"})
        waiting = world.viewer.get(asked["Location"])
        assert "The checks are running" in text_of(waiting)
        assert 'hx-trigger="every 1s"' in waiting.content.decode()
        assert make_check_runs() == 1
        made = world.viewer.get(asked["Location"])
        assert "Everything that could be checked is in order." in text_of(made)
        assert 'hx-trigger="every 1s"' not in made.content.decode()
        assert made.content.decode().index("check-operator_id") < made.content.decode().index("check-status")

    def test_the_page_itself_never_asks_the_vendor(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendor = get_vendor("passport")
        for name in ("check_token", "fetch_zones", "fetch_rights"):
            monkeypatch.setattr(vendor, name, lambda *_args, **_rest: pytest.fail("Passport was asked"))
        asked = world.viewer.post(world.url("diagnostics"))
        assert world.viewer.get(asked["Location"]).status_code == 200
        # It doesn't even if no worker has picked up the checks; it runs the other checks.
        CheckRun.objects.update(requested_at=timezone.now() - timedelta(seconds=11))
        WorkerHeartbeat.objects.all().delete()
        page = text_of(world.viewer.get(asked["Location"]))
        assert "No worker is running" in page
        assert "Passport was not asked: no worker has picked up the checks." in page

    def test_the_checks_are_asked_for_a_few_times_a_minute(self, world: World) -> None:
        for _ in range(6):
            assert "check=" in world.viewer.post(world.url("diagnostics"))["Location"]
            make_check_runs()
        limited = world.viewer.post(world.url("diagnostics"))["Location"]
        assert "check=" not in limited
        assert "You have run the checks several times within a minute." in text_of(world.viewer.get(limited))
        assert make_check_runs() == 0

    def test_another_companys_run_shows_nothing(self, world: World) -> None:
        other = World.build()
        theirs = other.viewer.post(other.url("diagnostics"))["Location"]
        make_check_runs()
        page = text_of(world.viewer.get(f"{world.url('diagnostics')}?{theirs.partition('?')[2]}"))
        assert "Everything that could be checked" not in page
        mine = CheckRun.objects.get().pk
        assert "Findings" not in text_of(world.viewer.get(world.url("diagnostics"), {"check": mine}))

    def test_an_unknown_symptom_or_another_companys_test_is_no_way_in(
        self, world: World, vendor: FakeVendor
    ) -> None:
        assert world.viewer.get(world.url("diagnostics"), {"symptom": "x' OR 1"}).status_code == 200
        other = World.build()
        zone = other.zone("Z1")
        test = test_plates.start_test(connection=other.connection, location=other.location("There", zone))
        assert world.viewer.get(world.url("diagnostics"), {"test": test.pk}).status_code == 404

    def test_no_one_else_gets_in(self, world: World, client: Client) -> None:
        assert client.get(world.url("diagnostics")).status_code == 302
        assert World.build().viewer.get(world.url("diagnostics")).status_code == 404

    def test_its_former_address_leads_to_the_present_one_with_the_query(self, world: World) -> None:
        moved = world.viewer.get(f"/c/{world.company.slug}/setup/doctor/?symptom=plate&test=1")
        assert moved.status_code == 301
        assert moved["Location"] == f"{world.url('diagnostics')}?symptom=plate&test=1"
        assert world.viewer.get(f"/c/{world.company.slug}/setup/doctor/")["Location"] == world.url(
            "diagnostics"
        )
