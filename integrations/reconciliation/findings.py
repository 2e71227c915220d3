"""What one comparison found, stored compactly however long the list is."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.reconciliation.compare import IdSet, Listed
from integrations.vendors.protocol import RightSeen

# How many unknown rights are kept to be shown.
UNKNOWN_SHOWN = 100


@dataclass(slots=True)
class Findings:
    """What one comparison found. Ids are stored as bits.

    `differing` and `surplus` hold the details of what differs. They are filled for one portion of the list at a time
    (`has_details`), while it is repaired.
    """

    at: datetime
    has_details: bool = False
    rights: int = 0
    foreign: Counter[str] = field(default_factory=Counter)
    # Permit syncs whose current session is listed at all, and those listed correctly.
    listed: IdSet = field(default_factory=IdSet)
    seen: IdSet = field(default_factory=IdSet)
    # Of those, the ones not stored as seen yet, eight bytes each.
    seen_first: "array[int]" = field(default_factory=lambda: array("q"))
    differs: IdSet = field(default_factory=IdSet)
    differing: dict[int, Listed] = field(default_factory=dict)
    is_surplus: IdSet = field(default_factory=IdSet)
    surplus: dict[int, list[RightSeen]] = field(default_factory=dict)
    # Ours, but listed with a time that can't be read, and so not compared.
    unreadable: IdSet = field(default_factory=IdSet)
    unknown: list[RightSeen] = field(default_factory=list)
    unknown_count: int = 0
    missing: "array[int]" = field(default_factory=lambda: array("q"))
    expected: int = 0
    is_held: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The counts that `reconcile` returns."""
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
        """The summary that is stored on the connection."""
        return {
            **self.counts,
            "at": self.at.isoformat(),
            "rights": self.rights,
            "expected": self.expected,
            "foreign": dict(self.foreign),
            "unknown_rights": [_right_document(right) for right in self.unknown[:UNKNOWN_SHOWN]],
        }


def _right_document(right: RightSeen) -> dict[str, str]:
    """Return a right as it is stored for the page."""
    return {
        "plate": right.plate,
        "subdivision": right.subdivision,
        "zone_id": right.zone_id,
        "start": right.start.isoformat() if right.start else "",
        "end": right.end.isoformat() if right.end else "",
        "reference": right.reference,
        "kind": right.kind,
    }
