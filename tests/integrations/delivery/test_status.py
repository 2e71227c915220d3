"""What became of a delivery, in words: one row for each state that a person can see."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.delivery.status import PushState, ordinal, push_state
from integrations.models import Breaker, Connection, PermitSync, Zone, ZoneMapping
from integrations.models.delivery import NOT_LISTED
from locations.models import Location, Permit

NOW = datetime(2026, 11, 22, 17, 3, 4, tzinfo=UTC)  # 12:03:04 in New York
LOCATION = Location(name="North Campus Garage", timezone="America/New_York")
SENT = {"session_id": "os-1-1", "zone_id": "z", "plate": "ABC1234"}


def permit(**values: Any) -> Permit:
    columns = {
        "location": LOCATION,
        "plate": "ABC1234",
        "plate_typed": "ABC 1234",
        "subdivision": "US-NC",
        "start": NOW - timedelta(hours=1),
        "end": NOW + timedelta(days=1),
        "updated_at": NOW - timedelta(minutes=2),
    }
    return Permit(**{**columns, **values})


def cancelled() -> Permit:
    return permit(status="cancelled", cancelled_at=NOW - timedelta(minutes=1))


def over() -> Permit:
    return permit(end=NOW - timedelta(minutes=1))


def permit_sync(**values: Any) -> PermitSync:
    columns = {"state": "due", "due_since": NOW - timedelta(seconds=3), "next_attempt_at": NOW}
    return PermitSync(**{**columns, **values})


def accepted(**values: Any) -> PermitSync:
    return permit_sync(
        **{
            "state": "done",
            "remote_state": SENT,
            "remote_until": NOW + timedelta(days=1),
            "accepted_at": NOW,
            "session_count": 1,
            **values,
        }
    )


def connection(status: str = "live", **values: Any) -> Connection:
    values = {"operator_confirmed_at": NOW, **values}
    return Connection(vendor="passport", name="PASSPORTUNIVERSITY", status=status, status_since=NOW, **values)


def state(
    of: Permit,
    row: PermitSync | None = None,
    link: Connection | None = None,
    *,
    mapped: bool = True,
    breaker: Breaker | None = None,
) -> PushState:
    link = link or connection()
    mapping = (
        ZoneMapping(location=LOCATION, zone=Zone(connection=link, number="Z123", name="X"))
        if mapped
        else None
    )
    return push_state(of, row, mapping, link if mapped or row else None, NOW, breaker)


def broken(**values: Any) -> Breaker:
    return Breaker(key="c:1", failing_since=NOW - timedelta(minutes=5), **values)


OPEN = {"open_until": NOW + timedelta(seconds=5)}
CASES = [
    ("unmapped", state(permit(), mapped=False), "waiting: this location has no zone yet", "warning"),
    ("not_live", state(permit(), link=connection("setup")), "waiting: the integration is not live yet", "warning"),
    ("not_live", state(permit(), link=connection("testing")), "waiting: the integration is not live yet", "warning"),
    ("paused", state(permit(), link=connection("paused")), "paused: the integration is paused", "warning"),
    (
        "paused",
        state(permit(), link=connection("paused", status_reason="Paving the lot.")),
        "paused: the integration is paused: Paving the lot",
        "warning",
    ),
    ("ended_connection", state(permit(), link=connection("ended")), "waiting: the integration has ended", "warning"),
    ("due", state(permit()), "waiting to be sent", "warning"),
    ("due", state(permit(), permit_sync()), "waiting to be sent", "warning"),
    ("due", state(permit(is_test=True), permit_sync(), connection("testing")), "waiting to be sent", "warning"),
    (
        "sending",
        state(permit(), permit_sync(lease="x", leased_until=NOW + timedelta(seconds=9), attempts=1)),
        "sending",
        "warning",
    ),
    (
        "sending",
        state(permit(), permit_sync(attempts=1, error="Passport answered 503.")),
        "sending, 2nd attempt: Passport answered 503",
        "warning",
    ),
    (
        "sending",
        state(
            permit(),
            permit_sync(attempts=3, error="Passport answered 503.", lease="x", leased_until=NOW + timedelta(seconds=9)),
        ),
        "sending, 3rd attempt: Passport answered 503",
        "warning",
    ),
    (
        "outage",
        state(permit(), permit_sync(), breaker=broken(error="Passport can't be reached.", **OPEN)),
        "waiting: Passport can't be reached",
        "warning",
    ),
    (
        "stopped",
        state(permit(), permit_sync(), breaker=broken(stopped=True, error="Passport refuses our credentials.", **OPEN)),
        "integration stopped: Passport refuses our credentials",
        "danger",
    ),
    ("accepted", state(permit(), accepted()), "accepted 12:03:04", "success"),
    ("accepted", state(permit(start=NOW + timedelta(hours=1)), accepted()), "accepted 12:03:04", "success"),
    (
        "accepted",
        state(permit(), accepted(accepted_at=NOW - timedelta(days=2))),
        "accepted 20 Nov, 12:03",
        "success",
    ),
    (
        "drift",
        state(
            permit(),
            accepted(error_code=NOT_LISTED, error="Passport does not list it.", remedy="It is sent again.", error_since=NOW),
        ),
        "drift: Passport does not list it",
        "danger",
    ),
    (
        "expired",
        state(over(), accepted(error_code=NOT_LISTED, remote_until=NOW - timedelta(minutes=1))),
        "ended: Passport had it until 12:02:04",
        "neutral",
    ),
    (
        "refused",
        state(permit(), permit_sync(state="refused", error="Passport does not know the state “Narnia”.")),
        "refused: Passport does not know the state “Narnia”",
        "danger",
    ),
    ("refused", state(permit(), permit_sync(state="refused")), "refused: Passport refused it", "danger"),
    (
        "withdrawing",
        state(cancelled(), permit_sync(remote_state=SENT, session_count=1)),
        "waiting to be removed",
        "warning",
    ),
    (
        "withdrawing",
        state(cancelled(), permit_sync(remote_state=SENT, session_count=1, attempts=1, error="Passport answered 503.")),
        "removing, 2nd attempt: Passport answered 503",
        "warning",
    ),
    (
        "withdrawn",
        state(cancelled(), accepted(remote_state=None, remote_until=None)),
        "removed 12:03:04",
        "neutral",
    ),
    ("not_sent", state(cancelled()), "ended: nothing was sent", "neutral"),
    ("not_sent", state(over(), mapped=False), "ended: nothing was sent", "neutral"),
    (
        "not_sent",
        state(cancelled(), permit_sync(state="done", accepted_at=NOW)),
        "ended: nothing was sent",
        "neutral",
    ),
    (
        "expired",
        state(over(), accepted(remote_until=NOW - timedelta(minutes=1))),
        "ended: Passport had it until 12:02:04",
        "neutral",
    ),
    ("unmapped", state(permit(), accepted(remote_state=None, remote_until=None), mapped=False),
     "waiting: this location has no zone yet", "warning"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "found", "line", "tone"), CASES, ids=[case[2] for case in CASES])
def test_each_state_has_its_words(key: str, found: PushState, line: str, tone: str) -> None:
    assert (found.key, found.line, found.tone) == (key, line, tone)
    assert found.word
    assert found.icon
    assert found.since is not None


@pytest.mark.parametrize(
    "found", [case[1] for case in CASES if case[0] in ("unmapped", "not_live", "paused")]
)
def test_what_waits_for_a_person_says_what_to_do(found: PushState) -> None:
    assert found.remedy
    assert not found.moving


def test_only_what_changes_automatically_is_polled() -> None:
    assert {case[0] for case in CASES if case[1].moving} == {"due", "sending", "outage", "withdrawing"}


def test_the_sentence_begins_with_a_capital_and_ends_with_a_full_stop() -> None:
    assert state(permit(), mapped=False).sentence == "This location has no zone yet."
    assert state(permit(), accepted()).sentence == ""


def test_times_are_those_of_the_location() -> None:
    here = Location(name="Pier", timezone="America/Los_Angeles")
    assert state(permit(location=here), accepted()).word == "accepted 09:03:04"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (22, "22nd"),
        (113, "113th"),
    ],
)
def test_a_try_is_counted_by_an_ordinal(number: int, text: str) -> None:
    assert ordinal(number) == text
