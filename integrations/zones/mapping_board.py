"""Reads behind “Locations and zones”: a row for each location, with what is known of its mapping and its pushes.

What it decides: which remark a row carries (a missing zone before a suggestion, a suggestion before a near miss) and what
its last push is called. The number of queries does not depend on the number of rows; a page has at most `PAGE_ROWS`.

The last push of a location is that of its newest permit: that costs one step in an index for each location, where the
latest acceptance of all its permits would read every one of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, PermitSync, Zone, ZoneMapping
from integrations.permits.counts import UNMAPPED
from integrations.permits.queries import count_of
from integrations.vendors.naming import names_of
from integrations.zones import mapping
from integrations.zones.moves import permits_of
from locations.models import Company, Location, Permit
from locations.text import tidy

PAGE_ROWS = 50
# Zones that are shipped with the page's dropdowns; a longer list is asked of the server while typing.
SHIPPED_ZONES = 40
# More waiting rows than this are not told apart by location: the figure would cost more than it says.
COUNTED_ROWS = 20_000
# Zeros, and blanks without a width.
_LEFT_OUT = ("0", "\u200b", "\u2060", "\ufeff")


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence under a location's zone."""

    tone: str
    text: str


@dataclass(slots=True)
class BoardRow:
    """One location as the page shows it."""

    location: Location
    zone: Zone | None = None
    mapped_at: datetime | None = None
    current: int = 0
    waiting: int = 0
    refused: int = 0
    accepted_at: datetime | None = None
    suggestion: mapping.Suggestion | None = None
    remarks: list[Remark] = field(default_factory=list)

    @property
    def select_id(self) -> str:
        """The id of the row's dropdown."""
        return f"zone-{self.location.pk}"

    @property
    def state(self) -> str:
        """The row's state, a key of the face's states."""
        if self.zone is None:
            return "unmapped"
        if self.zone.missing_since is not None:
            return "zone_missing"
        if self.refused:
            return "refused"
        if self.waiting:
            return "waiting"
        return "accepted" if self.accepted_at else "not_sent"


@dataclass(frozen=True, slots=True)
class Board:
    """One page of rows; `shipped` is as in `Choice`."""

    rows: list[BoardRow]
    shipped: list[Zone] | None
    connections: list[Connection]

    @property
    def suggestions(self) -> list[mapping.Suggestion]:
        """What the page proposes, to be accepted together."""
        return [row.suggestion for row in self.rows if row.suggestion and row.suggestion.zone]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of a company's active locations are mapped."""

    mapped: int
    total: int

    @property
    def unmapped(self) -> int:
        """Locations without a zone."""
        return self.total - self.mapped

    @property
    def sentence(self) -> str:
        """The page's answer in words."""
        if not self.total:
            return _("No locations yet")
        return ngettext(
            "%(mapped)d of %(total)d location is mapped",
            "%(mapped)d of %(total)d locations are mapped",
            self.total,
        ) % {"mapped": self.mapped, "total": self.total}


def open_connections(company: Company) -> QuerySet[Connection]:
    """The company's connections that have not ended."""
    return company.connections.exclude(status=Connection.Status.ENDED)


def choosable_zones(company: Company, text: str = "") -> QuerySet[Zone]:
    """The zones that a location of this company may be mapped to, narrowed to those that hold `text`."""
    return (
        Zone.objects.listed()
        .search(text)
        .filter(connection__company=company)
        .exclude(connection__status=Connection.Status.ENDED)
        .select_related("connection")
        .order_by("number", "id")
    )


def tally(company: Company) -> Tally:
    """Count the company's active locations and those of them that are mapped."""
    counted = company.locations.filter(active=True).aggregate(
        total=Count("pk"), unmapped=Count("pk", filter=UNMAPPED)
    )
    return Tally(mapped=counted["total"] - counted["unmapped"], total=counted["total"])


def board_locations(
    company: Company, now: datetime, *, text: str = "", show: str = "", sort: str = ""
) -> QuerySet[Location]:
    """The page's locations. `show` is "", "unmapped", "mapped", "missing" or "inactive"; anything else matches nothing.

    `sort` is one of `SORTS`, with “-” downwards; without any, unmapped ones come first.
    """
    found = company.locations.filter(active=show != "inactive").select_related(
        "zone_mapping__zone__connection"
    )
    if show == "unmapped":
        found = found.filter(zone_mapping=None)
    elif show == "mapped":
        found = found.filter(zone_mapping__isnull=False)
    elif show == "missing":
        found = found.filter(zone_mapping__zone__missing_since__isnull=False)
    elif show not in ("", "inactive"):
        found = found.none()
    if text := tidy(text):
        found = found.filter(
            Q(name__icontains=text)
            | Q(external_id__iexact=text)
            | Q(zone_mapping__zone__number__icontains=text)
            | Q(zone_mapping__zone__name__icontains=text)
        )
    key = sort.removeprefix("-")
    order = (
        F("sorted_by").desc(nulls_last=True) if sort.startswith("-") else F("sorted_by").asc(nulls_last=True)
    )
    return found.alias(sorted_by=_sorted_by(key, now)).order_by(order, "name", "pk")


def _sorted_by(key: str, now: datetime) -> Any:
    """Return what the locations are put in order by; a figure is worked out for all of them only where it is asked for."""
    if key == "name":
        return F("name")
    if key == "zone":
        return F("zone_mapping__zone__number")
    if key == "current":
        return count_of(Permit.objects.real().current(now).filter(location=OuterRef("pk")))
    if key == "pushed":
        return _newest_accepted()
    return Case(
        When(zone_mapping=None, then=Value(0)),
        When(zone_mapping__zone__missing_since__isnull=False, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """The zones to choose from: all of them where they are few, and those that are like one of the page's texts.

    `shipped` is None where there are so many that the dropdown has to ask the server.
    """

    shipped: list[Zone] | None
    alike: list[Zone]


def choice(company: Company, texts: Iterable[str]) -> Choice:
    """Return the zones for a page that shows `texts` (names and own ids of locations, numbers of their zones).

    An account may have 10,000 zones, so the texts are first compared by a coarse key (without blanks and zeros, in any
    case), which is equal wherever `integrations.zones.mapping` would see two texts as equal or near; only the few that remain
    are loaded.
    """
    wanted = {_coarse(text) for text in texts} - {""}
    pairs = list(choosable_zones(company).order_by().values_list("pk", "number", "name"))
    if len(pairs) <= SHIPPED_ZONES:
        shipped = list(choosable_zones(company).defer("raw"))
        return Choice(shipped, shipped)
    close = [pk for pk, number, name in pairs if _coarse(number) in wanted or _coarse(name) in wanted]
    return Choice(None, list(choosable_zones(company).filter(pk__in=close).defer("raw")) if close else [])


def board(company: Company, locations: Iterable[Location], now: datetime) -> Board:
    """Return a row for each of `locations` (of one page), in the same order, and the zones to choose from."""
    found = {location.pk: BoardRow(location=location) for location in locations}
    connections = list(open_connections(company))
    for row in found.values():
        mapped: ZoneMapping | None = getattr(row.location, "zone_mapping", None)
        if mapped is not None:
            row.zone, row.mapped_at = mapped.zone, mapped.mapped_at
    for pk, count in current_permits(found, now).items():
        found[pk].current = count
    for pk, accepted_at in _last_accepted(found).items():
        found[pk].accepted_at = accepted_at
    for pk, state, count in _unsettled(connections, found):
        setattr(found[pk], "refused" if state == PermitSync.State.REFUSED else "waiting", count)
    unmapped = [row.location for row in found.values() if row.zone is None]
    zones = choice(company, [*_texts(unmapped), *(row.zone.number for row in found.values() if row.zone)])
    for suggestion in mapping.suggest(unmapped, zones.alike, mapping.caseless(connections)):
        found[suggestion.location.pk].suggestion = suggestion
    twins = {zone.pk: group for group in mapping.case_twins(zones.alike) for zone in group.zones}
    for row in found.values():
        row.remarks = _remarks(row, twins)
    return Board(list(found.values()), zones.shipped, connections)


def twins_of(company: Company, zone: Zone) -> str:
    """Return the sentence on the zones that people take for this one, or an empty text."""
    for group in mapping.case_twins(choice(company, [zone.number]).alike):
        if zone in group.zones:
            return group.words(picked=zone)
    return ""


def hints(company: Company, zone: Zone | None, location: Location | None, now: datetime) -> list[Remark]:
    """Return what to say beneath a dropdown in which `zone` was chosen and is not saved yet; `location` is its row's."""
    mapped: ZoneMapping | None = getattr(location, "zone_mapping", None) if location else None
    if location is not None and zone == (mapped.zone if mapped else None):
        return board(company, [location], now).rows[0].remarks
    remarks = []
    permits = permits_of([location.pk], now).get(location.pk, 0) if location is not None and mapped else 0
    if permits and mapped is not None:
        if zone is None:
            text = ngettext(
                "Saving takes the zone from %(n)s permit.",
                "Saving takes the zone from %(n)s permits.",
                permits,
            )
        else:
            text = ngettext(
                "Saving moves %(n)s permit here from %(before)s.",
                "Saving moves %(n)s permits here from %(before)s.",
                permits,
            )
        shown = localize(permits, use_l10n=True)
        remarks.append(Remark("", text % {"n": shown, "before": mapped.zone.number}))
    if zone is not None:
        if words := twins_of(company, zone):
            remarks.append(Remark("warning", words))
        if zone.needs_space:
            remarks.append(Remark("", _("Permits here require a space number.")))
    return remarks


def suggestions(company: Company) -> list[mapping.Suggestion]:
    """Return what can be accepted: the unmapped locations for which exactly one zone is proposed."""
    unmapped = list(company.locations.filter(UNMAPPED).order_by("name"))
    caseless = mapping.caseless(open_connections(company))
    found = mapping.suggest(unmapped, choice(company, _texts(unmapped)).alike, caseless)
    return [one for one in found if one.zone is not None]


def _texts(locations: Iterable[Location]) -> list[str]:
    return [text for location in locations for text in (location.name, location.external_id) if text]


def _coarse(text: str) -> str:
    """Return the key; a page of 10,000 zones makes 20,000, and `str.replace` is three times as quick as `translate`."""
    kept = "".join(text.split())
    for sign in _LEFT_OUT:
        kept = kept.replace(sign, "")
    return kept.casefold() or ("0" if text else "")


def current_permits(location_ids: Iterable[int], now: datetime) -> dict[int, int]:
    """Return the number of current permits by location; those without any are left out."""
    counted = (
        Permit.objects.real()
        .current(now)
        .filter(location__in=list(location_ids))
        .order_by()
        .values_list("location")
        .annotate(count=Count("*"))
    )
    return dict(counted)


def _newest_accepted() -> Subquery:
    accepted = PermitSync.objects.filter(permit__location=OuterRef("pk"), accepted_at__isnull=False)
    return Subquery(accepted.order_by("-permit").values("accepted_at")[:1])


def _last_accepted(location_ids: Iterable[int]) -> dict[int, datetime]:
    places = Location.objects.filter(pk__in=list(location_ids)).order_by()
    found = places.annotate(accepted=_newest_accepted()).values_list("pk", "accepted")
    return {pk: at for pk, at in found if at is not None}


def _unsettled(
    connections: Iterable[Connection], location_ids: Iterable[int]
) -> Iterable[tuple[int, str, int]]:
    """Count due and refused permit syncs by location and state, of at most `COUNTED_ROWS` each."""
    here = PermitSync.objects.filter(connection__in=list(connections))
    # Two arms, since each has a partial index of its own.
    arms = [
        PermitSync.objects.filter(pk__in=some.values("pk")[:COUNTED_ROWS])
        .filter(permit__location__in=list(location_ids), permit__is_test=False)
        .order_by()
        .values_list("permit__location", "state")
        .annotate(count=Count("pk"))
        for some in (here.due(), here.refused())
    ]
    return arms[0].union(arms[1], all=True)


def _remarks(row: BoardRow, twins: Mapping[int, mapping.Twins]) -> list[Remark]:
    zone = row.zone
    if zone is None:
        near = row.suggestion.near if row.suggestion else ()
        return [Remark("warning", miss.words) for miss in near]
    names = names_of(zone.connection.vendor)
    remarks = []
    if zone.missing_since is not None:
        text = ngettext(
            "%(vendor)s no longer lists zone “%(number)s”; %(count)d current permit is affected.",
            "%(vendor)s no longer lists zone “%(number)s”; %(count)d current permits are affected.",
            row.current,
        )
        remarks.append(Remark("danger", text % {**names.words, "number": zone.number, "count": row.current}))
    if group := twins.get(zone.pk):
        remarks.append(Remark("warning", group.words(picked=zone)))
    if zone.needs_space:
        remarks.append(Remark("", _("Permits here require a space number.")))
    return remarks
