"""The search of a company's permits: sent by POST, and kept out of the address (`locations.searches`)."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.permits.filter_form import PermitFilterForm
from integrations.permits.queries import permit_types
from locations import searches
from locations.access import CompanyRequest, company_view
from locations.models import Role


@company_view(Role.VIEWER)
@require_POST
def permits_search(request: CompanyRequest) -> HttpResponse:
    """Lead to the list that the filters narrow."""
    return HttpResponseRedirect(searches.address(_list_url(request), request.POST, request.user))


def read_filters(request: CompanyRequest) -> PermitFilterForm:
    """Return the filters that stand in the address. Raises `searches.SearchEnded`."""
    data = request.GET.copy()
    data["q"] = searches.from_id(data.get("q", ""), request.user)
    return PermitFilterForm(data, company=request.company, types=permit_types(request.company))


def without_search(request: CompanyRequest) -> HttpResponseRedirect:
    """Answer a search that has ended: the list without it, and a word about that."""
    messages.info(request, _("This search has expired. Search again to narrow the list."))
    query = request.GET.copy()
    query.pop("q", None)
    return HttpResponseRedirect(searches.address(_list_url(request), query, request.user))


def _list_url(request: CompanyRequest) -> str:
    return reverse("permits", args=[request.company.slug])
