"""One change that waits for a person: what it would do, and the two answers."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseBadRequest, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from integrations.held_changes import services
from integrations.held_changes.impact import Impact
from integrations.models import HeldChange
from locations.access import CompanyRequest, company_view, may
from locations.models import Company, Permit, Role
from locations.pages import company_clock, render_page

# Of the largest number that a column of the impact takes.
_DIGITS = 10


def example_permits(company: Company, impact: Impact) -> list[Permit]:
    """Return the permits that a preview names, as far as they are this company's."""
    found = Permit.objects.filter(company=company, pk__in=list(impact.examples))
    return list(found.select_related("location").order_by("pk"))


def _held(request: CompanyRequest, pk: int) -> HeldChange:
    found = HeldChange.objects.select_related("connection__company", "decided_by")
    return get_object_or_404(found, pk=pk, connection__company=request.company)


@company_view()
@require_safe
def held_change(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show what a change would do, to whom, and who decided."""
    held = _held(request, pk)
    impact = services.impact_of(held)
    waits = held.state == HeldChange.State.HELD
    context = {
        "company": request.company,
        "held": held,
        "impact": impact,
        "examples": example_permits(request.company, impact),
        "waits": waits,
        "may_decide": waits and may(request.membership_role, Role.OPERATOR),
        "clock": company_clock(request.company),
    }
    return render_page(request, "integrations/held_changes/held_change.html", context)


def _seen(posted: QueryDict) -> Impact:
    """Return the impact that the page showed; what can't be read was not seen, and is none."""
    removed, replaced = (
        int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
        for text in (posted.get("removed", ""), posted.get("replaced", ""))
    )
    return Impact(removed, replaced, 0)


@company_view(Role.OPERATOR)
@require_POST
def decide(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take the answer: `word` is "accept" or "discard"; `removed` and `replaced` are the numbers that the page showed."""
    held = _held(request, pk)
    word = request.POST.get("word")
    if word not in ("accept", "discard"):
        return HttpResponseBadRequest()
    try:
        if word == "accept":
            services.accept(held=held, seen=_seen(request.POST), actor=request.user)
            messages.success(request, _("Accepted. The change is made within a few minutes."))
        else:
            services.discard(held=held, actor=request.user)
            messages.success(request, _("Discarded. The parking rights stay as they are."))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("held_change", request.company.slug, held.pk)
