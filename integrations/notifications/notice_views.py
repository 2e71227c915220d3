"""Putting a notice away by hand."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from integrations.models import Notice
from integrations.notifications import notices
from locations.access import CompanyRequest, company_view, support_view
from locations.models import Role


@company_view(Role.OPERATOR)
@require_POST
def dismiss(request: CompanyRequest, pk: int) -> HttpResponse:
    """Put one of the company's notices away and go back to where it was shown."""
    notice = get_object_or_404(Notice, pk=pk, company=request.company)
    notices.dismiss(notice=notice, actor=request.user)
    return redirect(_back(request) or request.company.get_absolute_url())


@support_view
@require_POST
def dismiss_for_support(request: HttpRequest, pk: int) -> HttpResponse:
    """Put one of support's notices away."""
    notice = get_object_or_404(Notice, pk=pk, company=None)
    notices.dismiss(notice=notice, actor=request.user)  # type: ignore[arg-type]
    return redirect(_back(request) or "setups")


def _back(request: HttpRequest) -> str:
    """Return the page that the form stood on, if it is one of ours."""
    page = request.headers.get("Referer", "")
    return page if url_has_allowed_host_and_scheme(page, {request.get_host()}, request.is_secure()) else ""
