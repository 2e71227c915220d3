"""Which location sends to which zone: mapping, suggestions, and near misses to point out.

A mapping is one decision of a person. Saving it moves every permit of the location that has not ended, in the same
transaction: what the mapping page shows and what is due can't drift apart. A location may move to a zone of another
connection of its company; the registrations are then ended there and begun here.

Suggestions are made only where a location's name or own id equals a zone's number or name, character by character.
Texts that differ only in case, leading zeros or spaces are never taken to be equal, since `LotB` and `LOTB`, or `0303`
and `303`, may be two places; they are pointed out in words instead. `suggest` and `case_twins` are pure.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.delivery import outbox
from integrations.held_changes.impact import GROWTH
from integrations.models import Connection, PermitSync, Zone, ZoneMapping
from integrations.notifications import notices, ticket_log
from integrations.vendors.protocol import get_vendor
from integrations.zones.moves import MovePreview, preview_of
from locations.models import Location, Permit, User
from locations.services import lock_locations

# Blanks of any kind, those without a width (which spreadsheets and web pages leave behind) among them.
_BLANKS = re.compile(r"[\s\u200b\u2060\ufeff]+")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
# A batch of mappings is one decision; its time line entry names this many locations and counts the rest.
NAMED_IN_EVENT = 5
MARK_ROWS = 5_000
# For `confirmed` of `map_locations`.
ANY_NUMBER = math.inf


# --- Writes -------------------------------------------------------------------------------------------------------


class NeedsConfirmation(ValidationError):
    """A mapping would move permits elsewhere, or take them out: the person has to see how many first (`preview`)."""

    def __init__(self, preview: MovePreview) -> None:
        super().__init__(preview.sentence, code="needs_confirmation")
        self.preview = preview


def map_location(
    *, location: Location, zone: Zone | None, actor: User | None = None, confirmed: float | None = None
) -> bool:
    """Send a location's registrations to `zone`, or to none; return whether that changed anything.

    Raises `ValidationError` where the zone is another company's, no longer listed, or of an ended connection. See
    `map_locations` for `confirmed`.
    """
    return bool(map_locations(choices=[(location, zone)], actor=actor, confirmed=confirmed))


def map_locations(
    *,
    choices: Iterable[tuple[Location, Zone | None]],
    actor: User | None = None,
    confirmed: float | None = None,
) -> list[Location]:
    """Map many locations, all or none; return those whose zone changed. See `map_location`.

    `confirmed` is how many permits a person has agreed to move: 0 before they were asked, `ANY_NUMBER` where what they did
    leaves no doubt (an ended connection, an undo, `--yes`). Raises `NeedsConfirmation` where that is not enough, and without
    `confirmed` where the change is too large to be made unasked (`integrations.held_changes.impact`).
    """
    wanted = {location.pk: zone for location, zone in choices}
    changed: list[Location] = []
    moved: dict[Connection, list[str]] = defaultdict(list)
    left: list[tuple[Location, Zone, Zone | None]] = []
    with transaction.atomic():
        # Locked in one order (connections, then locations; see `integrations.delivery.outbox`), so that whoever maps the
        # same ones, ends a connection or brings its zones in line waits. Who saves permits of these locations waits as
        # well, and is waited for: a permit that is saved while its location moves would else be told to neither connection.
        zone_ids = {zone.pk for zone in wanted.values() if zone is not None}
        of_now = Zone.objects.filter(mappings__location__in=wanted).values_list("connection", flat=True)
        concerned = {zone.connection_id for zone in wanted.values() if zone is not None} | set(of_now)
        list(Connection.objects.select_for_update(no_key=True).filter(pk__in=concerned).order_by("pk"))
        lock_locations(wanted, alone=True)
        locations = Location.objects.filter(pk__in=wanted).order_by("pk")
        # Read afresh: the zone or its connection may have ended since the page was shown.
        zones = Zone.objects.select_related("connection").in_bulk(zone_ids)
        mapped = ZoneMapping.objects.select_related("zone__connection").in_bulk(
            wanted, field_name="location_id"
        )
        for location in locations:
            choice = wanted[location.pk]
            zone = zones[choice.pk] if choice is not None else None
            mapping = mapped.get(location.pk)
            before = mapping.zone if mapping else None
            if before == zone:
                continue
            if zone is not None:
                _check(location, zone)
            if before is not None:
                left.append((location, before, zone))
            _save(location, zone, mapping, actor)
            changed.append(location)
            text = _("%(location)s → %(zone)s") if zone else _("%(location)s → no zone (was %(before)s)")
            words = text % {"location": location, "zone": zone, "before": before}
            for connection in {part.connection for part in (before, zone) if part is not None}:
                moved[connection].append(words)
            if before is not None and before.missing_since is not None and not before.mappings.exists():
                notices.resolve(missing_zone_key(before.pk))
        _require_confirmed(left, confirmed)
        for connection, lines in moved.items():
            ticket_log.record(connection, "mapped", _sentence(lines), actor)
        mark_locations([location.pk for location in changed])
    return changed


def _require_confirmed(left: Collection[tuple[Location, Zone, Zone | None]], confirmed: float | None) -> None:
    """Raise `NeedsConfirmation` where more permits would move than a person has agreed to."""
    if confirmed == ANY_NUMBER:
        return
    seen = preview_of(left, timezone.now())
    if seen is None:
        return
    if seen.is_too_much if confirmed is None else seen.permits > confirmed * (1 + GROWTH):
        raise NeedsConfirmation(seen)


def mark_locations(location_ids: Iterable[int], *, permit_ids: Iterable[int] = ()) -> None:
    """Note all permits of these locations that have not ended as due, in the transaction that changed where they send.

    `permit_ids` are others that are marked with them. The last thing of a transaction, since what is marked stays locked
    until the commit; and over all locations in the order of the permits, as everybody marks and settles, so that none of
    them waits for another in a circle.
    """
    ids = sorted(set(location_ids))
    lock_locations(ids, alone=True)
    permits = Permit.objects.not_ended(timezone.now()).filter(location__in=ids)
    pks = sorted({*permits.values_list("pk", flat=True), *permit_ids})
    for begin in range(0, len(pks), MARK_ROWS):
        outbox.mark(permit_ids=pks[begin : begin + MARK_ROWS], bulk=True)


def refused_at(connection: Connection, remote_ids: Collection[str]) -> list[int]:
    """Return the permits whose registration was refused and has to do with these zones, wherever their location is by now.

    A zone that is back, or that has changed, may take what it refused: the stop of a session there, too, whose location
    has moved on.
    """
    if not remote_ids:
        return []
    rows = PermitSync.objects.refused().filter(connection=connection)
    return [
        permit
        for permit, remote_state, pending_steps in rows.values_list(
            "permit_id", "remote_state", "pending_steps"
        ).iterator(2_000)
        if _names_one([remote_state, pending_steps], remote_ids)
    ]


def _names_one(document: Any, ids: Collection[str]) -> bool:
    """Whether a vendor's document (a session, or steps) holds one of these ids, under whatever name."""
    if isinstance(document, dict | list):
        parts = document.values() if isinstance(document, dict) else document
        return any(_names_one(part, ids) for part in parts)
    return isinstance(document, str) and document in ids


def missing_zone_key(zone_id: int) -> str:
    """The key of the notice that a mapped zone is missing."""
    return f"zone_missing:{zone_id}"


def _check(location: Location, zone: Zone) -> None:
    if zone.connection.company_id != location.company_id:
        raise ValidationError(_("That zone belongs to another company."), code="foreign_zone")
    if zone.connection.status == Connection.Status.ENDED:
        raise ValidationError(
            _("The integration of zone %(zone)s has ended. Choose a zone of another one."),
            code="connection_ended",
            params={"zone": zone.number},
        )
    if zone.missing_since is not None:
        raise ValidationError(
            _("The vendor no longer lists zone %(zone)s. Refresh the zones and choose one that is listed."),
            code="zone_missing",
            params={"zone": zone.number},
        )


def _save(location: Location, zone: Zone | None, mapping: ZoneMapping | None, actor: User | None) -> None:
    if zone is None:
        assert mapping is not None
        mapping._history_user = actor  # type: ignore[attr-defined]
        mapping.delete()
        return
    mapping = mapping or ZoneMapping(location=location)
    mapping.zone, mapping.mapped_at, mapping.mapped_by = zone, timezone.now(), actor
    mapping._history_user = actor  # type: ignore[attr-defined]
    mapping.save()


def _sentence(lines: Sequence[str]) -> str:
    shown = "; ".join(lines[:NAMED_IN_EVENT])
    more = len(lines) - NAMED_IN_EVENT
    rest = (
        ngettext("; and %(count)d more", "; and %(count)d more", more) % {"count": more} if more > 0 else ""
    )
    return _("Mapped: %(lines)s%(rest)s.") % {"lines": shown, "rest": rest}


# --- Suggestions (pure) -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A zone whose number or name is almost the location's; `words` say in what it differs."""

    zone: Zone
    words: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What is known for one unmapped location: at most one zone to propose, and what to look at before choosing."""

    location: Location
    zone: Zone | None
    why: str
    near: tuple[NearMiss, ...]


def caseless(connections: Iterable[Connection]) -> frozenset[int]:
    """Return those connections (by id) whose vendor takes `a1` and `A1` for the same zone."""
    return frozenset(one.pk for one in connections if not get_vendor(one.vendor).zones_have_case)


def suggest(
    locations: Iterable[Location], zones: Iterable[Zone], caseless: Collection[int] = ()
) -> list[Suggestion]:
    """Return a suggestion for each location, in order; pure. `caseless`: see the function of that name.

    A zone is proposed only where exactly one carries the location's name or own id as its number, or the location's
    name as its name, letter for letter. Several equal ones, and near ones, are pointed out and none is proposed.
    """
    listed = [zone for zone in zones if zone.missing_since is None]
    folded: dict[str, dict[int, tuple[Zone, str]]] = defaultdict(dict)
    exact: dict[str, dict[int, tuple[Zone, str]]] = defaultdict(dict)
    near: dict[str, dict[int, tuple[Zone, str]]] = defaultdict(dict)
    for zone in listed:
        # A number says more than a name, so it is entered last and stays.
        for text, why in ((zone.name, _("same name")), (zone.number, _("same number"))):
            if text:
                exact[text][zone.pk] = (zone, why)
                if zone.connection_id in caseless:
                    folded[text.casefold()][zone.pk] = (zone, why)
                near[_near_key(text)][zone.pk] = (zone, text)
    return [_suggestion(location, exact, folded, near) for location in locations]


_Index = dict[str, dict[int, tuple[Zone, str]]]


def _suggestion(location: Location, exact: _Index, folded: _Index, near: _Index) -> Suggestion:
    texts = [text for text in (location.external_id, location.name) if text]
    found: dict[int, tuple[Zone, str]] = {}
    misses: dict[int, NearMiss] = {}
    for text in texts:
        found.update(exact.get(text, {}) | folded.get(text.casefold(), {}))
    for text in texts:
        for pk, (zone, other) in near.get(_near_key(text), {}).items():
            if pk not in found and other != text:
                misses.setdefault(pk, NearMiss(zone, near_miss_words(text, other)))
    if len(found) == 1:
        zone, why = next(iter(found.values()))
        return Suggestion(location, zone, why, tuple(misses.values()))
    several = tuple(
        NearMiss(zone, _("%(zone)s matches, too (%(why)s). Choose one.") % {"zone": zone, "why": why})
        for zone, why in found.values()
    )
    return Suggestion(location, None, "", several + tuple(misses.values()))


def differences(one: str, other: str) -> list[str]:
    """Return in what two texts differ: case, zeros, blanks. Empty where they are equal or differ in more than that."""
    if one == other or _near_key(one) != _near_key(other):
        return []
    # With the two other kinds of difference taken away, what still differs is the third.
    rest: dict[str, Callable[[str], str]] = {
        "case": lambda text: _without_zeros(_without_blanks(text)),
        "zeros": lambda text: _without_blanks(text).casefold(),
        "blanks": lambda text: _without_zeros(text).casefold(),
    }
    return [kind for kind, bare in rest.items() if bare(one) != bare(other)]


def near_miss_words(wanted: str, other: str) -> str:
    """Return one sentence on how `other` differs from `wanted`, or an empty text where it differs in more."""
    how = _how(differences(wanted, other))
    if not how:
        return ""
    return _("“%(other)s” differs from “%(wanted)s” only %(how)s.") % {
        "other": other,
        "wanted": wanted,
        "how": how,
    }


def nearest(wanted: str, texts: Iterable[str]) -> list[str]:
    """Return those of `texts` that differ from `wanted` only in case, leading zeros or blanks."""
    key = _near_key(wanted)
    return [text for text in texts if text != wanted and _near_key(text) == key]


@dataclass(frozen=True, slots=True)
class Twins:
    """Zones whose numbers people take for one another."""

    zones: tuple[Zone, ...]
    differ: str

    def words(self, picked: Zone | None = None) -> str:
        """Return one sentence: *Two zones differ only in case: LotB and LOTB. You picked LotB.*"""
        # The one that was picked comes first.
        zones = sorted(self.zones, key=lambda zone: zone != picked)
        numbers = [
            zone.number if zone.number == zone.number.strip() else f"“{zone.number}”" for zone in zones
        ]
        listing = _("%(first)s and %(last)s") % {"first": ", ".join(numbers[:-1]), "last": numbers[-1]}
        count = _("Two") if len(numbers) == 2 else str(len(numbers))
        if self.differ:
            text = _("%(count)s zones differ only %(how)s: %(listing)s.")
        else:
            text = _("%(count)s zones have the same number: %(listing)s.")
        text = text % {"count": count, "how": self.differ, "listing": listing}
        if picked is not None:
            chosen = picked.number if self.differ else str(picked)
            text = _("%(text)s You picked %(chosen)s.") % {"text": text, "chosen": chosen}
        return text


def case_twins(zones: Iterable[Zone]) -> list[Twins]:
    """Return the groups of listed zones whose numbers are equal but for case, leading zeros or blanks; pure."""
    groups: dict[str, list[Zone]] = defaultdict(list)
    for zone in zones:
        if zone.missing_since is None and zone.number:
            groups[_near_key(zone.number)].append(zone)
    twins = []
    for group in groups.values():
        if len(group) < 2:
            continue
        found = {kind for zone in group[1:] for kind in differences(group[0].number, zone.number)}
        twins.append(Twins(tuple(group), _how(found)))
    return twins


def _how(kinds: Collection[str]) -> str:
    """Return words for kinds of difference: *in case and by a blank*."""
    words = {"case": _("in case"), "zeros": _("in leading zeros"), "blanks": _("in spaces")}
    return _(" and ").join(word for kind, word in words.items() if kind in kinds)


def _without_blanks(text: str) -> str:
    return _BLANKS.sub("", text)


def _without_zeros(text: str) -> str:
    return _LEADING_ZEROS.sub("", text)


def _near_key(text: str) -> str:
    return _without_zeros(_without_blanks(text)).casefold()
