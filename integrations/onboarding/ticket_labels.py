"""How the ticket's entries and the set-up's times are put into words. Pure."""

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class Kind(NamedTuple):
    """How entries of one kind look in the time line."""

    word: object
    icon: str = "circle-dot"
    tone: str = "neutral"


KINDS = {
    "begun": Kind(gettext_lazy("Started")),
    "requested": Kind(gettext_lazy("Requested"), "send"),
    "contact_unknown": Kind(gettext_lazy("Contact unknown"), "zoom-question", "warning"),
    "contact_found": Kind(gettext_lazy("Contact found"), "user"),
    "operator_id": Kind(gettext_lazy("Operator ID"), "key"),
    "connected": Kind(gettext_lazy("Operator ID"), "key"),
    "set_up": Kind(gettext_lazy("Set up"), "ticket"),
    "zones": Kind(gettext_lazy("Zones"), "map-pin"),
    "zones_told": Kind(gettext_lazy("Members told"), "mail"),
    "mapped": Kind(gettext_lazy("Mapped"), "map-pin"),
    "ready": Kind(gettext_lazy("Ready"), "checklist", "success"),
    "testing": Kind(gettext_lazy("Testing"), "test-pipe"),
    "test": Kind(gettext_lazy("Test plate"), "test-pipe"),
    "test_accepted": Kind(gettext_lazy("Accepted"), "check", "success"),
    "test_seen": Kind(gettext_lazy("Seen"), "eye", "success"),
    "test_asked": Kind(gettext_lazy("Requested"), "mail-forward"),
    "test_answered": Kind(gettext_lazy("Answer"), "message-circle"),
    "test_withdrawn": Kind(gettext_lazy("Withdrawn"), "arrow-back-up"),
    "test_gone": Kind(gettext_lazy("Removed"), "check"),
    "live": Kind(gettext_lazy("Live"), "plug-connected", "success"),
    "done": Kind(gettext_lazy("Ticket done"), "check", "success"),
    "paused": Kind(gettext_lazy("Paused"), "player-pause", "warning"),
    "resumed": Kind(gettext_lazy("Resumed"), "player-play", "success"),
    "ended": Kind(gettext_lazy("Ended"), "ban", "warning"),
}
OTHER = Kind(gettext_lazy("Event"))


def day_and_clock(at: datetime, now: datetime, tz: tzinfo) -> str:
    """Return a time as people say it: *today, 14:05*, *tomorrow, 12:05*, *22 Nov, 14:05*."""
    local = at.astimezone(tz)
    clock = date_format(local, "H:i")
    days = (local.date() - now.astimezone(tz).date()) // timedelta(days=1)
    if days == 0:
        return _("today, %(clock)s") % {"clock": clock}
    if days == 1:
        return _("tomorrow, %(clock)s") % {"clock": clock}
    return date_format(local, "j M, H:i")
