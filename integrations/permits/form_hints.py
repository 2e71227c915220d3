"""What is said beside a time or a plate while it is typed: questions and facts, never a rewrite."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _t

from integrations.permits.duplicates import Extension
from locations.models import Location, Permit
from locations.times import FIRST, SECOND, LocalTime, problem_sentence, say_both, say_time, say_utc


@dataclass(frozen=True, slots=True)
class TimeHint:
    """What to say beside a typed time: UTC, or the two hours to choose from, or why it is none."""

    utc: str = ""
    problem: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class PlateHint:
    """What to ask or say beside a typed plate."""

    plate: str = ""
    alike: Sequence[Permit] = ()
    same: Sequence[Permit] = ()
    extensions: Sequence[Extension] = ()
    letter_o: bool = False

    @property
    def second(self) -> str:
        """The choice of a further permit beside these very ones, as the form sends it."""
        return "second:" + ".".join(str(permit.pk) for permit in self.same)


def time_hint(read: LocalTime, location: Location | None, chosen: str = "") -> TimeHint:
    """Return the words beside a typed time at `location`."""
    if location is None or read.problem in ("empty", ""):
        if location is None or read.moment is None:
            return TimeHint()
        choices = _choices(read, location) if read.first and read.second else ()
        return TimeHint(
            utc=say_both(read.moment, location.tz),
            choices=choices,
            chosen=chosen,
        )
    return TimeHint(
        problem=problem_sentence(read, location.tz), choices=_choices(read, location), chosen=chosen
    )


def _choices(read: LocalTime, location: Location) -> tuple[tuple[str, str], ...]:
    if not (read.first and read.second):
        return ()
    return (
        (FIRST, _t("the first: %(local)s (%(utc)s)") % _both(read.first, location)),
        (SECOND, _t("the second: %(local)s (%(utc)s)") % _both(read.second, location)),
    )


def _both(moment: datetime, location: Location) -> dict[str, str]:
    return {"local": say_time(moment, location.tz), "utc": say_utc(moment)}


def has_lonely_o(plate: str) -> bool:
    """Whether a letter O stands between digits, where a zero is likelier (some states never use the letter O)."""
    return any(
        sign == "O" and plate[place - 1 : place].isdigit() and plate[place + 1 : place + 2].isdigit()
        for place, sign in enumerate(plate)
        if place
    )
