"""A request with events: is the envelope right, and what becomes of each event.

Invariant: :meth:`Intake.apply_all` applies all events or none; :meth:`Intake.apply_each` answers each separately, in
the order in which they were sent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .call import Call
from .events import TYPES, VERSION, Event, parse_event
from .options import Options
from .problems import Problem, invalid
from .sessions import Session, SessionBook, judge
from .traffic import Traffic
from .zones import Directory

_CLOCK_SKEW_S = 60
_REFUSED_AS_SUCH = ("operator_not_authorized", "operator_not_found")


@dataclass(slots=True)
class Intake:
    """Takes in one request. `visible_at`: when enforcement sees the effect; None is at once."""

    directory: Directory
    sessions: SessionBook
    options: Options
    traffic: Traffic
    now: datetime
    visible_at: datetime | None = None

    def read_envelope(self, call: Call) -> tuple[str, list[Any]]:
        """(type, events) of a well-formed request."""
        if call.content_type != "application/json":
            raise Problem(400, "malformed_body", "Content-Type must be application/json.")
        document = call.json
        if not isinstance(document, dict):
            raise Problem(400, "malformed_body", "The body must be an object with type, version and data.")
        for name in sorted(document.keys() - {"type", "version", "data"}):
            raise invalid(name, "is not a field of the request")
        kind = document.get("type")
        if kind not in TYPES:
            raise invalid("type", f"must be one of {', '.join(TYPES)}", code="unsupported_event_type")
        if document.get("version") != VERSION:
            raise invalid("version", f"must be {VERSION}", code="unsupported_event_version")
        events = document.get("data")
        if not isinstance(events, list) or not events:
            raise invalid("data", "must be an array of at least one event")
        limit = self.options.max_events
        if len(events) > limit:
            self.traffic.breach("too_many_events", self.now, events=len(events))
            raise invalid("data", f"must hold at most {limit} events", code="too_many_events")
        return kind, events

    def apply_all(self, raw: list[Any], kind: str) -> list[Session]:
        """Apply all events or raise for the first that is bad; returns the sessions that were touched.

        A lone bad event answers with its own status. One among others makes it a 400 for the whole request, except
        that an operator who is unknown or has not authorised the partner refuses the request as such.
        """
        total = len(raw)
        events: list[Event] = []
        started: dict[str, str] = {}
        for index, item in enumerate(raw):
            try:
                event = self._admit(item, kind)
                if event.digest and started.setdefault(event.session_id, event.digest) != event.digest:
                    detail = f"Session {event.session_id} is in this request with other content."
                    raise Problem(409, "session_conflict", detail)
            except Problem as problem:
                alone = total == 1 or problem.code in _REFUSED_AS_SUCH
                raise problem.at(index, total, status=None if alone else 400) from None
            events.append(event)
        return [self._apply(event) for event in events]

    def apply_each(self, raw: list[Any], kind: str) -> tuple[list[dict[str, Any]], list[Session]]:
        """Apply each event for itself: one result per event in order, and the sessions that were touched."""
        results: list[dict[str, Any]] = []
        touched: list[Session] = []
        for index, item in enumerate(raw):
            try:
                event = self._admit(item, kind)
            except Problem as problem:
                results.append(problem.at(index, len(raw)).document())
            else:
                touched.append(self._apply(event))
                results.append({"status": 202})
        return results, touched

    def _admit(self, item: Any, kind: str) -> Event:
        event = parse_event(item, kind, self.directory, state_form=self.options.state_form)
        judge(self.sessions.by_id.get(event.session_id), event)
        return event

    def _apply(self, event: Event) -> Session:
        session = self.sessions.by_id.get(event.session_id)
        try:
            outcome = judge(session, event)
        except Problem:
            # An earlier event of the same request has changed the session, so this one no longer applies.
            outcome = "outdated"
        self._watch(event, session, outcome)
        self.traffic.outcomes[outcome] += 1
        return self.sessions.apply(event, outcome, self.now, self.visible_at)

    def _watch(self, event: Event, session: Session | None, outcome: str) -> None:
        """Count what a careful client would not do."""
        facts = {"session_id": event.session_id, "type": event.type}
        if (
            session is not None
            and outcome in ("extended", "stopped")
            and event.occurred_at == session.last_at
        ):
            self.traffic.breach("same_occurred_at", self.now, **facts)
        if outcome == "outdated":
            self.traffic.breach("outdated_event", self.now, **facts)
        elif outcome == "created" and self.sessions.twins(event):
            self.traffic.breach("doubled_session", self.now, **facts)
        if event.occurred_at > self.now and event.occurred_at > self.now + timedelta(seconds=_CLOCK_SKEW_S):
            self.traffic.breach("occurred_in_future", self.now, **facts)
