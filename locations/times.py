"""Local times: read from people, said to people.

What it decides: a typed time is the wall clock's at the location. Twice a year that is not a moment: in spring an hour
does not exist, in autumn one happens twice. `parse_local` then says so and never guesses; the person chooses the first
or the second. Everything it returns is aware and in UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

FIRST, SECOND = "first", "second"
EARLIEST_YEAR, LATEST_YEAR = 2000, 2199
_TYPED_FORMATS = (
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M%p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """What a typed time means at one place.

    `moment` is aware (UTC), or None with a `problem`: "empty", "unreadable", "missing" (the clock skips it) or "double"
    (it happens twice and nobody said which; `first` and `second` are the two moments, set whenever it is double).
    For "missing", `first` is the moment at which the clock jumps.
    """

    moment: datetime | None = None
    problem: str = ""
    first: datetime | None = None
    second: datetime | None = None


def parse_local(text: str, tz: tzinfo, choice: str = "") -> LocalTime:
    """Read a wall clock's time at `tz`: `2026-12-05T18:00`, `2026-12-05 18:00`, `12/05/2026 6:00 PM`.

    A text with an offset of its own (`2026-12-05T18:00-05:00`, `…Z`) is that moment, whatever `tz` is. `choice` ("first"
    or "second") tells the two hours apart where the clock is set back.
    """
    typed = " ".join(text.split())
    if not typed:
        return LocalTime(problem="empty")
    naive = _read(typed)
    if naive is None or not EARLIEST_YEAR <= naive.year <= LATEST_YEAR:
        return LocalTime(problem="unreadable")
    if naive.tzinfo is not None:
        return LocalTime(moment=naive.astimezone(UTC))
    first = naive.replace(tzinfo=tz, fold=0).astimezone(UTC)
    second = naive.replace(tzinfo=tz, fold=1).astimezone(UTC)
    if first == second:
        return LocalTime(moment=first)
    if first.astimezone(tz).replace(tzinfo=None, fold=0) != naive:
        # The clock jumps over it. Read by the old offset it lies as far behind the jump as it lies in the gap.
        return LocalTime(problem="missing", first=_jump(second, first, tz))
    chosen = {FIRST: first, SECOND: second}.get(choice)
    return LocalTime(moment=chosen, problem="" if chosen else "double", first=first, second=second)


def _read(typed: str) -> datetime | None:
    if len(typed) > 10:  # a date alone is not a time
        try:
            return datetime.fromisoformat(typed)
        except ValueError:
            pass
    for pattern in _TYPED_FORMATS:
        try:
            return datetime.strptime(typed.upper(), pattern)  # noqa: DTZ007 - a wall clock's time; the caller has its zone
        except ValueError:
            continue
    return None


def _jump(before: datetime, after: datetime, tz: tzinfo) -> datetime:
    """Return the moment between two UTC times at which `tz` changes its offset, to the second."""
    old = before.astimezone(tz).utcoffset()
    low, high = before, after
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(tz).utcoffset() == old:
            low = middle
        else:
            high = middle
    return (high + timedelta(microseconds=500_000)).replace(microsecond=0)


def clean_local(text: str, tz: tzinfo, choice: str = "") -> datetime:
    """Return the moment (UTC), or raise `ValidationError` with one sentence; its `code` is `LocalTime.problem`."""
    read = parse_local(text, tz, choice)
    if read.moment is not None:
        return read.moment
    raise ValidationError(problem_sentence(read, tz), code=read.problem)


def problem_sentence(read: LocalTime, tz: tzinfo) -> str:
    """Say what is wrong with a typed time; empty where nothing is."""
    if read.problem == "empty":
        return _("Enter a date and a time.")
    if read.problem == "unreadable":
        return _("Enter the time like this: 2026-12-05 18:00.")
    if read.problem == "missing" and read.first:
        return _("This time doesn't exist: the clocks there go forward to %(time)s that night.") % {
            "time": date_format(read.first.astimezone(tz), "H:i")
        }
    if read.problem == "double" and read.first and read.second:
        return _("This hour occurs twice that night. Choose the first or the second.")
    return ""


def fold_of(moment: datetime, tz: tzinfo) -> str:
    """Return "first" or "second" where the wall clock at `tz` shows this time twice, else an empty text."""
    local = moment.astimezone(tz)
    other = local.replace(fold=1 - local.fold)
    if other.utcoffset() == local.utcoffset():
        return ""
    return SECOND if local.fold else FIRST


def input_value(moment: datetime, tz: tzinfo) -> str:
    """Write a moment for an `<input type="datetime-local">`; seconds only where there are any."""
    local = moment.astimezone(tz)
    return local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")


def say_clock(moment: datetime, tz: tzinfo, now: datetime) -> str:
    """Write a moment shortly, as people say it at `tz`: “12:03:04” today, “22 Nov, 12:03” this year, else with the year."""
    local, today = moment.astimezone(tz), now.astimezone(tz)
    if local.date() == today.date():
        return date_format(local, "H:i:s")
    return date_format(local, "j M, H:i" if local.year == today.year else "j M Y, H:i")


def say_time(moment: datetime, tz: tzinfo) -> str:
    """Write a moment in full at `tz`: “5 Dec 2026, 18:00 EST”."""
    local = moment.astimezone(tz)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname() or ''}".strip()


def say_utc(moment: datetime) -> str:
    """Write a moment in UTC: “5 Dec 2026, 23:00 UTC”."""
    return date_format(moment.astimezone(UTC), "j M Y, H:i") + " UTC"


def say_both(moment: datetime, tz: tzinfo) -> str:
    """Write a moment at `tz` and in UTC: “5 Dec 2026, 18:00 EST (23:00 UTC)”."""
    local, utc = moment.astimezone(tz), moment.astimezone(UTC)
    same_day = local.date() == utc.date()
    return f"{say_time(moment, tz)} ({date_format(utc, 'H:i' if same_day else 'j M, H:i')} UTC)"


def duration_text(span: timedelta, parts: int = 1, *, tenths: bool = False) -> str:
    """Write a span as people do: “4 s”, “6 min”, “1 h”, “2 days”; `parts=2` gives “1 h 20 min”.

    `tenths` gives one decimal below a minute: “1.2 s”. A negative span counts as 0.
    """
    seconds = max(0.0, span.total_seconds())
    if seconds < 1 or (tenths and seconds < 60):
        return _("0 s") if seconds == 0 else _("%(n)s s") % {"n": f"{seconds:.1f}"}
    left = int(seconds)
    units = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    shown: list[str] = []
    for unit, size in units:
        count, left = divmod(left, size)
        if count or shown:
            if count:
                shown.append(
                    ngettext("%(n)d day", "%(n)d days", count) % {"n": count}
                    if unit == "day"
                    else f"{count} {unit}"
                )
            parts -= 1
        if parts <= 0:
            break
    return " ".join(shown)
