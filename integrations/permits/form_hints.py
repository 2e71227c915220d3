"""What is said beside a time or a plate while it is typed: questions and facts, never a rewrite."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext as _t

from integrations.models.connections import vendor_of
from integrations.permits.duplicates import Extension
from integrations.vendors.protocol import get_vendor
from locations.models import Company, Location, Permit
from locations.plates import unused_letters
from locations.regions import Region, region_label
from locations.times import FIRST, SECOND, LocalTime, problem_sentence, say_both, say_time, say_utc
from locations.typed_times import DAY_FIRST, MONTH_FIRST, say_day


@dataclass(frozen=True, slots=True)
class TimeHint:
    """What to say beside a typed time: UTC, or two readings to choose from, or why it is none."""

    utc: str = ""
    problem: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    chosen: str = ""
    # What is asked above the choices.
    question: str = ""


@dataclass(frozen=True, slots=True)
class PlateHint:
    """What to ask or say beside a typed plate."""

    plate: str = ""
    alike: Sequence[Permit] = ()
    same: Sequence[Permit] = ()
    extensions: Sequence[Extension] = ()
    letter_o: bool = False
    # The plate without its decoration, as most states register it; offered where decoration was typed.
    offer: str = ""
    # The letter that the plate's issuer puts on no regular plate, and the issuer.
    unused: str = ""
    issuer: str = ""

    @property
    def second(self) -> str:
        """The choice of a further permit beside these very ones, as the form sends it."""
        return "second:" + ".".join(str(permit.pk) for permit in self.same)


def time_hint(read: LocalTime, location: Location | None, chosen: str = "") -> TimeHint:
    """Return the words beside a typed time at `location`; `chosen` is the answer to what was asked before."""
    if location is None or read.problem == "empty":
        return TimeHint()
    choices = _choices(read, location)
    question = ""
    if choices:
        is_day = choices[0][0] in (DAY_FIRST, MONTH_FIRST)
        question = (
            _t("Which day is meant?") if is_day else _t("This hour happens twice that night. Which one?")
        )
    return TimeHint(
        utc=say_both(read.moment, location.tz) if read.moment else "",
        problem=problem_sentence(read, location.tz),
        choices=choices,
        chosen=chosen,
        question=question,
    )


def _choices(read: LocalTime, location: Location) -> tuple[tuple[str, str], ...]:
    if read.first and read.second:
        # The answer to which day was meant stays in the answer to which hour.
        day = f"{read.order}-" if read.order else ""
        return (
            (day + FIRST, _t("the first: %(local)s (%(utc)s)") % _both(read.first, location)),
            (day + SECOND, _t("the second: %(local)s (%(utc)s)") % _both(read.second, location)),
        )
    typed = read.typed
    if typed.month_first and typed.day_first and (read.order or read.problem == "ambiguous"):
        return ((DAY_FIRST, say_day(typed.day_first)), (MONTH_FIRST, say_day(typed.month_first)))
    return ()


def no_end(company: Company) -> str:
    """Return what the button “No end” types: a day before the furthest end that the vendor takes, so in any time zone."""
    return f"{get_vendor(vendor_of(company)).latest_end - timedelta(days=1):%Y-%m-%d}T23:59"


def _both(moment: datetime, location: Location) -> dict[str, str]:
    return {"local": say_time(moment, location.tz), "utc": say_utc(moment)}


def with_doubts(hint: PlateHint, region: Region | None) -> PlateHint:
    """Return the hint with a question about a letter that may be a digit, unless a look-alike is asked about already."""
    if hint.alike:
        return hint
    unused = unused_letters(hint.plate, region.subdivision) if region else ""
    if region and unused:
        return replace(hint, unused=unused, issuer=region_label(*region))
    return replace(hint, letter_o=has_lonely_o(hint.plate))


def has_lonely_o(plate: str) -> bool:
    """Whether a letter O stands between digits, where a zero is likelier (some states never use the letter O)."""
    return any(
        sign == "O" and plate[place - 1 : place].isdigit() and plate[place + 1 : place + 2].isdigit()
        for place, sign in enumerate(plate)
        if place
    )
