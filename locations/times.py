"""Local times: read from people, said to people.

What it decides: a typed time is the wall clock's at the location. Twice a year that is not a moment: in spring an hour
does not exist, in autumn one happens twice. `parse_local` then says so and never guesses; the person chooses the first
or the second. Everything it returns is aware and in UTC.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from locations.typed_times import DAY_FIRST, MONTH_FIRST, TypedTime, parse, sentence

FIRST, SECOND = "first", "second"
_NOTHING = TypedTime()


@dataclass(frozen=True, slots=True)
class LocalTime:
    """What a typed time means at one place.

    `moment` is aware (UTC), or None with a `problem`: one of `locations.typed_times` ("empty", "unreadable", "year",
    "ambiguous"), "missing" (the clock skips it) or "double" (it happens twice and nobody said which; `first` and `second` are
    the two moments, set whenever it is double). For "missing", `first` is the moment at which the clock jumps. `typed` is
    what the text says, for the two readings of an ambiguous date; `order` is the one that was chosen.
    """

    moment: datetime | None = None
    problem: str = ""
    first: datetime | None = None
    second: datetime | None = None
    typed: TypedTime = _NOTHING
    order: str = ""


def parse_local(
    text: str, tz: tzinfo, choice: str = "", *, order: str = "", is_end: bool = False
) -> LocalTime:
    """Read a wall clock's time at `tz`, in any form that `locations.typed_times` reads.

    A text with an offset of its own (`2026-12-05T18:00-05:00`, `…Z`) is that moment, whatever `tz` is. A day without a time
    is its first moment, or, with `is_end`, its last: the midnight after it. `choice` is the answer to what was asked before:
    "first" or "second" tells the two hours apart where the clock is set back, "mdy" or "dmy" how an ambiguous date is
    meant, and "dmy-second" does both. `order` is how such dates are meant as long as nobody says otherwise.
    """
    answers = set(choice.split("-"))
    asked = parse(text)
    chosen_order = next((answer for answer in (MONTH_FIRST, DAY_FIRST) if answer in answers), "")
    typed = asked.in_order(chosen_order or order)
    if typed.at is None:
        return LocalTime(problem=typed.problem, typed=asked)
    naive = typed.at + timedelta(days=1) if typed.is_day and is_end else typed.at
    read = _on_clock(naive, tz, next((answer for answer in (FIRST, SECOND) if answer in answers), ""))
    return replace(read, typed=asked, order=chosen_order)


def _on_clock(naive: datetime, tz: tzinfo, choice: str) -> LocalTime:
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


def clean_local(text: str, tz: tzinfo, *, order: str = "", is_end: bool = False) -> datetime:
    """Return the moment (UTC), or raise `ValidationError` with one sentence; its `code` is `LocalTime.problem`.

    For where nobody can be asked: the sentence says what to enter for each reading.
    """
    read = parse_local(text, tz, order=order, is_end=is_end)
    if read.moment is not None:
        return read.moment
    said = problem_sentence(read, tz)
    if read.problem == "double" and read.first and read.second:
        said = _(
            "This hour occurs twice that night. Enter %(first)s for the first or %(second)s for the second."
        ) % {
            "first": read.first.astimezone(tz).isoformat(),
            "second": read.second.astimezone(tz).isoformat(),
        }
    raise ValidationError(said, code=read.problem)


def problem_sentence(read: LocalTime, tz: tzinfo) -> str:
    """Say what is wrong with a typed time; empty where nothing is."""
    if read.problem == "missing" and read.first:
        return _("This time doesn't exist: the clocks there go forward to %(time)s that night.") % {
            "time": date_format(read.first.astimezone(tz), "H:i")
        }
    if read.problem == "double" and read.first and read.second:
        return _("This hour occurs twice that night. Choose the first or the second.")
    return sentence(read.typed) if read.problem else ""


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
