"""The doctor's page: two ways in by symptom, and the findings."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from integrations import connections
from integrations import doctor as checks
from integrations.models import Connection, TestPlate
from locations.access import CompanyRequest, company_view
from locations.pages import read_key, render_page


@company_view()
@require_safe
def doctor(request: CompanyRequest) -> HttpResponse:
    """Show the findings; with `run` they are made, which may take some seconds, else the page asks for them itself."""
    company = request.company
    test = None
    if test_id := read_key(request.GET.get("test")):
        tests = TestPlate.objects.select_related("connection", "permit", "zone", "location")
        test = get_object_or_404(tests, pk=test_id, connection__company=company)
    current = list(connections.current_connections(company))
    connection = test.connection if test else _chosen(current, read_key(request.GET.get("connection")))
    symptom = request.GET.get("symptom", "")
    symptom = symptom if symptom in checks.SYMPTOMS else ""
    context: dict[str, Any] = {
        "company": company,
        "connection": connection,
        "connections": current if len(current) > 1 else [],
        "symptom": symptom,
        "symptoms": checks.SYMPTOMS.values(),
        "test": test,
        "run": "run" in request.GET,
    }
    if context["run"]:
        findings = checks.examine(company=company, connection=connection, symptom=symptom, test=test)
        context |= {
            "findings": findings,
            "worst": checks.worst(findings),
            "bad": [check for check in findings if check.tone in ("danger", "warning")],
            "text": checks.as_text(company, connection, findings),
        }
    return render_page(request, "integrations/doctor.html", context)


def _chosen(current: list[Connection], pk: int | None) -> Connection | None:
    if pk is not None:
        return next((one for one in current if one.pk == pk), None)
    return current[0] if current else None
