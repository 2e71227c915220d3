"""The steps of set-up, as a pure function of what is known about a connection."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from integrations.onboarding.page import stepper
from integrations.onboarding.snapshot import Facts, TestFacts, Who
from integrations.onboarding.steps import active, steps
from passport.onboarding import NAMES
from tests.factories import OPERATOR_ID

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


TESTED = TestFacts(saved_at=ago(hours=3), accepted_at=ago(hours=3), seen_at=ago(hours=3))
LIVE = Facts(
    names=NAMES,
    created_at=ago(days=9),
    requested_at=ago(days=8),
    operator_id=OPERATOR_ID,
    operator_id_at=ago(days=5),
    finding="ok",
    set_up_at=ago(days=5),
    zones=4,
    zones_pulled_at=ago(days=4),
    pull="done",
    locations=3,
    mapped=2,
    first_mapped_at=ago(days=3),
    ready_at=ago(days=3),
    test=replace(TESTED, answer="yes", answered_at=ago(hours=2), over=True),
    verified_at=ago(hours=2),
    status="live",
    live_since=ago(hours=2),
)
BEGUN = Facts(created_at=ago(days=2), names=NAMES)
ASKED = replace(BEGUN, requested_at=ago(days=1))
RECEIVED = replace(
    ASKED, operator_id=OPERATOR_ID, operator_id_at=ago(hours=20), finding="ok", confirmed_at=ago(hours=20)
)
SET_UP = replace(RECEIVED, set_up_at=ago(hours=19))
ZONES = replace(SET_UP, zones=4, zones_pulled_at=ago(hours=19), pull="done", locations=3)
MAPPED = replace(ZONES, mapped=1, first_mapped_at=ago(hours=10))
READY = replace(MAPPED, ready_at=ago(hours=10), status="testing")
VERIFIED = replace(READY, test=replace(TESTED, answer="yes"), verified_at=ago(hours=1))


@pytest.mark.parametrize(
    ("facts", "key", "state", "who"),
    [
        (BEGUN, "requested", "current", Who.COMPANY),
        (replace(BEGUN, contact_unknown_since=ago(days=1)), "requested", "waiting", Who.SUPPORT),
        (ASKED, "received", "waiting", Who.VENDOR),
        (replace(ASKED, finding="unknown"), "received", "blocked", Who.COMPANY),
        (replace(RECEIVED, finding="not_authorised"), "received", "blocked", Who.VENDOR),
        (replace(RECEIVED, finding="credentials"), "received", "blocked", Who.SUPPORT),
        (replace(RECEIVED, finding="unreachable"), "received", "waiting", Who.PRODUCT),
        (replace(RECEIVED, finding=""), "received", "waiting", Who.PRODUCT),
        (replace(RECEIVED, confirmed_at=None), "received", "waiting", Who.SUPPORT),
        (replace(RECEIVED, confirmed_at=None, finding="unreachable"), "received", "waiting", Who.PRODUCT),
        (replace(ASKED, held_since=ago(hours=1)), "received", "waiting", Who.SUPPORT),
        (replace(BEGUN, held_since=ago(hours=1)), "received", "waiting", Who.SUPPORT),
        (replace(ASKED, finding="turned_down"), "received", "blocked", Who.COMPANY),
        (RECEIVED, "set_up", "current", Who.COMPANY),
        (SET_UP, "set_up", "waiting", Who.PRODUCT),
        (replace(SET_UP, pull="running"), "set_up", "waiting", Who.PRODUCT),
        (
            replace(SET_UP, pull="failed", pull_error="Passport can't be reached."),
            "set_up",
            "blocked",
            Who.COMPANY,
        ),
        (replace(SET_UP, pull="held"), "set_up", "blocked", Who.SUPPORT),
        (replace(SET_UP, pull="done"), "set_up", "blocked", Who.VENDOR),
        (replace(ZONES, locations=0), "mapped", "current", Who.COMPANY),
        (ZONES, "mapped", "current", Who.COMPANY),
        (MAPPED, "ready", "waiting", Who.PRODUCT),
        (READY, "tested", "current", Who.COMPANY),
        (replace(READY, test=TestFacts(saved_at=ago(minutes=1))), "tested", "waiting", Who.PRODUCT),
        (
            replace(READY, test=TestFacts(saved_at=ago(minutes=2), refused_since=ago(minutes=1))),
            "tested",
            "blocked",
            Who.COMPANY,
        ),
        (replace(READY, test=replace(TESTED, seen_at=None)), "tested", "waiting", Who.PRODUCT),
        (replace(READY, test=TESTED), "tested", "current", Who.COMPANY),
        (replace(READY, test=replace(TESTED, asked_by_mail=True)), "tested", "waiting", Who.ENFORCEMENT),
        (replace(READY, test=replace(TESTED, answer="no", over=True)), "tested", "blocked", Who.COMPANY),
        (
            replace(READY, test=replace(TESTED, over=True, over_at=ago(hours=1))),
            "tested",
            "current",
            Who.COMPANY,
        ),
        (VERIFIED, "live", "current", Who.COMPANY),
        (replace(LIVE, status="paused", status_reason="New signs"), "live", "blocked", Who.COMPANY),
    ],
)
def test_one_step_is_active_and_says_whose_turn_it_is(facts: Facts, key: str, state: str, who: str) -> None:
    shown = steps(facts, NOW)
    turn = active(shown)

    assert turn is not None
    assert (turn.key, turn.state, turn.who) == (key, state, who)
    assert turn.what_next
    place = shown.index(turn)
    assert all(step.state == "done" for step in shown[:place])
    assert all(step.state == "todo" for step in shown[place + 1 :])


def test_a_live_connection_has_nothing_left_to_do() -> None:
    shown = steps(LIVE, NOW)

    assert [step.state for step in shown] == ["done"] * 7
    assert active(shown) is None


def test_the_days_of_waiting_are_whole_days_since_the_step_began() -> None:
    turn = active(steps(replace(ASKED, requested_at=ago(days=3, hours=23)), NOW))

    assert turn is not None
    assert turn.waiting_days == 3


def test_the_dates_of_steps_are_those_of_the_pages_time_zone() -> None:
    late = replace(LIVE, requested_at=datetime(2026, 11, 22, 1, 30, tzinfo=UTC))
    assert stepper(steps(late, NOW), "University", ZoneInfo("America/New_York"))[0]["hint"] == "21 Nov"
    assert stepper(steps(late, NOW), "University", UTC)[0]["hint"] == "22 Nov"


def test_a_test_that_was_left_out_shows_the_reason() -> None:
    shown = steps(replace(LIVE, verified_at=None, test=None, status_reason="Proved elsewhere"), NOW)

    assert "Proved elsewhere" in next(step.note for step in shown if step.key == "tested")
