"""Agreeing to check plates, and taking it back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.onboarding import services
from integrations.onboarding.check_plates import CheckPlatesForm
from integrations.onboarding.setup_responses import company_connection
from integrations.reconciliation import canary
from locations.access import CompanyRequest, company_view
from locations.models import Role


@company_view(Role.OPERATOR)
@require_POST
def check_plates(request: CompanyRequest, pk: int) -> HttpResponse:
    """Send check plates as often as was chosen, or no more."""
    connection, form = company_connection(request.company, pk), CheckPlatesForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose how often check plates are sent."))
    else:
        minutes = form.cleaned_data["minutes"]
        canary.agree(connection=connection, minutes=minutes, actor=request.user)
        said = _("No more check plates are sent.") if minutes is None else _("Check plates are being sent.")
        messages.success(request, said)
    return redirect(services.setup_path(connection))
