"""How a connection stands: what is wrong with it, how grave that is by now, and whether what officers see is proved. Pure.

| trouble of a live connection, the gravest first | since | when it is told |
|---|---|---|
| stopped until a person acts | the first refusal | at once, red |
| no worker is running | the last sign of one | amber after `LATE`, red after `GRAVE` |
| the vendor does not answer | the first failure | amber after `LATE`, red after `GRAVE` |
| changes wait | the oldest was saved, or the connection went live or was resumed | amber after `LATE`, red after `GRAVE` |

Before `LATE` the first three are known and not told: something is wrong, and it may be over in a moment. What is held back
until a connection goes live is not late, and while the vendor accepts it the alarm stays amber: nobody has to act.

What enforcement sees is *proved* while the last whole comparison that succeeded (`Connection.compared_at`) is young enough.
Nothing else is a proof: an event that was accepted may not have been processed.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from integrations.models import Alarm, Connection
from integrations.permits.counts import DeliveryCounts

LATE = timedelta(minutes=2)
GRAVE = timedelta(minutes=10)
# Workers give a sign of life every five seconds.
WORKER_LATE = timedelta(seconds=30)
# What a backfill marks is due a moment after it began.
BACKFILL_MARKED_WITHIN = timedelta(minutes=1)


class Level(IntEnum):
    """How grave it is."""

    CALM = 0
    WARNING = 1
    DANGER = 2

    @property
    def tone(self) -> str:
        """The tone in which pages say it."""
        return {Level.CALM: "info", Level.WARNING: "warning", Level.DANGER: "danger"}[self]


@dataclass(frozen=True, slots=True)
class Failing:
    """What holds sends back after failures: a connection's own breaker or that of its vendor's host."""

    since: datetime | None
    error: str = ""
    remedy: str = ""
    stopped: bool = False
    of_host: bool = False


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """What is known of how a connection delivers. `worker_at` is the last sign of life of any worker.

    `waiting_error` is what was said of the most urgent change that waits, `accepted_lately` whether the vendor has accepted
    anything within `LATE`.
    """

    status: str
    status_since: datetime
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    failing: Failing | None = None
    worker_at: datetime | None = None
    waiting_error: str = ""
    accepted_lately: bool = False
    backfill_started_at: datetime | None = None
    compared_at: datetime | None = None
    comparison_error: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, since when, and how grave that is by now; `moves` says that the vendor accepts what waits."""

    cause: str
    level: Level
    since: datetime
    error: str = ""
    remedy: str = ""
    of_host: bool = False
    moves: bool = False


def level_of(since: datetime, now: datetime) -> Level:
    """Return how grave it is that something has been wrong since then."""
    age = now - since
    if age < LATE:
        return Level.CALM
    return Level.WARNING if age < GRAVE else Level.DANGER


def trouble_of(health: LinkHealth, now: datetime) -> Trouble | None:
    """Return the gravest trouble of a connection; None where there is none, or where nothing should be sent."""
    if health.status != Connection.Status.LIVE:
        return None
    failing = health.failing
    if failing is not None and failing.stopped:
        since = failing.since or now
        return Trouble(
            Alarm.Cause.STOPPED, Level.DANGER, since, failing.error, failing.remedy, failing.of_host
        )
    if no_worker(health.worker_at, now):
        since = health.worker_at or health.status_since
        return Trouble(Alarm.Cause.WORKERS, level_of(since, now), since)
    if failing is not None and failing.since is not None and is_away(failing.since, health):
        level = level_of(failing.since, now)
        return Trouble(
            Alarm.Cause.OUTAGE, level, failing.since, failing.error, failing.remedy, failing.of_host
        )
    return _backlog(health, now)


def no_worker(worker_at: datetime | None, now: datetime) -> bool:
    """Whether no worker has given a sign of life for too long."""
    return worker_at is None or now - worker_at > WORKER_LATE


def is_away(since: datetime, health: LinkHealth) -> bool:
    """Whether the vendor still does not answer, as far as anybody knows.

    It is not asked while nothing waits, so a breaker may stand open long after the vendor is back: then a comparison that
    has succeeded since is the answer.
    """
    answered = health.compared_at is not None and health.compared_at > since
    return health.counts.waiting > 0 or not answered


def _backlog(health: LinkHealth, now: datetime) -> Trouble | None:
    oldest = health.counts.waiting_since
    if oldest is None:
        return None
    since = max(oldest, health.status_since)
    level = level_of(since, now)
    if level == Level.CALM:
        return None
    begun = health.backfill_started_at
    is_backfill = begun is not None and oldest <= begun + BACKFILL_MARKED_WITHIN
    if is_backfill and health.accepted_lately:
        level = Level.WARNING
    return Trouble(
        Alarm.Cause.BACKLOG, level, since, error=health.waiting_error, moves=health.accepted_lately
    )


def is_proved(health: LinkHealth, now: datetime, *, max_age: timedelta) -> bool:
    """Whether a whole comparison with what enforcement sees has succeeded lately."""
    return health.compared_at is not None and now - health.compared_at <= max_age
