"""Support's pages that put a set-up right: each shows what would happen, takes a reason, and does it."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.models import Connection
from integrations.onboarding import corrections, services
from integrations.onboarding.forms import ChangeOperatorIdForm, EndForm
from integrations.onboarding.setup_responses import attempt, company_connection, texts_for
from integrations.onboarding.snapshot import Finding
from integrations.vendors import calls
from integrations.zones.mapping_confirm import has_removal_word, removal_word
from locations.access import SUPPORT, CompanyRequest, company_view
from locations.pages import render_page

CHANGE: Final = "change"
END: Final = "end"
ANEW: Final = "anew"


def _page(
    request: CompanyRequest, connection: Connection, what: str, form: forms.Form, *, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "company": request.company,
        "connection": connection,
        "what": what,
        "form": form,
        "seen": corrections.preview_of(connection),
        "was_live": connection.live_since is not None,
        "removal_word": removal_word(),
    }
    return render_page(request, "integrations/onboarding/correction.html", context, status=status)


def _ended(request: CompanyRequest, connection: Connection) -> HttpResponse | None:
    """Return the way back where the connection has ended already."""
    if connection.status != Connection.Status.ENDED:
        return None
    messages.info(request, _("This integration has ended already."))
    return redirect(services.setup_path(connection))


@company_view(SUPPORT)
def change_operator_id(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show what another operator ID would do, and give the connection one."""
    connection = company_connection(request.company, pk)
    if (answer := _ended(request, connection)) is not None:
        return answer
    form = ChangeOperatorIdForm(request.POST or None, texts=texts_for(connection))
    if request.method != "POST":
        return _page(request, connection, CHANGE, form)
    if form.is_valid() and not calls.within_limit(request.user):
        form.add_error("operator_id", _("You have tried several times within a minute. Wait a minute."))
    trial = None
    if form.is_valid():
        trial = attempt(
            form,
            lambda: corrections.change_operator_id(
                connection=connection, actor=request.user, **form.cleaned_data
            ),
            field="operator_id",
        )
        if trial is not None and trial.finding == Finding.UNKNOWN:
            form.add_error("operator_id", f"{trial.sentence} {trial.remedy}")
    if trial is None or form.errors:
        return _page(request, connection, CHANGE, form, status=422)
    messages.success(request, f"{trial.sentence} {trial.remedy}".strip())
    return redirect(services.setup_path(connection))


@company_view(SUPPORT)
def end(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show what ending the integration would do, and end it."""
    return _end(request, pk, END)


@company_view(SUPPORT)
def start_anew(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show what starting the set-up anew would do, and do it."""
    return _end(request, pk, ANEW)


def _end(request: CompanyRequest, pk: int, what: str) -> HttpResponse:
    connection = company_connection(request.company, pk)
    if (answer := _ended(request, connection)) is not None:
        return answer
    held = corrections.preview_of(connection).held
    form = EndForm(request.POST or None, held=held)
    if request.method != "POST":
        return _page(request, connection, what, form)
    act = corrections.end if what == END else corrections.start_anew
    done = None
    if form.is_valid():
        done = attempt(
            form,
            lambda: act(
                connection=connection,
                reason=form.cleaned_data["reason"],
                leave_behind=bool(form.cleaned_data.get("leave_behind")),
                seen=form.cleaned_data["seen"],
                actor=request.user,
            ),
        )
    if done is None:
        return _page(request, connection, what, form, status=422)
    said = _("The integration has ended.") if what == END else _("The set-up begins anew.")
    messages.success(request, said)
    return redirect(
        services.setup_path(done) if what == ANEW else reverse("setup", args=[request.company.slug])
    )


@company_view(SUPPORT)
@require_POST
def withdraw(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take the zones from all locations of the connection, so that it can be ended with nothing left behind."""
    connection = company_connection(request.company, pk)
    if not has_removal_word(request):
        messages.error(
            request, _("Nothing was changed. Type “%(word)s” to confirm.") % {"word": removal_word()}
        )
    else:
        count = corrections.withdraw(connection=connection, actor=request.user)
        text = ngettext(
            "%(n)d location has no zone now. Its permits are being removed.",
            "%(n)d locations have no zone now. Their permits are being removed.",
            count,
        )
        messages.success(request, text % {"n": count})
    return redirect("setup_end", request.company.slug, connection.pk)
