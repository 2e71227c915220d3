"""Check plates: seen and gone again in each zone, and measured; what goes wrong is told once, and nothing is sent unasked."""

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
    Mail,
    Notice,
    PermitSync,
    Push,
    Zone,
    ZoneMapping,
)
from integrations.reconciliation import canary, canary_alarms, rounds
from integrations.vendors.errors import FixRecord, TryLater
from integrations.vendors.protocol import RightSeen
from locations.models import AuditEvent, Permit
from tests.factories import (
    ConnectionFactory,
    MembershipFactory,
    ZoneFactory,
    mapped_location,
)
from tests.fakes import FakeVendor
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


class Clock:
    """The database's time as the check plates read it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC)
        monkeypatch.setattr(canary, "database_now", lambda: self.now)

    def follow(self, seconds: float = 0.0) -> None:
        """Let time pass, and the workers look once."""
        self.now += timedelta(seconds=seconds)
        canary.follow(self.now)

    def until_finished(self, *, step_s: float = 1.0, most: int = 400) -> CanaryRun:
        for _ in range(most):
            self.follow(step_s)
            done = CanaryRun.objects.exclude(finished_at=None).last()
            if done is not None and not CanaryRun.objects.filter(finished_at=None).exists():
                return done
        raise AssertionError("the run has not finished")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def connection() -> Connection:
    """A live connection that agreed, with two mapped zones, one without a location, one gone and one with spaces."""
    made: Connection = ConnectionFactory(live=True, canary_minutes=60)
    mapped: dict[str, dict[str, Any]] = {
        "101": {},
        "102": {},
        "gone": {"missing_since": datetime.now(UTC)},
        "spaces": {"session_type": "space"},
    }
    for number, values in mapped.items():
        zone = ZoneFactory(connection=made, number=number, **values)
        mapped_location(made, zone)
    ZoneFactory(connection=made, number="103")
    return made


def zones_in(rights: list[RightSeen]) -> set[tuple[str, str]]:
    """What officers see: plate and zone number."""
    return {(right.plate, Zone.objects.get(remote_id=right.zone_id).number) for right in rights}


def told(key_begins: str = "canary:") -> list[str]:
    return list(
        Notice.objects.filter(dedupe_key__startswith=key_begins, done_at=None).values_list("text", flat=True)
    )


def hide(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    """Accept what is sent to these zones, and never show it."""
    hidden = set(Zone.objects.filter(number__in=numbers).values_list("remote_id", flat=True))
    shown = vendor.fetch_rights

    def fetch(*args: Any, **kwargs: Any) -> list[RightSeen]:
        return [right for right in shown(*args, **kwargs) if right.zone_id not in hidden]

    monkeypatch.setattr(vendor, "fetch_rights", fetch)


# --- All is well ------------------------------------------------------------------------------------------------------


def test_a_plate_is_shown_in_each_mapped_zone_and_gone_again(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    clock.follow()  # begins, and starts the sessions
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


# --- Nothing unasked --------------------------------------------------------------------------------------------------


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


def test_a_connection_in_trouble_is_left_alone(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
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


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_a_zone_that_shows_no_new_plate_is_an_alarm_and_the_others_are_well(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(vendor, monkeypatch, "102")
    run = clock.until_finished(step_s=5)
    failures = dict(run.checks.values_list("zone__number", "failure"))
    assert failures == {"101": "", "102": CanaryCheck.Failure.NOT_SHOWN}
    [text] = told()
    assert text.startswith("Zone 102: Passport accepted the check plate CANARY0000 and has not shown it")
    assert vendor.sessions == {}, "what officers may see after all is ended too"
    assert Mail.objects.filter(kind="alarm").count() == 1

    # It is told once for as long as it lasts, and over with the first good run.
    clock.now += 60 * MINUTE
    clock.until_finished(step_s=5)
    assert Mail.objects.filter(kind="alarm").count() == 1
    monkeypatch.undo()
    monkeypatch.setattr(canary, "database_now", lambda: clock.now)
    clock.now += 60 * MINUTE
    clock.until_finished()
    assert told() == []


def test_a_plate_that_stays_after_it_was_ended_is_an_alarm(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.follow()
    kept = dict(vendor.sessions)
    monkeypatch.setattr(vendor, "sessions", type("Kept", (dict,), {"pop": lambda self, *_: None})(kept))
    run = clock.until_finished(step_s=5)
    assert set(run.checks.values_list("failure", flat=True)) == {CanaryCheck.Failure.STILL_SHOWN}
    assert len(told()) == 2
    assert all("still shows it" in text for text in told())


def test_a_refused_check_plate_is_an_alarm_with_the_vendors_reason(
    vendor: FakeVendor, connection: Connection, clock: Clock
) -> None:
    vendor.refuse[canary.PLATE] = FixRecord("The zone is closed.", code="closed")
    run = clock.until_finished()
    assert set(run.checks.values_list("failure", flat=True)) == {CanaryCheck.Failure.REFUSED}
    assert all(text.endswith("The zone is closed.") for text in told())
    assert len(vendor.sent) == 1, "there is nothing to end"


def test_an_outage_is_no_failure_of_a_zone_and_what_may_have_arrived_is_ended(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = vendor.send

    def arrive_unheard(*args: Any) -> Any:
        monkeypatch.setattr(vendor, "send", sent)
        answer = sent(*args)
        answer.results = [TryLater("no answer", code="timeout")] * len(answer.results)
        return answer

    monkeypatch.setattr(vendor, "send", arrive_unheard)
    clock.follow()
    assert len(vendor.sessions) == 2
    run = clock.until_finished()
    assert set(run.checks.values_list("failure", flat=True)) == {CanaryCheck.Failure.UNREACHABLE}
    assert vendor.sessions == {}
    assert told() == []


def test_a_look_that_fails_proves_nothing_and_is_made_again(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, answers = vendor.fetch_rights, [False, False, True]

    def fetch(*args: Any, **kwargs: Any) -> list[RightSeen]:
        if answers and not answers.pop(0):
            raise TryLater("away", code="503")
        return shown(*args, **kwargs)

    monkeypatch.setattr(vendor, "fetch_rights", fetch)
    run = clock.until_finished(step_s=5)
    assert set(run.checks.values_list("failure", flat=True)) == {""}


def test_what_a_worker_left_behind_is_taken_up_when_its_lease_is_over(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(vendor, "send", die)
        with pytest.raises(KeyboardInterrupt):
            clock.follow()
    clock.follow(5)
    assert vendor.sent == [], "the other worker may be alive"
    clock.until_finished(step_s=30)
    assert len(vendor.sent) == 2


def test_the_alarm_of_a_zone_that_is_checked_no_more_is_over(
    vendor: FakeVendor, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(vendor, monkeypatch, "101", "102")
    clock.until_finished(step_s=5)
    assert len(told()) == 2
    ZoneMapping.objects.filter(zone__number="102").delete()
    clock.now += 60 * MINUTE
    clock.follow()
    assert [text[:8] for text in told()] == ["Zone 101"]


@pytest.mark.parametrize("changes", [{"canary_minutes": None}, {"status": Connection.Status.PAUSED}], ids=str)
def test_a_run_that_fails_after_it_was_switched_off_alarms_nobody(
    vendor: FakeVendor,
    connection: Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    hide(vendor, monkeypatch, "101", "102")
    clock.follow()
    Connection.objects.update(**changes)
    clock.until_finished(step_s=5)
    assert (told(), vendor.sessions) == ([], {})


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
