"""Check plates that fail: reported once, over with the next good run, and never a false alarm."""

from datetime import timedelta
from typing import Any

import pytest

from integrations.models import (
    CanaryCheck,
    Connection,
    Mail,
    ZoneMapping,
)
from integrations.reconciliation import canary
from integrations.vendors.errors import FixRecord, TryLater
from integrations.vendors.protocol import RightSeen
from tests.fakes import FakeVendor
from tests.integrations.reconciliation.check_plates import Clock, clock, connection, hide, told

__all__ = ["clock", "connection"]
pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


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

    # It is reported once for as long as it lasts, and over with the first good run.
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
def test_a_run_that_fails_after_it_was_switched_off_raises_no_alarm(
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
