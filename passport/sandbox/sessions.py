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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from .events import EXTENDED, STARTED, Event
from .formats import format_time, parse_time, plate_key, state_key
from .problems import Problem

_NEVER = datetime.min.replace(tzinfo=UTC)
_SHORT = {"parking_session_started": "started", "parking_session_extended": "extended"}


@dataclass(slots=True, kw_only=True)
class Session:
    """One session. `end` and `stopped` are true; `seen_end`, `seen` and `pending` are what enforcement sees.

    The order of the fields is that of a journal's line, `log` aside.
    """

    id: str
    operator_id: str
    zone_id: str
    start: datetime
    end: datetime
    last_at: datetime
    plate: str
    state: str
    country: str
    space: str | None
    digest: str = ""
    reference: bool = True
    stopped: bool = False
    seen: bool = False
    seen_end: datetime = _NEVER
    pending: list[tuple[datetime, datetime, bool]] | None = None
    log: list[tuple[datetime, str, datetime, str]] | None = None

    def show(self, visible_at: datetime | None) -> None:
        """Let enforcement see the present state, at once or from `visible_at`."""
        if visible_at is not None:
            self.pending = [*(self.pending or ()), (visible_at, self.end, not self.stopped)]
            return
        self.pending = None
        self.seen, self.seen_end = not self.stopped, self.end

    def visible(self, now: datetime) -> bool:
        """Whether enforcement sees a right that has not ended at `now`."""
        if self.pending is not None:
            due = [step for step in self.pending if step[0] <= now]
            if due:
                _, self.seen_end, self.seen = due[-1]
                self.pending = self.pending[self.pending.index(due[-1]) + 1 :] or None
        return self.seen and self.seen_end > now

    def finished(self, now: datetime) -> bool:
        """Whether nothing but a new event could ever make this session visible again."""
        return self.pending is None and not (self.seen and self.seen_end > now)

    def right(self, *, reference_ids: bool = True) -> dict[str, Any]:
        """The parking right as ``/v4/enforcement/parking-rights`` lists it (observed fields)."""
        right: dict[str, Any] = {
            "id": _right_id(self.id),
            "operator_id": self.operator_id,
            "zone_id": self.zone_id,
            "type": "parking_session",
            "start_time": format_time(self.start),
            "end_time": format_time(self.seen_end),
            "vehicle": {"vehicle_plate": self.plate, "vehicle_state": self.state or None},
            "space_number": self.space,
        }
        if reference_ids and self.reference:
            right["reference_id"] = self.id
        return right

    def dump(self, now: datetime) -> dict[str, Any]:
        """Everything there is to know, for the control API."""
        return {
            "session_id": self.id,
            "operator_id": self.operator_id,
            "zone_id": self.zone_id,
            "vehicle_plate": self.plate,
            "vehicle_state": self.state or None,
            "vehicle_country": self.country,
            "space_number": self.space,
            "start_time": format_time(self.start),
            "end_time": format_time(self.end),
            "stopped": self.stopped,
            "visible": self.visible(now),
            "last_occurred_at": format_time(self.last_at),
            "events": [
                {
                    "received_at": received.isoformat(timespec="microseconds"),
                    "type": kind,
                    "occurred_at": format_time(occurred),
                    "outcome": outcome,
                }
                for received, kind, occurred, outcome in self.log or ()
            ],
        }

    def record(self) -> list[Any]:
        """The session as a journal line keeps it; :meth:`from_record` reads it."""
        return [getattr(self, name) for name in _KEPT]

    @classmethod
    def from_record(cls, record: list[Any]) -> "Session":
        values = dict(zip(_KEPT, record, strict=True))
        for name in ("start", "end", "last_at", "seen_end"):
            values[name] = datetime.fromisoformat(values[name])
        values["pending"] = [
            (datetime.fromisoformat(at), datetime.fromisoformat(end), seen)
            for at, end, seen in values["pending"] or ()
        ] or None
        return cls(**values)


_KEPT = tuple(field.name for field in fields(Session) if field.name != "log")


def judge(session: Session | None, event: Event) -> str:
    """What `event` does to `session`: the outcome's name, or the Problem that refuses it.

    Outcomes: ``created``, ``repeated`` (nothing changes), ``outdated`` (older than what was applied, nothing
    changes), ``extended``, ``stopped``. A session of another operator counts as none.
    """
    if session is not None and session.operator_id != event.operator_id:
        if event.type == STARTED:
            raise Problem(409, "session_conflict", f"Session {event.session_id} belongs to another operator.")
        session = None
    if event.type == STARTED:
        return _judge_start(session, event)
    if session is None:
        raise Problem(
            404, "session_not_found", f"There is no session {event.session_id}.", session_id=event.session_id
        )
    _require_same(session, event)
    if event.occurred_at < session.last_at:
        return "outdated"
    if session.stopped:
        if event.type != EXTENDED and event.occurred_at == session.last_at and event.end == session.end:
            return "repeated"
        raise _already_stopped(session)
    return "extended" if event.type == EXTENDED else "stopped"


def _judge_start(session: Session | None, event: Event) -> str:
    if session is None:
        return "created"
    if session.stopped:
        raise _already_stopped(session)
    if session.digest == event.digest:
        return "repeated"
    raise Problem(
        409,
        "session_conflict",
        f"Session {session.id} was started with other content.",
        session_id=session.id,
        fields=_differences(session, event),
    )


def _already_stopped(session: Session) -> Problem:
    return Problem(
        409,
        "session_already_stopped",
        f"Session {session.id} was stopped; it can be neither started nor changed again.",
        session_id=session.id,
    )


def _differences(session: Session, event: Event) -> list[str]:
    """The fields of `event` that contradict `session`; a vehicle or space that is not sent contradicts nothing."""
    fields = []
    if session.zone_id != event.zone.id:
        fields.append("passport_zone_id")
    if session.start != event.start:
        fields.append("start_time")
    if event.space is not None and session.space != event.space:
        fields.append("space_number")
    if event.plate is not None:
        if plate_key(session.plate) != event.plate_key:
            fields.append("vehicle.vehicle_plate")
        if state_key(session.state) != state_key(event.state):
            fields.append("vehicle.vehicle_state")
        if session.country != event.country:
            fields.append("vehicle.vehicle_country")
    return fields


def _require_same(session: Session, event: Event) -> None:
    fields = _differences(session, event)
    if fields:
        raise Problem(
            409,
            "session_conflict",
            f"Session {session.id} can't change its {' and '.join(fields)}; start another and stop this one.",
            session_id=session.id,
            fields=fields,
        )


class SessionBook:
    """All sessions, found by id and by plate. `log_size` events are kept per session (0: none)."""

    def __init__(self, *, log_size: int = 20) -> None:
        self.log_size = log_size
        self.by_id: dict[str, Session] = {}
        self._alive: dict[str, dict[str, Session]] = {}
        self._by_plate: dict[tuple[str, str], list[str]] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def put(self, session: Session) -> None:
        """Add a session, or replace the one with its id."""
        old = self.by_id.get(session.id)
        if old is not None:
            self.forget(old.id)
        self.by_id[session.id] = session
        self._by_plate.setdefault((session.operator_id, plate_key(session.plate)), []).append(session.id)
        self._alive.setdefault(session.operator_id, {})[session.id] = session

    def forget(self, session_id: str) -> Session | None:
        """Remove a session as if it had never been sent."""
        session = self.by_id.pop(session_id, None)
        if session is not None:
            key = (session.operator_id, plate_key(session.plate))
            ids = self._by_plate[key]
            ids.remove(session_id)
            if not ids:
                del self._by_plate[key]
            self._alive[session.operator_id].pop(session_id, None)
        return session

    def apply(self, event: Event, outcome: str, now: datetime, visible_at: datetime | None = None) -> Session:
        """Carry out what :func:`judge` decided."""
        session = self.by_id.get(event.session_id)
        if session is None:
            session = Session(
                id=event.session_id,
                operator_id=event.operator_id,
                zone_id=event.zone.id,
                start=event.start,
                end=event.end,
                last_at=event.occurred_at,
                plate=event.plate or "",
                state=event.state,
                country=event.country,
                space=event.space,
                digest=event.digest,
            )
            self.put(session)
            session.show(visible_at)
        elif outcome in ("extended", "stopped"):
            session.last_at = event.occurred_at
            session.end = event.end
            session.stopped = outcome == "stopped"
            session.show(visible_at)
            self._alive[session.operator_id][session.id] = session
        self.note(session, now, _SHORT.get(event.type, "stopped"), event.occurred_at, outcome)
        return session

    def note(self, session: Session, now: datetime, kind: str, occurred_at: datetime, outcome: str) -> None:
        """Write a line into the session's own log."""
        if self.log_size:
            session.log = [*(session.log or ())[-self.log_size + 1 :], (now, kind, occurred_at, outcome)]

    def twins(self, event: Event) -> int:
        """How many running sessions there are for the plate, zone and start of `event`."""
        return sum(
            1
            for other in self.of_plate(event.operator_id, event.plate_key)
            if not other.stopped and other.zone_id == event.zone.id and other.start == event.start
        )

    def of_plate(self, operator_id: str, key: str) -> list[Session]:
        return [self.by_id[session_id] for session_id in self._by_plate.get((operator_id, key), ())]

    def visible(
        self,
        operator_id: str,
        now: datetime,
        *,
        zone_id: str | None = None,
        space: str | None = None,
        plate: str | None = None,
        state: str | None = None,
    ) -> Iterator[Session]:
        """Sessions whose right enforcement sees at `now`; only those that have not ended."""
        candidates: Iterable[Session]
        if plate is not None:
            candidates = self.of_plate(operator_id, plate_key(plate))
        else:
            self._sweep(operator_id, now)
            candidates = list(self._alive.get(operator_id, {}).values())
        wanted_state = None if state is None else state_key(state.upper())
        for session in candidates:
            if zone_id is not None and session.zone_id != zone_id:
                continue
            if space is not None and session.space != space:
                continue
            if wanted_state is not None and state_key(session.state) != wanted_state:
                continue
            if session.visible(now):
                yield session

    def doubled(self, now: datetime) -> int:
        """How many surplus rights there are: visible ones that share operator, plate, zone and start."""
        seen: set[tuple[str, str, str, datetime]] = set()
        extra = 0
        for operator_id in self._alive:
            for session in self.visible(operator_id, now):
                key = (operator_id, plate_key(session.plate), session.zone_id, session.start)
                extra += key in seen
                seen.add(key)
        return extra

    def look_again(self) -> None:
        """Check every session again: the clock was moved, perhaps back."""
        for session in self.by_id.values():
            self._alive.setdefault(session.operator_id, {})[session.id] = session

    def _sweep(self, operator_id: str, now: datetime) -> None:
        alive = self._alive.get(operator_id, {})
        for session_id in [key for key, session in alive.items() if session.finished(now)]:
            del alive[session_id]


def foreign_session(document: dict[str, Any], session_id: str, now: datetime) -> Session:
    """A right that is not ours (a driver's own session), as the control API creates it."""
    vehicle = document.get("vehicle") or {}
    session = Session(
        id=session_id,
        operator_id=str(document["operator_id"]).lower(),
        zone_id=str(document["zone_id"]).lower(),
        start=parse_time("start_time", document["start_time"]),
        end=parse_time("end_time", document["end_time"]),
        last_at=now,
        plate=str(vehicle["vehicle_plate"]),
        state=str(vehicle.get("vehicle_state") or ""),
        country=str(vehicle.get("vehicle_country") or "US"),
        space=document.get("space_number"),
        reference=False,
    )
    session.show(None)
    return session


def _right_id(session_id: str) -> str:
    text = blake2b(session_id.encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
