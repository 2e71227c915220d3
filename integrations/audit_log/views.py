"""Activity: every push, what was refused and how to try it again, and what people did."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from integrations.audit_log import pushes as push_queries
from integrations.delivery import outbox
from integrations.models import Push
from locations.access import CompanyRequest, company_view, may
from locations.models import Role
from locations.pages import company_clock, read_key, render_page

DEFAULT_SPAN = "24h"


def _older(request: CompanyRequest, name: str, value: object) -> str:
    """Return the query of the next page: this page's filters and the new key."""
    query = request.GET.copy()
    query[name] = str(value)
    return f"?{query.urlencode()}"


def _newest(request: CompanyRequest, name: str) -> str:
    """Return the query of the first page, or "" on it."""
    if name not in request.GET:
        return ""
    query = request.GET.copy()
    del query[name]
    return f"?{query.urlencode()}"


def _context(request: CompanyRequest, tab: str) -> dict[str, Any]:
    return {
        "company": request.company,
        "tab": tab,
        "clock": company_clock(request.company),
        "may_retry": may(request.membership_role, Role.OPERATOR),
    }


@company_view()
@require_safe
def pushes(request: CompanyRequest) -> HttpResponse:
    """List the pushes, newest first, with the reasons of those that went wrong."""
    now = timezone.now()
    outcome, kind, span = (request.GET.get(name, "") for name in ("outcome", "kind", "span"))
    trace = request.GET.get("trace", "").strip()
    filters = push_queries.PushFilters(
        outcome=outcome,
        kind=kind,
        reason=request.GET.get("reason", ""),
        span=span,
        # A few signs are the beginning of what is still being typed.
        trace=trace if len(trace) >= push_queries.TRACE_CHARS else "",
    )
    connections = list(request.company.connections.all())
    key = push_queries.read_key(request.GET.get("before", ""))
    page = push_queries.list_pushes(connections, filters, now=now, key=key)
    context = _context(request, "pushes") | {
        "rows": page.rows,
        "older": _older(request, "before", page.older) if page.older else "",
        "newest": _newest(request, "before"),
        "filters": filters,
        "outcomes": Push.Outcome.choices,
        "kinds": list(push_queries.KINDS.items()),
        "trace_chars": push_queries.TRACE_CHARS,
        "several": len(connections) > 1,
        "troubles": push_queries.troubles(
            connections, since=now - push_queries.SPANS.get(filters.span, push_queries.SPANS[DEFAULT_SPAN])
        ),
        "now": now,
    }
    return render_page(request, "integrations/audit_log/pushes.html", context)


@company_view()
@require_safe
def push_page(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one push: the request, its answer, and its result for each permit sync."""
    push = get_object_or_404(
        Push.objects.select_related("connection"), pk=pk, connection__company=request.company
    )
    events = push_queries.events_of(push, after=read_key(request.GET.get("after")) or 0)
    shown = events[: push_queries.PAGE_ROWS * 2]
    context = _context(request, "pushes") | {
        "push": push,
        "took_ms": round((push.answered_at - push.sent_at).total_seconds() * 1000),
        "events": shown,
        "older": _older(request, "after", shown[-1].pk) if len(events) > len(shown) else "",
    }
    return render_page(request, "integrations/audit_log/push.html", context)


@company_view()
@require_safe
def refused(request: CompanyRequest) -> HttpResponse:
    """List what the vendor refused, by reason, with what to do about it."""
    connections = list(request.company.connections.all())
    reason = request.GET.get("reason", "")
    found = push_queries.list_refused(connections, reason, before=read_key(request.GET.get("before")))
    shown = found[: push_queries.PAGE_ROWS]
    reasons = push_queries.refusals(connections)
    context = _context(request, "refused") | {
        "rows": shown,
        "older": _older(request, "before", shown[-1].pk) if len(found) > len(shown) else "",
        "newest": _newest(request, "before"),
        "reasons": reasons,
        "reason": next((one for one in reasons if one.code == reason), None),
        # The reason in the address may be used up: corrected or tried again since the link was made.
        "used_up": bool(reason) and not shown,
        "now": timezone.now(),
    }
    return render_page(request, "integrations/audit_log/refused.html", context)


@company_view(Role.OPERATOR)
@require_POST
def retry(request: CompanyRequest) -> HttpResponse:
    """Try one refused permit sync again, or all with one reason."""
    connections = list(request.company.connections.all())
    pk, reason = read_key(request.POST.get("registration")), request.POST.get("reason")
    if pk is None and reason is None:
        raise Http404
    wanted = push_queries.refused_ids(connections, reason=reason, pk=pk)
    count = outbox.retry(permit_sync_ids=wanted, actor=request.user)
    if count:
        text = ngettext("%(n)s permit is being tried again.", "%(n)s permits are being tried again.", count)
        messages.success(request, text % {"n": localize(count)})
    else:
        text = _("Nothing was tried again: it is not refused any longer, or would be refused as it stands.")
        messages.info(request, text)
    back = f"?{urlencode({'reason': reason})}" if reason and pk is not None else ""
    return redirect(reverse("refused", args=[request.company.slug]) + back)
