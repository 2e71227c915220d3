"""Is it valid? Plate, place, time: yes or no, with the reasons that held at that time.

The question travels in the body of a POST and is answered in place: a plate never stands in an address.
"""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from integrations.permits.validity import decide
from integrations.permits.validity_form import ValidityForm
from integrations.permits.validity_queries import gather
from locations.access import CompanyRequest, company_view
from locations.models import Role


@company_view(Role.VIEWER)
def validity(request: CompanyRequest) -> HttpResponse:
    """Answer "why was this car ticketed?"."""
    now = timezone.now()
    form = ValidityForm(request.POST if request.method == "POST" else None, company=request.company, now=now)
    verdict, question = None, None
    if request.method == "POST" and form.is_valid():
        question = form.question()
        permits, zone = gather(request.company, question)
        verdict = decide(question, permits, zone, now)
    context = {"form": form, "verdict": verdict, "question": question}
    return render(request, "integrations/permits/validity.html", context, status=422 if form.errors else 200)
