"""The ids of the sessions that we start at a vendor: made and read here, and nowhere else.

An id names the connection's key, the registration and the number of the session among those that were ever started for it:
`os-7GQ2XK4M-1234-2`. So an id is never used twice, and a session in the vendor's list leads back to its registration.
"""

import re

_FORM = re.compile(r"os-([^-]{1,8})-([1-9][0-9]{0,17})-([1-9][0-9]{0,8})")

# For plans of which nothing is started, or whose sessions are not looked at.
UNUSED = "?"


def session_id(key: str, permit_sync_id: int, number: int) -> str:
    """Return the id of the `number`-th session of a registration on the connection with this key."""
    return f"os-{key}-{permit_sync_id}-{number}"


def read_session_id(key: str, reference: str) -> tuple[int, int] | None:
    """Return the registration's id and the session's number of an id of this connection; None for any other text."""
    found = _FORM.fullmatch(reference)
    return (int(found[2]), int(found[3])) if found is not None and found[1] == key else None
