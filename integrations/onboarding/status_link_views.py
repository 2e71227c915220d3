"""Status pages that are passed on to people without a log-in: made, renewed for another year, revoked."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import Connection, StatusLink
from integrations.notifications import signed_links
from integrations.onboarding import services
from locations.access import CompanyRequest, company_view
from locations.models import Role


@company_view(Role.OPERATOR)
@require_POST
def make(request: CompanyRequest, pk: int) -> HttpResponse:
    """Make a status page that can be passed on."""
    connection = get_object_or_404(Connection, pk=pk, company=request.company)
    signed_links.make_status_link(connection=connection, actor=request.user)
    messages.success(request, _("The status page was created. Copy its address."))
    return _back(connection)


@company_view(Role.OPERATOR)
@require_POST
def renew(request: CompanyRequest, pk: int, link: int) -> HttpResponse:
    """Let a status page open for another year."""
    found = _link(request, pk, link)
    if signed_links.renew_status_link(link=found, actor=request.user):
        messages.success(request, _("The status page was renewed for a year. Its address stays the same."))
    else:
        messages.info(request, _("That status page was revoked. Create another."))
    return _back(found.connection)


@company_view(Role.OPERATOR)
@require_POST
def revoke(request: CompanyRequest, pk: int, link: int) -> HttpResponse:
    """End a status page."""
    found = _link(request, pk, link)
    signed_links.end_status_link(link=found, actor=request.user)
    messages.success(request, _("The status page was revoked. Its address no longer shows anything."))
    return _back(found.connection)


def _link(request: CompanyRequest, pk: int, link: int) -> StatusLink:
    found = StatusLink.objects.select_related("connection__company")
    return get_object_or_404(found, pk=link, connection=pk, connection__company=request.company)


def _back(connection: Connection) -> HttpResponse:
    return redirect(services.setup_path(connection) + "#status")
