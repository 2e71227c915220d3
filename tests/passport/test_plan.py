"""Planning of events: from any state, replayed or not, Passport has what it should have after the events."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.protocol import Account, Desired, RemoteState, Step
from passport import plan
from passport.plan import apply, parse_timestamp, timestamp, undo
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import UNIVERSITY

NOW = datetime(2026, 11, 22, 17, 0, 0, 123000, tzinfo=UTC)
ACCOUNT = Account(1, UNIVERSITY["operator_id"], "KEY23456")
ZONES = [zone["id"] for zone in UNIVERSITY["zones"] if zone["session_type"] == "vehicle"]

times = st.integers(-4 * 24 * 60, 4 * 24 * 60).map(
    lambda minutes: NOW + timedelta(minutes=minutes, milliseconds=7)
)


@st.composite
def wishes(draw: st.DrawFn) -> Desired:
    start = draw(times)
    return Desired(
        zone_id=draw(st.sampled_from(ZONES[:3])),
        plate=draw(st.sampled_from(["ABC1234", "XYZ99"])),
        country="US",
        subdivision=draw(st.sampled_from(["US-NC", "US-MI"])),
        start=start,
        end=start + timedelta(minutes=draw(st.integers(1, 4 * 24 * 60))),
        rate_name=draw(st.sampled_from(["", "Visitor"])),
    )


class Passport:
    """The sandbox's simulator at a time that the test sets, which takes bare events."""

    def __init__(self) -> None:
        self.now = NOW
        self.transport = SandboxTransport(clock=lambda: self.now)
        form = {
            "grant_type": "client_credentials",
            "client_id": SANDBOX_CLIENT_ID,
            "client_secret": SANDBOX_CLIENT_SECRET,
            "audience": "public.api.passportinc.com",
        }
        self.token = self.call("POST", "/v3/shared/access-tokens", form)["access_token"]
        self.traces = 0

    def call(self, method: str, path: str, document: Any = None, query: str = "") -> Any:
        import json

        import httpx

        headers = {"Authorization": f"Bearer {getattr(self, 'token', '')}"}
        self.traces = getattr(self, "traces", 0) + 1
        headers["Passport-Labs-Client-Trace-Id"] = f"trace-{self.traces}"
        request = httpx.Request(method, f"http://passport.test{path}{query}", json=document, headers=headers)
        response = self.transport.handle_request(request)
        response.read()
        body = json.loads(response.content or b"null")
        assert response.status_code < 300, body
        return body

    def take(self, steps: Sequence[Step]) -> None:
        for step in steps:
            kind = plan.EVENT_TYPE[step["kind"]]
            self.call(
                "POST", "/v3/shared/events", {"type": kind, "version": "3.0.0", "data": [step["event"]]}
            )

    def rights(self) -> list[dict[str, Any]]:
        found = self.call(
            "GET", "/v4/enforcement/parking-rights", query=f"?operator_id={ACCOUNT.operator_id}"
        )
        rights: list[dict[str, Any]] = found["data"]
        return rights


def wanted(desired: Desired | None, now: datetime) -> list[tuple[str, str, str, str]]:
    if desired is None or desired.end <= now:
        return []
    return [(desired.plate, desired.zone_id, timestamp(desired.start), timestamp(desired.end))]


def listed(passport: Passport) -> list[tuple[str, str, str, str]]:
    return [
        (
            right["vehicle"]["vehicle_plate"],
            right["zone_id"],
            timestamp(parse_timestamp(right["start_time"])),
            timestamp(parse_timestamp(right["end_time"])),
        )
        for right in passport.rights()
    ]


def steps_of(
    remote_state: RemoteState | None, desired: Desired | None, now: datetime, number: int
) -> list[Step]:
    return plan.plan(ACCOUNT, remote_state, desired, now=now, session_id=f"os-test-{number}")


@given(
    st.lists(st.tuples(st.none() | wishes(), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=6)
)
def test_any_series_of_wishes_with_any_replays_ends_in_the_last_wish(
    series: list[tuple[Desired | None, int, int]],
) -> None:
    passport, remote_state = Passport(), None
    for number, (desired, replays, minutes) in enumerate(series):
        steps = steps_of(remote_state, desired, passport.now, number)
        for _ in range(replays):  # an answer was lost after any of the events: the same events are sent again
            passport.take(steps[: 1 + number % 2])
        passport.take(steps)
        for step in steps:
            remote_state = apply(remote_state, step)
        assert listed(passport) == wanted(desired, passport.now)
        passport.now += timedelta(minutes=minutes, milliseconds=1)


@given(st.none() | wishes(), st.none() | wishes())
def test_a_plan_that_was_carried_out_leaves_nothing_to_plan(
    before: Desired | None, after: Desired | None
) -> None:
    remote_state: RemoteState | None = None
    for number, desired in enumerate([before, after]):
        for step in steps_of(remote_state, desired, NOW, number):
            remote_state = apply(remote_state, step)
    assert steps_of(remote_state, after, NOW, 9) == []


@given(st.none() | wishes(), st.none() | wishes())
def test_there_is_never_a_moment_with_more_sessions_than_the_old_and_the_new(
    before: Desired | None, after: Desired | None
) -> None:
    remote_state: RemoteState | None = None
    for step in steps_of(None, before, NOW, 0):
        remote_state = apply(remote_state, step)
    kinds = [step["kind"] for step in steps_of(remote_state, after, NOW, 1)]
    assert kinds in ([], ["started"], ["extended"], ["stopped"], ["started", "stopped"])


def wish(**changes: Any) -> Desired:
    values: dict[str, Any] = {
        "zone_id": ZONES[0],
        "plate": "ABC1234",
        "country": "US",
        "subdivision": "US-NC",
        "start": NOW - timedelta(hours=1),
        "end": NOW + timedelta(days=1),
        "rate_name": "Visitor",
    }
    return Desired(**{**values, **changes})


def observed_of(desired: Desired) -> RemoteState:
    [step] = steps_of(None, desired, NOW - timedelta(minutes=5), 1)
    remote_state = apply(None, step)
    assert remote_state is not None
    return remote_state


def test_a_start_carries_exactly_what_the_contract_asks_for() -> None:
    [step] = steps_of(None, wish(), NOW, 1)
    assert step == {
        "kind": "started",
        "session": "os-test-1",
        "event": {
            "occurred_at": "2026-11-22T17:00:00.123Z",
            "session_id": "os-test-1",
            "operator_id": ACCOUNT.operator_id,
            "passport_zone_id": ZONES[0],
            "start_time": "2026-11-22T16:00:00.123Z",
            "end_time": "2026-11-23T17:00:00.123Z",
            "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": "US-NC", "vehicle_country": "US"},
            "event_fees": {
                "parking_fee": "0.00",
                "convenience_fee": "0.00",
                "tax": "0.00",
                "currency_code": "USD",
            },
            "rate_name": "Visitor",
        },
    }


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"rate_name": "Staff"}, []),
        ({"end": NOW + timedelta(days=2)}, ["extended"]),
        ({"end": NOW + timedelta(minutes=1)}, ["extended"]),
        ({"end": NOW}, ["stopped"]),
        ({"end": NOW - timedelta(minutes=1)}, ["stopped"]),
        ({"plate": "XYZ99"}, ["started", "stopped"]),
        ({"subdivision": "US-MI"}, ["started", "stopped"]),
        ({"zone_id": ZONES[1]}, ["started", "stopped"]),
        ({"start": NOW - timedelta(hours=2)}, ["started", "stopped"]),
        ({"space_number": "3"}, ["started", "stopped"]),
    ],
)
def test_each_change_becomes_its_events(changes: dict[str, Any], kinds: list[str]) -> None:
    steps = steps_of(observed_of(wish()), wish(**changes), NOW, 2)
    assert [step["kind"] for step in steps] == kinds


def test_a_session_that_is_over_is_neither_stopped_nor_extended() -> None:
    remote_state = observed_of(wish(end=NOW - timedelta(minutes=1)))
    assert steps_of(remote_state, None, NOW, 2) == []
    assert [step["kind"] for step in steps_of(remote_state, wish(), NOW, 2)] == ["started"]


def test_events_of_one_session_carry_a_rising_time_even_if_the_clock_stands_still() -> None:
    [started] = steps_of(None, wish(), NOW, 1)
    remote_state = apply(None, started)
    [extended] = steps_of(remote_state, wish(end=NOW + timedelta(days=3)), NOW, 2)
    remote_state = apply(remote_state, extended)
    [stopped] = steps_of(remote_state, None, NOW, 3)
    occurred = [step["event"]["occurred_at"] for step in (started, extended, stopped)]
    assert occurred == sorted(set(occurred))


def test_a_session_stopped_before_it_began_ends_after_its_own_start() -> None:
    remote_state = observed_of(wish(start=NOW + timedelta(days=1), end=NOW + timedelta(days=2)))
    [step] = steps_of(remote_state, None, NOW, 2)
    event = step["event"]
    assert event["start_time"] == remote_state["start"]
    assert event["end_time"] > event["start_time"]


def test_the_state_may_be_written_short_and_is_understood_again() -> None:
    [step] = plan.plan(ACCOUNT, None, wish(), now=NOW, session_id="s", state_format="short")
    assert step["event"]["vehicle"]["vehicle_state"] == "NC"
    remote_state = apply(None, step)
    assert remote_state is not None
    assert remote_state["subdivision"] == "US-NC"
    assert plan.plan(ACCOUNT, remote_state, wish(), now=NOW, session_id="t", state_format="short") == []


def test_only_a_start_can_be_undone() -> None:
    [started] = steps_of(None, wish(), NOW, 1)
    stop = undo(ACCOUNT, started, now=NOW)
    assert stop is not None
    assert (stop["kind"], stop["session"]) == ("stopped", "os-test-1")
    assert undo(ACCOUNT, stop, now=NOW) is None


@pytest.mark.parametrize("state_format", ["iso", "short"])
@pytest.mark.parametrize("country", ["DE", "US"])
def test_a_plate_that_no_state_issued_is_sent_with_its_country_alone(
    country: str, state_format: Literal["iso", "short"]
) -> None:
    """A permit from abroad, and a US federal plate: all three events leave the state out, and none repeats itself."""
    abroad = wish(country=country, subdivision="")

    def steps(remote_state: RemoteState | None, desired: Desired | None, session: str) -> list[Step]:
        return plan.plan(
            ACCOUNT, remote_state, desired, now=NOW, session_id=session, state_format=state_format
        )

    [started] = steps(None, abroad, "s")
    remote_state = apply(None, started)
    assert remote_state is not None
    assert (remote_state["country"], remote_state["subdivision"]) == (country, "")
    assert steps(remote_state, abroad, "t") == []
    [extended] = steps(remote_state, abroad._replace(end=NOW + timedelta(days=9)), "t")
    [stopped] = steps(remote_state, None, "t")
    vehicle = {"vehicle_plate": abroad.plate, "vehicle_country": country}
    assert [step["event"]["vehicle"] for step in (started, extended, stopped)] == [vehicle] * 3
    moved = steps(remote_state, abroad._replace(country="FR"), "t")
    assert [step["kind"] for step in moved] == ["started", "stopped"]
