"""What people did in a company: a page that is narrowed by kind, person and plate, and the same as CSV."""

from collections.abc import Iterator
from typing import cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from integrations.audit_log import queries
from integrations.audit_log.csv_lines import csv_lines, plain
from integrations.audit_log.pushes import read_key
from integrations.audit_log.queries import NO_PERSON, SUPPORT_STAFF, EventFilters
from locations import searches
from locations.access import CompanyRequest, company_view
from locations.models import Membership
from locations.pages import company_clock, render_page

# A CSV is read from the database in portions of so many rows.
CSV_ROWS = 500
CSV_HEADER = ("time (UTC)", "who", "kind", "what", "did", "changes", "permit")


@company_view()
@require_safe
def people(request: CompanyRequest) -> HttpResponse:
    """List what people did, newest first."""
    members = _members(request)
    try:
        filters = _filters(request, members)
    except searches.SearchEnded:
        return _without_search(request)
    clock = company_clock(request.company)
    events, older = queries.list_events(
        request.company, filters, key=read_key(request.GET.get("before", "")), tz=ZoneInfo(clock)
    )
    query = request.GET.copy()
    query.pop("before", None)
    newest = f"?{query.urlencode()}"
    if older:
        query["before"] = str(older)
    context = {
        "company": request.company,
        "tab": "people",
        "clock": clock,
        "lines": queries.together(events),
        "older": f"?{query.urlencode()}" if older else "",
        "newest": newest if "before" in request.GET else "",
        "csv_query": newest,
        "kinds": list(queries.KINDS.items()),
        "people": [*members.items(), (SUPPORT_STAFF, _("Offstreet support")), (NO_PERSON, _("No person"))],
        "filters": filters,
    }
    return render_page(request, "integrations/audit_log/people.html", context)


@company_view()
@require_POST
def people_search(request: CompanyRequest) -> HttpResponse:
    """Lead to the list that the filters narrow: a plate does not stand in an address."""
    return HttpResponseRedirect(searches.address(_list_url(request), request.POST, request.user, "plate"))


@company_view()
@never_cache
@require_safe
def people_csv(request: CompanyRequest) -> HttpResponse:
    """Stream what people did as CSV, newest first, narrowed as the page is."""
    try:
        filters = _filters(request, _members(request))
    except searches.SearchEnded:
        return _without_search(request)
    filename = f"activity-{request.company.slug}-{timezone.now():%Y-%m-%d}.csv"
    streamed = StreamingHttpResponse(
        csv_lines(_rows(request, filters)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
    # All that views and middleware ask of an answer, both kinds have; Django's types part them.
    return cast(HttpResponse, streamed)


def _rows(request: CompanyRequest, filters: EventFilters) -> Iterator[tuple[str, ...]]:
    yield CSV_HEADER
    key = None
    while True:
        events, key = queries.list_events(request.company, filters, key=key, rows=CSV_ROWS)
        for event in events:
            changes = "; ".join(_change(*change) for change in event.changes)
            cells = (event.at.isoformat(), event.who, event.label, event.thing, event.verb, changes)
            yield tuple(plain(cell) for cell in (*cells, event.permit or ""))
        if key is None:
            return


def _change(what: str, was: str, now: str) -> str:
    return f"{what}: {was} → {now}" if was or now else what


def _members(request: CompanyRequest) -> dict[str, str]:
    """Return the company's members by id, in order of their names."""
    members = Membership.objects.filter(company=request.company).select_related("user")
    people = sorted((member.user for member in members), key=lambda user: (user.label.casefold(), user.pk))
    return {str(user.pk): user.label for user in people}


def _filters(request: CompanyRequest, members: dict[str, str]) -> EventFilters:
    """Return what the address narrows to; a person or kind that there is not matches nothing. Raises `SearchEnded`."""
    kind, who = request.GET.get("kind", ""), request.GET.get("who", "")
    return EventFilters(
        kind=kind,
        who=who,
        plate=searches.from_id(request.GET.get("plate", ""), request.user),
        unreadable=kind not in ("", *queries.KINDS) or who not in ("", *members, SUPPORT_STAFF, NO_PERSON),
    )


def _without_search(request: CompanyRequest) -> HttpResponseRedirect:
    messages.info(request, _("This search has expired. Search again to narrow the list."))
    query = request.GET.copy()
    query.pop("plate", None)
    return HttpResponseRedirect(f"{_list_url(request)}?{query.urlencode()}")


def _list_url(request: CompanyRequest) -> str:
    return reverse("activity_people", args=[request.company.slug])
