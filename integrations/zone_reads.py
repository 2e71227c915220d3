"""Reads behind the zone pages: the list of zones with where each is used, and the history of refreshes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from integrations.mapping_board import current_permits
from integrations.models import Zone, ZoneMapping, ZoneRefresh
from integrations.zone_diff import KINDS
from locations.models import Company, Location

PAGE_ROWS: Final = 100
SHOWN: Final = ("", "used", "unused", "missing")


@dataclass(slots=True)
class ZoneRow:
    """One zone and the locations that send to it."""

    zone: Zone
    locations: list[Location] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """One kind of finding of a refresh: how many, and those that are named."""

    kind: str
    title: str
    count: int
    entries: Sequence[dict[str, Any]]

    @property
    def unnamed(self) -> int:
        """How many were found beyond those that are named."""
        return max(0, self.count - len(self.entries))


def zones_of(company: Company, *, text: str = "", show: str = "") -> QuerySet[Zone]:
    """The company's zones by number. `show` is one of `SHOWN`."""
    found = Zone.objects.filter(connection__company=company).search(text).select_related("connection")
    used = Exists(ZoneMapping.objects.filter(zone=OuterRef("pk")))
    if show == "missing":
        found = found.filter(missing_since__isnull=False)
    elif show == "used":
        found = found.filter(used)
    elif show == "unused":
        found = found.filter(~used)
    return found.defer("raw").order_by("number", "pk")


def zone_rows(zones: Sequence[Zone]) -> list[ZoneRow]:
    """Return the zones with the locations that send to them."""
    rows = {zone.pk: ZoneRow(zone) for zone in zones}
    mapped = (
        ZoneMapping.objects.filter(zone__in=list(rows)).select_related("location").order_by("location__name")
    )
    for one in mapped:
        rows[one.zone_id].locations.append(one.location)
    return list(rows.values())


def used_by(zone: Zone, now: datetime) -> list[tuple[Location, int]]:
    """Return the locations that send to a zone, with their current permits."""
    places = list(Location.objects.filter(zone_mapping__zone=zone).order_by("name"))
    counts = current_permits([place.pk for place in places], now)
    return [(place, counts.get(place.pk, 0)) for place in places]


def refreshes_of(company: Company) -> QuerySet[ZoneRefresh]:
    """The company's zone refreshes, newest first."""
    found = ZoneRefresh.objects.filter(connection__company=company)
    return found.select_related("connection", "asked_by", "released_by").order_by("-pk")


def found_groups(refresh: ZoneRefresh) -> list[FoundGroup]:
    """Return what a refresh found, kind by kind; kinds without a finding are left out."""
    titles = {
        "gone": _("Gone"),
        "case_changed": _("Written in another case"),
        "renamed": _("Renamed"),
        "back": _("Back again"),
        "added": _("New"),
        "changed": _("Changed otherwise"),
    }
    counts = refresh.found.get("counts", {})
    groups = []
    for kind in sorted(KINDS, key=list(titles).index):
        entries = refresh.found.get(kind, [])
        if count := counts.get(kind, len(entries)):
            groups.append(FoundGroup(kind, titles[kind], count, entries))
    return groups
