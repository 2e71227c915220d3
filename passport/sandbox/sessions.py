"""What an event does to its session, and which parking rights enforcement sees.

The rules, all of them assumed (docs/passport-api.md, P6, P10, P11 and P14) and kept in :func:`judge` alone:

* a repeated start with the same content changes nothing; other content under the same ``session_id`` is a conflict;
* an extension moves the end either way, a stop ends the session, both need a session that exists and agree with it;
* a session once stopped is neither started nor extended again;
* events of one session count in the order of ``occurred_at``: one that is older than what was last applied is
  accepted and changes nothing. Two of the same instant count in the order of arrival.

What is *true* of a session and what enforcement *sees* may differ for a while: a request that is processed late
changes the truth at once and shows after its delay. Invariant: ``pending`` holds such steps in the order in which they
were applied, and a later step always wins over an earlier one, whenever that one was due to show.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from . import checks
from .checks import Problem, format_time, plate_key, state_key

STARTED = "parking_session_started"
EXTENDED = "parking_session_extended"
STOPPED = "parking_session_stopped"
_OUTCOMES = {EXTENDED: "extended", STOPPED: "stopped"}
_LOGGED = ("received_at", "type", "occurred_at", "outcome")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One session, or what an event says of one, in Passport's words. Without a vehicle, the plate is "".

    `end_time` and `stopped` are true; `seen_end`, `seen` and `pending` are what enforcement sees. The order of the
    fields is that of a journal's line, `log` aside.
    """

    id: str
    operator_id: str
    zone_id: str
    start_time: datetime
    end_time: datetime
    last_occurred_at: datetime
    vehicle_plate: str = ""
    vehicle_state: str = ""
    vehicle_country: str = ""
    space_number: str | None = None
    digest: str = ""
    reference: bool = True
    stopped: bool = False
    seen: bool = False
    seen_end: datetime = _NEVER
    pending: list[tuple[datetime, datetime, bool]] | None = None
    type: str = "parking_session"
    # Since when it is not what its client was told: begun with another plate or zone, so that it refuses later events, or
    # open although its stop was accepted.
    misapplied_at: datetime | None = None
    log: list[tuple[Any, ...]] | None = None

    def show(self, visible_at: datetime | None = None) -> None:
        """Let enforcement see the present state, at once or from `visible_at`."""
        if visible_at is not None:
            self.pending = [*(self.pending or ()), (visible_at, self.end_time, not self.stopped)]
            return
        self.pending = None
        self.seen, self.seen_end = not self.stopped, self.end_time

    def visible(self, now: datetime) -> bool:
        """Whether enforcement sees a right that has not ended at `now`."""
        while self.pending and any(step[0] <= now for step in self.pending):
            _, self.seen_end, self.seen = self.pending[0]
            self.pending = self.pending[1:] or None
        return self.seen and self.seen_end > now

    def right(self, *, reference_ids: bool = True) -> dict[str, Any]:
        """The parking right as ``/v4/enforcement/parking-rights`` lists it (observed fields)."""
        right: dict[str, Any] = {
            "id": str(UUID(bytes=blake2b(self.id.encode(), digest_size=16).digest())),
            "operator_id": self.operator_id,
            "zone_id": self.zone_id,
            "type": self.type,
            "start_time": format_time(self.start_time),
            "end_time": format_time(self.seen_end),
            "vehicle": {"vehicle_plate": self.vehicle_plate, "vehicle_state": self.vehicle_state or None},
            "space_number": self.space_number,
        }
        if reference_ids and self.reference:
            right["reference_id"] = self.id
        return right

    def dump(self, now: datetime) -> dict[str, Any]:
        """Everything there is to know, for the control API."""
        told: dict[str, Any] = {name: getattr(self, name) or None for name in _TOLD}
        told |= {name: format_time(told[name]) for name in ("start_time", "end_time", "last_occurred_at")}
        events = [dict(zip(_LOGGED, entry, strict=True)) for entry in self.log or ()]
        seen = {"stopped": self.stopped, "visible": self.visible(now), "misapplied_at": self.misapplied_at}
        return {"session_id": self.id, **told, **seen, "events": events}

    def record(self) -> list[Any]:
        """The session as a journal line keeps it; :meth:`from_record` reads it."""
        return [getattr(self, name) for name in _KEPT]

    @classmethod
    def from_record(cls, record: list[Any]) -> "Session":
        values, read = dict(zip(_KEPT, record, strict=False)), datetime.fromisoformat
        for name in _TIMES & values.keys():
            values[name] = values[name] and read(values[name])
        values["pending"] = [(read(at), read(end), seen) for at, end, seen in values["pending"] or ()] or None
        return cls(**values)


_KEPT = tuple(field.name for field in fields(Session) if field.name != "log")
_TOLD = _KEPT[1:10]  # up to the space number
_TIMES = {"start_time", "end_time", "last_occurred_at", "seen_end", "misapplied_at"}


# What can be said of a session without its client.
_CHANGES: dict[str, checks.Check] = {
    "zone_id": checks.uuid_in_any_case,
    "start_time": checks.any_time,
    "end_time": checks.any_time,
    "vehicle_plate": checks.plate,
    "vehicle_state": checks.text(),
    "vehicle_country": checks.text(),
    "space_number": checks.text(),
    "type": checks.text(),
    "stopped": lambda _field, value: bool(value),
}
read_changes = checks.group(_CHANGES)


def foreign_session(document: dict[str, Any], session_id: str, now: datetime) -> Session:
    """A right that is not ours (a driver's own session), from a document with the fields of the rights' list."""
    facts = {**document, **document["vehicle"]}
    known = {name: facts[name] for name in _CHANGES.keys() & facts if facts[name]}
    session = Session(
        id=session_id,
        operator_id=document["operator_id"],
        last_occurred_at=now,
        reference=bool(document.get("reference_id")),
        **read_changes("", known),
    )
    session.show()
    return session


def judge(session: Session | None, kind: str, sent: Session) -> str:
    """What an event of type `kind` does to `session`: the outcome's name, or the Problem that refuses it.

    Outcomes: ``created``, ``repeated`` (nothing changes), ``outdated`` (older than what was applied, nothing
    changes), ``extended``, ``stopped``. A session of another operator counts as none.
    """
    if session is not None and session.operator_id != sent.operator_id:
        if kind == STARTED:
            raise _conflict(sent, "belongs to another operator.")
        session = None
    if session is None:
        if kind == STARTED:
            return "created"
        raise Problem(404, "session_not_found", f"There is no session {sent.id}.", session_id=sent.id)
    differences = _differences(session, sent)
    if kind == STARTED:
        if not session.stopped and session.digest == sent.digest:
            return "repeated"
        if not session.stopped:
            raise _conflict(sent, "was started with other content.", fields=differences)
    else:
        if differences:
            reason = f"can't change its {' and '.join(differences)}; start another and stop this one."
            raise _conflict(sent, reason, fields=differences)
        if sent.last_occurred_at < session.last_occurred_at:
            return "outdated"
        if not session.stopped:
            return _OUTCOMES[kind]
        if kind == STOPPED and (sent.last_occurred_at, sent.end_time) == (
            session.last_occurred_at,
            session.end_time,
        ):
            return "repeated"
    detail = f"Session {session.id} was stopped; it can be neither started nor changed again."
    raise Problem(409, "session_already_stopped", detail, session_id=session.id)


def _conflict(sent: Session, reason: str, **extra: Any) -> Problem:
    return Problem(409, "session_conflict", f"Session {sent.id} {reason}", session_id=sent.id, **extra)


def _differences(session: Session, sent: Session) -> list[str]:
    """The fields of an event that contradict `session`; a vehicle or space that is not sent contradicts nothing."""
    facts: list[tuple[str, Any, Any]] = [
        ("passport_zone_id", session.zone_id, sent.zone_id),
        ("start_time", session.start_time, sent.start_time),
    ]
    if sent.space_number is not None:
        facts.append(("space_number", session.space_number, sent.space_number))
    if sent.vehicle_plate:
        facts += [
            ("vehicle.vehicle_plate", plate_key(session.vehicle_plate), plate_key(sent.vehicle_plate)),
            ("vehicle.vehicle_state", state_key(session.vehicle_state), state_key(sent.vehicle_state)),
            ("vehicle.vehicle_country", session.vehicle_country, sent.vehicle_country),
        ]
    return [name for name, known, said in facts if known != said]


class SessionBook:
    """All sessions, found by id and by plate. `log_size` events are kept per session (0: none)."""

    def __init__(self, *, log_size: int = 20) -> None:
        self.log_size = log_size
        self.by_id: dict[str, Session] = {}
        # Operator, then plate.
        self._by_plate: defaultdict[str, dict[str, list[Session]]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self.by_id)

    def put(self, session: Session) -> None:
        """Add a session, or replace the one with its id."""
        self.forget(session.id)
        self.by_id[session.id] = session
        key = plate_key(session.vehicle_plate)
        self._by_plate[session.operator_id].setdefault(key, []).append(session)

    def forget(self, session_id: str) -> Session | None:
        """Remove a session as if it had never been sent."""
        session = self.by_id.pop(session_id, None)
        if session is not None:
            self._by_plate[session.operator_id][plate_key(session.vehicle_plate)].remove(session)
        return session

    def apply(
        self, kind: str, sent: Session, outcome: str, now: datetime, visible_at: datetime | None
    ) -> Session:
        """Carry out what :func:`judge` decided."""
        session = self.by_id.get(sent.id)
        if session is None:
            session = sent
            self.put(session)
            session.show(visible_at)
        elif outcome in ("extended", "stopped"):
            session.last_occurred_at, session.end_time = sent.last_occurred_at, sent.end_time
            session.stopped = outcome == "stopped"
            session.show(visible_at)
        if self.log_size:
            entry = (now, kind.removeprefix("parking_session_"), sent.last_occurred_at, outcome)
            session.log = [*(session.log or ())[-self.log_size + 1 :], entry]
        return session

    def twins(self, sent: Session) -> int:
        """How many running sessions there are for the plate, zone and start of an event, as their client sent them."""
        return sum(
            not (other.stopped or other.misapplied_at)
            and other.zone_id == sent.zone_id
            and other.start_time == sent.start_time
            for other in self._of_plate(sent.operator_id, sent.vehicle_plate)
        )

    def visible(self, operator_id: str, now: datetime, **wanted: str) -> Iterator[Session]:
        """Sessions whose right enforcement sees at `now`: only those that have not ended.

        `wanted` are values of a session's fields, of which plate and state may be written in any form.
        """
        sessions = self._of_plate(operator_id, wanted.pop("vehicle_plate", None))
        state = state_key(wanted.pop("vehicle_state", "").upper())
        for session in sessions:
            if (
                session.visible(now)
                and state in ("", state_key(session.vehicle_state))
                and all(getattr(session, name) == value for name, value in wanted.items())
            ):
                yield session

    def _of_plate(self, operator_id: str, plate: str | None) -> list[Session]:
        """The sessions of an operator, or those of one plate there."""
        plates = self._by_plate.get(operator_id, {})
        if plate is None:
            return [session for sessions in plates.values() for session in sessions]
        return plates.get(plate_key(plate), [])[:]

    def doubled(self, now: datetime) -> int:
        """How many surplus rights there are: visible ones that share operator, plate, zone and start."""
        rights = [
            (operator_id, plate_key(session.vehicle_plate), session.zone_id, session.start_time)
            for operator_id in self._by_plate
            for session in self.visible(operator_id, now)
        ]
        return len(rights) - len(set(rights))
