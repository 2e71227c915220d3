"""What a comparison with enforcement's list comes to. Pure: no clock, no database, no network.

| a right that we believe in | listed | finding |
|---|---|---|
| whatever its window | yes | seen |
| running, and accepted a while ago | no | missing |
| about to begin or just begun, about to end, or accepted just now | no | open: nothing can be concluded |

Processing is asynchronous, and nobody has written down that rights are listed before they begin; so only what must be
listed *now* can be missing. A list that lacks too much is no proof that enforcement lost it: more likely it is the list
that is short. Then the whole comparison is *held*: nothing is changed, and people are told.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from integrations.delivery.session_id import read_session_id
from integrations.vendors.protocol import RightSeen

# How long after an acceptance, and around the edges of its window, a right may be listed or not.
SETTLING_TIME = timedelta(seconds=60)
# More than so many missing, and more than this share of what must be listed: the list is not believed.
HELD_ROWS = 20
HELD_SHARE = 0.05
# Rights that are not as we believe are kept with their details up to this number; the next comparison finds the rest.
OTHERS_MAX = 5_000


def vehicle(plate: str, subdivision: str, zone_id: str) -> tuple[str, str, str]:
    """Return by what a right is known where the vendor gives no reference."""
    return plate, subdivision.rpartition("-")[2], zone_id


class ListedRights:
    """What the vendor lists, told apart as it comes and kept small: a company may have a hundred thousand rights."""

    def __init__(self, key: str, believed: Mapping[int, int]) -> None:
        """`believed` are the numbers of the sessions that we believe in, by registration id."""
        self._key = key
        self._believed = believed
        self._as_believed: set[int] = set()
        # Rights of ours that are others than those, by registration id.
        self.others: dict[int, list[RightSeen]] = {}
        self.count_of_others = 0
        self.vehicles: set[tuple[str, str, str]] = set()
        self._zones: dict[str, str] = {}

    def take(self, right: RightSeen) -> None:
        """Take in one right."""
        if not right.reference:
            zone_id = self._zones.setdefault(right.zone_id, right.zone_id)
            self.vehicles.add(vehicle(right.plate, right.subdivision, zone_id))
            return
        own = read_session_id(self._key, right.reference)
        if own is None:
            return  # a driver's own session, or another provider's
        pk, number = own
        if self._believed.get(pk) == number:
            self._as_believed.add(pk)
            return
        self.count_of_others += 1
        if self.count_of_others <= OTHERS_MAX:
            self.others.setdefault(pk, []).append(right)

    def has(self, pk: int, number: int) -> bool:
        """Whether this session of a registration is listed."""
        if pk in self._as_believed and self._believed[pk] == number:
            return True
        return any(
            read_session_id(self._key, right.reference) == (pk, number) for right in self.others.get(pk, ())
        )


@dataclass(frozen=True, slots=True)
class Believed:
    """A right that was accepted, as far as the comparison must know it."""

    pk: int
    start: datetime
    until: datetime
    accepted_at: datetime
    is_listed: bool


def must_be_listed(right: Believed, *, at: datetime) -> bool:
    """Whether a right that was accepted must be among those that enforcement sees at `at`."""
    return (
        right.start <= at - SETTLING_TIME
        and right.until > at + SETTLING_TIME
        and right.accepted_at < at - SETTLING_TIME
    )


@dataclass(slots=True)
class Comparison:
    """What a comparison comes to; registration ids, eight bytes each. `missing` is not acted upon where it `is_held`."""

    seen: "array[int]" = field(default_factory=lambda: array("q"))
    missing: "array[int]" = field(default_factory=lambda: array("q"))
    expected: int = 0
    is_held: bool = False


def judge(rights: Iterable[Believed], *, at: datetime, is_certain: bool = False) -> Comparison:
    """Return what was seen and what is missing at `at`, and whether the list lacks too much to be believed.

    `is_certain` says that a person vouches for the list, however much it lacks.
    """
    verdict = Comparison()
    for right in rights:
        must = must_be_listed(right, at=at)
        verdict.expected += must
        if right.is_listed:
            verdict.seen.append(right.pk)
        elif must:
            verdict.missing.append(right.pk)
    too_many = len(verdict.missing) > max(HELD_ROWS, HELD_SHARE * verdict.expected)
    verdict.is_held = too_many and not is_certain
    return verdict
