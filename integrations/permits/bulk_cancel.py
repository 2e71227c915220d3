"""Cancelling many permits at once: what a list's filters match, what would happen, and that it stays what was looked at.

What it decides: the preview carries the very permits that it counted, and of these alone are cancelled those that still
match when it is confirmed. So a preview that grew old never ends what nobody has looked at; what no longer matches is
left alone, and its number told. One go is at most `MOST_AT_ONCE` permits: as many as are written in about a second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Final

from django.db.models import Count, Q

from integrations.models import PermitSync
from integrations.permits.duplicates import others_than
from integrations.permits.queries import Delivery, PermitFilters, deliveries, narrowed
from locations.models import Company, Permit

MOST_AT_ONCE: Final = 5_000
SHOWN: Final = 10
SHOWN_LOCATIONS: Final = 8
# A packed id is at least one digit and a separator; a form's text that is longer than this was not made here.
_MOST_PACKED_CHARS: Final = 17 * MOST_AT_ONCE


@dataclass(frozen=True, slots=True)
class Preview:
    """What cancelling `ids` would do. `seen` of them are at the vendor; `sample` are the first, with their delivery.

    Of `kept` the plate stays visible at its location by another permit.
    """

    ids: Sequence[int]
    seen: int
    kept: int
    locations: Sequence[tuple[str, int]]
    sample: Sequence[Delivery]

    @property
    def n(self) -> int:
        """How many would end."""
        return len(self.ids)

    @property
    def unshown(self) -> int:
        """How many the sample leaves out."""
        return len(self.ids) - len(self.sample)

    @property
    def packed(self) -> str:
        """The ids as the form carries them."""
        return pack(self.ids)

    @property
    def named_locations(self) -> Sequence[tuple[str, int]]:
        """The locations with the most of them."""
        return self.locations[:SHOWN_LOCATIONS]

    @property
    def unnamed_locations(self) -> int:
        """How many locations are only counted."""
        return max(0, len(self.locations) - SHOWN_LOCATIONS)


def narrows(filters: PermitFilters) -> bool:
    """Whether the filters leave anything out; without any, “all that match” would be the whole company."""
    return filters != PermitFilters(tests=filters.tests)


def matching(company: Company, filters: PermitFilters, now: datetime) -> list[int]:
    """Return the permits that match and have not ended, newest first; one more than `MOST_AT_ONCE` where there are more."""
    firsts = [
        Permit.objects.order_by()
        .filter(pk__in=branch.not_ended(now).order_by("-pk").values("pk")[: MOST_AT_ONCE + 1])
        .values_list("pk", flat=True)
        for branch in narrowed(company, filters, now)
    ]
    return sorted(set(firsts[0].union(*firsts[1:], all=True)), reverse=True)[: MOST_AT_ONCE + 1]


def still(company: Company, ids: Iterable[int], filters: PermitFilters | None, now: datetime) -> list[int]:
    """Return those of `ids` that are the company's, have not ended, and match `filters` where there are any."""
    of_company = (
        [Permit.objects.filter(company=company)] if filters is None else narrowed(company, filters, now)
    )
    picked = list(ids)
    parts = [
        branch.not_ended(now).filter(pk__in=picked).order_by().values_list("pk", flat=True)
        for branch in of_company
    ]
    return sorted(set(parts[0].union(*parts[1:], all=True)), reverse=True)


def preview(ids: Sequence[int], now: datetime, *, shown: int = SHOWN) -> Preview:
    """Return what cancelling these permits would do; six queries, however many they are."""
    permits = Permit.objects.filter(pk__in=ids).order_by()
    seen = PermitSync.objects.filter(permit__in=ids, remote_until__gt=now).values("permit").distinct().count()
    counted = (
        permits.annotate(stays=others_than(ids, now))
        .values_list("location__name")
        .annotate(n=Count("*"), kept=Count("pk", filter=Q(stays=True)))
        .order_by("-n", "location__name")
    )
    locations = [(name, n) for name, n, _kept in counted]
    kept = sum(stays for _name, _n, stays in counted)
    first = Permit.objects.filter(pk__in=ids[:shown]).select_related("location").order_by("-pk")
    return Preview(ids=ids, seen=seen, kept=kept, locations=locations, sample=deliveries(list(first), now))


# --- Carrying ids ------------------------------------------------------------------------------------------------------


def pack(ids: Iterable[int]) -> str:
    """Write ids in order as the steps between them: two or three signs each, where the numbers would take seven."""
    return ".".join(f"{after - before:x}" for before, after in pairwise([0, *sorted(set(ids))]))


def unpack(text: str) -> list[int]:
    """Return the ids of a packed text, at most `MOST_AT_ONCE`; what is none gives none."""
    parts = text.split(".") if text and len(text) <= _MOST_PACKED_CHARS else []
    if not all(part.isascii() and part.isalnum() and len(part) <= 15 for part in parts):
        return []
    try:
        steps = [int(part, 16) for part in parts[:MOST_AT_ONCE]]
    except ValueError:
        return []
    ids = list(accumulate(steps))
    return ids if not ids or ids[-1] < 2**63 else []
