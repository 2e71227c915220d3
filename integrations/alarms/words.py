"""What is wrong with a connection, and what that means for drivers and officers, in sentences. Pure."""

from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.alarms.health import Trouble
from integrations.delivery.status import fragment
from integrations.models import Alarm
from integrations.permits.counts import Counted, DeliveryCounts, PlaceCounts
from integrations.vendors.protocol import VendorNames
from locations.times import duration_text


def trouble_sentence(trouble: Trouble, names: VendorNames, now: datetime) -> str:
    """Say what is wrong and for how long: “… has not answered for 6 min.”"""
    words = {**names.words, "span": duration_text(now - trouble.since), "reason": fragment(trouble.error)}
    if trouble.cause == Alarm.Cause.STOPPED:
        return _("Nothing is sent to %(vendor)s: %(reason)s.") % words
    if trouble.cause == Alarm.Cause.WORKERS:
        return _("No worker has been running for %(span)s, so nothing is sent to %(vendor)s.") % words
    if trouble.cause == Alarm.Cause.OUTAGE:
        return _("%(vendor)s has not answered for %(span)s.") % words
    if trouble.moves:
        return _("Changes have waited for %(span)s; %(vendor)s is accepting them.") % words
    if trouble.error:
        return _("Changes have waited for %(span)s: %(reason)s.") % words
    return _("Changes have waited for %(span)s, and %(vendor)s has not accepted any lately.") % words


def trouble_word(trouble: Trouble) -> str:
    """Say what is wrong in a word or two, for a badge."""
    return {
        Alarm.Cause.STOPPED.value: _("stopped"),
        Alarm.Cause.WORKERS.value: _("no worker"),
        Alarm.Cause.OUTAGE.value: _("no answer"),
        Alarm.Cause.BACKLOG.value: _("changes wait"),
    }[str(trouble.cause)]


def remedy_of(trouble: Trouble, names: VendorNames) -> str:
    """Say what a person can do about it."""
    if trouble.remedy:
        return trouble.remedy
    if trouble.cause == Alarm.Cause.WORKERS:
        return _("Support has to start a worker. Changes are kept until then, and nothing is lost.")
    if trouble.moves:
        return _("Nothing is lost. The most urgent and the oldest changes go first.")
    text = _(
        "It is tried again every few seconds. Nothing is lost. If it lasts, ask %(vendor)s and "
        "tell your officers."
    )
    return text % names.words


def waiting_sentence(
    counts: DeliveryCounts, *, hidden: Counted, plate: str = "", ended_plate: str = ""
) -> str:
    """Say what waits and what that means: “1 change is waiting: NBC002 was ended here and officers may still see it.”

    `hidden` counts the vehicles that officers can't see; the plates name the one, where it is only one.
    """
    if not counts.waiting:
        return _("Nothing is waiting to be sent.")
    text = ngettext("%(n)s change is waiting", "%(n)s changes are waiting", counts.waiting)
    changes = text % {"n": f"{counts.waiting:,}"}
    meaning = [part for part in (hidden_words(hidden, plate), still_words(counts, ended_plate)) if part]
    if not meaning:
        return _("%(changes)s.") % {"changes": changes}
    if len(meaning) == 1:
        return _("%(changes)s: %(meaning)s.") % {"changes": changes, "meaning": meaning[0]}
    return _("%(changes)s: %(first)s, and %(second)s.") % {
        "changes": changes,
        "first": meaning[0],
        "second": meaning[1],
    }


def hidden_words(hidden: Counted, plate: str = "") -> str:
    """Say how many vehicles officers can't see, as a part of a sentence; empty for none."""
    if not hidden:
        return ""
    if hidden.n == 1 and plate:
        return _("officers can't see %(plate)s") % {"plate": plate}
    text = ngettext(
        "%(n)s vehicle is not visible to enforcement",
        "%(n)s vehicles are not visible to enforcement",
        hidden.n,
    )
    return text % {"n": hidden.text}


def still_words(counts: DeliveryCounts, plate: str = "") -> str:
    """Say how many permits were ended here and may still be shown, as a part of a sentence; empty for none."""
    still = Counted(counts.still_shown)
    if not still:
        return ""
    if still.n == 1 and plate:
        return _("%(plate)s was ended here and officers may still see it") % {"plate": plate}
    text = ngettext(
        "%(n)s permit was ended here and officers may still see it",
        "%(n)s permits were ended here and officers may still see them",
        still.n,
    )
    return text % {"n": still.text}


def zone_missing_words(places: PlaceCounts, names: VendorNames) -> str:
    """Say what it means that the zones of locations are missing: how many current permits officers may not see."""
    text = _("%(vendor)s refuses new permits there.")
    if places.parked_missing:
        text = ngettext(
            "%(vendor)s refuses new permits there, and officers may not see the %(n)s current permit.",
            "%(vendor)s refuses new permits there, and officers may not see the %(n)s current permits.",
            places.parked_missing,
        )
    return text % {**names.words, "n": f"{places.parked_missing:,}"}
