"""How serious a connection's failure to deliver is, and whether what officers see is proved: a table for each decision."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.alarms.health import (
    GRAVE,
    LATE,
    Failing,
    Level,
    LinkHealth,
    is_proved,
    level_of,
    trouble_of,
)
from integrations.alarms.words import remedy_of, trouble_sentence, trouble_word, waiting_sentence
from integrations.models import Alarm
from integrations.permits.counts import Counted, DeliveryCounts
from integrations.vendors.protocol import VendorNames

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
NAMES = VendorNames("Acme", "AcmeEnforce", "the app", "the back office")


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def health(**values: Any) -> LinkHealth:
    """A live connection on which everything is in order, except for `values`."""
    in_order: dict[str, Any] = {
        "status": "live",
        "status_since": ago(1000),
        "worker_at": NOW,
        "compared_at": ago(3),
    }
    return LinkHealth(**(in_order | values))


def waiting(minutes: float, **values: Any) -> DeliveryCounts:
    counts: dict[str, Any] = {"waiting": 1, "waiting_since": ago(minutes)}
    return DeliveryCounts(**(counts | values))


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (-5 * SECOND, Level.CALM),  # the clocks of a worker and of the database may differ
        (timedelta(0), Level.CALM),
        (LATE - SECOND, Level.CALM),
        (LATE, Level.WARNING),
        (GRAVE - SECOND, Level.WARNING),
        (GRAVE, Level.DANGER),
        (timedelta(days=3), Level.DANGER),
    ],
)
def test_the_level_follows_from_the_age(age: timedelta, level: Level) -> None:
    assert level_of(NOW - age, NOW) == level


OUTAGE, BACKLOG, WORKERS, STOPPED = (
    Alarm.Cause.OUTAGE,
    Alarm.Cause.BACKLOG,
    Alarm.Cause.WORKERS,
    Alarm.Cause.STOPPED,
)


@pytest.mark.parametrize(
    ("values", "cause", "level", "since"),
    [
        ({}, None, None, None),
        # A change that waits is late after two minutes, and serious after ten.
        ({"counts": waiting(1.9)}, None, None, None),
        ({"counts": waiting(2)}, BACKLOG, Level.WARNING, 2),
        ({"counts": waiting(10)}, BACKLOG, Level.DANGER, 10),
        # The time counts from when it could be sent: going live, or being resumed.
        ({"counts": waiting(600), "status_since": ago(1)}, None, None, None),
        ({"counts": waiting(600), "status_since": ago(5)}, BACKLOG, Level.WARNING, 5),
        # It is known at once that a vendor doesn't answer, and reported once that lasts.
        ({"failing": Failing(ago(1)), "compared_at": None}, OUTAGE, Level.CALM, 1),
        ({"failing": Failing(ago(6)), "counts": waiting(1)}, OUTAGE, Level.WARNING, 6),
        ({"failing": Failing(ago(11)), "counts": waiting(1)}, OUTAGE, Level.DANGER, 11),
        ({"failing": Failing(ago(11)), "compared_at": ago(12)}, OUTAGE, Level.DANGER, 11),
        # Nothing waits, and the vendor has answered a comparison since: the breaker is open only for lack of a probe.
        ({"failing": Failing(ago(60)), "compared_at": ago(3)}, None, None, None),
        # It answers look-ups but accepts nothing: what waits says so.
        ({"failing": Failing(ago(60)), "compared_at": ago(3), "counts": waiting(1)}, OUTAGE, Level.DANGER, 60),
        # Where people must act it is serious at once.
        ({"failing": Failing(ago(0), stopped=True)}, STOPPED, Level.DANGER, 0),
        ({"failing": Failing(ago(1), stopped=True), "worker_at": None}, STOPPED, Level.DANGER, 1),
        # Without a worker nothing is sent, no matter what the breaker says.
        ({"worker_at": ago(0.4)}, None, None, None),
        ({"worker_at": ago(1)}, WORKERS, Level.CALM, 1),
        ({"worker_at": ago(3), "failing": Failing(ago(20))}, WORKERS, Level.WARNING, 3),
        ({"worker_at": None}, WORKERS, Level.DANGER, 1000),
        # What a person holds back is not a failure.
        ({"status": "paused", "counts": waiting(600), "failing": Failing(ago(60))}, None, None, None),
        ({"status": "setup", "counts": waiting(600), "worker_at": None}, None, None, None),
        ({"status": "testing", "failing": Failing(ago(60), stopped=True)}, None, None, None),
        # A backfill that makes progress is shown without an alarm; one that stands still raises one.
        (
            {"counts": waiting(30), "status_since": ago(30), "backfill_started_at": ago(30), "accepted_lately": True},
            BACKLOG, Level.WARNING, 30,
        ),
        ({"counts": waiting(30), "status_since": ago(30), "backfill_started_at": ago(30)}, BACKLOG, Level.DANGER, 30),
        # What was saved after that is not part of the backfill.
        (
            {"counts": waiting(11), "status_since": ago(30), "backfill_started_at": ago(30), "accepted_lately": True},
            BACKLOG, Level.DANGER, 11,
        ),
    ],
)  # fmt: skip
def test_the_most_serious_problem_is_named_with_its_age(
    values: dict[str, Any], cause: str | None, level: Level | None, since: float | None
) -> None:
    trouble = trouble_of(health(**values), NOW)
    if cause is None:
        assert trouble is None
        return
    assert trouble is not None
    assert (trouble.cause, trouble.level, trouble.since) == (cause, level, ago(since or 0))


@pytest.mark.parametrize(
    ("compared_at", "proved"),
    [(None, False), (ago(0), True), (ago(15), True), (ago(15) - SECOND, False), (ago(-1), True)],
)
def test_only_a_young_comparison_is_a_proof(compared_at: datetime | None, proved: bool) -> None:
    assert is_proved(health(compared_at=compared_at), NOW, max_age=15 * MINUTE) is proved


def said(**values: Any) -> str:
    trouble = trouble_of(health(**values), NOW)
    assert trouble is not None
    assert trouble_word(trouble)
    assert remedy_of(trouble, NAMES)
    return trouble_sentence(trouble, NAMES, NOW)


def test_each_problem_names_its_cause_and_its_age() -> None:
    six: dict[str, Any] = {"counts": waiting(6)}
    assert said(failing=Failing(ago(6)), **six) == "Acme has not answered for 6 min."
    assert said(failing=Failing(ago(6), "Not authorised.", "Ask.", stopped=True)) == (
        "Nothing is sent to Acme: Not authorised."
    )
    assert said(worker_at=ago(6)) == "No worker has been running for 6 min, so nothing is sent to Acme."
    assert said(**six) == "Changes have waited for 6 min, and Acme has not accepted any lately."
    assert said(**six, accepted_lately=True) == "Changes have waited for 6 min; Acme is accepting them."
    assert (
        said(**six, waiting_error="Acme answered 503.") == "Changes have waited for 6 min: Acme answered 503."
    )


@pytest.mark.parametrize(
    ("counts", "hidden", "plates", "sentence"),
    [
        ((0, 0), 0, ("", ""), "Nothing is waiting to be sent."),
        ((1, 0), 0, ("", ""), "1 change is waiting."),
        ((1, 1), 0, ("", "NBC002"), "1 change is waiting: NBC002 was ended here and officers may still see it."),
        ((1, 0), 1, ("RXH 8504", ""), "1 change is waiting: officers can't see RXH 8504."),
        (
            (2_500, 3), 12, ("", ""),
            "2,500 changes are waiting: 12 vehicles are not visible to enforcement, and 3 permits were ended here and "
            "officers may still see them.",
        ),
        ((5, 2_001), 0, ("", ""),
         "5 changes are waiting: 2,000+ permits were ended here and officers may still see them."),
    ],
)  # fmt: skip
def test_what_waits_is_said_with_what_it_means(
    counts: tuple[int, int], hidden: int, plates: tuple[str, str], sentence: str
) -> None:
    waits, still = counts
    found = DeliveryCounts(waiting=waits, still_shown=still)
    assert waiting_sentence(found, hidden=Counted(hidden), plate=plates[0], ended_plate=plates[1]) == sentence
