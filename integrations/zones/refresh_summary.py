"""What a refresh of zones found, in one sentence."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import ZoneRefresh


def summary(refresh: ZoneRefresh) -> str:
    """Return one sentence on what a refresh found."""
    if refresh.outcome in (ZoneRefresh.Outcome.FAILED, ZoneRefresh.Outcome.HELD):
        return refresh.error
    if refresh.outcome == ZoneRefresh.Outcome.RUNNING:
        return _("A refresh is running.")
    words = {
        "added": _("new"),
        "renamed": _("renamed"),
        "case_changed": _("case changed"),
        "changed": _("changed"),
        "gone": _("missing"),
        "back": _("back"),
    }
    counts = refresh.found.get("counts", {})
    parts = [f"{counts[kind]} {word}" for kind, word in words.items() if counts.get(kind)]
    listed = ngettext("%(count)d zone listed", "%(count)d zones listed", refresh.zones_listed)
    text = listed % {"count": refresh.zones_listed}
    return _("%(listed)s: %(parts)s.") % {"listed": text, "parts": ", ".join(parts) or _("nothing changed")}
