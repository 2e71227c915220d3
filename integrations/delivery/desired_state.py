"""What the vendor should have for a permit, decided in one place for the claim, the audit and the comparison. Pure."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

from integrations.vendors.protocol import Desired, RemoteState

# What `desired_key` returns when nothing is wanted.
NOTHING = "nothing"


class PermitFacts(NamedTuple):
    """A permit, and the zone that its location is mapped to (None: to none), as one of its permit syncs sees it.

    The order is that of `FACT_LOOKUPS` and of the columns that the claim reads. A tuple, because one is created for each row.
    """

    connection_id: int
    plate: str
    country: str
    subdivision: str
    start: datetime
    end: datetime
    space_number: str
    permit_type: str
    status: str
    zone_connection_id: int | None
    zone_id: str | None
    session_type: str | None


# The lookups of the ORM that give `PermitFacts`, from a `PermitSync`.
FACT_LOOKUPS = (
    "connection_id",
    "permit__plate",
    "permit__country",
    "permit__subdivision",
    "permit__start",
    "permit__end",
    "permit__space_number",
    "permit__type",
    "permit__status",
    "permit__location__zone_mapping__zone__connection_id",
    "permit__location__zone_mapping__zone__remote_id",
    "permit__location__zone_mapping__zone__session_type",
)


def desired_of(facts: PermitFacts, *, now: datetime) -> Desired | None:
    """Return what the vendor should have for a permit on a connection, or None for nothing. Pure.

    Nothing is wanted for a permit that is cancelled or has ended, or whose location is mapped elsewhere or not at all.
    """
    if facts.status != "active" or facts.end <= now or facts.zone_id is None:
        return None
    if facts.zone_connection_id != facts.connection_id:
        return None
    needs_space = facts.session_type == "space"
    return Desired(
        zone_id=facts.zone_id,
        plate=facts.plate,
        country=facts.country,
        subdivision=facts.subdivision,
        start=facts.start,
        end=facts.end,
        # A number typed for another zone must not travel to one that does not require a space number.
        space_number=facts.space_number if needs_space else "",
        rate_name=facts.permit_type,
        needs_space=needs_space,
    )


def kept_of(facts: PermitFacts, remote_state: RemoteState, *, now: datetime) -> Desired | None:
    """Return what to keep of a right whose permit belongs on another connection now, until that one accepts it. Pure.

    That is the same vehicle, in the zone where it is, until the permit's end; or None: of a permit that is cancelled or over,
    or for another vehicle than the permit's, nothing stays.
    """
    if facts.status != "active" or facts.end <= now or facts.zone_id is None:
        return None
    if (remote_state["plate"], remote_state["subdivision"]) != (facts.plate, facts.subdivision):
        return None
    if remote_state.get("country", facts.country) != facts.country:
        return None
    space = remote_state.get("space", "")
    return Desired(
        zone_id=remote_state["zone_id"],
        plate=facts.plate,
        country=facts.country,
        subdivision=facts.subdivision,
        start=datetime.fromisoformat(remote_state["start"]),
        end=facts.end,
        space_number=space,
        rate_name=facts.permit_type,
        needs_space=bool(space),
    )


def desired_key(desired: Desired | None) -> str:
    """Return a short text that is equal for equal wishes, so that a row can keep what was refused."""
    if desired is None:
        return NOTHING
    parts = [
        part.astimezone(UTC).isoformat() if isinstance(part, datetime) else str(part) for part in desired
    ]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
