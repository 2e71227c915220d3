"""The overview: is enforcement seeing everything? The answer first, then what to act on, then figures."""

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from integrations.dashboard import charts as push_charts
from integrations.dashboard.company import figures_of
from integrations.dashboard.headline import answer, waits
from integrations.reconciliation import proof
from integrations.reconciliation.canary_queries import shown_after
from integrations.vendors.protocol import get_vendor
from integrations.zones.refresh_summary import summary
from locations.access import CompanyRequest, company_view, may
from locations.models import Role
from locations.pages import render_page

# How often the page looks again: soon while something is on its way, else now and then (it hangs on walls).
SOON_S, LATER_S = 3, 30


@company_view()
@require_safe
def overview(request: CompanyRequest) -> HttpResponse:
    """Answer in one sentence, then show what waits and for whom."""
    company, now = request.company, timezone.now()
    may_write = may(request.membership_role, Role.OPERATOR)
    figures = figures_of(company, now)
    span = "30d" if request.GET.get("span") == "30d" else "24h"
    charts = push_charts.draw([link.connection.pk for link in figures.links], now, figures.places.clock, span)
    canaries = [link.connection.pk for link in figures.links if link.connection.canary_minutes is not None]
    shown = shown_after(canaries, now) if canaries else None
    refreshes = [link.refresh for link in figures.links if link.refresh and link.refresh.finished_at]
    last = max(refreshes, key=lambda one: one.finished_at or now, default=None)
    context = {
        "company": company,
        "figures": figures,
        "answer": answer(figures, company.slug, proof_max_age=proof.max_age()),
        "waits": waits(figures, company.slug, is_you=may_write, now=figures.at),
        "was_live": any(link.connection.live_since is not None for link in figures.links),
        "live": next((link for link in figures.links if link.connection.is_live), None),
        "span": span,
        "charts": charts,
        "shown_after": push_charts.draw_shown_after(
            shown, now, figures.places.clock, get_vendor(figures.links[0].connection.vendor).names.label
        )
        if shown
        else None,
        "median": push_charts.say_seconds(charts.median_s),
        "high": push_charts.say_seconds(charts.high_s),
        "zones": sum(link.zones for link in figures.links),
        "last_refresh": last,
        "last_refresh_words": summary(last) if last else "",
        "clock": figures.places.clock,
        "may_write": may_write,
        "look_again_s": SOON_S if figures.moves else LATER_S,
        "now": figures.at,
    }
    return render_page(request, "integrations/dashboard/overview.html", context)
