"""The set-up page's views around the operator ID: asking for it, entering it, confirming whose it is."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import Connection
from integrations.onboarding import connections, operator_id_requests, services
from integrations.onboarding.forms import ConfirmForm, ContactForm, OperatorIdForm, RequestForm
from integrations.onboarding.setup_responses import (
    attempt,
    company_connection,
    request_text_fields,
    setup_response,
    texts_for,
)
from integrations.onboarding.snapshot import Finding
from integrations.vendors import calls
from integrations.vendors.naming import default_vendor, names_of
from integrations.zones import operator_claims
from locations.access import SUPPORT, CompanyRequest, company_view
from locations.models import Role


@company_view(Role.OPERATOR)
@require_POST
def request_id(request: CompanyRequest, pk: int | None = None) -> HttpResponse:
    """Request the operator ID: send the email, record that it was sent, regenerate its text, or say that the contact is
    unknown.
    """
    word = request.POST.get("word", "")
    connection = company_connection(request.company, pk) if pk else None
    if word == "unknown":
        return _ask_support(request, connection)
    form = RequestForm(request.POST)
    if word == "fill":
        filled = RequestForm(
            initial={
                **request.POST.dict(),
                **request_text_fields(request, connection, request.POST.get("rep_name", "")),
            }
        )
        return setup_response(request, connection, {"request": filled})
    if not form.is_valid():
        return setup_response(request, connection, {"request": form}, status=422)

    def act() -> Connection:
        with transaction.atomic():
            mine = connection or services.begin_connection(company=request.company, actor=request.user)
            return operator_id_requests.request_operator_id(
                connection=mine, send=word == "send", actor=request.user, **form.cleaned_data
            )

    done = attempt(form, act)
    if done is None:
        return setup_response(request, connection, {"request": form}, status=422)
    said = (
        _("The email is on its way.") if word == "send" else _("Recorded that the operator ID was requested.")
    )
    messages.success(request, said)
    return redirect(services.setup_path(done))


def _ask_support(request: CompanyRequest, connection: Connection | None) -> HttpResponse:
    try:
        with transaction.atomic():
            mine = connection or services.begin_connection(company=request.company, actor=request.user)
            operator_id_requests.contact_unknown(connection=mine, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(
            services.setup_path(connection) if connection else reverse("setup", args=[request.company.slug])
        )
    messages.success(
        request,
        _("Support has been asked who your %(vendor)s account manager is.") % names_of(mine.vendor).words,
    )
    return redirect(services.setup_path(mine))


@company_view(SUPPORT)
@require_POST
def enter_contact(request: CompanyRequest, pk: int) -> HttpResponse:
    """Enter the account manager that the company did not know."""
    connection, form = (
        company_connection(request.company, pk),
        ContactForm(request.POST, auto_id="contact_%s"),
    )

    def act() -> Connection:
        return operator_id_requests.contact_found(
            connection=connection,
            name=form.cleaned_data["name"],
            email=form.cleaned_data["rep_email"],
            actor=request.user,
        )

    if not form.is_valid() or attempt(form, act) is None:
        return setup_response(request, connection, {"contact": form}, status=422)
    messages.success(request, _("Saved. The company is told by email."))
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
@require_POST
def enter_operator_id(request: CompanyRequest, pk: int | None = None) -> HttpResponse:
    """Check the operator ID, try it, and say what the vendor says."""
    connection = company_connection(request.company, pk) if pk else None
    form = OperatorIdForm(request.POST, texts=texts_for(connection))
    if form.is_valid() and not calls.within_limit(request.user):
        form.add_error("operator_id", _("You have tried several times within a minute. Wait a minute."))
    if not form.is_valid():
        return setup_response(request, connection, {"operator_id": form}, status=422)

    def act() -> services.Trial:
        nonlocal connection
        vendor = connection.vendor if connection else default_vendor()
        connections.clean_operator_id(vendor, form.cleaned_data["operator_id"])
        connection = connection or services.begin_connection(company=request.company, actor=request.user)
        return services.receive_operator_id(
            connection=connection, operator_id=form.cleaned_data["operator_id"], actor=request.user
        )

    trial = attempt(form, act, field="operator_id")
    if trial is not None and trial.finding == Finding.UNKNOWN:
        form.add_error("operator_id", f"{trial.sentence} {trial.remedy}")
    if trial is None or connection is None or form.errors:
        return setup_response(request, connection, {"operator_id": form}, status=422)
    _say_trial(request, trial)
    return redirect(services.setup_path(connection))


@company_view(SUPPORT)
@require_POST
def confirm_operator(request: CompanyRequest, pk: int) -> HttpResponse:
    """Confirm that the operator ID is the company's, or turn it down."""
    connection, form = (
        company_connection(request.company, pk),
        ConfirmForm(request.POST, auto_id="confirm_%s"),
    )
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

    if not form.is_valid() or attempt(form, act) is None:
        return setup_response(request, connection, {"confirm": form}, status=422)
    said = _("Confirmed. The company is told by email.") if is_theirs else _("Declined.")
    messages.success(request, said)
    return redirect(services.setup_path(connection))


@company_view(Role.OPERATOR)
@require_POST
def recheck(request: CompanyRequest, pk: int) -> HttpResponse:
    """Try the operator ID that is kept again."""
    connection = company_connection(request.company, pk)
    if connection.operator_id and not calls.within_limit(request.user):
        messages.warning(request, _("You have tried several times within a minute. Wait a minute."))
    elif connection.operator_id:
        _say_trial(request, services.recheck_operator_id(connection=connection, actor=request.user))
    return redirect(services.setup_path(connection))


def _say_trial(request: CompanyRequest, trial: services.Trial) -> None:
    tell = messages.success if trial.finding == Finding.OK else messages.warning
    tell(request, f"{trial.sentence} {trial.remedy}".strip())
