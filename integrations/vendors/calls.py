"""How many threads of one process may wait for a vendor on behalf of a page at the same time.

Almost everything that asks a vendor is done by workers. What a page still asks itself, since the person must know before
they go on (is this operator ID known?), takes a few threads of the web at most: the others stay free for pages and for
`/healthz`, however long the vendor hangs.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.utils.translation import gettext as _
from limits import RateLimitItem, RateLimitItemPerMinute

from integrations import throttle
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import VendorNames
from locations.models import User

# Of the eight threads that a web process has (`WEB_THREADS`).
SLOTS = 2
# What one person may ask for in a page.
A_PERSONS_A_MINUTE: Final[RateLimitItem] = RateLimitItemPerMinute(10)

_slots = threading.BoundedSemaphore(SLOTS)


def within_limit(user: User) -> bool:
    """Count one more question of this person; return whether it is within the limit."""
    return throttle.take(A_PERSONS_A_MINUTE, "vendor calls", str(user.pk))


@contextmanager
def slot(names: VendorNames) -> Iterator[None]:
    """Hold one of the places for a question to a vendor; raise `TryLater` at once where all are taken."""
    if not _slots.acquire(blocking=False):
        raise TryLater(
            _("%(vendor)s is slow to answer, and others are waiting for it too.") % names.words,
            remedy=_("Try again in a minute."),
            code="busy",
        )
    try:
        yield
    finally:
        _slots.release()
