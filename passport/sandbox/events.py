"""Whether one parking session event is well formed: the fields of docs/passport-api.md, P2 to P5 and P12.

Pure: reads the directory of zones, changes nothing. What the event then does to its session is decided in
``sessions``. Documented: which fields each type has, that exactly one zone id is sent, that ``space`` zones need a
space number. Assumed: a field that the table does not know is refused; a space number in a ``space`` zone is required
in all three types.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from .formats import check_fees, check_id, check_session_id, check_text, check_vehicle, parse_time
from .problems import Problem, invalid
from .zones import Directory, Operator, Zone

STARTED = "parking_session_started"
EXTENDED = "parking_session_extended"
STOPPED = "parking_session_stopped"
TYPES = (STARTED, EXTENDED, STOPPED)
VERSION = "3.0.0"

_ALWAYS = ("occurred_at", "session_id", "operator_id", "start_time", "end_time", "event_fees")
_OPTIONAL = (
    "passport_zone_id",
    "external_zone_id",
    "space_number",
    "account_id",
    "rate_name",
    "location_details",
    "payment",
)
_REQUIRED = {
    STARTED: frozenset((*_ALWAYS, "vehicle")),
    EXTENDED: frozenset((*_ALWAYS, "total_session_fees")),
    STOPPED: frozenset((*_ALWAYS, "total_session_fees")),
}
_ALLOWED = {
    STARTED: _REQUIRED[STARTED] | frozenset(_OPTIONAL),
    EXTENDED: _REQUIRED[EXTENDED] | frozenset((*_OPTIONAL, "vehicle")),
    STOPPED: _REQUIRED[STOPPED] | frozenset((*_OPTIONAL, "vehicle")),
}
_LOCATION_FIELDS = frozenset(("latitude", "longitude", "accuracy"))
_PAYMENT_FIELDS = frozenset(("gateway_transaction_id", "payment_type"))
# A session that is stopped before it began may still last a moment.
_UNBEGUN = timedelta(seconds=1)
_RARE = frozenset(("account_id", "rate_name", "location_details", "payment"))


@dataclass(slots=True)
class Event:
    """One well-formed event. `plate` is None if the event carries no vehicle."""

    type: str
    occurred_at: datetime
    session_id: str
    operator_id: str
    zone: Zone
    start: datetime
    end: datetime
    plate: str | None
    plate_key: str
    state: str
    country: str
    space: str | None
    digest: str


def parse_event(event: Any, kind: str, directory: Directory, *, state_form: str = "either") -> Event:
    """Check one event of type `kind` and read it; raises the Problem that names the first field that is wrong."""
    if type(event) is not dict:
        raise Problem(400, "validation_error", "An event must be an object.", field="")
    operator = directory.require(event.get("operator_id"))
    keys = event.keys()
    if not keys >= _REQUIRED[kind]:
        raise invalid(min(_REQUIRED[kind] - keys), f"is required in {kind}")
    if not keys <= _ALLOWED[kind]:
        raise invalid(min(keys - _ALLOWED[kind]), f"is not a field of {kind}")
    occurred_at = parse_time("occurred_at", event["occurred_at"], milliseconds=True)
    session_id = check_session_id(event["session_id"])
    zone = _zone(event, kind, operator)
    start = parse_time("start_time", event["start_time"])
    end = parse_time("end_time", event["end_time"])
    if kind == STOPPED:
        if end < start:
            raise invalid("end_time", "must not be before start_time")
        if end > max(occurred_at, start + _UNBEGUN):
            raise invalid("end_time", "is the actual end, so it can't be after occurred_at")
    elif end <= start:
        raise invalid("end_time", "must be after start_time")
    plate: str | None = None
    key = state = country = ""
    if "vehicle" in event:
        plate, key, state, country = check_vehicle(event["vehicle"], state_form=state_form)
    space = _space(event, zone)
    check_fees("event_fees", event["event_fees"])
    if kind != STARTED:
        check_fees("total_session_fees", event["total_session_fees"])
    if not keys.isdisjoint(_RARE):
        _check_rare(event)
    return Event(
        type=kind,
        occurred_at=occurred_at,
        session_id=session_id,
        operator_id=operator.id,
        zone=zone,
        start=start,
        end=end,
        plate=plate,
        plate_key=key,
        state=state,
        country=country,
        space=space,
        digest=_digest(event) if kind == STARTED else "",
    )


def _digest(event: dict[str, Any]) -> str:
    return blake2b(orjson.dumps(event, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def _zone(event: dict[str, Any], kind: str, operator: Operator) -> Zone:
    if "external_zone_id" in event:
        if "passport_zone_id" in event:
            raise invalid("external_zone_id", "must not be sent together with passport_zone_id")
        external_id = check_text("external_zone_id", event["external_zone_id"])
        zone = operator.zone_by_external_id(external_id)
        if zone is None:
            raise _no_zone("external_zone_id", external_id)
        return zone
    zone_id = check_id("passport_zone_id", event.get("passport_zone_id"))
    zone = operator.zones.get(zone_id)
    if zone is None and kind != STARTED:
        zone = operator.gone.get(zone_id)
    if zone is None:
        raise _no_zone("passport_zone_id", zone_id)
    return zone


def _no_zone(field: str, value: str) -> Problem:
    return invalid(field, f"this operator has no zone {value}", code="zone_not_found")


def _space(event: dict[str, Any], zone: Zone) -> str | None:
    if "space_number" not in event:
        if zone.is_space:
            raise invalid("space_number", f"is required in zone {zone.number}, which is by space")
        return None
    space = check_text("space_number", event["space_number"], at_most=32)
    if zone.is_space and zone.spaces and space not in zone.spaces:
        raise invalid("space_number", f"zone {zone.number} has no space {space}")
    return space


def _check_rare(event: dict[str, Any]) -> None:
    for field in ("account_id", "rate_name"):
        if field in event:
            check_text(field, event[field])
    if "location_details" in event:
        details = _group(event, "location_details", _LOCATION_FIELDS)
        for name in ("latitude", "longitude", "accuracy"):
            value = details.get(name)
            if name in details and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise invalid(f"location_details.{name}", "must be a number")
    if "payment" in event:
        for name, value in _group(event, "payment", _PAYMENT_FIELDS).items():
            check_text(f"payment.{name}", value)


def _group(event: dict[str, Any], field: str, allowed: frozenset[str]) -> dict[str, Any]:
    group = event[field]
    if type(group) is not dict:
        raise invalid(field, "must be an object")
    if not group.keys() <= allowed:
        raise invalid(f"{field}.{min(group.keys() - allowed)}", "is not a field of this group")
    return group
