"""The diagnostics page: the findings, and buttons that check for a symptom first.

A form asks for the checks, a worker runs them (`integrations.reconciliation.check_runs`), and the page
looks each second whether they are done.
"""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from integrations import diagnostics as checks
from integrations.diagnostics.context import Check
from integrations.models import CheckRun, Connection, TestPlate
from integrations.onboarding import connections
from integrations.reconciliation import check_runs
from locations.access import CompanyRequest, company_view
from locations.pages import read_key, render_page


@company_view()
@require_http_methods(["GET", "HEAD", "POST"])
def diagnostics(request: CompanyRequest) -> HttpResponse:
    """Ask for the checks (POST), and show how far they are and what they found (`check` is the number of the run)."""
    company = request.company
    asked = request.POST if request.method == "POST" else request.GET
    test = None
    if test_id := read_key(asked.get("test")):
        tests = TestPlate.objects.select_related("connection", "permit", "zone", "location")
        test = get_object_or_404(tests, pk=test_id, connection__company=company)
    current = list(connections.current_connections(company))
    connection = test.connection if test else _chosen(current, read_key(asked.get("connection")))
    symptom = asked.get("symptom", "")
    symptom = symptom if symptom in checks.SYMPTOMS else ""
    if request.method == "POST":
        return _begin(request, connection, symptom, test)
    run = _run_of(request, connection, test)
    context: dict[str, Any] = {
        "company": company,
        "connection": connection,
        "connections": current if len(current) > 1 else [],
        "symptom": symptom,
        "symptoms": checks.SYMPTOMS.values(),
        "test": test,
        "run": run,
        "limited": "limited" in request.GET,
    }
    findings = _findings(run, connection, test) if run else None
    if run and findings is not None:
        context |= {
            "findings": findings,
            "worst": checks.worst(findings),
            "bad": [check for check in findings if check.tone in ("danger", "warning")],
            "text": checks.as_text(company, connection, findings, run.finished_at),
        }
    return render_page(request, "integrations/diagnostics/diagnostics.html", context)


@company_view()
@require_safe
def moved(request: CompanyRequest) -> HttpResponse:
    """Lead from the page's former address, with its query, to the present one."""
    query = request.GET.urlencode()
    address = reverse("diagnostics", args=[request.company.slug])
    return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)


def _begin(
    request: CompanyRequest, connection: Connection | None, symptom: str, test: TestPlate | None
) -> HttpResponse:
    """Ask for the checks and redirect to the page that shows their progress."""
    company = request.company
    query: dict[str, Any] = {"symptom": symptom} if symptom else {}
    if test is not None:
        query["test"] = test.pk
    elif connection is not None:
        query["connection"] = connection.pk
    if check_runs.within_limits(CheckRun.Kind.DIAGNOSTICS, company=company, user=request.user):
        run = check_runs.ask(
            CheckRun.Kind.DIAGNOSTICS,
            company=company,
            user=request.user,
            connection=connection,
            symptom=symptom,
            test=test,
        )
        query["check"] = run.pk
    else:
        query["limited"] = 1
    return redirect(f"{reverse('diagnostics', args=[company.slug])}?{urlencode(query)}")


def _run_of(
    request: CompanyRequest, connection: Connection | None, test: TestPlate | None
) -> CheckRun | None:
    """Return the run that the address names, if it is of this company and of what the page is about."""
    pk = read_key(request.GET.get("check"))
    if pk is None:
        return None
    runs = CheckRun.objects.filter(company=request.company, kind=CheckRun.Kind.DIAGNOSTICS)
    return runs.filter(pk=pk, connection=connection, test=test).first()


def _findings(run: CheckRun, connection: Connection | None, test: TestPlate | None) -> list[Check] | None:
    """Return what a run found; None while it is running.

    If no worker has picked it up, the checks that need no answer from the vendor are run here.
    """
    if run.finished_at is not None:
        return checks.from_document(run.result)
    if run.leased_until is not None or run.requested_at > timezone.now() - check_runs.TAKEN_UP_WITHIN:
        return None
    return checks.examine(
        company=run.company, connection=connection, symptom=run.symptom, test=test, asks_vendor=False
    )


def _chosen(current: list[Connection], pk: int | None) -> Connection | None:
    if pk is not None:
        return next((one for one in current if one.pk == pk), None)
    return current[0] if current else None
