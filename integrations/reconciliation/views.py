"""The last comparison of one connection: how old it is, what is listed differently from what was accepted, unknown rights.

The page also helps after a backup was restored: it lists the rights that only the vendor knows and those that only we know,
with the commands by which support resolves either.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from integrations import throttle
from integrations.models import Connection, PermitSync, Zone
from integrations.reconciliation import notices, proof
from integrations.vendors.naming import names_of, zone_label
from integrations.vendors.right_keys import zone_key
from locations.access import SUPPORT, CompanyRequest, company_view, may
from locations.models import Role
from locations.pages import company_clock, render_page
from locations.times import duration_text

ROWS = 100


@dataclass(frozen=True, slots=True)
class UnknownRight:
    """A right that Offstreet sent but has no permit for any more."""

    plate: str
    subdivision: str
    zone: str
    end: datetime | None
    kind: str
    reference: str


@company_view()
@require_safe
def comparison(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show the last comparison."""
    connection = _connection(request, pk)
    now = timezone.now()
    drifting = PermitSync.objects.filter(connection=connection, drift_since__isnull=False)
    found: dict[str, Any] = connection.comparison or {}
    count = drifting.count()
    tone, sentence, detail = answer(connection, drifting=count, now=now)
    context = {
        "company": request.company,
        "connection": connection,
        "tone": tone,
        "sentence": sentence,
        "detail": detail,
        "found": found,
        "foreign": sorted(found.get("foreign", {}).items()),
        "drifting": drifting.select_related("permit__location").order_by("drift_since", "pk")[:ROWS],
        "more_drifting": max(0, count - ROWS),
        "unknown": _unknown(connection, found),
        "now": now,
        "clock": company_clock(request.company),
        "may_compare": connection.is_live and may(request.membership_role, Role.OPERATOR),
        "commands": _commands(connection) if may(request.membership_role, SUPPORT) else {},
    }
    return render_page(request, "integrations/reconciliation/comparison.html", context)


@company_view(Role.OPERATOR)
@require_POST
def compare_now(request: CompanyRequest, pk: int) -> HttpResponse:
    """Have a worker compare within seconds, unless one already does."""
    connection = _connection(request, pk)
    if not throttle.take(throttle.A_FEW_A_MINUTE, "compare now", str(connection.pk)):
        messages.warning(request, _("Several comparisons ran in the last minute. Try again in a minute."))
    elif connection.is_live:
        Connection.objects.filter(pk=connection.pk).update(reconciled_at=None)
        messages.success(request, _("The comparison starts within seconds."))
    return redirect("comparison", request.company.slug, connection.pk)


def answer(connection: Connection, *, drifting: int, now: datetime) -> tuple[str, str, str]:
    """Return the tone, sentence and detail that say whether enforcement is known to see what was accepted; pure."""
    words = names_of(connection.vendor).words
    compared_at = connection.compared_at
    if compared_at is None:
        since = _("No comparison has succeeded yet.")
    else:
        since = _("The last successful comparison was %(age)s ago.") % {
            "age": duration_text(now - compared_at)
        }
    if connection.comparison_failures:
        tone = "danger" if connection.comparison_failures >= 3 else "warning"
        return tone, _("It is unknown what enforcement sees now."), f"{connection.comparison_error} {since}"
    if compared_at is None:
        waits = _("The first comparison follows once the integration is live.")
        return "neutral", since, "" if connection.is_live else waits
    if drifting:
        text = ngettext(
            "%(vendor)s doesn't show %(n)d permit as it accepted it.",
            "%(vendor)s doesn't show %(n)d permits as it accepted them.",
            drifting,
        )
        return "warning", text % {**words, "n": drifting}, since
    if now - compared_at > proof.max_age() and connection.is_live:
        return "warning", _("It is unknown what enforcement sees now."), since
    return "success", _("%(vendor)s shows every permit as it accepted it.") % words, since


def _connection(request: CompanyRequest, pk: int) -> Connection:
    found = Connection.objects.select_related("company")
    return get_object_or_404(found, pk=pk, company=request.company)


def _unknown(connection: Connection, found: dict[str, Any]) -> list[UnknownRight]:
    rights = found.get("unknown_rights", [])
    if not rights:
        return []
    zones = Zone.objects.filter(connection=connection).values_list("remote_id", "number")
    numbers = {zone_key(remote_id): number for remote_id, number in zones}
    return [
        UnknownRight(
            right["plate"],
            right["subdivision"],
            zone_label(numbers, zone_key(right["zone_id"])),
            parse_datetime(right["end"]) if right["end"] else None,
            right["kind"],
            right["reference"],
        )
        for right in rights
    ]


def _commands(connection: Connection) -> dict[str, str]:
    """Return the commands for what only a person can decide."""
    return {
        "end_unknown": notices.command(connection, "--end-unknown"),
        "send_missing": notices.command(connection, "--send-missing"),
    }
