"""What became of a permit's delivery, in words: one place for lists, the permit's page, commands and the API.

`push_state` is pure. It answers from what is known at `now` and never asks the vendor. The order of its questions is the
order in which a person can do something about it: refused → drift → no zone → not live or paused → stopped → on its way.

Invariant: every state has a word, a tone and an icon, and what went wrong says what to do (`remedy`).
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from integrations.models import Breaker, Connection, PermitSync, ZoneMapping
from integrations.models.delivery import STILL_LISTED
from integrations.vendors.protocol import get_vendor
from locations.models import Permit
from locations.times import say_clock

# States that change by themselves, within seconds: a page that shows one looks again.
MOVING = frozenset({"due", "sending", "outage", "withdrawing"})


@dataclass(frozen=True, slots=True)
class PushState:
    """One state. `word` is for a badge, `sentence` stands beside it, `line` is both (for a terminal, for the API)."""

    key: str
    word: str
    tone: str
    icon: str
    reason: str = ""
    remedy: str = ""
    since: datetime | None = None

    @property
    def sentence(self) -> str:
        """The reason as a sentence; empty where the word says it all."""
        return f"{self.reason[0].upper()}{self.reason[1:]}." if self.reason else ""

    @property
    def line(self) -> str:
        """Word and reason in one line: “waiting: this location has no zone yet”."""
        return f"{self.word}: {self.reason}" if self.reason else self.word

    @property
    def moving(self) -> bool:
        """Whether it is expected to change by itself, soon."""
        return self.key in MOVING


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 4th, 11th."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def fragment(sentence: str) -> str:
    """Return a stored sentence without its full stop, to be put behind a colon."""
    return sentence.strip().rstrip(".")


def push_state(
    permit: Permit,
    permit_sync: PermitSync | None,
    mapping: ZoneMapping | None,
    connection: Connection | None,
    now: datetime,
    breaker: Breaker | None = None,
) -> PushState:
    """Say what became of one permit's delivery at `now`.

    `registration` is the permit's row on `connection`; `connection` is that of the mapped zone, or of the registration
    where the location is not mapped any more; `breaker` the one that holds it back, if any. `permit.location` and
    `mapping.zone` should be loaded.
    """
    over = permit.status == Permit.Status.CANCELLED or permit.end <= now
    if permit_sync is not None and permit_sync.state == PermitSync.State.REFUSED:
        return PushState(
            key="refused",
            word=_("refused"),
            tone="danger",
            icon="x",
            reason=fragment(permit_sync.error)
            or _("%(vendor)s refused it") % {"vendor": vendor_label(connection)},
            remedy=f"{permit_sync.remedy} {again_words(permit_sync, permit, now)}".strip(),
            since=permit_sync.error_since or permit_sync.due_since,
        )
    if permit_sync is not None and permit_sync.state == PermitSync.State.DONE and permit_sync.is_drifting:
        # What is over may only be shown too long; that it was shown otherwise before is over, too.
        shown_too_long = permit_sync.drift_since is not None and permit_sync.error_code in ("", STILL_LISTED)
        if not over or shown_too_long:
            return _drifting(permit_sync, connection)
    if over:
        return _ended(permit, permit_sync, connection, now, breaker)
    if permit_sync is not None and permit_sync.state == PermitSync.State.DONE and permit_sync.remote_state:
        at = permit_sync.accepted_at or permit_sync.due_since
        return PushState(
            key="accepted",
            word=_("accepted %(time)s") % {"time": say_clock(at, permit.location.tz, now)},
            tone="success",
            icon="check",
            since=at,
        )
    if mapping is None or connection is None:
        return _waiting(
            "unmapped",
            _("this location has no zone yet"),
            _("Choose the location's zone; its permits follow by themselves."),
            permit.updated_at,
        )
    return _on_its_way(permit, permit_sync, connection, now, breaker)


def _drifting(permit_sync: PermitSync, connection: Connection | None) -> PushState:
    """Say that enforcement shows something else than was accepted, or that this was put right and not looked at since."""
    reason, remedy = fragment(permit_sync.error), permit_sync.remedy
    if not reason:
        reason = _("%(vendor)s did not show it as it was accepted; it was sent again") % {
            "vendor": vendor_label(connection)
        }
        remedy = _("Whether that helped shows at the next comparison, in a few minutes.")
    since = permit_sync.drift_since or permit_sync.error_since
    return PushState("drift", _("drift"), "danger", "alert-triangle", reason, remedy, since)


def _waiting(key: str, reason: str, remedy: str, since: datetime | None) -> PushState:
    return PushState(key, _("waiting"), "warning", "clock", reason, remedy, since)


def again_words(permit_sync: PermitSync, permit: Permit, now: datetime) -> str:
    """Say when a refused registration is tried again by itself; an empty text where it is not. Needs the location."""
    if permit_sync.retry_at is None:
        return ""
    if permit_sync.retry_at <= now:
        return _("It is being retried.")
    return _("It will be retried automatically at %(time)s.") % {
        "time": say_clock(permit_sync.retry_at, permit.location.tz, now)
    }


def vendor_label(connection: Connection | None) -> str:
    """Return how people call the vendor of a connection."""
    return get_vendor(connection.vendor).names.label if connection else _("The vendor")


def _ended(
    permit: Permit,
    permit_sync: PermitSync | None,
    connection: Connection | None,
    now: datetime,
    breaker: Breaker | None,
) -> PushState:
    """Say what became of a permit that is cancelled or over."""
    since = permit.cancelled_at or permit.end
    # A row that had nothing to send is done as well; only a session that was ever started means that something was sent.
    if permit_sync is None or (permit_sync.session_count == 0 and permit_sync.remote_state is None):
        return PushState(
            "not_sent", _("ended"), "neutral", "circle-dashed", _("nothing was sent"), since=since
        )
    tz = permit.location.tz
    if permit_sync.state == PermitSync.State.DUE and connection is not None:
        return _on_its_way(permit, permit_sync, connection, now, breaker)
    if permit_sync.remote_state is None:
        at = permit_sync.accepted_at or permit_sync.due_since
        word = _("withdrawn %(time)s") % {"time": say_clock(at, tz, now)}
        return PushState("withdrawn", word, "neutral", "circle", since=at)
    until = say_clock(permit_sync.remote_until or permit.end, tz, now)
    reason = _("%(vendor)s had it until %(time)s") % {"vendor": vendor_label(connection), "time": until}
    return PushState("expired", _("ended"), "neutral", "circle", reason, since=since)


def _on_its_way(
    permit: Permit,
    permit_sync: PermitSync | None,
    connection: Connection,
    now: datetime,
    breaker: Breaker | None,
) -> PushState:
    """Say what holds a due registration, or how far it is."""
    since = permit_sync.due_since if permit_sync else permit.updated_at
    ending = permit.status == Permit.Status.CANCELLED or permit.end <= now
    status = Connection.Status(connection.status)
    if status == Connection.Status.PAUSED:
        reason = _("the connection is paused") + (
            f": {fragment(connection.status_reason)}" if connection.status_reason else ""
        )
        remedy = _("A manager can resume the connection; everything held back is sent then.")
        return PushState(
            "paused", _("paused"), "warning", "player-pause", reason, remedy, connection.status_since
        )
    if status == Connection.Status.ENDED:
        remedy = _("Map the location to a zone of another connection.")
        return _waiting("ended_connection", _("the connection has been ended"), remedy, since)
    if not connection.is_confirmed:
        remedy = _("Support confirms that the operator ID is yours; everything held back is sent then.")
        return _waiting("not_live", _("the operator ID is not confirmed yet"), remedy, since)
    if status != Connection.Status.LIVE and not permit.is_test:
        remedy = _("Finish the set-up; everything held back is sent then.")
        return _waiting("not_live", _("the connection is not live yet"), remedy, since)
    if breaker is not None and breaker.stopped:
        return PushState(
            "stopped",
            _("connection stopped"),
            "danger",
            "plug-connected-x",
            fragment(breaker.error) or _("it needs attention"),
            breaker.remedy,
            breaker.failing_since,
        )
    in_hand = (
        permit_sync is not None and permit_sync.leased_until is not None and permit_sync.leased_until > now
    )
    failed = permit_sync is not None and bool(permit_sync.error)
    if breaker is not None and breaker.open_until is not None and breaker.open_until > now and not in_hand:
        reason = fragment(permit_sync.error if permit_sync and failed else breaker.error) or _("no answer")
        remedy = _("Nothing to do: it is tried again by itself.")
        return _waiting("outage", reason, remedy, breaker.failing_since or since)
    word = _("withdrawing") if ending else _("sending")
    key = "withdrawing" if ending else "sending"
    if permit_sync is not None and (failed or in_hand):
        # A try is counted when it begins, so between two tries the next one is the one that people wait for.
        attempt = max(1, permit_sync.attempts + (0 if in_hand else 1))
        if attempt > 1:
            word = _("%(word)s, %(nth)s try") % {"word": word, "nth": ordinal(attempt)}
        remedy = _("Nothing to do: it is tried again by itself.") if failed else ""
        return PushState(key, word, "warning", "clock", fragment(permit_sync.error), remedy, since)
    if ending:
        return PushState("withdrawing", _("waiting to be withdrawn"), "warning", "clock", since=since)
    return PushState("due", _("waiting to be sent"), "warning", "clock", since=since)
