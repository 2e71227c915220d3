"""All companies at once, worst first (support)."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from integrations.dashboard import all_companies
from integrations.dashboard import charts as push_charts
from integrations.dashboard.all_companies_headline import answer
from integrations.delivery.database_clock import database_now
from locations.access import support_view
from locations.pages import render_page

PAGE_ROWS = 50
LOOK_AGAIN_S = 15


@support_view
@require_safe
def companies(request: HttpRequest) -> HttpResponse:
    """List the companies with what is wrong at each."""
    now, text = database_now(), request.GET.get("q", "")
    lines = all_companies.lines(now)
    totals = all_companies.totals(lines)
    found = all_companies.in_order(all_companies.search(lines, text), request.GET.get("sort", ""))
    page = Paginator(found, PAGE_ROWS).get_page(request.GET.get("page"))
    all_companies.add_steps(list(page.object_list), now)
    span = "30d" if request.GET.get("span") == "30d" else "24h"
    charts = push_charts.draw(None, now, "UTC", span)
    context = {
        "page": page,
        "totals": totals,
        "answer": answer(totals, now),
        "charts": charts,
        "span": span,
        "median": push_charts.say_seconds(charts.median_s),
        "high": push_charts.say_seconds(charts.high_s),
        "look_again_s": LOOK_AGAIN_S,
        "now": now,
    }
    return render_page(request, "integrations/dashboard/companies.html", context)
