"""Adding and changing a location, and a company's own details."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from locations.access import CompanyRequest, company_view, may, support_view
from locations.forms import CompanyForm, LocationForm, NewCompanyForm
from locations.models import Company, Location, Permit, Role
from locations.pages import company_clock, render_page
from locations.services import save_company, save_location, twins_sentence

UNPROCESSABLE = 422


def add_errors(form: BaseForm, error: ValidationError) -> None:
    """Put what a service refused beside the form's fields, or above them."""
    for name, texts in (
        error.message_dict.items() if hasattr(error, "error_dict") else {"": error.messages}.items()
    ):
        for text in texts:
            form.add_error(name if name in form.fields else None, text)


@company_view(Role.OPERATOR)
def location_add(request: CompanyRequest) -> HttpResponse:
    """Add a location."""
    usual = company_clock(request.company)
    zone = request.company.default_timezone or (usual if usual != "UTC" else "America/New_York")
    location = Location(company=request.company, timezone=zone)
    return _edit(request, location)


@company_view()
def location_change(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show one location; operators may change it."""
    location = get_object_or_404(Location, pk=pk, company=request.company)
    return _edit(request, location)


def _edit(request: CompanyRequest, location: Location) -> HttpResponse:
    may_change = may(request.membership_role, Role.OPERATOR)
    form = LocationForm(request.POST or None, instance=location)
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        is_new = location.pk is None
        if form.is_valid():
            try:
                saved = save_location(location=form.save(commit=False), actor=request.user)
            except ValidationError as error:
                add_errors(form, error)
            else:
                said = _("%(name)s was added. Now choose its zone.") if is_new else _("%(name)s was saved.")
                messages.success(request, said % {"name": saved.name})
                if twins := twins_sentence(saved):
                    messages.warning(request, twins)
                return redirect("locations", request.company.slug)
    if not may_change:
        for one in form.fields.values():
            one.disabled = True
    context = {
        "company": request.company,
        "location": location,
        "form": form,
        "may_change": may_change,
        "current": Permit.objects.real().current(timezone.now()).filter(location=location).count()
        if location.pk
        else 0,
    }
    return render_page(
        request, "locations/location.html", context, status=UNPROCESSABLE if form.errors else None
    )


@company_view()
def company_details(request: CompanyRequest) -> HttpResponse:
    """A company's details; a manager may change its name."""
    may_change = may(request.membership_role, Role.MANAGER)
    own = Company.objects.get(pk=request.company.pk)
    form = CompanyForm(request.POST or None, instance=own, actor=request.user)
    if request.method == "POST":
        if not may_change:
            raise PermissionDenied
        if form.is_valid():
            try:
                save_company(company=form.save(commit=False), actor=request.user)
            except ValidationError as error:
                add_errors(form, error)
            else:
                messages.success(request, _("The company's details were saved."))
                return redirect("settings_company", request.company.slug)
    if not may_change:
        for one in form.fields.values():
            one.disabled = True
    context = {"company": request.company, "form": form, "may_change": may_change, "tab": "company"}
    return render_page(
        request, "locations/company.html", context, status=UNPROCESSABLE if form.errors else None
    )


@support_view
def company_add(request: HttpRequest) -> HttpResponse:
    """Add a company (support)."""
    form = NewCompanyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            company = save_company(company=form.save(commit=False), actor=request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(
                request, _("%(name)s was added. Invite its first manager next.") % {"name": company.name}
            )
            if twins := twins_sentence(company):
                messages.warning(request, twins)
            return redirect("settings", company.slug)
    return render_page(
        request, "locations/company_add.html", {"form": form}, status=UNPROCESSABLE if form.errors else None
    )
