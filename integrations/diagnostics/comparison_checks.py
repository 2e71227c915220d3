"""The check of the comparison with what enforcement sees: how old it is, what it found, and why it failed."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.diagnostics.context import DANGER, NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.models import Connection, Notice, PermitSync
from integrations.reconciliation import proof
from integrations.reconciliation.notices import held_key
from locations.times import duration_text

FAILED_OFTEN = 3


def compared(context: DiagnosticContext) -> Check:
    """Does the vendor list what it has accepted?"""
    title, connection = _("Compared with %(vendor)s") % context.names.words, context.connection
    if connection is None or connection.reconciled_at is None:
        return Check(
            "compared", title, NEUTRAL, _("Not yet: the comparison starts once the integration is live.")
        )
    held = Notice.objects.filter(dedupe_key=held_key(connection.pk), done_at=None).first()
    if held is not None:
        return Check(
            "compared",
            title,
            DANGER,
            held.text,
            _("Either %(vendor)s's list is incomplete, or these vehicles are not visible to enforcement.")
            % context.names.words,
            _("Support: check in %(enforcement)s whether a few of them are there.") % context.names.words,
            context.page("activity"),
        )
    if connection.comparison_failures:
        return _failed(context, connection, title)
    if connection.compared_at is None:
        return Check("compared", title, NEUTRAL, _("Not yet: the first comparison is under way."))
    age = duration_text(context.now - connection.compared_at)
    if context.now - connection.compared_at > proof.max_age():
        return Check(
            "compared",
            title,
            WARNING,
            _("%(age)s ago, which is too long.") % {"age": age},
            _("What enforcement sees now is not known."),
            _("Support: look at the workers."),
        )
    drifting = PermitSync.objects.filter(connection=connection, drift_since__isnull=False).count()
    if drifting:
        text = ngettext(
            "%(age)s ago: %(n)d permit is not shown as it was accepted.",
            "%(age)s ago: %(n)d permits are not shown as they were accepted.",
            drifting,
        )
        return Check(
            "compared",
            title,
            WARNING,
            text % {"n": drifting, "age": age},
            _("Enforcement sees something else than is registered."),
            _("They are corrected automatically. If that doesn't help, ask %(vendor)s why.")
            % context.names.words,
            _page(context, connection),
        )
    text = _("%(age)s ago; %(vendor)s lists what it has accepted.") % {**context.names.words, "age": age}
    return Check("compared", title, SUCCESS, text, path=_page(context, connection))


def _page(context: DiagnosticContext, connection: Connection) -> str:
    return context.page("comparison", connection.pk)


def _failed(context: DiagnosticContext, connection: Connection, title: str) -> Check:
    """Say why the last comparisons failed, and since when nothing is known."""
    count = connection.comparison_failures
    text = ngettext("The last comparison failed.", "The last %(n)d comparisons failed.", count) % {"n": count}
    if connection.compared_at is None:
        since = _("No comparison has succeeded yet.")
    else:
        age = duration_text(context.now - connection.compared_at)
        since = _("The last one that succeeded was %(age)s ago.") % {"age": age}
    return Check(
        "compared",
        title,
        DANGER if count >= FAILED_OFTEN else WARNING,
        f"{text} {connection.comparison_error} {since}",
        _("What enforcement sees now is not known."),
        _("It is tried again every few minutes. If it goes on, see what the reason names."),
        _page(context, connection),
    )
