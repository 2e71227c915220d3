"""Other permits of the same plate at the same place: told before a second one is saved, and when one of two ends.

Two permits of one plate whose windows overlap are two rights in enforcement: whoever ends one of them believes the plate
gone, and it is still shown. Sometimes that is meant (two units share a car), so a second one is asked about and never
refused; mostly the first was forgotten, or lies ahead, and is to be extended.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from locations.models import Location, Permit
from locations.regions import Region
from locations.times import say_time

# So many are named beside a form, and on a permit's page.
MAX_SHOWN = 3


def overlapping(
    location: Location, plate: str, region: Region | None, start: datetime, end: datetime, now: datetime
) -> QuerySet[Permit]:
    """Return the real permits of a plate at a location that have not ended and whose window shares a moment with this one.

    No `region` means any. Oldest first.
    """
    found = Permit.objects.filter(company=location.company_id, plate=plate, location=location)
    found = found.real().not_ended(now).filter(start__lt=end, end__gt=start)
    if region:
        found = found.of_region(region)
    return found.select_related("location").order_by("start", "pk")


@dataclass(frozen=True, slots=True)
class Extension:
    """A permit that could be made to cover another window as well, and the window that it would have then."""

    permit: Permit
    start: datetime
    end: datetime

    @property
    def is_later(self) -> bool:
        """Whether it would end later; otherwise it would only begin earlier."""
        return self.end > self.permit.end

    @property
    def key(self) -> str:
        """The choice as the form sends it."""
        return f"extend:{self.permit.pk}"


def extension_of(permit: Permit, start: datetime, end: datetime) -> Extension | None:
    """Return how a permit is made to cover this window too, or None where it covers it already; pure."""
    first, last = min(permit.start, start), max(permit.end, end)
    return Extension(permit, first, last) if (first, last) != (permit.start, permit.end) else None


def still_showing(permit: Permit, now: datetime) -> list[Permit]:
    """Return other permits by which the plate stays visible in the permit's zone (or will be), while this one would last.

    A permit at another location counts where that sends to the same zone.
    """
    same_place = Q(location=permit.location_id) | Q(
        location__zone_mapping__zone__mappings__location=permit.location_id
    )
    found = Permit.objects.filter(same_place, company=permit.company_id, plate=permit.plate)
    found = (
        found.of_region(permit.region)
        .real()
        .not_ended(now)
        .filter(start__lt=permit.end)
        .exclude(pk=permit.pk)
    )
    return list(found.select_related("location").order_by("start", "pk").distinct()[:MAX_SHOWN])


def still_words(others: Sequence[Permit]) -> str:
    """Return one sentence on what still shows a plate after one of its permits has ended."""
    first = max(others, key=lambda other: other.end)
    return _("Another permit still shows this plate at %(place)s until %(end)s.") % {
        "place": first.location.name,
        "end": say_time(first.end, first.location.tz),
    }


def others_than(ids: Collection[int], now: datetime) -> Exists:
    """Return whether another permit, not among `ids`, keeps the plate of a permit visible at its location; a condition."""
    same = {name: OuterRef(name) for name in ("company", "plate", "country", "subdivision", "location")}
    found = Permit.objects.filter(**same).real().not_ended(now).filter(start__lt=OuterRef("end"))
    return Exists(found.exclude(pk__in=ids))
