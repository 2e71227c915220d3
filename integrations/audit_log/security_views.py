"""The security log: of one company for its managers, of all companies for support, and as CSV."""

from typing import Any, cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from integrations.audit_log import pushes as push_queries
from integrations.audit_log import security_queries
from integrations.audit_log.csv_lines import csv_lines
from integrations.audit_log.security_labels import GROUPS
from locations.access import CompanyRequest, company_view, support_view
from locations.models import Company, Role
from locations.pages import company_clock, render_page


@company_view(Role.MANAGER)
@require_safe
def security_log(request: CompanyRequest) -> HttpResponse:
    """List what concerns the company's people, newest first."""
    context = _context(request, request.company)
    context |= {"company": request.company, "tab": "security", "clock": company_clock(request.company)}
    return render_page(request, "integrations/audit_log/security_log.html", context)


@support_view
@require_safe
def security_log_all(request: HttpRequest) -> HttpResponse:
    """List the events of all companies and of people without one."""
    context = _context(request, None) | {"clock": "UTC"}
    return render_page(request, "integrations/audit_log/security_log.html", context)


@company_view(Role.MANAGER)
@never_cache
@require_safe
def security_log_csv(request: CompanyRequest) -> HttpResponse:
    """Stream the company's events as CSV."""
    return _csv(request, request.company, request.company.slug)


@support_view
@never_cache
@require_safe
def security_log_all_csv(request: HttpRequest) -> HttpResponse:
    """Stream all events as CSV."""
    return _csv(request, None, "all")


def _context(request: HttpRequest, company: Company | None) -> dict[str, Any]:
    query = request.GET.copy()
    query.pop("before", None)
    newest = f"?{query.urlencode()}" if "before" in request.GET else ""
    events, older = security_queries.list_events(
        company, group=request.GET.get("kind", ""), key=push_queries.read_key(request.GET.get("before", ""))
    )
    if older:
        query["before"] = str(older)
    return {
        "events": events,
        "older": f"?{query.urlencode()}" if older else "",
        "newest": newest,
        "groups": list(GROUPS.items()),
        "group": request.GET.get("kind", ""),
    }


def _csv(request: HttpRequest, company: Company | None, name: str) -> HttpResponse:
    lines = csv_lines(security_queries.csv_rows(company, group=request.GET.get("kind", "")))
    filename = f"security-log-{name}-{timezone.now():%Y-%m-%d}.csv"
    streamed = StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
    # All that views and middleware ask of an answer, both kinds have; Django's types part them.
    return cast(HttpResponse, streamed)
