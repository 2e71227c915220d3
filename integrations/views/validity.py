"""Is it valid? Plate, place, time: yes or no, with the reasons that held at that time."""

from django.http import HttpResponse
from django.shortcuts import render

from locations.access import CompanyRequest, company_view
from locations.models import Role


@company_view(Role.VIEWER)
def validity(request: CompanyRequest) -> HttpResponse:
    """Answer "why was this car ticketed?"."""
    return render(request, "integrations/validity.html", {})
