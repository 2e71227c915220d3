"""Zones as the vendor has them: the list, one zone, refreshing, and what each refresh found."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from integrations import throttle
from integrations.alarms.words import zone_missing_words
from integrations.held_changes.impact import from_document
from integrations.held_changes.views import example_permits
from integrations.models import Zone, ZoneRefresh
from integrations.permits.counts import PlaceCounts, place_counts
from integrations.vendors.naming import names_of
from integrations.zones import queries as zone_queries
from integrations.zones.mapping_board import open_connections
from integrations.zones.refresh import ask_refresh, ask_release, discard_refresh
from integrations.zones.refresh_summary import summary
from locations.access import SUPPORT, CompanyRequest, company_view, may
from locations.models import Role
from locations.pages import STOP_POLLING, company_clock, read_key, render_page

HISTORY_ROWS = 50


@company_view()
@require_safe
def zone_list(request: CompanyRequest) -> HttpResponse:
    """List the zones with where each is used."""
    company, show = request.company, request.GET.get("show", "")
    text = request.GET.get("q", "")
    found = zone_queries.zones_of(
        company,
        text=text,
        show=show,
        sort=request.GET.get("sort", ""),
    )
    page = Paginator(found, zone_queries.PAGE_ROWS).get_page(request.GET.get("page"))
    connections = list(open_connections(company))
    last = zone_queries.refreshes_of(company).first()
    places = place_counts(company.locations.all(), timezone.now()).get(company.pk, PlaceCounts())
    names = names_of(connections[0].vendor if connections else "")
    context = {
        "company": company,
        "page": page,
        "rows": zone_queries.zone_rows(list(page.object_list)),
        "connections": connections,
        "several": len(connections) > 1,
        "last": last,
        "last_words": summary(last) if last else "",
        "missing": zone_queries.zones_of(company, show="missing").count(),
        "places": places,
        "missing_means": zone_missing_words(places, names),
        "clock": places.clock,
        "may_refresh": may(request.membership_role, Role.OPERATOR),
    }
    return render_page(request, "integrations/zones/zones.html", context)


@company_view()
@require_safe
def zone_page(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one zone: what it is, where it is used, and the document as the vendor sent it."""
    zone = get_object_or_404(
        Zone.objects.select_related("connection"), pk=pk, connection__company=request.company
    )
    context = {
        "company": request.company,
        "zone": zone,
        "used_by": zone_queries.used_by(zone, timezone.now()),
        "history": zone_queries.history_of(zone),
        "clock": company_clock(request.company),
        "facts": [
            (key, value)
            for key, value in sorted(zone.raw.items())
            if isinstance(value, str | int | float | bool)
        ],
        "settings": sorted(zone.raw["settings"].items())
        if isinstance(zone.raw.get("settings"), dict)
        else [],
    }
    return render_page(request, "integrations/zones/zone.html", context)


@company_view(Role.OPERATOR)
@require_POST
def refresh(request: CompanyRequest) -> HttpResponse:
    """Begin a refresh of each connection and show how it goes; a company once a minute, support a few times."""
    company = request.company
    is_support = request.membership_role == SUPPORT
    rate = throttle.A_FEW_A_MINUTE if is_support else throttle.ONCE_A_MINUTE
    who = ("zones_refresh", f"user {request.user.pk}" if is_support else str(company.pk))
    if not throttle.take(rate, *who):
        messages.warning(
            request, _("The zones were refreshed less than a minute ago. Try again in a minute.")
        )
        return redirect("zones", company.slug)
    begun: list[ZoneRefresh] = []
    try:
        for connection in open_connections(company):
            try:
                begun.append(ask_refresh(connection=connection, asked_by=request.user))
            except ValidationError as error:
                messages.error(request, f"{connection}: {' '.join(error.messages)}")
    finally:
        # Nor does it count where the database gave up: the page for that sends the form again.
        if not begun:
            throttle.forget(rate, *who)
    if not begun:
        return redirect("zones", company.slug)
    if len(begun) == 1:
        return redirect("zone_refresh", company.slug, begun[0].pk)
    return redirect("zone_refreshes", company.slug)


@company_view()
@require_safe
def refreshes(request: CompanyRequest) -> HttpResponse:
    """List the refreshes, newest first."""
    found = zone_queries.refreshes_of(request.company)
    before = read_key(request.GET.get("before"))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: HISTORY_ROWS + 1])
    older = f"?before={rows[HISTORY_ROWS - 1].pk}" if len(rows) > HISTORY_ROWS else ""
    context = {
        "company": request.company,
        "rows": [(one, summary(one)) for one in rows[:HISTORY_ROWS]],
        "older": older,
        "newest": "?" if before is not None else "",
        "running": any(one.outcome == ZoneRefresh.Outcome.RUNNING for one in rows),
        "clock": company_clock(request.company),
    }
    return render_page(request, "integrations/zones/zone_refreshes.html", context)


@company_view()
@require_safe
def refresh_page(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one refresh; while it runs the page asks again, and stops when there is nothing more to wait for."""
    one = get_object_or_404(zone_queries.refreshes_of(request.company), pk=pk)
    running = one.outcome == ZoneRefresh.Outcome.RUNNING
    impact = from_document(one.found.get("rights"))
    if impact is not None and not impact.affected:
        impact = None
    context = {
        "company": request.company,
        "refresh": one,
        "words": summary(one),
        "groups": zone_queries.found_groups(one),
        "running": running,
        "impact": impact,
        "examples": example_permits(request.company, impact) if impact is not None else [],
        "clock": company_clock(request.company),
        "may_decide": may(request.membership_role, Role.OPERATOR) and one.outcome == ZoneRefresh.Outcome.HELD,
        "may_map": may(request.membership_role, Role.OPERATOR),
    }
    polled = bool(request.htmx) and not running  # type: ignore[attr-defined]
    return render_page(
        request, "integrations/zones/zone_refresh.html", context, status=STOP_POLLING if polled else None
    )


@company_view(Role.OPERATOR)
@require_POST
def refresh_decide(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take a person's answer on a held refresh: accept what it found, or keep the zones as they are."""
    held = get_object_or_404(zone_queries.refreshes_of(request.company), pk=pk)
    try:
        if request.POST.get("word") == "release":
            done = ask_release(refresh=held, actor=request.user)
        else:
            done = discard_refresh(refresh=held, actor=request.user)
            messages.success(request, _("The current zones are kept."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        done = held
    return redirect("zone_refresh", request.company.slug, done.pk)
