"""When connections are compared, what is kept of a failed comparison, and who is told about it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from integrations import diagnostics
from integrations.diagnostics.context import Check
from integrations.models import Connection, Mail, Notice
from integrations.reconciliation import comparison, rounds
from integrations.vendors.errors import TryLater
from tests.factories import ConnectionFactory
from tests.fakes import FakeVendor
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db
PACE = timedelta(minutes=5)


def tried(connection: Connection) -> Connection:
    """Compare now, even if it isn't due, and return the connection afterwards."""
    Connection.objects.update(reconciled_at=None)
    rounds.compare_due(timezone.now())
    connection.refresh_from_db()
    return connection


def compared(connection: Connection) -> Check:
    checks = diagnostics.examine(company=connection.company, connection=connection, asks_vendor=False)
    return next(check for check in checks if check.key == "compared")


def test_a_failed_comparison_is_recorded_and_reported_after_three(world: World) -> None:
    world.permit()
    world.deliver()
    success = tried(world.connection)
    succeeded_at = success.compared_at
    assert succeeded_at is not None
    assert success.comparison_failures == 0
    assert compared(success).tone == "success"
    world.fault("403", path="rights")
    for failures in (1, 2, 3):
        failed = tried(world.connection)
        assert failed.compared_at == succeeded_at
        assert failed.comparison_failures == failures
        assert failed.comparing_until is None
        assert (
            "doesn't let Offstreet read the parking rights of this operator (403)" in failed.comparison_error
        )
        assert Notice.objects.filter(kind="comparison_failing", done_at=None).exists() == (failures == 3)
    told = compared(failed)
    assert told.tone == "danger"
    assert "The last 3 comparisons failed." in told.finding
    assert "(403)" in told.finding
    world.heal()
    assert tried(world.connection).comparison_error == ""
    assert not Notice.objects.filter(done_at=None).exists()
    assert world.connection.compared_at is not None
    assert world.connection.compared_at > succeeded_at


def test_support_gets_one_mail_for_as_long_as_it_lasts(world: World, settings: object) -> None:
    world.fault("html", path="rights")
    for _time in range(6):
        tried(world.connection)
    assert Mail.objects.filter(kind="alarm").count() <= 1
    assert Notice.objects.filter(company=None, kind="comparison_failing", level="danger").count() == 1
    assert (
        Notice.objects.filter(company=world.company, kind="comparison_failing", level="warning").count() == 1
    )


def test_a_list_that_breaks_off_concludes_nothing(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ConnectionFactory(live=True)

    def break_off(_operator_id: str, _take: object) -> None:
        raise TryLater("The list broke off.", remedy="Wait.")

    monkeypatch.setattr(vendor, "read_rights", break_off)
    failed = tried(connection)
    assert (failed.compared_at, failed.comparison_error) == (None, "The list broke off. Wait.")
    assert compared(failed).finding.endswith("No comparison has succeeded yet.")


def test_an_unexpected_error_is_a_failure_too(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = ConnectionFactory(live=True)
    monkeypatch.setattr(vendor, "read_rights", lambda *_args: 1 // 0)
    assert tried(connection).comparison_error == "Comparing failed: ZeroDivisionError."


def test_a_statement_that_the_database_refuses_is_a_failure_and_its_outage_is_none(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ConnectionFactory(live=True)

    def raises(error: Exception) -> Callable[..., None]:
        def read(*_args: object) -> None:
            raise error

        return read

    monkeypatch.setattr(vendor, "read_rights", raises(DataError("out of range")))
    assert tried(connection).comparison_error == "Comparing failed: DataError."
    monkeypatch.setattr(vendor, "read_rights", raises(OperationalError("gone")))
    with pytest.raises(OperationalError):
        tried(connection)


@pytest.mark.parametrize("column", ["reconciled_at", "comparing_until"])
def test_a_stored_time_that_a_wrong_clock_has_left_far_ahead_stops_no_comparison(
    vendor: FakeVendor, column: str
) -> None:
    connection = ConnectionFactory(live=True)
    Connection.objects.update(**{column: timezone.now() + timedelta(days=1)})
    assert rounds.compare_due(timezone.now()) == 1
    connection.refresh_from_db()
    assert connection.compared_at is not None
    assert rounds.compare_due(timezone.now()) == 0


def test_a_comparison_that_is_held_proves_nothing(world: World) -> None:
    for number in range(21):
        world.permit(f"P{number}")
    world.deliver()
    long_ago()
    for session in list(world.transport.simulator.sessions.by_id):
        world.transport.simulator.forget_session(session)
    held = tried(world.connection)
    assert held.compared_at is None
    assert "(21 missing, 0 different, 0 too many) that nothing was changed" in held.comparison_error
    for _time in range(3):
        tried(world.connection)
    # People already know about this.
    assert not Notice.objects.filter(kind="comparison_failing").exists()


def test_each_connection_keeps_its_own_pace_and_one_that_fails_holds_up_no_others(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    connections = [ConnectionFactory(live=True) for _ in range(6)]
    bad = connections[0].operator_id
    asked: list[str] = []

    def read(operator_id: str, _take: object) -> None:
        asked.append(operator_id)
        if operator_id == bad:
            raise TryLater("No answer.")

    monkeypatch.setattr(vendor, "read_rights", read)
    assert rounds.compare_due(now) == 6
    assert sorted(asked) == sorted(connection.operator_id for connection in connections)
    assert Connection.objects.filter(compared_at=now).count() == 5
    assert rounds.compare_due(now + PACE - timedelta(seconds=1)) == 0
    Connection.objects.filter(pk=connections[3].pk).update(reconciled_at=now - PACE)
    asked.clear()
    assert rounds.compare_due(now + timedelta(seconds=1)) == 1
    assert asked == [connections[3].operator_id]
    assert rounds.compare_due(now + PACE) == 5


def test_a_connection_is_compared_by_one_worker_and_again_when_that_one_died(vendor: FakeVendor) -> None:
    connection, now = ConnectionFactory(live=True), timezone.now()
    taken = rounds.claim(now)
    assert taken == connection
    assert rounds.claim(now) is None
    # The worker dies; after its lease another one takes over.
    assert rounds.claim(now + PACE) == connection
    # The first was only slow: it notices that it lost its lease, and gives up.
    assert taken is not None
    renew = rounds._renewing(taken)
    taken.comparing_until = timezone.now()
    with pytest.raises(rounds.Lost):
        renew()


def test_a_worker_that_ends_gives_its_comparison_up(
    vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ConnectionFactory(live=True)
    monkeypatch.setattr(vendor, "read_rights", lambda *_args: rounds.stop())
    noted: list[object] = []
    monkeypatch.setattr(comparison, "_note_seen", noted.append)
    try:
        tried(connection)
    finally:
        rounds._stop.clear()
    assert noted == []
    connection.refresh_from_db()
    assert (connection.compared_at, connection.comparison_failures) == (None, 0)


def test_a_worker_that_lost_its_lease_records_nothing_and_frees_no_other_lease(world: World) -> None:
    now = timezone.now()
    late = rounds.claim(now)
    assert late is not None
    other = rounds.claim(now + 2 * PACE)
    assert other is not None
    rounds.compare_one(late)
    found = Connection.objects.get()
    assert (found.compared_at, found.comparing_until) == (None, other.comparing_until)
    assert rounds.claim(now + 2 * PACE) is None
