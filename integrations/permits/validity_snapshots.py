"""What is known of one moment in the past: a permit as it stood, what the vendor had accepted by then, and the zone.

Plain values and pure questions to them, for `integrations.permits.validity`; `integrations.permits.validity_queries`
reads them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from integrations.models import PushEvent
from integrations.vendors.protocol import VendorNames
from integrations.vendors.right_keys import may_be_same_region, same_plate, same_zone
from locations.regions import Region


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a normalised plate, where it comes from (None: anywhere), a place, a moment (aware)."""

    plate: str
    region: Region | None
    location_id: int
    location_name: str
    at: datetime
    tz: tzinfo
    # In whose words the answer is given.
    names: VendorNames


@dataclass(frozen=True, slots=True)
class PushThen:
    """One event for a permit, and what its session said (an empty `plate`: nobody wrote that down)."""

    at: datetime
    kind: str
    session_id: str
    result: str
    trace_id: str = ""
    status: int | None = None
    error: str = ""
    plate: str = ""
    subdivision: str = ""
    zone: str = ""
    zone_number: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def covers(self, at: datetime) -> bool:
        """Whether the session's window holds the moment."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class PermitThen:
    """A permit as it stood at the time in question; `known` is False where it was saved only afterwards.

    Of a permit that was saved afterwards the values are those it began with. `pushes` were answered by then, in order;
    `after` are the acceptances since.
    """

    pk: int
    plate: str
    plate_typed: str
    region: Region
    location_id: int
    location_name: str
    start: datetime
    end: datetime
    active: bool
    saved_at: datetime
    revision: int
    known: bool = True
    cancelled_at: datetime | None = None
    external_id: str = ""
    changed_by: str = ""
    changed_since: bool = False
    pushes: Sequence[PushThen] = ()
    after: Sequence[PushThen] = ()


@dataclass(frozen=True, slots=True)
class ZoneThen:
    """The zone to which the location sent at the time in question."""

    number: str
    name: str
    since: datetime
    remote_id: str = ""


def holds(permit: PermitThen, at: datetime) -> bool:
    """Whether a permit, as it stood, covered the moment."""
    return permit.known and permit.active and permit.start <= at < permit.end


def living(pushes: Iterable[PushThen]) -> list[PushThen]:
    """Return the sessions that the vendor had after these pushes (in order), each by its last acceptance, oldest first.

    A session lives from its accepted start to its accepted stop; whether its window was over is another question.
    """
    found: dict[str, PushThen] = {}
    for push in pushes:
        if push.result != PushEvent.Result.ACCEPTED:
            continue
        found.pop(push.session_id, None)
        if push.kind != "stopped":
            found[push.session_id] = push
    return list(found.values())


def shows(push: PushThen, question: Question, region: Region | None) -> bool:
    """Whether a session was a right of the plate in question at that moment.

    No region, and one without a state, is any state, and so is that of a session: not every vendor tells states apart.
    """
    same_state = may_be_same_region(region.subdivision if region else "", push.subdivision)
    return same_plate(push.plate, question.plate) and same_state and push.covers(question.at)


def is_in(push: PushThen, zone: ZoneThen | None) -> bool:
    """Whether a session was in the zone."""
    return zone is not None and same_zone(push.zone, zone.remote_id)


def had_it(permit: PermitThen, question: Question, zone: ZoneThen | None) -> PushThen | None:
    """Return the acceptance by which the vendor had a permit just as it is asked about, or None."""
    sessions = living(permit.pushes)
    if sessions and not sessions[-1].plate:
        return sessions[-1]
    found = [push for push in sessions if shows(push, question, permit.region) and is_in(push, zone)]
    return found[-1] if found else None


def shown_until(push: PushThen, after: Iterable[PushThen]) -> datetime | None:
    """Return when the vendor ceased to show a session, by what it accepted afterwards (in order); None for never."""
    end = push.until
    for later in after:
        if later.session_id != push.session_id or (end is not None and later.at >= end):
            continue
        if later.kind == "stopped":
            return later.at
        end = max(later.until, later.at) if later.until else end
    return end
