"""The set-up page: the steps of a connection, what to do now, and what was said and done on the way.

One page for all steps. Everything that can be pressed is one small view that calls a service and comes back to the page;
where it could not be done the page says why beside the field (status 422) and keeps what was typed.
"""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from integrations.models import Connection
from integrations.onboarding import connections, page, services, test_plates
from integrations.onboarding.forms import NameForm, ReasonForm, SiteForm, TestForm
from integrations.onboarding.setup_responses import (
    act_and_return,
    attempt,
    company_connection,
    setup_response,
)
from locations.access import SUPPORT, CompanyRequest, company_view
from locations.models import Role
from locations.pages import render_page


@company_view()
@require_safe
def setup(request: CompanyRequest) -> HttpResponse:
    """Show the company's connection that is furthest from live; without one, how to begin."""
    found = list(connections.current_connections(request.company))
    furthest = min(found, key=lambda one: one.status == Connection.Status.LIVE, default=None)
    return setup_response(request, furthest, siblings=found)


@company_view()
@require_safe
def setup_connection(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one connection's way to live."""
    return setup_response(request, company_connection(request.company, pk))


@company_view(Role.OPERATOR)
@require_POST
def set_up(request: CompanyRequest, pk: int) -> HttpResponse:
    """Open the ticket; the workers pull the zones."""
    connection = company_connection(request.company, pk)
    return act_and_return(
        request, connection, lambda: services.set_up(connection=connection, actor=request.user)
    )


@company_view(Role.OPERATOR)
@require_POST
def rename(request: CompanyRequest, pk: int) -> HttpResponse:
    """Give the integration another name before it is set up."""
    connection, form = company_connection(request.company, pk), NameForm(request.POST, auto_id="name_%s")

    def act() -> Connection:
        return connections.rename(connection=connection, name=form.cleaned_data["name"], actor=request.user)

    renamed = attempt(form, act) if form.is_valid() else None
    if renamed is None:
        return setup_response(request, connection, {"name": form}, status=422)
    messages.success(request, _("The integration is now called %(name)s.") % {"name": renamed.name})
    return redirect(services.setup_path(renamed))


@company_view(Role.OPERATOR)
@require_POST
def start_test(request: CompanyRequest, pk: int) -> HttpResponse:
    """Register a test plate and show how it goes."""
    connection = company_connection(request.company, pk)
    form = TestForm(request.POST, places=page.testable(page.company_places(request.company), connection))
    if not form.is_valid():
        return setup_response(request, connection, {"test": form}, status=422)
    test = attempt(
        form, lambda: test_plates.start_test(connection=connection, actor=request.user, **form.values())
    )
    if test is None:
        return setup_response(request, connection, {"test": form}, status=422)
    return redirect(test_plates.test_path(test))


@company_view(Role.MANAGER)
@require_POST
def pause(request: CompanyRequest, pk: int) -> HttpResponse:
    """Hold pushes back; the reason is kept."""
    connection, form = company_connection(request.company, pk), ReasonForm(request.POST)

    def act() -> Connection:
        return connections.pause(
            connection=connection, reason=form.cleaned_data["reason"], actor=request.user
        )

    if not form.is_valid() or attempt(form, act) is None:
        return setup_response(request, connection, {"pause": form}, status=422)
    messages.success(request, _("Paused. Changes are kept and sent when you resume."))
    return redirect(services.setup_path(connection))


@company_view(Role.MANAGER)
@require_POST
def resume(request: CompanyRequest, pk: int) -> HttpResponse:
    """Push again."""
    connection = company_connection(request.company, pk)
    said = _("Resumed. The changes that were waiting are being sent.")
    return act_and_return(
        request, connection, lambda: connections.resume(connection=connection, actor=request.user), said
    )


@company_view(Role.OPERATOR)
@require_POST
def go_live(request: CompanyRequest, pk: int) -> HttpResponse:
    """Go live: after a confirmed test, or as support with a reason that is kept."""
    connection, form = company_connection(request.company, pk), ReasonForm(request.POST)
    if connection.verified_at:
        return act_and_return(
            request,
            connection,
            lambda: connections.go_live(connection=connection, actor=request.user, verified=True),
        )
    if request.membership_role != SUPPORT:
        raise PermissionDenied

    def act() -> Connection:
        return connections.go_live(
            connection=connection, reason=form.cleaned_data["reason"], actor=request.user
        )

    if not form.is_valid() or attempt(form, act) is None:
        return setup_response(request, connection, {"live": form}, status=422)
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
def another(request: CompanyRequest) -> HttpResponse:
    """Say that there is an integration already, and lead to mapping and testing new locations; or begin another one."""
    company = request.company
    form = SiteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():

        def act() -> Connection:
            return services.begin_connection(company=company, actor=request.user, **form.cleaned_data)

        made = attempt(form, act)
        if made is not None:
            return redirect(services.setup_path(made))
    existing = list(connections.current_connections(company))
    if not existing:
        return redirect("setup", company.slug)
    places = page.new_places(page.company_places(company))
    context = {
        "company": company,
        "existing": existing,
        "unmapped": [place for place in places if not page.is_mapped(place)],
        "untested": [place for place in places if page.is_mapped(place)],
        "form": form,
    }
    return render_page(
        request, "integrations/onboarding/setup_another.html", context, status=422 if form.errors else 200
    )
