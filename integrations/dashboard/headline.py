"""The overview's answer in one sentence, and what waits for whom. Pure: figures in, words out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.dashboard.company import Figures
from integrations.dashboard.connection_summary import ConnectionSummary
from integrations.delivery.status import fragment
from integrations.models import Connection
from integrations.onboarding.snapshot import Who
from integrations.onboarding.steps import active, steps
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from locations.times import duration_text


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


def answer(figures: Figures, slug: str) -> HeadlineAnswer:
    """Say in one sentence whether enforcement sees everything; the gravest matter goes first."""
    setup = page("setup", slug)
    links, names = figures.links, _names(figures)
    if not links:
        detail = _("Registrations are saved here and not sent anywhere. Set-up leads you through the steps.")
        return HeadlineAnswer(
            "info",
            _("%(vendor)s is not set up yet.") % names.words,
            detail,
            _("Set up %(vendor)s") % names.words,
            setup,
        )
    for link in links:
        if link.stopped:
            sentence = _("Nothing is sent to %(vendor)s: %(reason)s.") % {
                **names_of(link.connection.vendor).words,
                "reason": fragment(link.stopped),
            }
            return HeadlineAnswer(
                "danger", sentence, link.stopped_remedy, _("Look into it"), page("doctor", slug) or setup
            )
    sending = [link for link in links if link.connection.live_since is not None]
    if not sending:
        return HeadlineAnswer(
            "info",
            _("%(vendor)s is not live yet.") % names.words,
            _not_live(figures),
            _("Continue set-up"),
            setup,
        )
    paused = next((link for link in sending if link.connection.status == Connection.Status.PAUSED), None)
    if paused is not None:
        reason = fragment(paused.connection.status_reason)
        words = {**names_of(paused.connection.vendor).words, "reason": reason}
        sentence = (_("%(vendor)s is paused: %(reason)s.") if reason else _("%(vendor)s is paused.")) % words
        return HeadlineAnswer("warning", sentence, _held_back(figures), _("Resume it"), setup)
    if figures.unprotected.n:
        sentence = ngettext(
            "%(n)s car is parked without protection.",
            "%(n)s cars are parked without protection.",
            figures.unprotected.n,
        ) % {"n": figures.unprotected.text}
        return HeadlineAnswer("warning", sentence, _rest(figures), _("See why"), "#unprotected")
    if not figures.current:
        detail = _arrivals(figures) or _("A registration is sent as soon as it is saved.")
        return HeadlineAnswer("neutral", _("Nothing is parked here now."), detail)
    sentence = ngettext(
        "Enforcement sees everything: %(n)s current registration is in %(enforcement)s.",
        "Enforcement sees everything: all %(n)s current registrations are in %(enforcement)s.",
        figures.current,
    ) % {**names.words, "n": f"{figures.current:,}"}
    return HeadlineAnswer("success", sentence, _on_the_way(figures))


def _names(figures: Figures) -> VendorNames:
    """The names of the company's (first) vendor."""
    return names_of(figures.links[0].connection.vendor if figures.links else "")


def _rest(figures: Figures) -> str:
    current, names = figures.current, _names(figures)
    if figures.unprotected.is_capped:
        return _("Of %(all)s current registrations.") % {"all": f"{current:,}"}
    accepted = max(0, current - figures.unprotected.n)
    if not accepted:
        return _("None of the current registrations is in %(enforcement)s.") % names.words
    words = _(
        "Everything else is in %(enforcement)s: %(accepted)s of %(all)s current registrations accepted."
    ) % {
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
        return _("Registrations are saved here and sent once it is live.")
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
        "%(n)s registration is held back and sent once it is live; nothing is lost.",
        "%(n)s registrations are held back and sent once it is live; nothing is lost.",
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
    if unmapped := figures.places.unmapped:
        text = ngettext("Map %(n)d location to a zone", "Map %(n)d locations to a zone", unmapped) % {
            "n": unmapped
        }
        if figures.links:
            found.append(
                Waiting(you, text, figures.places.unmapped_since, page("locations", slug) + "?show=unmapped")
            )
    if figures.total.refused:
        text = ngettext(
            "Correct %(n)d refused registration", "Correct %(n)d refused registrations", figures.total.refused
        )
        since = min((reason.since for reason in figures.reasons if reason.since), default=None)
        found.append(Waiting(you, text % {"n": figures.total.refused}, since, page("refused", slug)))
    return found


def _of_connection(link: ConnectionSummary, slug: str, you: str, now: datetime) -> Sequence[Waiting]:
    connection, setup = link.connection, page("setup", slug)
    if link.stopped:
        return [
            Waiting(
                you, link.stopped_remedy or link.stopped, link.stopped_since, page("doctor", slug) or setup
            )
        ]
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
