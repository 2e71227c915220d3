"""The set-up page: the steps of a connection, what to do now, and what was said and done on the way.

One page for all steps. Everything that can be pressed is one small view that calls a service and comes back to the page;
where it could not be done the page says why beside the field (status 422) and keeps what was typed.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from integrations.models import Connection, Contact
from integrations.notifications import signed_links
from integrations.onboarding import connections, page, services, test_plates
from integrations.onboarding.forms import (
    ConfirmForm,
    ContactForm,
    OperatorIdForm,
    ReasonForm,
    RequestForm,
    SiteForm,
    TestForm,
)
from integrations.onboarding.snapshot import Finding
from integrations.vendors import calls
from integrations.zones import operator_claims
from locations.access import SUPPORT, CompanyRequest, company_view, may
from locations.models import Company, Role
from locations.pages import STOP_POLLING, company_clock, render_page

TEMPLATE = "integrations/onboarding/setup.html"
Forms = dict[str, forms.Form]
T = TypeVar("T")


@company_view()
@require_safe
def setup(request: CompanyRequest) -> HttpResponse:
    """Show the company's connection that is furthest from live; without one, how to begin."""
    found = list(connections.current_connections(request.company))
    furthest = min(found, key=lambda one: one.status == Connection.Status.LIVE, default=None)
    return _page(request, furthest, siblings=found)


@company_view()
@require_safe
def setup_connection(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one connection's way to live."""
    return _page(request, _connection(request.company, pk))


@company_view(Role.OPERATOR)
@require_POST
def request_id(request: CompanyRequest, pk: int | None = None) -> HttpResponse:
    """Ask for the operator ID: send the mail, note that it was sent, fill the text in anew, or say whom nobody knows."""
    word = request.POST.get("word", "")
    connection = _connection(request.company, pk) if pk else None
    if word == "unknown":
        return _ask_support(request, connection)
    form = RequestForm(request.POST)
    if word == "fill":
        filled = RequestForm(
            initial={**request.POST.dict(), **_written(request, request.POST.get("rep_name", ""))}
        )
        return _page(request, connection, {"request": filled})
    if not form.is_valid():
        return _page(request, connection, {"request": form}, status=422)

    def act() -> Connection:
        with transaction.atomic():
            mine = connection or services.begin_connection(company=request.company, actor=request.user)
            return services.request_operator_id(
                connection=mine, send=word == "send", actor=request.user, **form.cleaned_data
            )

    done = _try(form, act)
    if done is None:
        return _page(request, connection, {"request": form}, status=422)
    said = _("The mail is on its way.") if word == "send" else _("Noted: the operator ID was asked for.")
    messages.success(request, said)
    return redirect(services.setup_path(done))


def _ask_support(request: CompanyRequest, connection: Connection | None) -> HttpResponse:
    try:
        with transaction.atomic():
            mine = connection or services.begin_connection(company=request.company, actor=request.user)
            services.contact_unknown(connection=mine, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(
            services.setup_path(connection) if connection else reverse("setup", args=[request.company.slug])
        )
    messages.success(request, _("Support has been asked who your Passport account manager is."))
    return redirect(services.setup_path(mine))


@company_view(SUPPORT)
@require_POST
def enter_contact(request: CompanyRequest, pk: int) -> HttpResponse:
    """Enter the account manager that the company did not know."""
    connection, form = _connection(request.company, pk), ContactForm(request.POST, auto_id="contact_%s")

    def act() -> Connection:
        return services.contact_found(
            connection=connection,
            name=form.cleaned_data["name"],
            email=form.cleaned_data["rep_email"],
            actor=request.user,
        )

    if not form.is_valid() or _try(form, act) is None:
        return _page(request, connection, {"contact": form}, status=422)
    messages.success(request, _("Entered; the company's people are told by mail."))
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
@require_POST
def enter_operator_id(request: CompanyRequest, pk: int | None = None) -> HttpResponse:
    """Check the operator ID, try it against Passport, and say what Passport says."""
    connection = _connection(request.company, pk) if pk else None
    form = OperatorIdForm(request.POST)
    if form.is_valid() and not calls.within_limit(request.user):
        form.add_error("operator_id", _("You have tried several times within a minute; wait a minute."))
    if not form.is_valid():
        return _page(request, connection, {"operator_id": form}, status=422)

    def act() -> services.Trial:
        nonlocal connection
        connections.clean_operator_id(form.cleaned_data["operator_id"])
        connection = connection or services.begin_connection(company=request.company, actor=request.user)
        return services.receive_operator_id(
            connection=connection, operator_id=form.cleaned_data["operator_id"], actor=request.user
        )

    trial = _try(form, act, field="operator_id")
    if trial is not None and trial.finding == Finding.UNKNOWN:
        form.add_error("operator_id", f"{trial.sentence} {trial.remedy}")
    if trial is None or connection is None or form.errors:
        return _page(request, connection, {"operator_id": form}, status=422)
    _say_trial(request, trial)
    return redirect(services.setup_path(connection))


@company_view(SUPPORT)
@require_POST
def confirm_operator(request: CompanyRequest, pk: int) -> HttpResponse:
    """Confirm that the operator ID is the company's, or turn it down."""
    connection, form = _connection(request.company, pk), ConfirmForm(request.POST, auto_id="confirm_%s")
    is_theirs = request.POST.get("word") != "no"

    def act() -> Connection:
        operator_id, how = form.cleaned_data["operator_id"], form.cleaned_data["how"]
        if is_theirs:
            return operator_claims.confirm(
                connection=connection, operator_id=operator_id, how=how, actor=request.user
            )
        return operator_claims.turn_down(
            connection=connection, operator_id=operator_id, reason=how, actor=request.user
        )

    if not form.is_valid() or _try(form, act) is None:
        return _page(request, connection, {"confirm": form}, status=422)
    said = _("Confirmed; the company's people are told by mail.") if is_theirs else _("Turned down.")
    messages.success(request, said)
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
@require_POST
def recheck(request: CompanyRequest, pk: int) -> HttpResponse:
    """Try the operator ID that is kept again."""
    connection = _connection(request.company, pk)
    if connection.operator_id and not calls.within_limit(request.user):
        messages.warning(request, _("You have tried several times within a minute; wait a minute."))
    elif connection.operator_id:
        _say_trial(request, services.recheck_operator_id(connection=connection, actor=request.user))
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
@require_POST
def set_up(request: CompanyRequest, pk: int) -> HttpResponse:
    """Open the ticket; the workers pull the zones."""
    connection = _connection(request.company, pk)
    return _do(request, connection, lambda: services.set_up(connection=connection, actor=request.user))


@company_view(Role.OPERATOR)
@require_POST
def start_test(request: CompanyRequest, pk: int) -> HttpResponse:
    """Register a test plate and show how it goes."""
    connection = _connection(request.company, pk)
    form = TestForm(request.POST, places=page.testable(page.company_places(request.company), connection))
    if not form.is_valid():
        return _page(request, connection, {"test": form}, status=422)
    test = _try(
        form, lambda: test_plates.start_test(connection=connection, actor=request.user, **form.cleaned_data)
    )
    if test is None:
        return _page(request, connection, {"test": form}, status=422)
    return redirect(test_plates.test_path(test))


@company_view(Role.MANAGER)
@require_POST
def pause(request: CompanyRequest, pk: int) -> HttpResponse:
    """Hold pushes back; the reason is kept."""
    connection, form = _connection(request.company, pk), ReasonForm(request.POST)

    def act() -> Connection:
        return connections.pause(
            connection=connection, reason=form.cleaned_data["reason"], actor=request.user
        )

    if not form.is_valid() or _try(form, act) is None:
        return _page(request, connection, {"pause": form}, status=422)
    messages.success(request, _("Paused. What is saved now waits and is not lost."))
    return redirect(services.setup_path(connection))


@company_view(Role.MANAGER)
@require_POST
def resume(request: CompanyRequest, pk: int) -> HttpResponse:
    """Push again."""
    connection = _connection(request.company, pk)
    said = _("Resumed: what waited is sent now.")
    return _do(
        request, connection, lambda: connections.resume(connection=connection, actor=request.user), said
    )


@company_view(Role.OPERATOR)
@require_POST
def go_live(request: CompanyRequest, pk: int) -> HttpResponse:
    """Go live: after a confirmed test, or as support with a reason that is kept."""
    connection, form = _connection(request.company, pk), ReasonForm(request.POST)
    if connection.verified_at:
        return _do(
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

    if not form.is_valid() or _try(form, act) is None:
        return _page(request, connection, {"live": form}, status=422)
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
def another(request: CompanyRequest) -> HttpResponse:
    """Say that there is an integration already, and lead to mapping and testing new locations; or begin another one."""
    company = request.company
    form = SiteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():

        def act() -> Connection:
            return services.begin_connection(company=company, actor=request.user, **form.cleaned_data)

        made = _try(form, act)
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


# --- Inside ---------------------------------------------------------------------------------------------------------


def _connection(company: Company, pk: int) -> Connection:
    connection = get_object_or_404(Connection, pk=pk, company=company)
    connection.company = company
    return connection


def _page(
    request: CompanyRequest,
    connection: Connection | None,
    bound: Forms | None = None,
    *,
    status: int = 200,
    siblings: list[Connection] | None = None,
) -> HttpResponse:
    """Render the page; `bound` are forms with what was typed, in the stead of fresh ones."""
    company, now = request.company, timezone.now()
    if siblings is None:
        siblings = list(connections.current_connections(company))
    if connection is not None:
        connection.company = company
    shown = page.setup_page(company, connection, now, siblings)
    contacts = list(Contact.objects.filter(company=company))
    bound = bound or {}
    role = request.membership_role
    context: dict[str, Any] = {
        "company": company,
        "connection": connection,
        "shown": shown,
        "now": now,
        "clock": company_clock(company),
        "contacts": [
            (str(label), [one for one in contacts if one.kind == kind])
            for kind, label in Contact.Kind.choices
        ],
        "may_act": may(role, Role.OPERATOR),
        "may_pause": may(role, Role.MANAGER),
        "is_support": role == SUPPORT,
        "form": {
            "request": bound.get("request") or _request_form(request, connection, contacts),
            "operator_id": bound.get("operator_id")
            or OperatorIdForm(initial={"operator_id": connection.operator_id if connection else ""}),
            "confirm": bound.get("confirm") or _confirm_form(connection),
            "contact": bound.get("contact") or ContactForm(auto_id="contact_%s"),
            "pause": bound.get("pause") or ReasonForm(auto_id="pause_%s"),
            "live": bound.get("live") or ReasonForm(auto_id="live_%s"),
        },
        **page.claim_of(connection, for_support=role == SUPPORT),
        "status_links": shown.status_links
        and [(one, signed_links.status_url(one)) for one in shown.status_links],
    }
    if connection is not None and shown.can_test:
        context["form"]["test"] = bound.get("test") or TestForm(
            places=page.testable(shown.places, connection), initial=_test_initial(shown, contacts)
        )
    if status == 200 and request.htmx and not shown.polls:  # type: ignore[attr-defined]
        status = STOP_POLLING
    return render_page(request, TEMPLATE, context, status=status)


def _request_form(
    request: CompanyRequest, connection: Connection | None, contacts: list[Contact]
) -> RequestForm:
    contact = next((one for one in contacts if one.kind == Contact.Kind.PASSPORT), None)
    name, email = (contact.name, contact.email) if contact else ("", "")
    written = _written(request, name)
    if connection is not None and connection.request_text:
        written["text"] = connection.request_text
    return RequestForm(initial={"rep_name": name, "rep_email": email, **written})


def _confirm_form(connection: Connection | None) -> ConfirmForm:
    claimed = (connection.operator_id_held or connection.operator_id) if connection else ""
    return ConfirmForm(initial={"operator_id": claimed}, auto_id="confirm_%s")


def _written(request: CompanyRequest, rep_name: str) -> dict[str, str]:
    subject, text = services.request_text(company=request.company, rep_name=rep_name, sender=request.user)
    return {"subject": subject, "text": text}


def _test_initial(shown: page.SetupPage, contacts: list[Contact]) -> dict[str, str]:
    addresses = [one.email for one in contacts if one.kind == Contact.Kind.ENFORCEMENT]
    initial = {"ask": ", ".join(addresses)}
    if shown.tests:
        permit = shown.tests[0].permit
        initial |= {"plate": permit.plate_typed, "subdivision": permit.subdivision}
    return initial


def _try(form: forms.Form, act: Callable[[], T], field: str | None = None) -> T | None:
    """Call a service; what it refuses becomes the form's error, beside the field where it has one."""
    try:
        return act()
    except ValidationError as error:
        if hasattr(error, "error_dict"):
            for name, found in error.error_dict.items():
                form.add_error(name if name in form.fields else None, found)
        else:
            form.add_error(field, error)
        return None


def _do(
    request: CompanyRequest, connection: Connection, act: Callable[[], object], said: str = ""
) -> HttpResponse:
    """Call a service that takes no form and come back to the page with a word on how it went."""
    try:
        act()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        if said:
            messages.success(request, said)
    return redirect(services.setup_path(connection))


def _say_trial(request: CompanyRequest, trial: services.Trial) -> None:
    tell = messages.success if trial.finding == Finding.OK else messages.warning
    tell(request, f"{trial.sentence} {trial.remedy}".strip())
