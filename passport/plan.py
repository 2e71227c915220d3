"""Planning events: from what Passport has to what it should have. Pure; no clock, no database, no network.

What it decides (docs/passport-api.md, P2, P4 and P6):

| Passport has | it should have | events |
|---|---|---|
| nothing | a right | started |
| a session | the same | none |
| a session | another end only | extended (also if the new end is earlier but still in the future) |
| a session | another plate, state, zone, start or space | a new one started, then the old one stopped |
| a session | nothing, or an end in the past | stopped |
| a session that has expired | nothing | none |

A session can't change its plate or space (documented: P6); a change of zone or start is treated the same way (assumed: P6).

Invariants: at most one session of a permit is wanted at a time; a session id is never started twice; the `occurred_at` of one
session's events increases, since Passport applies them in that order (assumed: P11); a right is never removed before its
successor was sent.

An *observed* document is what Passport accepted, in Passport's own formats (`Session`).
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, TypedDict

from integrations.vendors.protocol import Account, Desired, RemoteState, Step
from integrations.vendors.right_keys import same_zone

STARTED = "started"
EXTENDED = "extended"
STOPPED = "stopped"
EVENT_TYPE = {
    STARTED: "parking_session_started",
    EXTENDED: "parking_session_extended",
    STOPPED: "parking_session_stopped",
}
StateFormat = Literal["iso", "short"]
_TICK = timedelta(milliseconds=1)


class Session(TypedDict):
    """What Passport has of one permit. Times are RFC 3339 in UTC with milliseconds."""

    session_id: str
    zone_id: str
    plate: str
    country: str
    subdivision: str
    start: str
    end: str
    space: str
    rate: str
    occurred_at: str


# A claim formats the same moment thousands of times, and permits of one import mostly share their times.
@lru_cache(maxsize=512)
def timestamp(at: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z` (documented: F1)."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_timestamp(text: str) -> datetime:
    """Return the aware time of an RFC 3339 text; raise `ValueError`."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at


def session_of(desired: Desired, *, session_id: str, now: datetime) -> Session:
    """Return the session that would fulfil `desired`."""
    return {
        "session_id": session_id,
        "zone_id": desired.zone_id,
        "plate": desired.plate,
        "country": desired.country,
        "subdivision": desired.subdivision,
        "start": timestamp(desired.start),
        "end": timestamp(desired.end),
        "space": desired.space_number,
        "rate": desired.rate_name,
        "occurred_at": timestamp(now),
    }


_IDENTITY = ("zone_id", "plate", "country", "subdivision", "start", "space")


def plan(
    account: Account,
    remote_state: RemoteState | None,
    desired: Desired | None,
    *,
    now: datetime,
    session_id: str,
    state_format: StateFormat = "iso",
    currency: str = "USD",
) -> list[Step]:
    """Return the steps from `observed` to `desired`; see the module's table."""
    wanted = None
    if desired is not None and desired.end > now:
        wanted = session_of(desired, session_id=session_id, now=now)
    if remote_state is not None and parse_timestamp(remote_state["end"]) <= now:
        remote_state = None  # it has expired: there is nothing to end or extend

    def step(kind: str, session: RemoteState) -> Step:
        return _step(kind, session, account, now=now, state_format=state_format, currency=currency)

    if wanted is None:
        return [] if remote_state is None else [step(STOPPED, remote_state)]
    if remote_state is None:
        return [step(STARTED, dict(wanted))]
    if not all(
        remote_state[name] == wanted[name]  # type: ignore[literal-required]
        or (name == "zone_id" and same_zone(remote_state[name], wanted["zone_id"]))
        for name in _IDENTITY
    ):
        return [step(STARTED, dict(wanted)), step(STOPPED, remote_state)]
    if remote_state["end"] != wanted["end"]:
        return [step(EXTENDED, {**remote_state, "end": wanted["end"]})]
    return []


def apply(remote_state: RemoteState | None, step: Step) -> RemoteState | None:
    """Return what Passport has after it accepted `step`."""
    event = step["event"]
    if step["kind"] == STARTED:
        vehicle = event["vehicle"]
        return {
            "session_id": event["session_id"],
            "zone_id": event["passport_zone_id"],
            "plate": vehicle["vehicle_plate"],
            "country": vehicle["vehicle_country"],
            "subdivision": _long_state(vehicle.get("vehicle_state", ""), vehicle["vehicle_country"]),
            "start": event["start_time"],
            "end": event["end_time"],
            "space": event.get("space_number", ""),
            "rate": event.get("rate_name", ""),
            "occurred_at": event["occurred_at"],
        }
    if remote_state is None or remote_state["session_id"] != step["session"]:
        return remote_state
    if step["kind"] == STOPPED:
        return None
    return {**remote_state, "end": event["end_time"], "occurred_at": event["occurred_at"]}


def undo(
    account: Account, step: Step, *, now: datetime, state_format: StateFormat = "iso", currency: str = "USD"
) -> Step | None:
    """Return the stop for a start whose outcome is unknown; None for a step that starts nothing."""
    if step["kind"] != STARTED:
        return None
    session = apply(None, step)
    assert session is not None
    return _step(STOPPED, session, account, now=now, state_format=state_format, currency=currency)


def _step(
    kind: str,
    session: RemoteState,
    account: Account,
    *,
    now: datetime,
    state_format: StateFormat,
    currency: str,
) -> Step:
    """Return one event with the fields that its type asks for (documented: P3; P11, P12)."""
    occurred_at = now
    if kind != STARTED:
        occurred_at = max(now, parse_timestamp(session["occurred_at"]) + _TICK)
    start, end = session["start"], session["end"]
    if kind == STOPPED:
        end = _stopped_end(start, now)
    fees = {"parking_fee": "0.00", "convenience_fee": "0.00", "tax": "0.00", "currency_code": currency}
    event: dict[str, Any] = {
        "occurred_at": timestamp(occurred_at),
        "session_id": session["session_id"],
        "operator_id": account.operator_id,
        "passport_zone_id": session["zone_id"],
        "start_time": start,
        "end_time": end,
        "vehicle": _vehicle(session, state_format),
        "event_fees": fees,
    }
    if kind == STOPPED:
        _leave_out_unknown(event)
    if kind != STARTED:
        event["total_session_fees"] = fees
    if session["space"]:
        event["space_number"] = session["space"]
    if session["rate"]:
        event["rate_name"] = session["rate"]
    step: Step = {"kind": kind, "session": session["session_id"], "event": event}
    if kind == STOPPED:
        step["ends"], step["until"] = True, session["end"]
    return step


def _vehicle(session: RemoteState, state_format: StateFormat) -> dict[str, str]:
    """Return the vehicle of an event, without a state where no state issued its plate (assumed: P15)."""
    vehicle = {
        "vehicle_plate": session["plate"],
        "vehicle_state": _state(session["subdivision"], state_format),
        "vehicle_country": session["country"],
    }
    if session["country"] and not session["subdivision"]:
        del vehicle["vehicle_state"]
    return vehicle


def _leave_out_unknown(event: dict[str, Any]) -> None:
    """Leave out of a stop what is not known of its vehicle: all of it is optional there (documented: P3), and what a stop
    says otherwise than the session may get it refused.
    """
    vehicle = {name: value for name, value in event["vehicle"].items() if value}
    if "vehicle_plate" in vehicle:
        event["vehicle"] = vehicle
    else:
        del event["vehicle"]


def _stopped_end(start: str, now: datetime) -> str:
    """Return the actual end of a session that is stopped now (documented: P4).

    Assumed (P14): an end that is not after its start is refused, and so is a start other than the session's own. A session
    that is stopped before it began is therefore ended a millisecond after its start.
    """
    return timestamp(max(now, parse_timestamp(start) + _TICK))


def _state(subdivision: str, state_format: StateFormat) -> str:
    """Return the state in the form that Passport reads (observed: ISO 3166-2; which of its two forms is assumed: P5)."""
    return subdivision if state_format == "iso" else subdivision.partition("-")[2]


def _long_state(state: str, country: str) -> str:
    return state if "-" in state or not state else f"{country}-{state}"
