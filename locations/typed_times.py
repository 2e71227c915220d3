"""Dates and times as people and spreadsheets write them; pure, and without a time zone of its own.

`parse` reads `2026-11-01T18:00`, `11/1/2026 8:00:00 AM`, `1 Nov 2026`, `Nov 1st, 2026 at 6 pm`, `11/01/26 18:00`. It never
guesses: where a date's numbers could be read either way (`03/11/2026`), `order` decides, and without one the result is
ambiguous and holds both readings. A date that can only be read one way (`25/11/2026`) is, whatever `order` says.

| result | `at` | `problem` |
|---|---|---|
| unambiguous | the time on the clock, aware only if the text has an offset | empty |
| ambiguous | None; `month_first` and `day_first` are the readings | `ambiguous` |
| refused | None | `empty`, `unreadable`, or `year` where the year is not within `EARLIEST_YEAR` to `LATEST_YEAR` |

A date alone is that day's first moment, with `is_day` set: only the caller knows whether a day begins or ends something.
An importer calls it for each cell of a column and asks once where any is ambiguous.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from django.utils.formats import date_format
from django.utils.translation import gettext as _

MONTH_FIRST, DAY_FIRST = "mdy", "dmy"
EARLIEST_YEAR, LATEST_YEAR = 2000, 2099

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = (
    r"(?:(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)\.?,? )?"
)
_YEAR = r"(?P<year>\d{4,6}|\d{2})"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    r"(?P<year>\d{4,6})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})",
    rf"(?P<one>\d{{1,2}})(?P<sign>[-/.])(?P<two>\d{{1,2}})(?P=sign){_YEAR}",
    rf"{_DAY}[- .]? ?{_MONTH}[- ,]? ?{_YEAR}",
    rf"{_MONTH} ?{_DAY},? {_YEAR}",
)
_TIME = (
    r"(?:(?:t|,? at |, ?| )(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
    r" ?(?P<half>[ap]\.?m\.?)? ?(?P<offset>z|utc|gmt|[+-]\d{2}(?::?\d{2})?)?)?"
)
_SHAPES = tuple(re.compile(_WEEKDAY + date + _TIME, re.ASCII) for date in _DATES)


@dataclass(frozen=True, slots=True)
class TypedTime:
    """What a text says; see the module's table."""

    at: datetime | None = None
    problem: str = ""
    is_day: bool = False
    month_first: datetime | None = None
    day_first: datetime | None = None

    def in_order(self, order: str) -> "TypedTime":
        """Return the reading that somebody chose by `order`; without one, this."""
        chosen = {MONTH_FIRST: self.month_first, DAY_FIRST: self.day_first}.get(order)
        return TypedTime(at=chosen, is_day=self.is_day) if chosen else self


def parse(text: str, order: str = "") -> TypedTime:
    """Read a date, or a date and a time; see the module's table. `order` is `MONTH_FIRST`, `DAY_FIRST` or empty."""
    typed = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    if not typed:
        return TypedTime(problem="empty")
    found = next((match for shape in _SHAPES if (match := shape.fullmatch(typed))), None)
    if found is None:
        return _compact(typed)
    parts = found.groupdict()
    year = int(parts["year"]) + (2000 if len(parts["year"]) == 2 else 0)
    if parts.get("one"):
        if parts["sign"] == "-" and len(parts["year"]) == 2:
            return TypedTime(problem="unreadable")  # “26-11-01” may begin with its year
        days = [(int(parts["one"]), int(parts["two"])), (int(parts["two"]), int(parts["one"]))]
    else:
        month = _MONTHS.index(parts["name"][:3]) + 1 if parts.get("name") else int(parts["month"])
        days = [(month, int(parts["day"]))] * 2
    is_day = parts["hour"] is None
    if not EARLIEST_YEAR <= year <= LATEST_YEAR:
        # Only a date that would be one in another year: “99/99/1999” is no date at all.
        some = [_moment(parts, 2000, *one) for one in days]
        return TypedTime(problem="year" if any(some) else "unreadable")
    month_first, day_first = (_moment(parts, year, *one) for one in days)
    if month_first and day_first and month_first != day_first:
        asked = TypedTime(problem="ambiguous", is_day=is_day, month_first=month_first, day_first=day_first)
        return asked.in_order(order)
    at = month_first or day_first
    return TypedTime(at=at, is_day=is_day) if at else TypedTime(problem="unreadable")


def _compact(typed: str) -> TypedTime:
    """Read what is left of ISO 8601: `20261205T1800`."""
    try:
        at = datetime.fromisoformat(typed.upper()) if "t" in typed else None
    except ValueError:
        at = None
    if at is None:
        return TypedTime(problem="unreadable")
    return TypedTime(at=at) if EARLIEST_YEAR <= at.year <= LATEST_YEAR else TypedTime(problem="year")


def _moment(parts: dict[str, str | None], year: int, month: int, day: int) -> datetime | None:
    """Return the moment that a match means with this date, or None where there is none."""
    hour, minute, half = int(parts["hour"] or 0), parts["minute"], parts["half"]
    if parts["hour"] and not (minute or half):
        return None  # “1 Nov 2026 8” may be any eight
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    micro = int((parts["part"] or "0")[:6].ljust(6, "0"))
    try:
        at = datetime(  # noqa: DTZ001 - a wall clock's time; the caller has its zone
            year, month, day, hour, int(minute or 0), int(parts["second"] or 0), micro
        )
        at = at.replace(tzinfo=_offset(parts["offset"])) if parts["offset"] else at
    except ValueError:
        return None
    weekday = parts["weekday"]
    return None if weekday and _WEEKDAYS[at.weekday()] != weekday[:3] else at


def _offset(text: str) -> timezone:
    if text in ("z", "utc", "gmt"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if text[0] == "-" else span)


def sentence(read: TypedTime) -> str:
    """Say what is wrong with what was typed; empty where nothing is."""
    if read.problem == "empty":
        return _("Enter a date and a time.")
    if read.problem == "unreadable":
        return _("Enter the time like this: 2026-12-05 18:00.")
    if read.problem == "year":
        return _("Enter a year from %(first)d to %(last)d.") % {"first": EARLIEST_YEAR, "last": LATEST_YEAR}
    if read.problem == "ambiguous" and read.month_first and read.day_first:
        return _("This could be %(day_first)s or %(month_first)s. Enter %(day_iso)s or %(month_iso)s.") % {
            "day_first": say_day(read.day_first),
            "month_first": say_day(read.month_first),
            "day_iso": f"{read.day_first:%Y-%m-%d}",
            "month_iso": f"{read.month_first:%Y-%m-%d}",
        }
    return ""


def say_day(at: datetime) -> str:
    """Write a day with its month's name: “3 November 2026”."""
    return date_format(at, "j F Y")
