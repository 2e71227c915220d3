"""Check plates: seen and gone again in each zone, and timed; failures are reported once, nothing is sent without consent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery import circuit_breaker
from integrations.models import (
    CanaryCheck,
    CanaryRun,
    Connection,
    Notice,
    PermitSync,
    Push,
    Zone,
)
from integrations.reconciliation import canary, canary_alarms, rounds
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import RightSeen
from locations.models import AuditEvent, Permit
from tests.factories import (
    MembershipFactory,
)
from tests.fakes import FakeVendor
from tests.integrations.reconciliation.check_plates import Clock, clock, connection, told, zones_in
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

__all__ = ["clock", "connection"]
pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


# --- All is well ------------------------------------------------------------------------------------------------------


def test_a_plate_is_shown_in_each_mapped_zone_and_gone_again(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.follow()  # begins the run and starts the sessions
    assert zones_in(vendor.fetch_rights("", plate=canary.PLATE)) == {
        (canary.PLATE, "101"),
        (canary.PLATE, "102"),
    }
    run = clock.until_finished()
    assert vendor.fetch_rights("") == []
    checks = list(run.checks.order_by("zone__number"))
    assert [check.zone.number for check in checks] == ["101", "102"]
    for check in checks:
        assert check.failure == ""
        assert None not in (check.accepted_at, check.seen_at, check.ended_at, check.gone_at)
        assert check.accepted_at <= check.seen_at <= check.ended_at <= check.gone_at  # type: ignore[operator]
    assert told() == []


def test_no_permit_no_push_and_no_count_has_a_check_plate_in_it(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.until_finished()
    assert len(vendor.sent) == 2, "one request to start and one to end, whatever the number of zones"
    counts = (Permit.objects.count(), PermitSync.objects.count(), Push.objects.count())
    assert counts == (0, 0, 0)


def test_the_next_run_begins_after_the_agreed_time_and_not_before(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    first = clock.until_finished()
    clock.follow(58 * 60)
    assert CanaryRun.objects.count() == 1
    clock.follow(2 * 60)
    second = CanaryRun.objects.exclude(pk=first.pk).get()
    assert second.number == first.number + 1
    ids = CanaryCheck.objects.values_list("session_id", flat=True)
    assert len(set(ids)) == len(ids) == 4


@pytest.mark.parametrize(("minutes", "ahead"), [(60, 3 * 24), (15, 12), (60, 2), (1440, 25)])
def test_a_stored_time_that_a_wrong_clock_has_left_far_ahead_stops_nothing(
    vendor: FakeVendor, connection: Connection, clock: Clock, minutes: int, ahead: int
) -> None:
    Connection.objects.update(canary_minutes=minutes, canary_next_at=clock.now + timedelta(hours=ahead))
    clock.follow()
    assert CanaryRun.objects.count() == 1


def test_a_run_that_a_wrong_clock_has_put_off_is_taken_up_and_the_next_one_begins(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.follow()
    CanaryRun.objects.update(next_at=clock.now + timedelta(days=1))
    clock.follow(1)
    clock.until_finished()
    assert vendor.sessions == {}
    clock.now += timedelta(days=1)  # for a moment only
    clock.follow()
    clock.now -= timedelta(days=1)
    clock.follow(1)
    assert not CanaryRun.objects.filter(finished_at=None, began_at__gt=clock.now).exists()


def test_a_vendor_that_asks_for_a_day_does_not_stop_the_runs_of_that_day(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.follow()
    clock.follow(1)
    vendor.failures = [TryLater("busy", code="429", retry_after=timedelta(days=1))]
    clock.follow(1)
    clock.follow(3_600)
    assert CanaryRun.objects.exclude(finished_at=None).count() == 1


@pytest.mark.parametrize("rounded_s", [-59, 0, 30])
def test_a_vendor_that_rounds_the_end_shows_the_plate_all_the_same(rounded_s: int) -> None:
    began = datetime(2026, 3, 2, 12, 0, 59, tzinfo=UTC)
    check = CanaryCheck(run=CanaryRun(began_at=began), zone=Zone(remote_id="z"), session_id="os-K-check-1")
    end = began + canary.VALID_FOR + timedelta(seconds=rounded_s)
    right = RightSeen("r", "z", canary.PLATE, "US-NC", began, end, "", "", {})
    assert canary.shows(check, right, zones_have_case=True)
    assert not canary.shows(check, replace(right, end=None), zones_have_case=True)
    named = replace(right, end=None, reference=check.session_id)
    assert canary.shows(check, named, zones_have_case=True)


def test_passport_shows_it_and_lets_it_go_and_a_comparison_leaves_it_alone(clock: Clock) -> None:
    transport = SandboxTransport()
    with passport_in_memory(transport):
        world = World(transport)
        world.permit("REAL1")
        world.deliver()
        Connection.objects.update(canary_minutes=60, reconciled_at=None)
        clock.follow()
        ours = [canary.PLATE, canary.PLATE]
        assert world.plates() == [*ours, "REAL1"]
        rounds.compare_due(clock.now)
        world.deliver()
        assert world.plates() == [*ours, "REAL1"]
        run = clock.until_finished()
        assert set(run.checks.values_list("failure", flat=True)) == {""}
        assert world.plates() == ["REAL1"]
        assert world.rights() == world.wanted()


# --- Nothing without consent-----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"canary_minutes": None},
        {"status": Connection.Status.PAUSED},
        {"status": Connection.Status.TESTING},
        {"status": Connection.Status.ENDED},
    ],
    ids=str,
)
def test_nothing_is_sent_for_who_has_not_agreed_or_is_not_live(
    vendor: FakeVendor, connection: Connection, clock: Clock, changes: dict[str, Any]
) -> None:
    Connection.objects.update(**changes)
    clock.follow()
    clock.follow(5)
    assert (vendor.sent, CanaryRun.objects.count()) == ([], 0)


def test_a_failing_connection_is_left_alone(vendor: FakeVendor, connection: Connection, clock: Clock) -> None:
    scope = circuit_breaker.connection_scope(connection.pk)
    circuit_breaker.record_failure(scope, TryLater("away", code="503"), now=clock.now, began=clock.now)
    assert circuit_breaker.is_open(scope)
    clock.follow()
    assert vendor.sent == []


def test_what_is_under_way_is_ended_although_the_connection_was_paused(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.follow()
    clock.follow(1)
    Connection.objects.update(status=Connection.Status.PAUSED)
    clock.until_finished()
    assert vendor.fetch_rights("") == []


def test_agreeing_is_written_down_and_taking_it_back_ends_the_alarms(connection: Connection) -> None:
    person = MembershipFactory(company=connection.company).user
    with pytest.raises(ValidationError, match="every 15 to 1440 minutes"):
        canary.agree(connection=connection, minutes=1, actor=person)
    canary.agree(connection=connection, minutes=30, actor=person)
    assert Connection.objects.get().canary_minutes == 30
    Notice.objects.create(
        company=connection.company,
        kind="canary",
        level=Notice.Level.DANGER,
        text="…",
        dedupe_key=canary_alarms.notice_key(Zone.objects.filter(number="101").get().pk),
        created_at=datetime.now(UTC),
    )
    canary.agree(connection=connection, minutes=None, actor=person)
    assert Connection.objects.get().canary_minutes is None
    assert told() == []
    kept = AuditEvent.objects.filter(kind="canary_set").order_by("-pk")
    assert list(kept.values_list("kind", "params__minutes")) == [
        ("canary_set", None),
        ("canary_set", 30),
    ]


# --- Decisions --------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["", "another"]),
    st.sampled_from(["same", "UPPER", "other"]),
    st.sampled_from([0, 3600]),
    st.sampled_from([canary.PLATE, "canary-0000", "ABC123"]),
    st.booleans(),
)
def test_a_right_is_the_check_plates_only_as_a_whole(
    reference: str, zone: str, later_s: int, plate: str, have_case: bool
) -> None:
    began = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    zone_id = "0f3c7d7e-0000-4000-8000-00000000abcd"
    check = CanaryCheck(
        run=CanaryRun(began_at=began), zone=Zone(remote_id=zone_id), session_id="os-K-check-1"
    )
    right = RightSeen(
        remote_id="r",
        zone_id={"same": zone_id, "UPPER": zone_id.upper(), "other": "x"}[zone],
        plate=plate,
        subdivision="US-NC",
        start=began,
        end=began + canary.VALID_FOR + timedelta(seconds=later_s),
        space_number="",
        reference=reference,
        raw={},
    )
    in_zone = zone == "same" or (zone == "UPPER" and not have_case)
    expected = reference == "" and in_zone and not later_s and plate != "ABC123"
    assert canary.shows(check, right, zones_have_case=have_case) is expected
    named = replace(right, reference="os-K-check-1")
    assert canary.shows(check, named, zones_have_case=have_case) is (
        in_zone and not later_s and plate != "ABC123"
    )
