"""The ids of the sessions that we start at a vendor: made and read here, and nowhere else.

An id names the connection's key, the registration, the number of the session among those that were ever started for it, and
eight random digits: `os-7GQ2XK4M-1234-2-9f86d081`. So a session in the vendor's list leads back to its registration, and an
id is never used twice, even by a database that was restored from a backup: it gives the same numbers again, to the same
registrations or to others, and must not take the vendor's sessions from before for its own. A stored step keeps its id, so
that what is sent again is still the same session.

Ids from before the random part have none. A worker from then takes the new ones for somebody else's: if it runs a
comparison during a deploy, it records them as missing; the next comparison, which would send them again, is made by
newer workers.
"""

import re
import secrets
from typing import NamedTuple

_FORM = re.compile(r"os-([^-]{1,8})-([1-9][0-9]{0,17})-([1-9][0-9]{0,8})(?:-([0-9a-f]{8}))?")

# For plans of which nothing is started, or whose sessions are not looked at.
UNUSED = "?"


class OwnSession(NamedTuple):
    """What a session's id says: the registration, the number of the session, and the random part (empty in old ids)."""

    permit_sync_id: int
    number: int
    random: str = ""


def new_session_id(key: str, permit_sync_id: int, number: int) -> str:
    """Return a fresh id for the `number`-th session of a registration on the connection with this key."""
    return f"os-{key}-{permit_sync_id}-{number}-{secrets.token_hex(4)}"


def begins_ours(key: str) -> str:
    """Return how the id of every session of the connection with this key begins."""
    return f"os-{key}-"


def read_session_id(key: str, reference: str) -> OwnSession | None:
    """Return what an id of this connection says; None for any other text."""
    found = _FORM.fullmatch(reference)
    if found is None or found[1] != key:
        return None
    return OwnSession(int(found[2]), int(found[3]), found[4] or "")
