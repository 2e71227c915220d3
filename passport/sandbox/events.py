"""A request with parking session events: whether it and its events are well formed, and what each does.

The fields are those of docs/passport-api.md, P2 to P5 and P12. Documented: which fields each type has, that exactly
one zone id is sent, that ``space`` zones need a space number. Assumed: a field that the table does not know is refused;
a space number in a ``space`` zone is required in all three types. What an event does to its session is decided in
``sessions``.

Invariant: a request in ``whole`` mode is applied entirely or not at all; in ``multi_status`` mode each event is
answered individually, in the order in which they were sent. What an answer promises is in the journal before it is sent.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from sys import intern
from typing import Any

import orjson
from starlette.responses import Response

from . import checks
from .answers import Json, retry_after_header
from .checks import Problem, invalid
from .faults import Fault
from .sessions import EXTENDED, STARTED, STOPPED, Session, judge
from .simulator import Simulator
from .zones import Directory, Operator, Zone

VERSION = "3.0.0"

_FIELDS: dict[str, checks.Check] = {
    "occurred_at": checks.time_with_milliseconds,
    "session_id": checks.session_id,
    "operator_id": checks.anything,  # the directory has found it
    "start_time": checks.any_time,
    "end_time": checks.any_time,
    "event_fees": checks.fees,
    "vehicle": checks.vehicle,
    "passport_zone_id": checks.uuid,
    "external_zone_id": checks.text(),
    "space_number": checks.text(32),
    "account_id": checks.text(),
    "rate_name": checks.text(),
    "location_details": checks.location,
    "payment": checks.payment,
}
_ALWAYS = ("occurred_at", "session_id", "operator_id", "start_time", "end_time", "event_fees")
_start = checks.group(_FIELDS, required=(*_ALWAYS, "vehicle"))
_later = checks.group(
    {**_FIELDS, "total_session_fees": checks.fees}, required=(*_ALWAYS, "total_session_fees")
)
TYPES = {STARTED: _start, EXTENDED: _later, STOPPED: _later}
# A session that is stopped before it began may still last a moment.
_UNBEGUN = timedelta(seconds=1)
_CLOCK_SKEW = timedelta(seconds=60)
_REFUSED_AS_SUCH = ("operator_not_authorized", "operator_not_found")


def read_event(raw: Any, kind: str, directory: Directory, state_form: str) -> Session:
    """What an event of type `kind` says of its session; raises the Problem that names the first wrong field."""
    operator = directory.require(raw.get("operator_id") if isinstance(raw, dict) else None)
    fields = TYPES[kind]("", raw)
    zone = _zone(fields, kind, operator)
    sent = Session(
        id=fields["session_id"],
        operator_id=operator.id,
        zone_id=zone["id"],
        start_time=fields["start_time"],
        end_time=fields["end_time"],
        last_occurred_at=fields["occurred_at"],
        space_number=_space(fields, zone),
    )
    if kind != STOPPED and sent.end_time <= sent.start_time:
        raise invalid("end_time", "must be after start_time")
    if sent.end_time < sent.start_time:
        raise invalid("end_time", "must not be before start_time")
    if kind == STOPPED and sent.end_time > max(sent.last_occurred_at, sent.start_time + _UNBEGUN):
        raise invalid("end_time", "is the actual end, so it can't be after occurred_at")
    vehicle = fields.get("vehicle")
    if vehicle is not None:
        sent.vehicle_plate, sent.vehicle_state = vehicle["vehicle_plate"], checks.state(vehicle, state_form)
        sent.vehicle_country = intern(vehicle["vehicle_country"])
    if kind == STARTED:
        content = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
        sent.digest = blake2b(content, digest_size=12).hexdigest()
    return sent


def _zone(fields: dict[str, Any], kind: str, operator: Operator) -> Zone:
    field = "external_zone_id" if "external_zone_id" in fields else "passport_zone_id"
    zone_id = fields.get(field)
    if zone_id is None:
        raise invalid(field, "is required")
    if field == "external_zone_id":
        if "passport_zone_id" in fields:
            raise invalid(field, "must not be sent together with passport_zone_id")
        # The zones file may give a zone an `external_id`.
        zone = next((each for each in operator.zones.values() if each.get("external_id") == zone_id), None)
    else:
        zone = operator.zones.get(zone_id) or (operator.gone.get(zone_id) if kind != STARTED else None)
    if zone is None:
        raise Problem(400, "zone_not_found", f"{field}: this operator has no zone {zone_id}", field=field)
    return zone


def _space(fields: dict[str, Any], zone: Zone) -> str | None:
    space: str | None = fields.get("space_number")
    if zone.get("session_type") == "space":
        if space is None:
            raise invalid("space_number", f"is required in zone {zone['number']}, which is by space")
        known = zone.get("spaces")
        if isinstance(known, list) and known and space not in map(str, known):
            raise invalid("space_number", f"zone {zone['number']} has no space {space}")
    return space


@dataclass(slots=True)
class Intake:
    """Handles one request. `visible_at`: when enforcement sees the effect; None: at once."""

    simulator: Simulator
    now: datetime
    visible_at: datetime | None = None
    fault: Fault | None = None
    kind: str = ""
    events: list[Any] = field(default_factory=list)

    def answer(self, document: dict[str, Any]) -> Response:
        """Apply the valid events of a request and return the answer."""
        self.kind, self.events = self._envelope(document)
        if self.fault is not None and self.fault.kind == "partial":
            # Every other event is applied; the rest is to be sent again later.
            fault = self.fault
            later = Problem(fault.status, "try_again_later", "Please send this event again later.").document()
            results = [later if index % 2 else self._apply_one(index) for index in range(len(self.events))]
            return Json({"data": results}, 207, retry_after_header(fault, self.now))
        if self.simulator.options.answer_mode == "whole":
            self._apply_all()
            return Response(status_code=202)
        return Json({"data": [self._apply_one(index) for index in range(len(self.events))]}, 207)

    def _envelope(self, document: dict[str, Any]) -> tuple[str, list[Any]]:
        for name in sorted(document.keys() - {"type", "version", "data"}):
            raise invalid(name, "is not a field of the request")
        kind, events = document.get("type"), document.get("data")
        if not isinstance(kind, str) or kind not in TYPES:
            raise invalid("type", f"must be one of {', '.join(TYPES)}", "unsupported_event_type")
        if document.get("version") != VERSION:
            raise invalid("version", f"must be {VERSION}", "unsupported_event_version")
        if not isinstance(events, list) or not events:
            raise invalid("data", "must be an array of at least one event")
        limit = self.simulator.options.max_events
        if len(events) > limit:
            self.simulator.traffic.breach("too_many_events", self.now, events=len(events))
            raise invalid("data", f"must hold at most {limit} events", "too_many_events")
        return kind, events

    def _apply_all(self) -> None:
        """Apply all events, or raise for the first that is bad.

        A lone bad event answers with its own status. One among others makes it a 400 for the whole request, except
        that an operator who is unknown or has not authorised the partner gets the whole request refused with that status.
        """
        total = len(self.events)
        admitted: list[Session] = []
        started: dict[str, str] = {}
        for index in range(total):
            try:
                sent = self._admit(index)
                if sent.digest and started.setdefault(sent.id, sent.digest) != sent.digest:
                    detail = f"Session {sent.id} is in this request with other content."
                    raise Problem(409, "session_conflict", detail, index=index)
            except Problem as problem:
                if total > 1 and problem.code not in _REFUSED_AS_SUCH:
                    problem.status = 400
                    problem.detail = f"Event {index} of {total}, so nothing was applied: {problem.detail}"
                raise
            admitted.append(sent)
        self.simulator.keep([self._apply(sent) for sent in admitted])

    def _apply_one(self, index: int) -> dict[str, Any]:
        try:
            self.simulator.keep([self._apply(self._admit(index))])
        except Problem as problem:
            return problem.document()
        return {"status": 202}

    def _admit(self, index: int) -> Session:
        """What an event says, if it is well formed and agrees with its session; a Problem that names it if not."""
        simulator = self.simulator
        try:
            sent = read_event(
                self.events[index], self.kind, simulator.directory, simulator.options.state_form
            )
            judge(simulator.sessions.by_id.get(sent.id), self.kind, sent)
        except Problem as problem:
            problem.extra = {"index": index, **problem.extra}
            raise
        return sent

    def _apply(self, sent: Session) -> Session | None:
        simulator, sessions = self.simulator, self.simulator.sessions
        session = sessions.by_id.get(sent.id)
        try:
            outcome = judge(session, self.kind, sent)
        except Problem:
            # An earlier event of the same request has changed the session, so this one no longer applies.
            outcome = "outdated"
        breaches = []
        # The same event again is no breach.
        moved = outcome == "stopped" or (
            outcome == "extended" and session and sent.end_time != session.end_time
        )
        if outcome == "outdated":
            breaches.append("outdated_event")
        if outcome == "created" and sessions.twins(sent):
            breaches.append("doubled_session")
        if moved and session and sent.last_occurred_at == session.last_occurred_at:
            breaches.append("same_occurred_at")
        if sent.last_occurred_at > self.now + _CLOCK_SKEW:
            breaches.append("occurred_in_future")
        for name in breaches:
            simulator.traffic.breach(name, self.now, session_id=sent.id, type=self.kind)
        outcome = self._misapply(sent, outcome)
        simulator.traffic.outcomes[outcome] += 1
        if outcome == "forgotten":
            if session and self.kind == STOPPED:
                session.misapplied_at = self.now
            return session
        return sessions.apply(self.kind, sent, outcome, self.now, self.visible_at)

    def _misapply(self, sent: Session, outcome: str) -> str:
        """Apply the request's fault to an accepted event; returns what became of the event."""
        fault = self.fault
        if fault is None or fault.event_type not in (None, self.kind.removeprefix("parking_session_")):
            return outcome
        if fault.kind == "forget":
            return "forgotten"
        if outcome == "created" and fault.kind in ("wrong_plate", "wrong_zone"):
            sent.misapplied_at = self.now
            if fault.kind == "wrong_plate":
                sent.vehicle_plate = sent.vehicle_plate[:-1] + ("X" if sent.vehicle_plate[-1] != "X" else "Y")
            else:
                zones = self.simulator.directory.operators[sent.operator_id].zones
                sent.zone_id = next((zone_id for zone_id in zones if zone_id != sent.zone_id), sent.zone_id)
        return outcome
