"""Settings: the members of a company with their roles, invitations, and the contacts outside."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations.models import Contact, Topic
from integrations.notifications import email_queue, signed_links
from integrations.notifications.contacts import add_contact, remove_contact
from locations.access import CompanyRequest, company_view, may
from locations.forms import InvitationForm, RoleForm
from locations.invitations import change_role, invite_person, remove_member, withdraw_invitation
from locations.models import Invitation, Membership, Role
from locations.pages import company_clock, render_page
from locations.views.places import UNPROCESSABLE, add_errors

MOST_SHOWN = 500


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    """Somebody outside who is written to."""

    class Meta:
        model = Contact
        fields = ["kind", "name", "email"]
        labels = {
            "kind": gettext_lazy("For"),
            "name": gettext_lazy("Name"),
            "email": gettext_lazy("Email address"),
        }

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        kind = self.fields["kind"]
        assert isinstance(kind, forms.TypedChoiceField)
        kind.choices = [("", _("Choose…")), *Contact.Kind.choices]


def _members_page(request: CompanyRequest, form: InvitationForm, status: int | None = None) -> HttpResponse:
    company, now = request.company, timezone.now()
    members = company.memberships.select_related("user").order_by("user__first_name", "user__email")
    invitations = company.invitations.filter(accepted_at=None, withdrawn_at=None).select_related("invited_by")
    context: dict[str, Any] = {
        "company": company,
        "tab": "members",
        "members": list(members[:MOST_SHOWN]),
        "invitations": [(one, one.is_open(now)) for one in invitations.order_by("-pk")[:MOST_SHOWN]],
        "roles": Role.choices,
        "may_manage": may(request.membership_role, Role.MANAGER),
        "form": form,
        "clock": company_clock(company),
        "nobody_told": not email_queue.members_told(company, Topic.ALARMS).exists(),
    }
    return render_page(request, "integrations/members/members.html", context, status=status)


@company_view()
@require_safe
def members(request: CompanyRequest) -> HttpResponse:
    """List the members with their roles; a manager may change them and invite others."""
    return _members_page(request, InvitationForm())


@company_view(Role.MANAGER)
@require_POST
def invite(request: CompanyRequest) -> HttpResponse:
    """Invite a person by mail."""
    form = InvitationForm(request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                made = invite_person(
                    company=request.company,
                    email=form.cleaned_data["email"],
                    role=form.cleaned_data["role"],
                    actor=request.user,
                )
                _mail(request, made)
        except ValidationError as error:
            add_errors(form, error)
        else:
            messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": made.email})
            return redirect("settings", request.company.slug)
    return _members_page(request, form, UNPROCESSABLE)


def _mail(request: CompanyRequest, invitation: Invitation) -> None:
    email_queue.queue(
        kind="invitation",
        to=invitation.email,
        context={
            "link": signed_links.PLACEHOLDER,
            "inviter": request.user.label,
            "role": str(Role(invitation.role).label).lower(),
            "expires_at": invitation.expires_at,
        },
        company=invitation.company,
        dedupe_key=f"{signed_links.INVITATION_KEY}:{invitation.pk}",
        asked_by=request.user,
    )


@company_view(Role.MANAGER)
@require_POST
def invitation_withdraw(request: CompanyRequest, pk: int) -> HttpResponse:
    """Make an invitation's link worthless."""
    one = get_object_or_404(Invitation, pk=pk, company=request.company)
    if withdraw_invitation(invitation=one, actor=request.user):
        messages.success(request, _("The invitation to %(email)s was withdrawn.") % {"email": one.email})
    else:
        messages.info(request, _("That invitation was no longer open."))
    return redirect("settings", request.company.slug)


@company_view(Role.MANAGER)
@require_POST
def member_change(request: CompanyRequest, pk: int) -> HttpResponse:
    """Give a member another role."""
    member = get_object_or_404(Membership.objects.select_related("user"), pk=pk, company=request.company)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("There is no such role. Nothing was changed."))
        return redirect("settings", request.company.slug)
    try:
        changed = change_role(membership=member, role=form.cleaned_data["role"], actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        said = _("%(person)s is now %(role)s.")
        messages.success(request, said % {"person": member.user.label, "role": changed.get_role_display()})
    return redirect("settings", request.company.slug)


@company_view(Role.MANAGER)
@require_http_methods(["GET", "HEAD", "POST"])
def member_remove(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take a member out of the company; without JavaScript the link asks first."""
    member = get_object_or_404(Membership.objects.select_related("user"), pk=pk, company=request.company)
    if request.method != "POST":
        context = {"company": request.company, "member": member}
        return render_page(request, "integrations/members/member_remove.html", context)
    try:
        remove_member(membership=member, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("%(person)s is no longer a member.") % {"person": member.user.label})
        if member.user_id == request.user.pk and not request.user.is_support:
            return redirect("home")
    return redirect("settings", request.company.slug)


# --- Contacts ---------------------------------------------------------------------------------------------------------


@company_view()
def contacts(request: CompanyRequest) -> HttpResponse:
    """List the contacts outside; operators may add one."""
    may_write = may(request.membership_role, Role.OPERATOR)
    form = ContactForm(request.POST or None, instance=Contact(company=request.company))
    if request.method == "POST":
        if not may_write:
            raise PermissionDenied
        if form.is_valid():
            try:
                made = add_contact(company=request.company, actor=request.user, **form.cleaned_data)
            except ValidationError as error:
                add_errors(form, error)
            else:
                messages.success(request, _("%(contact)s was added.") % {"contact": made})
                return redirect("contacts", request.company.slug)
    context = {
        "company": request.company,
        "tab": "contacts",
        "contacts": list(Contact.objects.filter(company=request.company)[:MOST_SHOWN]),
        "form": form,
        "may_write": may_write,
    }
    return render_page(
        request, "integrations/members/contacts.html", context, status=UNPROCESSABLE if form.errors else None
    )


@company_view(Role.OPERATOR)
@require_POST
def contact_remove(request: CompanyRequest, pk: int) -> HttpResponse:
    """Take a contact out of the list."""
    one = get_object_or_404(Contact, pk=pk, company=request.company)
    remove_contact(contact=one, actor=request.user)
    messages.success(request, _("%(contact)s was removed.") % {"contact": one})
    return redirect("contacts", request.company.slug)
