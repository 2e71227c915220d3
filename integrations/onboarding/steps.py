"""The set-up steps as a pure function of a snapshot.

`steps(facts, now)` gives all seven in order. At most one of them is *active*: the first that is not done. It says who
has to act, since when and what comes next; those before it are done, those after it are still to come. A connection
that support took live without a test has that step done, with a note, so that the reason stays visible.

States are those of the stepper: `done`, `current` (someone at the company has to act), `waiting` (on someone else, or
on the product itself), `blocked` (it can't continue as it is), `todo`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.onboarding.snapshot import Facts, Finding, Who
from integrations.vendors.protocol import VendorNames

DONE, CURRENT, WAITING, BLOCKED, TODO = "done", "current", "waiting", "blocked", "todo"


@dataclass(frozen=True, slots=True)
class OnboardingStep:
    """One step; `since` is when the active one began to wait, `done_at` when a finished one was done."""

    key: str
    title: str
    state: str
    who: str = Who.NOBODY
    # Who it is waiting on, in words.
    who_label: str = ""
    since: datetime | None = None
    waiting_days: int = 0
    what_next: str = ""
    done_at: datetime | None = None
    note: str = ""


class _Turn(NamedTuple):
    """How an active step stands."""

    state: str
    who: str
    since: datetime | None
    what_next: str
    note: str = ""


def steps(facts: Facts, now: datetime) -> list[OnboardingStep]:
    """Return the seven steps in order."""
    shown: list[OnboardingStep] = []
    active_found = False
    for key, title, done, turn in _RULES:
        done_at, note = done(facts)
        if done_at is None and facts.live_since and key != "live":
            # What was live has completed all steps; what has been missing since then is an alarm, not a step.
            done_at = facts.live_since
        if done_at is not None:
            shown.append(OnboardingStep(key, str(title), DONE, done_at=done_at, note=note))
        elif active_found:
            shown.append(OnboardingStep(key, str(title), TODO))
        else:
            active_found = True
            state, who, since, what_next, note = turn(facts)
            days = max(0, (now - since).days) if since else 0
            label = who_words(who, facts.names)
            shown.append(
                OnboardingStep(key, str(title), state, who, label, since, days, what_next, None, note)
            )
    return shown


def who_words(who: str, names: VendorNames) -> str:
    """Say who it is waiting on."""
    if who == Who.VENDOR:
        return _("the %(vendor)s account manager") % names.words
    return str(Who(who).label)


def active(shown: list[OnboardingStep]) -> OnboardingStep | None:
    """Return the step that someone has to act on, or None if all are done."""
    return next((step for step in shown if step.state in (CURRENT, WAITING, BLOCKED)), None)


def _requested(facts: Facts) -> tuple[datetime | None, str]:
    # A company that already has its operator ID need not ask for it.
    known_at = facts.held_since or (facts.operator_id_at if facts.operator_id else None)
    if facts.requested_at is None and known_at:
        return known_at, _("The operator ID was already known.")
    if facts.requested_at is None and facts.finding:
        return facts.checked_at, ""
    return facts.requested_at, ""


def _turn_requested(facts: Facts) -> _Turn:
    if facts.contact_unknown_since:
        return _Turn(
            WAITING,
            Who.SUPPORT,
            facts.contact_unknown_since,
            _(
                "Support is finding out who the company's %(vendor)s account manager is and will enter "
                "the address."
            )
            % facts.names.words,
        )
    return _Turn(
        CURRENT,
        Who.COMPANY,
        facts.created_at,
        _("Ask the %(vendor)s account manager for the operator ID. The email is already written.")
        % facts.names.words,
    )


def _received(facts: Facts) -> tuple[datetime | None, str]:
    if facts.confirmed_at is None or facts.finding != Finding.OK:
        return None, ""
    return facts.operator_id_at, ""


def _turn_received(facts: Facts) -> _Turn:
    tried = facts.checked_at or facts.operator_id_at or facts.requested_at
    if facts.held_since is not None:
        return _Turn(
            WAITING,
            Who.SUPPORT,
            facts.held_since,
            _(
                "Another company already uses this operator ID. Support has been told and will decide "
                "whose it is."
            ),
        )
    match facts.finding:
        case Finding.UNKNOWN:
            return _Turn(
                BLOCKED,
                Who.COMPANY,
                tried,
                _(
                    "%(vendor)s doesn't know this operator ID. Compare it with the email, character by "
                    "character. If it is the same, ask the account manager for the right one."
                )
                % facts.names.words,
            )
        case Finding.NOT_AUTHORISED:
            return _Turn(
                BLOCKED,
                Who.VENDOR,
                facts.operator_id_at or tried,
                _(
                    "%(vendor)s knows the operator ID, but the operator hasn't authorised Offstreet. Ask "
                    "the account manager to authorise it. It is checked again every hour."
                )
                % facts.names.words,
            )
        case Finding.CREDENTIALS:
            return _Turn(
                BLOCKED,
                Who.SUPPORT,
                facts.operator_id_at or tried,
                _(
                    "%(vendor)s refuses Offstreet's own credentials. Support has to renew them. The "
                    "operator ID is not the problem."
                )
                % facts.names.words,
            )
        case Finding.TURNED_DOWN:
            return _Turn(
                BLOCKED,
                Who.COMPANY,
                tried,
                _(
                    "Support could not confirm that the operator ID is yours. Ask the account manager for the right one "
                    "and enter it, or write to support."
                ),
            )
        case Finding.UNREACHABLE:
            return _Turn(
                WAITING,
                Who.PRODUCT,
                facts.operator_id_at or tried,
                _("%(vendor)s could not be reached. The operator ID is kept and checked again every minute.")
                % facts.names.words,
            )
    if facts.operator_id and facts.finding == Finding.OK:
        return _Turn(
            WAITING,
            Who.SUPPORT,
            facts.operator_id_at,
            _(
                "%(vendor)s knows the operator ID. Support has to confirm that it belongs to the "
                "company. Until then, no zones are read and nothing is sent."
            )
            % facts.names.words,
        )
    if facts.operator_id:
        return _Turn(
            WAITING,
            Who.PRODUCT,
            facts.operator_id_at,
            _("Checking the operator ID with %(vendor)s.") % facts.names.words,
        )
    return _Turn(
        WAITING,
        Who.VENDOR,
        facts.requested_at,
        _("The account manager will send the operator ID. Enter it as soon as it arrives."),
    )


def _set_up(facts: Facts) -> tuple[datetime | None, str]:
    return (facts.zones_pulled_at if facts.set_up_at and facts.zones else None), ""


def _turn_set_up(facts: Facts) -> _Turn:
    if facts.set_up_at is None:
        return _Turn(
            CURRENT,
            Who.COMPANY,
            facts.operator_id_at,
            _("Set up the integration. This opens its ticket and imports the zones."),
        )
    if facts.pull == "failed":
        return _Turn(
            BLOCKED,
            Who.COMPANY,
            facts.pull_since or facts.set_up_at,
            _(
                "The zones could not be fetched: %(error)s Refresh them. If that fails again, open diagnostics."
            )
            % {"error": facts.pull_error},
        )
    if facts.pull == "held":
        return _Turn(
            BLOCKED,
            Who.SUPPORT,
            facts.pull_since or facts.set_up_at,
            _(
                "In the last refresh, more than half of the zones were missing. Support has to decide "
                "whether that is right."
            ),
        )
    if facts.pull == "done":
        return _Turn(
            BLOCKED,
            Who.VENDOR,
            facts.pull_since or facts.set_up_at,
            _(
                "%(vendor)s lists no zones for this operator. Ask the account manager to create the "
                "zones or to name the operator ID they belong to. Then refresh them."
            )
            % facts.names.words,
        )
    return _Turn(
        WAITING,
        Who.PRODUCT,
        facts.pull_since or facts.set_up_at,
        _("The zones are being imported from %(vendor)s.") % facts.names.words,
    )


def _mapped(facts: Facts) -> tuple[datetime | None, str]:
    if not facts.mapped:
        return None, ""
    note = _("%(mapped)d of %(all)d locations") % {
        "mapped": facts.mapped,
        "all": max(facts.locations, facts.mapped),
    }
    return facts.first_mapped_at, note


def _turn_mapped(facts: Facts) -> _Turn:
    if not facts.locations:
        return _Turn(
            CURRENT, Who.COMPANY, facts.zones_pulled_at, _("Add the first location, then choose its zone.")
        )
    return _Turn(
        CURRENT,
        Who.COMPANY,
        facts.zones_pulled_at,
        _("Choose the %(vendor)s zone for at least one location.") % facts.names.words,
    )


def _ready(facts: Facts) -> tuple[datetime | None, str]:
    return facts.ready_at or (facts.first_mapped_at if facts.live_since or facts.test else None), ""


def _turn_ready(facts: Facts) -> _Turn:
    return _Turn(
        WAITING,
        Who.PRODUCT,
        facts.first_mapped_at,
        _("Members and contacts are being told that testing can begin."),
    )


def _tested(facts: Facts) -> tuple[datetime | None, str]:
    if facts.verified_at is None and facts.live_since:
        reason = facts.status_reason
        return facts.live_since, _("Skipped: %(reason)s") % {"reason": reason} if reason else _(
            "Skipped by support"
        )
    return facts.verified_at, ""


def _turn_tested(facts: Facts) -> _Turn:
    test = facts.test
    if test is None:
        return _Turn(
            CURRENT,
            Who.COMPANY,
            facts.ready_at or facts.first_mapped_at,
            _("Send a test plate for one of the mapped locations."),
        )
    if test.answer == "no":
        return _Turn(
            BLOCKED,
            Who.COMPANY,
            test.answered_at,
            _("The test plate was not seen as expected. Follow the advice in diagnostics, then test again."),
        )
    if test.refused_since and test.accepted_at is None:
        return _Turn(
            BLOCKED,
            Who.COMPANY,
            test.refused_since,
            _("%(vendor)s refused the test plate. The test's page says why; fix that and test again.")
            % facts.names.words,
        )
    if test.over:
        return _Turn(
            CURRENT,
            Who.COMPANY,
            test.over_at,
            _("The last test ended without an answer. Send another test plate when someone can look for it."),
        )
    if test.accepted_at is None:
        return _Turn(
            WAITING,
            Who.PRODUCT,
            test.saved_at,
            _("The test plate is on its way to %(vendor)s.") % facts.names.words,
        )
    if test.seen_at is None:
        return _Turn(
            WAITING,
            Who.PRODUCT,
            test.accepted_at,
            _("%(vendor)s has accepted the test plate. Waiting for it to be listed in the parking rights.")
            % facts.names.words,
        )
    return _Turn(
        WAITING if test.asked_by_mail else CURRENT,
        Who.ENFORCEMENT if test.asked_by_mail else Who.COMPANY,
        test.seen_at,
        _("Someone looks up the test plate in %(officer_app)s and answers whether it is there.")
        % facts.names.words,
    )


def _live(facts: Facts) -> tuple[datetime | None, str]:
    return (facts.live_since if facts.status == "live" else None), ""


def _turn_live(facts: Facts) -> _Turn:
    if facts.status == "paused":
        return _Turn(
            BLOCKED,
            Who.COMPANY,
            facts.status_since,
            _(
                "Paused: %(reason)s Nothing is sent in the meantime, and nothing is lost. Resume it "
                "when you are ready."
            )
            % {"reason": _sentence(facts.status_reason)},
        )
    if facts.status == "ended":
        return _Turn(BLOCKED, Who.NOBODY, facts.status_since, _("This integration has ended."))
    return _Turn(CURRENT, Who.COMPANY, facts.verified_at, _("The test is confirmed: go live."))


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


_RULES = (
    ("requested", gettext_lazy("Operator ID requested"), _requested, _turn_requested),
    ("received", gettext_lazy("Operator ID received"), _received, _turn_received),
    ("set_up", gettext_lazy("Set up"), _set_up, _turn_set_up),
    ("mapped", gettext_lazy("Mapped"), _mapped, _turn_mapped),
    ("ready", gettext_lazy("Ready for testing"), _ready, _turn_ready),
    ("tested", gettext_lazy("Test plate confirmed"), _tested, _turn_tested),
    ("live", gettext_lazy("Live"), _live, _turn_live),
)
