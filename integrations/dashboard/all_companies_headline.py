"""The answer over all companies in one sentence. Pure: what stops everybody goes first, then the gravest (`gravest`)."""

from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.alarms.health import Level, Trouble
from integrations.alarms.words import remedy_of, trouble_sentence
from integrations.dashboard.all_companies import Totals
from integrations.dashboard.headline import HeadlineAnswer, gravest
from integrations.delivery.status import fragment
from integrations.models import Alarm
from integrations.vendors.naming import names_of
from locations.times import duration_text


def answer(found: Totals, now: datetime) -> HeadlineAnswer:
    """Say in one sentence how all companies stand."""
    if not found.companies:
        return HeadlineAnswer("info", _("There are no companies yet."))
    hosts = (_host(vendor, trouble, now) for vendor, trouble in found.hosts if trouble.level > Level.CALM)
    wrong = gravest(
        (
            *hosts,
            _workers(found, now),
            _stopped(found),
            _troubled(found, now),
            _zones(found),
            _not_seen(found),
        )
    )
    if wrong is None:
        wrong = _calm_host(found, now) or _unproved(found)
    if wrong is not None:
        return wrong
    if not found.live:
        return HeadlineAnswer("neutral", _("No company is live yet."))
    compared = (
        _("The oldest comparison with what officers see is %(span)s old.")
        % {"span": duration_text(now - found.compared_at)}
        if found.compared_at
        else ""
    )
    return HeadlineAnswer("success", _("Enforcement sees everything at every live company."), compared)


def _host(vendor: str, trouble: Trouble, now: datetime) -> HeadlineAnswer:
    names = names_of(vendor)
    words = {**names.words, "span": duration_text(now - trouble.since), "reason": fragment(trouble.error)}
    if trouble.cause == Alarm.Cause.STOPPED:
        sentence = _("Nothing is sent to %(vendor)s for any company: %(reason)s.") % words
        waits = _("This has lasted %(span)s. Changes are kept, and nothing is lost.") % words
        return HeadlineAnswer("danger", sentence, f"{trouble.remedy} {waits}".strip())
    sentence = _("%(vendor)s has not answered for %(span)s, so nothing is sent for any company.") % words
    return HeadlineAnswer(trouble.level.tone, sentence, remedy_of(trouble, names))


def _calm_host(found: Totals, now: datetime) -> HeadlineAnswer | None:
    """A host that has not answered for a moment: nothing to be alarmed about, and no time to say that all is well."""
    return next((_host(vendor, trouble, now) for vendor, trouble in found.hosts), None)


def _workers(found: Totals, now: datetime) -> HeadlineAnswer | None:
    for line in found.troubled:
        trouble = line.trouble
        if trouble is not None and trouble.cause == Alarm.Cause.WORKERS:
            sentence = _("No worker has been running for %(span)s, so nothing is sent for any company.") % {
                "span": duration_text(now - trouble.since)
            }
            return HeadlineAnswer(
                trouble.level.tone, sentence, remedy_of(trouble, names_of(line.trouble_vendor))
            )
    return None


def _stopped(found: Totals) -> HeadlineAnswer | None:
    if not found.stopped:
        return None
    text = ngettext(
        "The integration of %(n)d company is stopped.",
        "The integrations of %(n)d companies are stopped.",
        found.stopped,
    )
    return HeadlineAnswer(
        "danger", text % {"n": found.stopped}, _("Nothing is sent for them until someone acts.")
    )


def _troubled(found: Totals, now: datetime) -> HeadlineAnswer | None:
    """The company whose trouble is gravest, and how many others have any."""
    lines = [line for line in found.troubled if line.trouble is not None and not line.trouble.of_host]
    first = min(
        lines, key=lambda line: (-line.level, line.trouble.since if line.trouble else now), default=None
    )
    if first is None or first.trouble is None:
        return None
    names = names_of(first.trouble_vendor)
    sentence = f"{first.name}: {trouble_sentence(first.trouble, names, now)}"
    others = len(lines) - 1
    more = ngettext("%(n)d other company is affected.", "%(n)d other companies are affected.", others)
    detail = more % {"n": others} if others else remedy_of(first.trouble, names)
    return HeadlineAnswer(first.trouble.level.tone, sentence, detail)


def _zones(found: Totals) -> HeadlineAnswer | None:
    if not found.zone_missing:
        return None
    text = ngettext(
        "At %(n)d company a location is mapped to a zone that is no longer listed.",
        "At %(n)d companies a location is mapped to a zone that is no longer listed.",
        found.zone_missing,
    )
    detail = _("New permits there are refused, and officers may not see the current ones.")
    return HeadlineAnswer("danger", text % {"n": found.zone_missing}, detail)


def _not_seen(found: Totals) -> HeadlineAnswer | None:
    still = ngettext(
        "%(n)s permit was ended here and officers may still see it.",
        "%(n)s permits were ended here and officers may still see them.",
        found.still_shown,
    ) % {"n": f"{found.still_shown:,}"}
    if found.unprotected:
        vehicles = ngettext("%(n)s vehicle", "%(n)s vehicles", found.unprotected)
        text = ngettext(
            "%(vehicles)s at %(n)d company: not visible to enforcement.",
            "%(vehicles)s at %(n)d companies: not visible to enforcement.",
            found.with_unprotected,
        ) % {"vehicles": vehicles % {"n": f"{found.unprotected:,}"}, "n": found.with_unprotected}
        return HeadlineAnswer(
            "warning", text, still if found.still_shown else _("Those that need attention come first.")
        )
    return HeadlineAnswer("warning", still) if found.still_shown else None


def _unproved(found: Totals) -> HeadlineAnswer | None:
    if not found.unproved:
        return None
    text = ngettext(
        "What officers see has not been compared lately at %(n)d company.",
        "What officers see has not been compared lately at %(n)d companies.",
        found.unproved,
    )
    detail = _("Everything was accepted. Each company's diagnostics say why it was not compared.")
    return HeadlineAnswer("warning", text % {"n": found.unproved}, detail)
