"""A refresh of zones in the database: what it finds, what it may change, and when it is held."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import Connection, Notice, PermitSync, Ticket, Zone, ZoneRefresh
from integrations.vendors.errors import TryLater
from integrations.zones import refresh as zone_refresh
from integrations.zones.mapping import missing_zone_key
from integrations.zones.refresh_summary import summary
from integrations.zones.report import NAMED_PER_KIND
from tests.factories import (
    OPERATOR_ID,
    CompanyFactory,
    ConnectionFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
    mapped_location,
)
from tests.fakes import FakeVendor, zone_seen


@pytest.fixture
def connection(db: None) -> Connection:
    return ConnectionFactory(live=True, company__name="University", operator_id=OPERATOR_ID)


def refresh(connection: Connection) -> ZoneRefresh:
    return zone_refresh.refresh_zones(connection=connection, trigger="button")


def numbers(connection: Connection, *, missing: bool = False) -> set[str]:
    return set(connection.zones.filter(missing_since__isnull=not missing).values_list("number", flat=True))


def test_the_first_pull_makes_the_zones(connection: Connection, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "Z123", extra={"kept": [1]}), zone_seen("b", "z123")]
    done = refresh(connection)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    assert done.zones_listed == 2
    assert done.found["counts"]["added"] == 2
    assert numbers(connection) == {"Z123", "z123"}
    assert Zone.objects.get(number="Z123").raw["extra"] == {"kept": [1]}
    assert vendor.asked_for == [OPERATOR_ID]
    connection.refresh_from_db()
    assert connection.zones_pulled_at is not None


def test_a_second_pull_of_the_same_list_changes_nothing(connection: Connection, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "Z123")]
    refresh(connection)
    before = list(Zone.objects.values())
    done = refresh(connection)
    assert list(Zone.objects.values()) == before
    assert summary(done) == "1 zone listed: nothing changed."


def test_a_renamed_zone_keeps_its_row_and_its_mapping(connection: Connection, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "Z123", "North")]
    refresh(connection)
    zone = Zone.objects.get()
    ZoneMappingFactory(zone=zone, location__company=connection.company)
    vendor.zones = [zone_seen("a", "Z124", "North Campus")]
    done = refresh(connection)
    zone.refresh_from_db()
    assert (zone.number, zone.name) == ("Z124", "North Campus")
    assert zone.mappings.count() == 1
    entry = done.found["renamed"][0]
    assert entry["zone"] == zone.pk
    assert entry["was"] == {"number": "Z123", "name": "North"}
    assert entry["locations"][0]["permits"] == 0


def test_a_zone_that_goes_is_missing_and_names_the_locations_and_permits_it_affects(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("a", "LotB", "Lot B"), zone_seen("b", "RG"), zone_seen("c", "Z1")]
    refresh(connection)
    location = mapped_location(connection, Zone.objects.get(remote_id="a"), name="Lot B")
    PermitFactory.create_batch(2, location=location)
    PermitFactory(location=location, end=timezone.now() - timedelta(minutes=1))
    vendor.zones = vendor.zones[1:]
    done = refresh(connection)
    assert numbers(connection, missing=True) == {"LotB"}
    assert done.found["gone"][0]["locations"] == [{"id": location.pk, "name": "Lot B", "permits": 2}]
    notice = Notice.objects.get()
    assert notice.level == "danger"
    assert "LotB · Lot B" in notice.text
    assert "2 current permits" in notice.text


def test_an_unmapped_zone_that_goes_missing_raises_no_alarm(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("a", "1"), zone_seen("b", "2")]
    refresh(connection)
    vendor.zones = vendor.zones[1:]
    refresh(connection)
    assert not Notice.objects.exists()


def test_a_zone_that_comes_back_lives_again_and_what_was_refused_there_is_tried_again(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("a", "1"), zone_seen("b", "2")]
    refresh(connection)
    zone = Zone.objects.get(remote_id="a")
    mapping = ZoneMappingFactory(zone=zone, location__company=connection.company)
    permit = PermitFactory(location=mapping.location)
    vendor.zones = vendor.zones[1:]
    refresh(connection)
    PermitSync.objects.filter(permit=permit).update(
        state=PermitSync.State.REFUSED, error_code="zone_not_found"
    )
    vendor.zones = [zone_seen("a", "1"), zone_seen("b", "2")]
    done = refresh(connection)
    zone.refresh_from_db()
    assert zone.missing_since is None
    assert done.found["counts"]["back"] == 1
    assert permit.permit_syncs.get().state == PermitSync.State.DUE
    assert not Notice.objects.filter(dedupe_key=missing_zone_key(zone.pk), done_at=None).exists()


def test_a_zone_that_no_longer_asks_for_spaces_tries_again_what_was_refused(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("a", "1", session_type="space")]
    refresh(connection)
    mapping = ZoneMappingFactory(zone=Zone.objects.get(), location__company=connection.company)
    permit = PermitFactory(location=mapping.location)
    PermitSync.objects.filter(permit=permit).update(state=PermitSync.State.REFUSED)
    vendor.zones = [zone_seen("a", "1", session_type="vehicle")]
    refresh(connection)
    assert permit.permit_syncs.get().state == PermitSync.State.DUE


def test_an_empty_answer_wipes_nothing_and_waits_for_support(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("a", "1")]
    refresh(connection)
    vendor.zones = []
    held = refresh(connection)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    assert numbers(connection) == {"1"}
    assert Notice.objects.get(company=None).kind == "zones_held"


def test_an_empty_answer_for_a_new_account_is_a_finding(connection: Connection, vendor: FakeVendor) -> None:
    done = refresh(connection)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    assert done.error == "Passport lists no zones for this operator ID."
    assert done.remedy
    connection.refresh_from_db()
    assert connection.zones_pulled_at is None


def test_a_failed_pull_wipes_nothing_and_says_what_to_do(connection: Connection, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "1")]
    refresh(connection)
    vendor.zones_error = TryLater(
        "Passport did not answer.", remedy="Nothing: it is tried again.", code="timeout"
    )
    failed = refresh(connection)
    assert failed.outcome == ZoneRefresh.Outcome.FAILED
    assert (failed.error, failed.remedy) == ("Passport did not answer.", "Nothing: it is tried again.")
    assert failed.found["error"] == {"kind": "later", "code": "timeout"}
    assert numbers(connection) == {"1"}


def test_an_unexpected_error_is_recorded_and_not_swallowed(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones_error = RuntimeError("boom")
    with pytest.raises(RuntimeError):
        refresh(connection)
    assert ZoneRefresh.objects.get().outcome == ZoneRefresh.Outcome.FAILED


def _held(connection: Connection, vendor: FakeVendor) -> ZoneRefresh:
    vendor.zones = [zone_seen(sign, sign) for sign in "abcde"]
    refresh(connection)
    vendor.zones = [zone_seen("e", "e", "renamed"), zone_seen("f", "f")]
    return refresh(connection)


def test_a_pull_that_loses_more_than_half_is_held_whole(connection: Connection, vendor: FakeVendor) -> None:
    held = _held(connection, vendor)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    assert held.error == "4 of 5 zones are no longer listed, so nothing was changed."
    assert numbers(connection) == set("abcde")
    assert held.found["counts"]["gone"] == 4


def test_support_releases_a_held_pull(connection: Connection, vendor: FakeVendor) -> None:
    held = _held(connection, vendor)
    support = UserFactory(support=True)
    done = zone_refresh.release_refresh(refresh=held, actor=support)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    assert numbers(connection) == {"e", "f"}
    held.refresh_from_db()
    assert held.released_by == support
    assert held.outcome != ZoneRefresh.Outcome.HELD
    assert not Notice.objects.filter(done_at=None).exists()
    with pytest.raises(ValidationError):
        zone_refresh.release_refresh(refresh=held)


def test_releasing_lets_only_those_zones_go_that_support_has_seen_go(
    connection: Connection, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen(str(number), str(number)) for number in range(20)]
    refresh(connection)
    vendor.zones = vendor.zones[11:]
    held = refresh(connection)
    vendor.zones = []
    again = zone_refresh.release_refresh(refresh=held)
    assert again.outcome == ZoneRefresh.Outcome.DONE  # nine more out of twenty is less than half
    vendor.zones = [zone_seen(str(number), str(number)) for number in range(20)]
    refresh(connection)
    vendor.zones = vendor.zones[9:]
    vendor.zones = vendor.zones[5:]
    held = refresh(connection)
    vendor.zones = []
    assert len(held.found["gone_ids"]) == 14
    vendor.zones_error = TryLater("Passport did not answer.")
    failed = zone_refresh.release_refresh(refresh=held)
    assert failed.outcome == ZoneRefresh.Outcome.FAILED
    held.refresh_from_db()
    assert held.outcome == ZoneRefresh.Outcome.HELD


def test_support_discards_a_held_pull(connection: Connection, vendor: FakeVendor) -> None:
    held = _held(connection, vendor)
    zone_refresh.discard_refresh(refresh=held, actor=UserFactory(support=True))
    held.refresh_from_db()
    assert held.outcome == ZoneRefresh.Outcome.FAILED
    assert held.error == "The current zones were kept."
    assert numbers(connection) == set("abcde")
    assert not Notice.objects.filter(done_at=None).exists()


def test_a_list_that_is_whole_again_replaces_a_held_pull(connection: Connection, vendor: FakeVendor) -> None:
    held = _held(connection, vendor)
    vendor.zones = [zone_seen(sign, sign) for sign in "abcde"]
    refresh(connection)
    held.refresh_from_db()
    assert held.outcome == ZoneRefresh.Outcome.FAILED
    assert not Notice.objects.filter(done_at=None).exists()


def test_while_one_refresh_runs_another_one_says_so(connection: Connection, vendor: FakeVendor) -> None:
    running, is_ours = zone_refresh.begin_refresh(connection=connection)
    assert is_ours
    other = refresh(connection)
    assert other.pk == running.pk
    assert other.outcome == ZoneRefresh.Outcome.RUNNING
    assert vendor.asked_for == []


def test_an_interrupted_refresh_makes_way_and_its_late_answer_changes_nothing(
    connection: Connection, vendor: FakeVendor
) -> None:
    running, _ = zone_refresh.begin_refresh(connection=connection)
    ZoneRefresh.objects.update(
        started_at=timezone.now() - timedelta(seconds=zone_refresh.RUNNING_LIMIT_S + 1)
    )
    vendor.zones = [zone_seen("a", "1")]
    assert refresh(connection).outcome == ZoneRefresh.Outcome.DONE
    vendor.zones = [zone_seen("b", "2")]
    late = zone_refresh.run_refresh(refresh=running)
    assert late.outcome == ZoneRefresh.Outcome.FAILED
    assert numbers(connection) == {"1"}


@pytest.mark.parametrize("change", [{"operator_id": ""}, {"status": Connection.Status.ENDED}])
def test_there_is_nothing_to_ask_without_an_account(
    db: None, vendor: FakeVendor, change: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        refresh(ConnectionFactory(**change))
    assert not ZoneRefresh.objects.exists()


def test_another_connections_zones_are_left_alone(connection: Connection, vendor: FakeVendor) -> None:
    other = ZoneFactory(connection__company=CompanyFactory())
    vendor.zones = [zone_seen("a", "1")]
    refresh(connection)
    refresh(connection)
    other.refresh_from_db()
    assert other.missing_since is None


def test_what_was_found_is_recorded_on_the_ticket(connection: Connection, vendor: FakeVendor) -> None:
    ticket = Ticket.objects.create(
        company=connection.company, connection=connection, subject="Set-up", opened_at=timezone.now()
    )
    vendor.zones = [zone_seen("a", "1"), zone_seen("b", "2")]
    refresh(connection)
    assert ticket.entries.get().text == "2 zones listed: 2 new."


def test_ten_thousand_zones_take_a_handful_of_statements(
    connection: Connection, vendor: FakeVendor, django_assert_max_num_queries: Any
) -> None:
    vendor.zones = [zone_seen(f"id-{number}", str(number)) for number in range(10_000)]
    # SQLite takes a hundred rows in a statement, PostgreSQL two thousand.
    with django_assert_max_num_queries(130):
        began = time.monotonic()
        refresh(connection)
    assert time.monotonic() - began < 20
    assert connection.zones.count() == 10_000
    assert len(ZoneRefresh.objects.get().found["added"]) == NAMED_PER_KIND
