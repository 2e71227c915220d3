"""The state of a permit's delivery in words, in one place for lists, the permit's page, commands and the API.

`push_state` is pure. It answers from what is known at `now` and never asks the vendor. The order of its questions is the
order in which a person can do something about it: refused → drift → zone missing → no zone → not live or paused → stopped
→ on its way.

Invariant: every state has a word, a tone and an icon, and every problem says what to do (`remedy`). A problem that has
lasted longer than `LONG` also says since when, how often it was tried, and what a person can do in the meantime.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Breaker, Connection, PermitSync, Zone, ZoneMapping
from integrations.models.delivery import STILL_LISTED
from integrations.vendors.protocol import get_vendor
from locations.models import Permit
from locations.times import say_clock

# What has failed for less than this is expected to pass.
LONG = timedelta(minutes=2)
# States that change automatically within seconds: a page that shows one polls.
MOVING = frozenset({"due", "sending", "outage", "withdrawing"})


@dataclass(frozen=True, slots=True)
class PushState:
    """One state. `word` is for a badge, `sentence` is shown beside it, `line` is both (for a terminal, for the API)."""

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
        """Whether it is expected to change soon without anyone's help."""
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
    """Return the state of one permit's delivery at `now`.

    `permit_sync` is the permit's row on `connection`. `connection` is that of the mapped zone or, if the location is no
    longer mapped, that of the permit sync. `breaker` is the one that holds it back, if any. `permit.location` and
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
            remedy=" ".join(
                text
                for text in (
                    permit_sync.remedy,
                    _refused_words(permit_sync, permit, now),
                    again_words(permit_sync, permit, now),
                )
                if text
            ),
            since=permit_sync.error_since or permit_sync.due_since,
        )
    if permit_sync is not None and permit_sync.state == PermitSync.State.DONE and permit_sync.is_drifting:
        # An ended permit can only be shown too long; how it was shown before no longer matters.
        shown_too_long = permit_sync.drift_since is not None and permit_sync.error_code in ("", STILL_LISTED)
        if not over or shown_too_long:
            return _drifting(permit_sync, connection)
    if over:
        return _ended(permit, permit_sync, connection, now, breaker)
    if permit_sync is not None and permit_sync.state == PermitSync.State.DONE and permit_sync.remote_state:
        if mapping is not None and mapping.zone.missing_since is not None:
            return _zone_missing(mapping.zone, vendor_label(connection))
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
            _("Choose the location's zone. Its permits are then sent automatically."),
            permit.updated_at,
        )
    return _on_its_way(permit, permit_sync, connection, now, breaker)


def _drifting(permit_sync: PermitSync, connection: Connection | None) -> PushState:
    """Say that enforcement shows something other than what was accepted, or that this was repaired and not compared since."""
    reason, remedy = fragment(permit_sync.error), permit_sync.remedy
    if not reason:
        reason = _("%(vendor)s did not show it as it was accepted; it was sent again") % {
            "vendor": vendor_label(connection)
        }
        remedy = _("Whether that helped shows at the next comparison, in a few minutes.")
    since = permit_sync.drift_since or permit_sync.error_since
    return PushState("drift", _("drift"), "danger", "alert-triangle", reason, remedy, since)


def _zone_missing(zone: Zone, vendor: str) -> PushState:
    """Say that a permit was accepted for a zone that the vendor no longer lists, so officers may not see it."""
    words = {"vendor": vendor, "zone": zone.number}
    return PushState(
        key="zone_missing",
        word=_("zone missing"),
        tone="danger",
        icon="alert-triangle",
        reason=_("%(vendor)s no longer lists zone %(zone)s, so officers may not see this plate there")
        % words,
        remedy=_("Map the location to another zone, or ask %(vendor)s whether it comes back.") % words,
        since=zone.missing_since,
    )


def _waiting(key: str, reason: str, remedy: str, since: datetime | None) -> PushState:
    return PushState(key, _("waiting"), "warning", "clock", reason, remedy, since)


def again_words(permit_sync: PermitSync, permit: Permit, now: datetime) -> str:
    """Say when a refused permit is tried again automatically; an empty text if it isn't. Needs the location."""
    if permit_sync.retry_at is None:
        return ""
    if permit_sync.retry_at <= now:
        return _("It is being retried.")
    return _("It will be retried automatically at %(time)s.") % {
        "time": say_clock(permit_sync.retry_at, permit.location.tz, now)
    }


def _refused_words(permit_sync: PermitSync, permit: Permit, now: datetime) -> str:
    """Say how often in a row a permit was refused and since when, once that is more than once."""
    if permit_sync.refusals < 2 or permit_sync.error_since is None:
        return ""
    return _("Refused %(count)s times since %(time)s.") % {
        "count": permit_sync.refusals,
        "time": say_clock(permit_sync.error_since, permit.location.tz, now),
    }


def vendor_label(connection: Connection | None) -> str:
    """Return what people call the vendor of a connection."""
    return get_vendor(connection.vendor).names.label if connection else _("The vendor")


def _ended(
    permit: Permit,
    permit_sync: PermitSync | None,
    connection: Connection | None,
    now: datetime,
    breaker: Breaker | None,
) -> PushState:
    """Return the state of a permit that is cancelled or has ended."""
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
        word = _("removed %(time)s") % {"time": say_clock(at, tz, now)}
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
    """Return the state of a permit that is due: what holds it back, or how far along it is."""
    since = permit_sync.due_since if permit_sync else permit.updated_at
    ending = permit.status == Permit.Status.CANCELLED or permit.end <= now
    status = Connection.Status(connection.status)
    if status == Connection.Status.PAUSED:
        reason = _("the integration is paused") + (
            f": {fragment(connection.status_reason)}" if connection.status_reason else ""
        )
        remedy = _("A manager can resume it. Everything held back is then sent.")
        return PushState(
            "paused", _("paused"), "warning", "player-pause", reason, remedy, connection.status_since
        )
    if status == Connection.Status.ENDED:
        remedy = _("Map the location to a zone of another integration.")
        return _waiting("ended_connection", _("the integration has ended"), remedy, since)
    if not connection.is_confirmed:
        remedy = _("Once support has confirmed that the operator ID is yours, everything held back is sent.")
        return _waiting("not_live", _("the operator ID is not confirmed yet"), remedy, since)
    if status != Connection.Status.LIVE and not permit.is_test:
        remedy = _("Finish the set-up. Everything held back is then sent.")
        return _waiting("not_live", _("the integration is not live yet"), remedy, since)
    if breaker is not None and breaker.stopped:
        return PushState(
            "stopped",
            _("integration stopped"),
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
        failing_since = breaker.failing_since or since
        remedy = _still_trying(permit_sync, permit, connection, failing_since, now, ending=ending)
        return _waiting("outage", reason, remedy, failing_since)
    word = _("removing") if ending else _("sending")
    key = "withdrawing" if ending else "sending"
    if permit_sync is not None and (failed or in_hand):
        # An attempt is counted when it begins, so between two attempts the number shown is that of the next one.
        attempt = max(1, permit_sync.attempts + (0 if in_hand else 1))
        if attempt > 1:
            word = _("%(word)s, %(nth)s attempt") % {"word": word, "nth": ordinal(attempt)}
        failing_since = permit_sync.error_since or since
        remedy = (
            _still_trying(permit_sync, permit, connection, failing_since, now, ending=ending)
            if failed
            else ""
        )
        return PushState(key, word, "warning", "clock", fragment(permit_sync.error), remedy, since)
    remedy = ""
    if now - since > LONG:
        remedy = _still_trying(permit_sync, permit, connection, since, now, ending=ending)
    if ending:
        return PushState(
            "withdrawing", _("waiting to be removed"), "warning", "clock", remedy=remedy, since=since
        )
    return PushState("due", _("waiting to be sent"), "warning", "clock", remedy=remedy, since=since)


def _still_trying(
    permit_sync: PermitSync | None,
    permit: Permit,
    connection: Connection,
    since: datetime,
    now: datetime,
    *,
    ending: bool,
) -> str:
    """Say that it is tried again; after a long time, also since when, how often, and what a person can do."""
    if now - since <= LONG:
        return _("It is being retried automatically.")
    tries = permit_sync.attempts if permit_sync else 0
    words = {
        "vendor": vendor_label(connection),
        "plate": permit.plate_typed,
        "time": say_clock(since, permit.location.tz, now),
        "n": tries,
    }
    tried = _("Waiting since %(time)s.")
    if tries:
        tried = ngettext("Tried once since %(time)s.", "Tried %(n)s times since %(time)s.", tries)
    if ending:
        until_then = _("Until it succeeds officers may still see %(plate)s: tell them if that matters.")
    elif permit.start > now:
        until_then = _("Officers will not see %(plate)s before it succeeds.")
    else:
        until_then = _("Until it succeeds officers may not see %(plate)s: tell them about it.")
    advice = _("Run the diagnostics; if %(vendor)s is at fault, report it there.")
    return " ".join(
        text % words for text in (tried, until_then, _("It is being retried automatically."), advice)
    )
