"""What people need after a backup was restored: what the vendor has that we know nothing of, and what we have that it lacks.

A database from a backup has forgotten what was registered, changed and ended since. The vendor still shows those rights, and
officers go by them; whether a car may stand there is known to the people who registered it, not to us. So such rights are
only shown, and ended when a person says so. What the backup remembers and the vendor does not show is sent again
automatically, or by a person where it is so much that the comparison is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from integrations.delivery.database_clock import database_now
from integrations.models import Connection, PermitSync
from integrations.reconciliation import comparison, repair
from integrations.reconciliation.findings import Findings
from integrations.reconciliation.spool import Spool
from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import RightSeen, get_vendor


@dataclass(frozen=True, slots=True)
class Review:
    """What differs between the two sides; `missing` are registrations with their permits loaded."""

    unknown: Sequence[RightSeen]
    missing: Sequence[PermitSync]
    rights: int


def review(connection: Connection) -> Review:
    """Ask for the list and return what differs; nothing is changed. Raises `DeliveryError`."""
    found = _look(connection)
    missing = PermitSync.objects.filter(pk__in=list(found.missing)[: comparison.DETAILS_MAX])
    return Review(found.unknown, list(missing.select_related("permit__location")), found.rights)


def _look(connection: Connection) -> Findings:
    with Spool(connection.key) as spool:
        return comparison.look(connection, spool)


class Ended(NamedTuple):
    """How many unknown rights were ended, and what the vendor said of each one that it did not end."""

    ended: int
    refused: Sequence[DeliveryError]


def end_unknown(connection: Connection) -> Ended:
    """End the rights under our key that no registration stands for, when a person asks for it.

    There is no row that could keep the steps: what was not reached, or was refused, is found again by the next call. A right
    whose window can't be read can't be ended and counts as neither. Raises `DeliveryError` where a request failed as a whole.
    """
    rights = _look(connection).unknown
    vendor = get_vendor(connection.vendor)
    steps = repair.ending(connection, rights, database_now())
    ended, refused = 0, list[DeliveryError]()
    for begin in range(0, len(steps), vendor.batch_size):
        sent = vendor.send(repair.account_of(connection), steps[begin : begin + vendor.batch_size])
        if sent.error is not None:
            raise sent.error
        errors = [error for error in sent.results if error is not None]
        ended += len(sent.results) - len(errors)
        refused += errors
    return Ended(ended, refused)
