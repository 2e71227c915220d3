"""What the set-up page's views share: the page itself, and coming back to it after something was pressed."""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from integrations.models import Connection, Contact
from integrations.notifications import signed_links
from integrations.onboarding import check_plates, connections, doubts, operator_id_requests, page, services
from integrations.onboarding.forms import (
    ConfirmForm,
    ContactForm,
    NameForm,
    OperatorIdForm,
    ReasonForm,
    RequestForm,
    TestForm,
)
from integrations.vendors.naming import default_vendor
from integrations.vendors.protocol import VendorTexts, get_vendor
from locations.access import SUPPORT, CompanyRequest, may
from locations.models import Company, Role
from locations.pages import STOP_POLLING, company_clock, render_page
from locations.regions import find_key

TEMPLATE = "integrations/onboarding/setup.html"
Forms = dict[str, forms.Form]
T = TypeVar("T")


def company_connection(company: Company, pk: int) -> Connection:
    """Return one of the company's connections; raise 404 for any other."""
    connection = get_object_or_404(Connection, pk=pk, company=company)
    connection.company = company
    return connection


def setup_response(
    request: CompanyRequest,
    connection: Connection | None,
    bound: Forms | None = None,
    *,
    status: int = 200,
    siblings: list[Connection] | None = None,
) -> HttpResponse:
    """Render the page; `bound` are forms with what was typed, in place of fresh ones."""
    company, now = request.company, timezone.now()
    if siblings is None:
        siblings = list(connections.current_connections(company))
    if connection is not None:
        connection.company = company
    clock = company_clock(company)
    shown = page.setup_page(company, connection, now, siblings, clock=clock)
    contacts = list(Contact.objects.filter(company=company))
    bound = bound or {}
    role = request.membership_role
    context: dict[str, Any] = {
        "company": company,
        "connection": connection,
        "shown": shown,
        "now": now,
        "clock": clock,
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
            or OperatorIdForm(
                texts=texts_for(connection),
                initial={"operator_id": connection.operator_id if connection else ""},
            ),
            "confirm": bound.get("confirm") or _confirm_form(connection),
            "contact": bound.get("contact") or ContactForm(auto_id="contact_%s"),
            "name": bound.get("name")
            or NameForm(auto_id="name_%s", initial={"name": connection.name if connection else ""}),
            "pause": bound.get("pause") or ReasonForm(auto_id="pause_%s"),
            "live": bound.get("live") or ReasonForm(auto_id="live_%s"),
        },
        "practice_id": _practice_id(connection),
        **page.claim_of(connection, for_support=role == SUPPORT),
        "status_links": shown.status_links
        and [(one, signed_links.status_url(one)) for one in shown.status_links],
    }
    if connection is not None and connection.live_since is not None and not shown.polls:
        context["check_plates"] = check_plates.card_of(connection)
    if connection is not None and connection.verified_at is not None and connection.live_since is None:
        context["not_seen"] = doubts.named(doubts.not_seen(connection))
    if connection is not None and shown.can_test:
        context["form"]["test"] = bound.get("test") or TestForm(
            places=page.testable(shown.places, connection),
            initial=_test_initial(request.company, shown, contacts),
        )
    if status == 200 and request.htmx and not shown.polls:  # type: ignore[attr-defined]
        status = STOP_POLLING
    return render_page(request, TEMPLATE, context, status=status)


def _request_form(
    request: CompanyRequest, connection: Connection | None, contacts: list[Contact]
) -> RequestForm:
    contact = next((one for one in contacts if one.kind == Contact.Kind.ACCOUNT_MANAGER), None)
    name, email = (contact.name, contact.email) if contact else ("", "")
    written = request_text_fields(request, connection, name)
    if connection is not None and connection.request_text:
        written["text"] = connection.request_text
    return RequestForm(initial={"rep_name": name, "rep_email": email, **written})


def _practice_id(connection: Connection | None) -> str:
    """Return the operator ID that the demo offers for practice, as long as no company has it; empty elsewhere."""
    offered: str = settings.DEMO_OPERATOR_ID
    if not offered or (connection is not None and connection.operator_id):
        return ""
    return "" if Connection.objects.filter(operator_id=offered).exists() else offered


def _confirm_form(connection: Connection | None) -> ConfirmForm:
    claimed = (connection.operator_id_held or connection.operator_id) if connection else ""
    return ConfirmForm(initial={"operator_id": claimed}, auto_id="confirm_%s")


def texts_for(connection: Connection | None) -> VendorTexts:
    """Return the texts of a connection's vendor; before there is one, the default vendor's."""
    return get_vendor(connection.vendor if connection else default_vendor()).texts


def request_text_fields(
    request: CompanyRequest, connection: Connection | None, rep_name: str
) -> dict[str, str]:
    """Return the email that asks for the operator ID, as the form's initial values."""
    subject, text = operator_id_requests.request_text(
        vendor=connection.vendor if connection else default_vendor(),
        company=request.company,
        rep_name=rep_name,
        sender=request.user,
    )
    return {"subject": subject, "text": text}


def _test_initial(company: Company, shown: page.SetupPage, contacts: list[Contact]) -> dict[str, Any]:
    addresses = [one.email for one in contacts if one.kind == Contact.Kind.ENFORCEMENT]
    initial: dict[str, Any] = {"ask": ", ".join(addresses)}
    if usual := find_key(company.default_region):
        initial["subdivision"] = usual
    if shown.tests:
        permit = shown.tests[0].permit
        initial |= {"plate": permit.plate_typed, "subdivision": permit.region}
    return initial


def attempt(form: forms.Form, act: Callable[[], T], field: str | None = None) -> T | None:
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


def act_and_return(
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
