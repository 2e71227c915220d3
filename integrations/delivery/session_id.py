"""The ids of the sessions that we start at a vendor. They are made and parsed only here.

An id contains the connection's key, the permit sync, the number of the session among all that were started for it, and eight
random digits: `os-7GQ2XK4M-1234-2-9f86d081`. So a session in the vendor's list leads back to its permit sync, and an id is
never used twice, even by a database that was restored from a backup: such a database issues the same numbers again, to the
same permit syncs or to others, and must not mistake the vendor's earlier sessions for its own. A stored step keeps its id,
so sending it again concerns the same session.

Older ids have no random part. A worker from that time takes the newer ids for foreign: if it runs a comparison during a
deploy, it records them as missing; the next comparison, which would send them again, is made by newer workers.
"""

import re
import secrets
from typing import NamedTuple

_FORM = re.compile(r"os-([^-]{1,8})-([1-9][0-9]{0,17})-([1-9][0-9]{0,8})(?:-([0-9a-f]{8}))?")

# For plans that start no session, or whose session ids are not used.
UNUSED = "?"


class OwnSession(NamedTuple):
    """The parts of a session id: the permit sync, the number of the session, and the random part (empty in old ids)."""

    permit_sync_id: int
    number: int
    random: str = ""


def new_session_id(key: str, permit_sync_id: int, number: int) -> str:
    """Return a new id for the `number`-th session of a permit sync on the connection with this key."""
    return f"os-{key}-{permit_sync_id}-{number}-{secrets.token_hex(4)}"


def begins_ours(key: str) -> str:
    """Return the prefix of all session ids of the connection with this key."""
    return f"os-{key}-"


def read_session_id(key: str, reference: str) -> OwnSession | None:
    """Parse a session id of the connection with this key; return None for any other text."""
    found = _FORM.fullmatch(reference)
    if found is None or found[1] != key:
        return None
    return OwnSession(int(found[2]), int(found[3]), found[4] or "")
