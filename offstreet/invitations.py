"""The page behind an invitation's link. Opening it changes nothing (mail scanners open links); accepting is a button."""

from django.contrib import messages
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from locations.forms import AcceptForm
from locations.invitations import accept_as_new_person, accept_invitation, find, may_set_password
from locations.models import Invitation, Membership, User

GONE, NOT_FOUND, UNPROCESSABLE = 410, 404, 422


@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites to what, and accept: as the person signed in, or as a new one who sets a password."""
    found = find(token)
    if found is None:
        return _page(request, None, status=NOT_FOUND)
    if not found.is_open(timezone.now()):
        return _page(request, found, status=GONE)
    user = request.user if isinstance(request.user, User) else None
    has_account = not may_set_password(found.email)
    is_new = user is None and not has_account
    form = AcceptForm(request.POST or None, email=found.email) if is_new else None
    wrong = ""
    if request.method == "POST":
        try:
            if form is not None and form.is_valid():
                return _welcome(request, _join_as_new(request, found, form))
            if user is not None:
                return _welcome(request, accept_invitation(invitation=found, user=user))
            if has_account:
                # The form was sent by someone new; the account was made meanwhile, in another tab or for another company.
                wrong = _(
                    "There is an account with this address already. Sign in with it to accept the invitation."
                )
        except ValidationError as error:
            wrong = " ".join(error.messages)
    status = UNPROCESSABLE if wrong or (form is not None and form.errors) else None
    is_other = user is not None and user.email != User.objects.normalize_email(found.email)
    return _page(
        request,
        found,
        form=form,
        wrong=wrong,
        is_other=is_other,
        has_account=has_account,
        is_open=True,
        status=status,
    )


def _join_as_new(request: HttpRequest, found: Invitation, form: AcceptForm) -> Membership:
    member = accept_as_new_person(
        invitation=found,
        password=form.cleaned_data["password"],
        first_name=form.cleaned_data["first_name"],
        last_name=form.cleaned_data["last_name"],
    )
    login(request, member.user, backend="django.contrib.auth.backends.ModelBackend")
    return member


def _welcome(request: HttpRequest, member: Membership) -> HttpResponse:
    messages.success(request, _("Welcome to %(company)s.") % {"company": member.company.name})
    return redirect("overview", member.company.slug)


def _page(
    request: HttpRequest, found: Invitation | None, *, status: int | None, **more: object
) -> HttpResponse:
    return render(request, "offstreet/invitation.html", {"invitation": found, **more}, status=status)
