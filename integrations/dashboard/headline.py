"""The overview's answer in one sentence, and what is to be done by whom. Pure: figures in, words out.

`answer` weighs what is wrong: the gravest tone is said, and of equally grave matters the one that comes first here. It says
that enforcement sees everything only on proof (`integrations.alarms.health`), with the age of the proof; otherwise it says
what is known, and since when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.alarms.health import is_proved
from integrations.alarms.words import (
    hidden_words,
    remedy_of,
    still_words,
    trouble_sentence,
    waiting_sentence,
    zone_missing_words,
)
from integrations.dashboard.company import Figures
from integrations.dashboard.connection_summary import ConnectionSummary
from integrations.delivery.status import fragment
from integrations.models import Connection
from integrations.onboarding.snapshot import Who
from integrations.onboarding.steps import active, steps
from integrations.permits.queries import Delivery
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from locations.times import duration_text

# The gravest first.
TONES = ("danger", "warning", "info", "neutral", "success")


@dataclass(frozen=True, slots=True)
class HeadlineAnswer:
    """The page's answer: tone, sentence, detail, and what to do about it (a label and an address)."""

    tone: str
    sentence: str
    detail: str = ""
    action: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for somebody."""

    who: str
    what: str
    since: datetime | None = None
    url: str = ""


def page(name: str, *args: object) -> str:
    """Return the address of a page."""
    return reverse(name, args=args)


def gravest(answers: Iterable[HeadlineAnswer | None]) -> HeadlineAnswer | None:
    """Return the answer with the gravest tone, the first of several; None where there is none."""
    said = [one for one in answers if one is not None]
    return min(said, key=lambda one: TONES.index(one.tone), default=None)


def answer(figures: Figures, slug: str, *, proof_max_age: timedelta) -> HeadlineAnswer:
    """Say in one sentence whether enforcement sees everything; `proof_max_age` is how old a proof may be."""
    setup, links, names = page("setup", slug), figures.links, _names(figures)
    if not links:
        detail = _("Permits are saved here and not sent anywhere. Set-up leads you through the steps.")
        sentence = _("%(vendor)s is not set up yet.") % names.words
        return HeadlineAnswer("info", sentence, detail, _("Set up %(vendor)s") % names.words, setup)
    stopped = next((link for link in links if link.is_stopped), None)
    sending = [link for link in links if link.connection.live_since is not None]
    if stopped is None and not sending:
        sentence = _("%(vendor)s is not live yet.") % names.words
        return HeadlineAnswer("info", sentence, _not_live(figures), _("Continue set-up"), setup)
    wrong = gravest(
        (
            _stopped(stopped, slug) if stopped else None,
            _trouble(figures, slug),
            _zones(figures, slug),
            _paused(figures, sending, setup),
            _not_seen(figures, slug),
            _unproved(figures, slug, proof_max_age),
        )
    )
    if wrong is not None:
        return wrong
    if not figures.current:
        detail = _arrivals(figures) or _("A permit is sent as soon as it is saved.")
        return HeadlineAnswer("neutral", _("Nothing is parked here now."), detail)
    sentence = ngettext(
        "Enforcement sees everything: %(n)s current permit is in %(enforcement)s.",
        "Enforcement sees everything: all %(n)s current permits are in %(enforcement)s.",
        figures.current,
    ) % {**names.words, "n": f"{figures.current:,}"}
    return HeadlineAnswer("success", sentence, f"{_compared(figures)} {_on_the_way(figures)}".strip())


# --- What may be wrong ------------------------------------------------------------------------------------------------


def _stopped(link: ConnectionSummary, slug: str) -> HeadlineAnswer:
    failing = link.health.failing
    assert failing is not None
    words = {**names_of(link.connection.vendor).words, "reason": fragment(failing.error)}
    sentence = _("Nothing is sent to %(vendor)s: %(reason)s.") % words
    return HeadlineAnswer("danger", sentence, failing.remedy, _("Run diagnostics"), page("diagnostics", slug))


def _trouble(figures: Figures, slug: str) -> HeadlineAnswer | None:
    """The gravest trouble of a connection, what waits because of it, and what a person can do."""
    troubled = [link for link in figures.links if link.trouble is not None]
    if not troubled:
        return None
    link = min(
        troubled, key=lambda one: (-one.trouble.level, one.trouble.since) if one.trouble else (0, figures.at)
    )
    trouble, names = link.trouble, names_of(link.connection.vendor)
    assert trouble is not None
    sentence = trouble_sentence(trouble, names, figures.at)
    if link.connection.label:
        sentence = f"{link.connection.label}: {sentence}"
    waits = waiting_sentence(
        figures.total,
        hidden=figures.unprotected,
        plate=_only(figures.hidden),
        ended_plate=_only(figures.still),
    )
    remedy = remedy_of(trouble, names)
    return HeadlineAnswer(
        trouble.level.tone, sentence, f"{waits} {remedy}", _("Run diagnostics"), page("diagnostics", slug)
    )


def _zones(figures: Figures, slug: str) -> HeadlineAnswer | None:
    """Locations whose zone the vendor lists no longer."""
    places = figures.places
    if not places.zone_missing:
        return None
    words = {**_names(figures).words, "n": places.zone_missing}
    sentence = ngettext(
        "%(vendor)s no longer lists the zone of %(n)d location.",
        "%(vendor)s no longer lists the zones of %(n)d locations.",
        places.zone_missing,
    )
    return HeadlineAnswer(
        "danger",
        sentence % words,
        zone_missing_words(places, _names(figures)),
        _("Remap"),
        page("locations", slug) + "?show=missing",
    )


def _paused(figures: Figures, sending: Sequence[ConnectionSummary], setup: str) -> HeadlineAnswer | None:
    paused = next((link for link in sending if link.connection.status == Connection.Status.PAUSED), None)
    if paused is None:
        return None
    reason = fragment(paused.connection.status_reason)
    words = {**names_of(paused.connection.vendor).words, "reason": reason}
    sentence = (_("%(vendor)s is paused: %(reason)s.") if reason else _("%(vendor)s is paused.")) % words
    return HeadlineAnswer("warning", sentence, _held_back(figures), _("Resume it"), setup)


def _not_seen(figures: Figures, slug: str) -> HeadlineAnswer | None:
    """What officers can't see, and what they may still see: both are told as soon as they are so."""
    hidden = hidden_words(figures.unprotected, "")
    still = still_words(figures.total, _only(figures.still))
    if hidden:
        more = f"{_capital(still)}. " if still else ""
        return HeadlineAnswer(
            "warning", f"{_capital(hidden)}.", f"{more}{_rest(figures)}", _("See why"), "#unprotected"
        )
    if still:
        return HeadlineAnswer("warning", f"{_capital(still)}.", _on_the_way(figures), _("See why"), "#still")
    return None


def _unproved(figures: Figures, slug: str, max_age: timedelta) -> HeadlineAnswer | None:
    """What was accepted, where no young comparison proves that officers see it too."""
    live = [link for link in figures.links if link.connection.is_live]
    open_ones = [link for link in live if not is_proved(link.health, figures.at, max_age=max_age)]
    if not open_ones:
        return None
    link = min(open_ones, key=lambda one: one.health.compared_at or one.connection.created_at)
    at, names = link.health.compared_at, names_of(link.connection.vendor)
    since = link.connection.live_since
    words = {
        **names.words,
        "n": f"{figures.current:,}",
        "span": duration_text(figures.at - at) if at else "",
    }
    if at is None and since is not None and figures.at - since <= max_age:
        sentence = (
            _("%(vendor)s has accepted everything; what officers see has not been compared yet.") % words
        )
        detail = _("The first comparison follows within a few minutes.")
        return HeadlineAnswer("info", sentence, detail)
    if at is None:
        sentence = (
            _("%(vendor)s has accepted everything, but what officers see has never been compared.") % words
        )
    else:
        sentence = (
            _("%(vendor)s has accepted everything, but what officers see was last compared %(span)s ago.")
            % words
        )
    detail = link.health.comparison_error or _(
        "It is compared every few minutes; the diagnostics say why it is not."
    )
    url = page("comparison", slug, link.connection.pk)
    return HeadlineAnswer("warning", sentence, detail, _("See the comparison"), url)


def _compared(figures: Figures) -> str:
    """Say how old the proof is: the oldest of the live connections' comparisons."""
    compared = [link.health.compared_at for link in figures.links if link.connection.is_live]
    oldest = min((at for at in compared if at is not None), default=None)
    if oldest is None:
        return ""
    return _("Compared with %(enforcement)s %(span)s ago.") % {
        **_names(figures).words,
        "span": duration_text(figures.at - oldest),
    }


# --- Words ------------------------------------------------------------------------------------------------------------


def _only(rows: Sequence[tuple[datetime, Delivery]]) -> str:
    """The plate where there is only one."""
    return rows[0][1].permit.plate_typed if len(rows) == 1 else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(figures: Figures) -> VendorNames:
    """The names of the company's (first) vendor."""
    return names_of(figures.links[0].connection.vendor if figures.links else "")


def _rest(figures: Figures) -> str:
    current, names = figures.current, _names(figures)
    if figures.unprotected.is_capped:
        return _("Of %(all)s current permits.") % {"all": f"{current:,}"}
    accepted = max(0, current - figures.unprotected.n)
    if not accepted:
        return _("None of the current permits is in %(enforcement)s.") % names.words
    words = _("Everything else is in %(enforcement)s: %(accepted)s of %(all)s current permits accepted.") % {
        **names.words,
        "accepted": f"{accepted:,}",
        "all": f"{current:,}",
    }
    if figures.oldest_unprotected is None:
        return words
    waiting = duration_text(figures.at - figures.oldest_unprotected)
    return _("%(words)s Oldest waiting: %(span)s.") % {"words": words, "span": waiting}


def _not_live(figures: Figures) -> str:
    current = figures.current
    if not current:
        return _("Permits are saved here and sent once it is live.")
    return ngettext(
        "%(n)s vehicle is registered here now, and officers do not see it in %(enforcement)s yet.",
        "%(n)s vehicles are registered here now, and officers do not see them in %(enforcement)s yet.",
        current,
    ) % {**_names(figures).words, "n": f"{current:,}"}


def _held_back(figures: Figures) -> str:
    waiting = figures.total.waiting
    if not waiting:
        return _arrivals(figures)
    return ngettext(
        "%(n)s permit is held back and sent once it is live; nothing is lost.",
        "%(n)s permits are held back and sent once it is live; nothing is lost.",
        waiting,
    ) % {"n": f"{waiting:,}"}


def _arrivals(figures: Figures) -> str:
    starting = figures.starting
    if not starting:
        return ""
    text = ngettext("%(n)s starts within 24 hours.", "%(n)s start within 24 hours.", starting)
    return text % {"n": f"{starting:,}"}


def _on_the_way(figures: Figures) -> str:
    waiting = figures.total.waiting
    if not waiting:
        return _("Nothing waits to be sent.")
    text = ngettext("%(n)s change is on its way.", "%(n)s changes are on their way.", waiting)
    return text % {"n": f"{waiting:,}"}


# --- What waits for someone -------------------------------------------------------------------------------------------


def waits(figures: Figures, slug: str, *, is_you: bool, now: datetime) -> list[Waiting]:
    """Return what waits for whom; `is_you` says that the reader may do what waits for the company."""
    you = _("You") if is_you else _("Your operators")
    found: list[Waiting] = []
    for link in figures.links:
        found.extend(_of_connection(link, slug, you, now))
    if missing := figures.places.zone_missing:
        text = ngettext(
            "Map %(n)d location to another zone: its own is no longer listed",
            "Map %(n)d locations to other zones: their own are no longer listed",
            missing,
        )
        since, url = figures.places.zone_missing_since, page("locations", slug) + "?show=missing"
        found.append(Waiting(you, text % {"n": missing}, since, url))
    if unmapped := figures.places.unmapped:
        text = ngettext("Map %(n)d location to a zone", "Map %(n)d locations to a zone", unmapped) % {
            "n": unmapped
        }
        if figures.links:
            found.append(
                Waiting(you, text, figures.places.unmapped_since, page("locations", slug) + "?show=unmapped")
            )
    if figures.total.refused:
        text = ngettext("Fix %(n)d refused permit", "Fix %(n)d refused permits", figures.total.refused)
        since = min((reason.since for reason in figures.reasons if reason.since), default=None)
        found.append(Waiting(you, text % {"n": figures.total.refused}, since, page("refused", slug)))
    return found


def _of_connection(link: ConnectionSummary, slug: str, you: str, now: datetime) -> Sequence[Waiting]:
    connection, setup = link.connection, page("setup", slug)
    failing = link.health.failing
    if failing is not None and failing.stopped:
        return [Waiting(you, failing.remedy or failing.error, failing.since, page("diagnostics", slug))]
    if connection.status == Connection.Status.PAUSED:
        return [
            Waiting(
                _("A manager"),
                _("Resume %(vendor)s") % names_of(connection.vendor).words,
                connection.status_since,
                setup,
            )
        ]
    if connection.live_since is not None:
        return []
    step = active(steps(link.facts, now))
    if step is None:
        return []
    who = you if step.who == Who.COMPANY else step.who_label[:1].upper() + step.who_label[1:]
    return [Waiting(who, step.what_next or step.title, step.since, setup)]
