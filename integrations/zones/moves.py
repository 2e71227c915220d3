"""What mapping locations to other zones, or to none, would do to their permits: counted before anybody agrees to it.

Every permit that has not ended counts, whether or not the vendor has it by now: it moves with its location. What the vendor
holds is counted beside it (`Impact`), since that is what officers see end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.held_changes.impact import EXAMPLES, Impact, impact_of_moves
from integrations.models import Zone
from integrations.vendors.naming import names_of
from locations.models import Location, Permit


@dataclass(frozen=True, slots=True)
class Move:
    """One location that sends to another zone, or to none (`after`), and how many permits go with it."""

    location: Location
    before: Zone
    after: Zone | None
    permits: int

    @property
    def words(self) -> str:
        """One line: *Lot B: 58 permits from LotB to LOTB*."""
        permits = ngettext("%(n)s permit", "%(n)s permits", self.permits) % {"n": _shown(self.permits)}
        if self.after is None:
            text = _("%(permits)s from %(before)s to no zone")
            return text % {"permits": permits, "before": self.before.number}
        text = _("%(permits)s from %(before)s to %(after)s")
        return text % {"permits": permits, "before": self.before.number, "after": self.after.number}


@dataclass(frozen=True, slots=True)
class MovePreview:
    """What some moves would do together; `impact` is what they do to the rights that vendors hold.

    `is_too_much` says that it is for one of the connections, however small a part of all of them.
    """

    moves: Sequence[Move]
    impact: Impact
    is_too_much: bool = False

    @property
    def permits(self) -> int:
        """How many permits move, or are left without a zone."""
        return sum(move.permits for move in self.moves)

    @property
    def removes(self) -> bool:
        """Whether a location is left without a zone; that takes a typed word."""
        return any(move.after is None for move in self.moves)

    @property
    def sentence(self) -> str:
        """What happens, in one sentence: *58 permits move from LotB to LOTB; officers will see them there.*"""
        words = {"n": _shown(self.permits), **names_of(self.moves[0].before.connection.vendor).words}
        if self.removes:
            return self._removal(words)
        befores = {move.before for move in self.moves}
        afters = [zone for zone in {move.after for move in self.moves} if zone is not None]
        words["to"] = afters[0].number
        if len(befores) == 1:
            words["from"] = self.moves[0].before.number
            if not afters[0].connection.is_live:
                text = ngettext(
                    "%(n)s permit moves from %(from)s to %(to)s.",
                    "%(n)s permits move from %(from)s to %(to)s.",
                    self.permits,
                )
            else:
                text = ngettext(
                    "%(n)s permit moves from %(from)s to %(to)s; officers will see it there.",
                    "%(n)s permits move from %(from)s to %(to)s; officers will see them there.",
                    self.permits,
                )
        else:
            text = ngettext(
                "%(n)s permit moves to %(to)s; officers will see it there.",
                "%(n)s permits move to %(to)s; officers will see them there.",
                self.permits,
            )
        return text % words

    @property
    def action(self) -> str:
        """What the button says: *Move 58 permits*, *Take 23 permits out of* the vendor."""
        if not self.removes:
            text = ngettext("Move %(n)s permit", "Move %(n)s permits", self.permits)
            return text % {"n": _shown(self.permits)}
        if not self.impact.removed:
            return _("Remove the zone")
        text = ngettext(
            "Take %(n)s permit out of %(vendor)s",
            "Take %(n)s permits out of %(vendor)s",
            self.impact.removed,
        )
        return text % {
            "n": _shown(self.impact.removed),
            **names_of(self.moves[0].before.connection.vendor).words,
        }

    def _removal(self, words: dict[str, str]) -> str:
        removed = self.impact.removed
        if removed:
            text = ngettext(
                "%(n)s permit is taken out of %(vendor)s; officers stop seeing it within seconds.",
                "%(n)s permits are taken out of %(vendor)s; officers stop seeing them within seconds.",
                removed,
            )
            return text % {**words, "n": _shown(removed)}
        text = ngettext(
            "%(n)s permit will have no zone. It is not in %(vendor)s now, and waits until a zone is chosen.",
            "%(n)s permits will have no zone. They are not in %(vendor)s now, and wait until a zone is chosen.",
            self.permits,
        )
        return text % words


def preview_of(left: Collection[tuple[Location, Zone, Zone | None]], now: datetime) -> MovePreview | None:
    """Return what moving locations (each with its zone before and after) does; None where no permit goes with them."""
    counted = permits_of([location.pk for location, _before, _after in left], now)
    moves = [
        Move(location, before, after, counted[location.pk])
        for location, before, after in left
        if counted.get(location.pk)
    ]
    if not moves:
        return None
    impacts = []
    for connection in {move.before.connection for move in moves}:
        here = [move for move in moves if move.before.connection_id == connection.pk]
        stays = [
            move.location.pk
            for move in here
            if move.after is not None and move.after.connection_id == connection.pk
        ]
        impacts.append(impact_of_moves(connection, [move.location.pk for move in here], stays=stays, now=now))
    examples = [pk for impact in impacts for pk in impact.examples][:EXAMPLES]
    together = Impact(
        sum(impact.removed for impact in impacts),
        sum(impact.replaced for impact in impacts),
        sum(impact.total for impact in impacts),
        examples,
    )
    return MovePreview(moves, together, any(impact.is_too_much for impact in impacts))


def permits_of(location_ids: Collection[int], now: datetime) -> Mapping[int, int]:
    """Return the number of real permits that have not ended by location; those without any are left out."""
    permits = Permit.objects.real().not_ended(now).filter(location__in=location_ids)
    return dict(permits.order_by().values_list("location").annotate(n=Count("*")))


def _shown(count: int) -> str:
    return str(localize(count, use_l10n=True))
