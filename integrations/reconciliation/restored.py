"""What people need after a backup was restored: the rights that only the vendor knows, and those that only we know.

A restored database lacks what was registered, changed and ended after the backup. The vendor still shows those rights, and
officers go by them; only the people who registered a vehicle know whether it may park there. So such rights are shown, and
ended only when a person asks for it. What the backup contains and the vendor doesn't show is sent again automatically, or by
a person if it is so much that the comparison is held.
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
    """What differs between us and the vendor; `missing` holds permit syncs with their permits loaded."""

    unknown: Sequence[RightSeen]
    missing: Sequence[PermitSync]
    rights: int


def review(connection: Connection) -> Review:
    """Read the list and return what differs, without changing anything. Raises `DeliveryError`."""
    found = _look(connection)
    missing = PermitSync.objects.filter(pk__in=list(found.missing)[: comparison.DETAILS_MAX])
    return Review(found.unknown, list(missing.select_related("permit__location")), found.rights)


def _look(connection: Connection) -> Findings:
    with Spool(connection.key) as spool:
        return comparison.look(connection, spool)


class Ended(NamedTuple):
    """How many unknown rights were ended, and the vendor's error for each one that it refused to end."""

    ended: int
    refused: Sequence[DeliveryError]


def end_unknown(connection: Connection) -> Ended:
    """End the rights under our key that belong to no permit sync, when a person asks for it.

    No row keeps the steps: a right that was not reached or was refused is found again by the next call. A right whose times
    can't be read can't be ended and counts as neither. Raises `DeliveryError` if a whole request failed.
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
