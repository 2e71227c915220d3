"""Where a person lands after signing in: their company, or the choice of it."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from locations.access import companies_of
from locations.pages import render_page

CHOICES_SHOWN = 50


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Lead support to all companies, a person of one company to it, and let others choose."""
    if request.user.is_support:  # type: ignore[union-attr]
        return redirect("companies")
    mine = companies_of(request.user).order_by("name")  # type: ignore[arg-type]
    page = Paginator(mine, CHOICES_SHOWN).get_page(request.GET.get("page"))
    if page.paginator.count == 1:
        return redirect("overview", page.object_list[0].slug)
    roles = {
        one.company_id: one.get_role_display()
        for one in request.user.memberships.filter(company__in=[company.pk for company in page])  # type: ignore[union-attr]
    }
    chosen = [(company, roles.get(company.pk, "")) for company in page]
    return render_page(request, "offstreet/home.html", {"page": page, "companies": chosen})
