"""A test plate's page: how far it has come, live, and a person's word on it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from integrations.models import Contact, PermitSync, TestPlate
from integrations.onboarding import test_plates
from integrations.onboarding.forms import AnswerForm, AskForm
from integrations.onboarding.test_plate_page import headline, stages
from locations.access import CompanyRequest, company_view, may
from locations.models import Role
from locations.pages import STOP_POLLING, render_page


@company_view()
@require_safe
def test_plate(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show how far the test plate has come."""
    return _page(request, _test(request, pk))


@company_view(Role.OPERATOR)
@require_POST
def answer(request: CompanyRequest, pk: int) -> HttpResponse:
    """Record a person's answer; "no" leads to diagnostics."""
    test, form = _test(request, pk), AnswerForm(request.POST)
    if not form.is_valid():
        return _page(request, test, status=422)
    seen = form.cleaned_data["answer"] == "yes"
    try:
        test = test_plates.answer_test(
            test=test,
            seen=seen,
            note=form.cleaned_data["note"],
            by=request.user.label,
            via="page",
            actor=request.user,
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(test_plates.test_path(test))
    if seen:
        messages.success(request, _("Confirmed. The test plate expires automatically."))
        return redirect(test_plates.test_path(test))
    return redirect(f"{reverse('diagnostics', args=[request.company.slug])}?symptom=plate&test={test.pk}")


@company_view(Role.OPERATOR)
@require_POST
def ask(request: CompanyRequest, pk: int) -> HttpResponse:
    """Email the link with which a person answers."""
    test, form = _test(request, pk), AskForm(request.POST)
    if form.is_valid():
        try:
            test_plates.ask_by_mail(test=test, addresses=form.cleaned_data["addresses"], actor=request.user)
        except ValidationError as error:
            form.add_error("addresses" if hasattr(error, "error_dict") else None, error.messages)
    if form.errors:
        return _page(request, test, form, status=422)
    messages.success(request, _("The link is on its way. Earlier links no longer work."))
    return redirect(test_plates.test_path(test))


@company_view(Role.OPERATOR)
@require_POST
def withdraw(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take the test plate back before its time."""
    test = test_plates.withdraw_test(test=_test(request, pk), actor=request.user)
    messages.success(
        request, _("Withdrawn. This page shows when it is no longer listed in the parking rights.")
    )
    return redirect(test_plates.test_path(test))


def _test(request: CompanyRequest, pk: int) -> TestPlate:
    tests = TestPlate.objects.select_related("connection__company", "permit", "zone", "location", "asked_by")
    return get_object_or_404(tests, pk=pk, connection__company=request.company)


def _page(
    request: CompanyRequest, test: TestPlate, ask_form: AskForm | None = None, *, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    permit_sync = PermitSync.objects.filter(permit=test.permit_id, connection=test.connection_id).first()
    to = test.link_sent_to or ", ".join(
        Contact.objects.filter(company=request.company, kind=Contact.Kind.ENFORCEMENT).values_list(
            "email", flat=True
        )
    )
    over = test.gone_at is not None
    tone, sentence, detail = headline(test, permit_sync, now)
    context = {
        "company": request.company,
        "test": test,
        "now": now,
        "tone": tone,
        "sentence": sentence,
        "detail": detail,
        "icon": "clock" if tone == "warning" and test.seen_at and not test.answer else "",
        "stages": stages(test, permit_sync, now),
        "polls": not over,
        "can_answer": not test.answer
        and test.accepted_at is not None
        and not test_plates.was_taken_back(test),
        "can_ask": not test.answer and test.accepted_at is not None and not test_plates.is_over(test, now),
        "can_withdraw": test.withdrawn_at is None,
        "ask_form": ask_form or AskForm(initial={"addresses": to}),
        "may_act": may(request.membership_role, Role.OPERATOR),
    }
    if status == 200 and over and request.htmx:  # type: ignore[attr-defined]
        status = STOP_POLLING
    return render_page(request, "integrations/onboarding/test_plate.html", context, status=status)
