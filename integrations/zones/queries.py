"""Reads behind the zone pages: the list of zones with where each is used, and the history of refreshes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from integrations.models import Zone, ZoneMapping, ZoneRefresh
from integrations.permits.queries import count_of
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from integrations.zones.diff import KINDS
from integrations.zones.mapping_board import current_permits
from locations.models import Company, Location

PAGE_ROWS: Final = 100
SHOWN: Final = ("", "used", "unused", "missing")
SORTS: Final = ("number", "name", "used")
# A zone's own history is read from so many of its connection's newest refreshes, and of mappings.
HISTORY_REFRESHES: Final = 400
HISTORY_MAPPINGS: Final = 200
HISTORY_ROWS: Final = 30


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


def zones_of(company: Company, *, text: str = "", show: str = "", sort: str = "") -> QuerySet[Zone]:
    """The company's zones.

    `show` is one of `SHOWN`, and anything else matches nothing. `sort` is "number" (without any), "name" or "used", with “-”
    downwards.
    """
    found = Zone.objects.filter(connection__company=company).search(text).select_related("connection")
    used = Exists(ZoneMapping.objects.filter(zone=OuterRef("pk")))
    if show == "missing":
        found = found.filter(missing_since__isnull=False)
    elif show == "used":
        found = found.filter(used)
    elif show == "unused":
        found = found.filter(~used)
    elif show:
        found = found.none()
    if sort.removeprefix("-") == "used":
        found = found.alias(used=count_of(ZoneMapping.objects.filter(zone=OuterRef("pk"))))
    order = sort if sort.removeprefix("-") in SORTS else "number"
    return found.defer("raw").order_by(order, "number", "pk")


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
        "gone": _("Missing"),
        "case_changed": _("Case changed"),
        "renamed": _("Renamed"),
        "back": _("Back again"),
        "added": _("New"),
        "changed": _("Other changes"),
    }
    counts = refresh.found.get("counts", {})
    groups = []
    for kind in sorted(KINDS, key=list(titles).index):
        entries = refresh.found.get(kind, [])
        if count := counts.get(kind, len(entries)):
            groups.append(FoundGroup(kind, titles[kind], count, entries))
    return groups


# --- One zone's own history -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a zone; `refresh` is the one that found it."""

    at: datetime
    tone: str
    icon: str
    title: str
    detail: str = ""
    refresh: int | None = None


def history_of(zone: Zone) -> list[Happening]:
    """Return what is recorded of a zone, newest first: what refreshes found and who mapped locations to it; two queries.

    The zone comes with its connection.
    """
    names = names_of(zone.connection.vendor)
    found = [*_found_of(zone, names), *_mapped_of(zone)]
    found.append(
        Happening(zone.first_seen_at, "info", "map-pin", _("First listed by %(vendor)s") % names.words)
    )
    return sorted(found, key=lambda one: one.at, reverse=True)[:HISTORY_ROWS]


def _found_of(zone: Zone, names: VendorNames) -> Iterator[Happening]:
    """Yield what refreshes found, as far as they name the zone (each names a limited number, mapped ones first)."""
    titles = {
        "gone": ("danger", "alert-triangle", _("Missing from the list of %(vendor)s") % names.words),
        "back": ("success", "check", _("Listed by %(vendor)s again") % names.words),
        "renamed": ("info", "pencil", _("Renamed")),
        "case_changed": ("warning", "pencil", _("Case changed")),
        "changed": ("neutral", "refresh", _("Changed at %(vendor)s") % names.words),
    }
    done = ZoneRefresh.objects.filter(
        connection=zone.connection_id, outcome=ZoneRefresh.Outcome.DONE, finished_at__gte=zone.first_seen_at
    )
    for pk, at, kinds in done.order_by("-pk").values_list("pk", "finished_at", "found")[:HISTORY_REFRESHES]:
        for kind, (tone, icon, title) in titles.items():
            for entry in kinds.get(kind, []):
                if at is not None and entry.get("zone") == zone.pk:
                    yield Happening(at, tone, icon, title, _difference(kind, entry), pk)


def _difference(kind: str, entry: Mapping[str, Any]) -> str:
    was = entry.get("was")
    if kind not in ("renamed", "case_changed") or not was:
        return ""
    return _("%(before)s → %(after)s") % {
        "before": f"{was['number']} · {was['name']}",
        "after": f"{entry['number']} · {entry['name']}",
    }


def _mapped_of(zone: Zone) -> Iterator[Happening]:
    """Yield when a location began to send here and when it ceased, by whom."""
    history = ZoneMapping.history.model.objects
    places = history.filter(zone=zone.pk).values("location")
    rows = history.filter(location__in=places).select_related("location", "history_user", "zone")
    before: dict[int, int | None] = {}
    for row in reversed(list(rows.order_by("-history_date", "-history_id")[:HISTORY_MAPPINGS])):
        after = None if row.history_type == "-" else row.zone_id
        was, before[row.location_id] = before.get(row.location_id), after
        words = {"location": row.location.name}
        who = row.history_user.label if row.history_user else ""
        if after == zone.pk and was != zone.pk:
            yield Happening(
                row.history_date, "success", "map-pin", _("%(location)s now sends here") % words, who
            )
        elif after != zone.pk and was == zone.pk:
            now = _("now to %(zone)s") % {"zone": row.zone} if after else _("now has no zone")
            yield Happening(
                row.history_date, "neutral", "map-pin", _("%(location)s no longer sends here") % words,
                f"{now} · {who}" if who else now,
            )  # fmt: skip
