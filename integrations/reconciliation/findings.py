"""What one comparison found, kept small however long the list is."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.reconciliation.compare import IdSet, Listed
from integrations.vendors.protocol import RightSeen

# Of rights that nobody here knows so many are kept, to be shown.
UNKNOWN_SHOWN = 100


@dataclass(slots=True)
class Findings:
    """What one comparison found, kept small: ids as bits. `differing` and `surplus` hold the details of what is otherwise;
    they are kept for one portion of the list alone (`has_details`), while that is put right.
    """

    at: datetime
    has_details: bool = False
    rights: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    # Registrations whose present session is listed, in whatever form, and those that are listed as they should be.
    listed: IdSet = field(default_factory=IdSet)
    seen: IdSet = field(default_factory=IdSet)
    # Of those, the ones that were not noted as seen yet, eight bytes each.
    seen_first: "array[int]" = field(default_factory=lambda: array("q"))
    differs: IdSet = field(default_factory=IdSet)
    differing: dict[int, Listed] = field(default_factory=dict)
    is_surplus: IdSet = field(default_factory=IdSet)
    surplus: dict[int, list[RightSeen]] = field(default_factory=dict)
    # Ours, listed with a time that can't be read, so that it was not compared.
    unreadable: IdSet = field(default_factory=IdSet)
    unknown: list[RightSeen] = field(default_factory=list)
    unknown_count: int = 0
    missing: "array[int]" = field(default_factory=lambda: array("q"))
    expected: int = 0
    is_held: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The numbers, as `reconcile` returns them."""
        return {
            "seen": len(self.seen),
            "missing": len(self.missing),
            "differing": len(self.differs),
            "surplus": len(self.is_surplus),
            "unreadable": len(self.unreadable),
            "unknown": self.unknown_count,
            "held": int(self.is_held),
        }

    @property
    def document(self) -> dict[str, Any]:
        """What is kept of it on the connection."""
        return {
            **self.counts,
            "at": self.at.isoformat(),
            "rights": self.rights,
            "expected": self.expected,
            "foreign": dict(self.foreign),
            "unknown_rights": [_told(right) for right in self.unknown[:UNKNOWN_SHOWN]],
        }


def _told(right: RightSeen) -> dict[str, str]:
    """Return a right as it is kept to be shown."""
    return {
        "plate": right.plate,
        "subdivision": right.subdivision,
        "zone_id": right.zone_id,
        "start": right.start.isoformat() if right.start else "",
        "end": right.end.isoformat() if right.end else "",
        "reference": right.reference,
        "kind": right.kind,
    }
