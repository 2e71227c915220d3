"""What a registration should be at the vendor: decided in one place, for the claim and for the audit. Pure."""

from datetime import UTC, datetime
from hashlib import blake2b

from integrations.vendors.protocol import Desired

# What `desired_key` gives where nothing is wanted.
NOTHING = "nothing"


def desired_of(
    *,
    connection_id: int,
    zone_connection_id: int | None,
    zone_id: str | None,
    session_type: str | None,
    status: str,
    plate: str,
    country: str,
    subdivision: str,
    start: datetime,
    end: datetime,
    space_number: str,
    permit_type: str,
    now: datetime,
) -> Desired | None:
    """Return what the vendor should have for a permit on a connection, or None for nothing. Pure.

    Nothing is wanted of a permit that is cancelled or over, or whose location sends elsewhere or nowhere.
    """
    if status != "active" or end <= now or zone_id is None or zone_connection_id != connection_id:
        return None
    needs_space = session_type == "space"
    return Desired(
        zone_id=zone_id,
        plate=plate,
        country=country,
        subdivision=subdivision,
        start=start,
        end=end,
        # A number typed for another zone must not travel to one that does not go by space.
        space_number=space_number if needs_space else "",
        rate_name=permit_type,
        needs_space=needs_space,
    )


def desired_key(desired: Desired | None) -> str:
    """Return a short text that is the same for the same wish, so that a row can keep what was refused."""
    if desired is None:
        return NOTHING
    parts = [
        part.astimezone(UTC).isoformat() if isinstance(part, datetime) else str(part) for part in desired
    ]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
