"""Admin pages of people, their roles and invitations, for support. See `locations.admin_base`.

What says who somebody is or what they may do is changed only by who has just shown that they are still the one who signed in
(`SensitiveAdmin`): a browser left open must not make another superuser. Support never sets a password for anybody: a mailed
link lets the person do it, and verifies the address. Nor does it change an address: its owner does, by confirming the new
one (`locations.addresses`); someone who has lost access to their mailbox is invited again.
"""

from smtplib import SMTPException

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import ValidationError
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from locations import security_log
from locations.addresses import clean_address
from locations.admin_base import ChoosesByKey, EvidenceAdmin, HistoryAdmin, SensitiveAdmin, actor_of
from locations.models import Invitation, Membership, User


class NewPersonForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new person, by email address."""

    class Meta:
        model = User
        fields = ("email", "first_name", "last_name")
        help_texts = {"email": _("A link to choose a password is emailed to this address.")}

    def clean_email(self) -> str:
        """See `clean_address`; refuse an address that somebody has in another case."""
        email = clean_address(self.cleaned_data["email"])
        if User.objects.filter(email=email).exists():
            raise ValidationError(_("There is already an account with this address."), code="taken")
        return email

    def save(self, commit: bool = True) -> User:
        """Leave the person without a password until they choose one."""
        person: User = super().save(commit=False)
        person.set_unusable_password()
        if commit:
            person.save()
        return person


def mail_password_link(request: HttpRequest, person: User) -> None:
    """Mail a link to choose a password to the person's address; using it verifies the address.

    The link works once, for `PASSWORD_RESET_TIMEOUT`. Raises `OSError` where the mail server can't be reached, and
    `SMTPException` (one of them) where it refuses.
    """
    token = {"uidb36": user_pk_to_url_str(person), "key": default_token_generator.make_token(person)}
    # The adapter puts the site's own address before it.
    context = {"user": person, "password_reset_url": reverse("account_reset_password_from_key", kwargs=token)}
    get_adapter(request).send_mail("account/email/password_from_support", person.email, context)


class MembershipInline(ChoosesByKey, admin.TabularInline):  # type: ignore[type-arg]
    """A person's companies."""

    model = Membership
    extra = 0
    autocomplete_fields = ["company"]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """As for the person."""
        return True

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(User)
class UserAdmin(SensitiveAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """People. Only a superuser makes others support; nobody but a superuser touches a superuser."""

    form = forms.ModelForm
    add_form = NewPersonForm
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff", "is_verified", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "is_verified", "has_password", "first_name", "last_name")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "first_name", "last_name")}),)
    readonly_fields = ("email", "is_verified", "has_password", "last_login", "date_joined")
    inlines = (MembershipInline,)
    actions = ("send_password_link", "remove_second_factor")

    def get_urls(self) -> list[URLPattern]:
        """Leave out Django's page that sets a password for somebody else."""
        return [one for one in super().get_urls() if one.name != "auth_user_password_change"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Bring along whether the address is verified."""
        own = EmailAddress.objects.filter(user=OuterRef("pk"), email=OuterRef("email"), verified=True)
        people: QuerySet[User] = super().get_queryset(request)
        return people.annotate(verified_address=Exists(own))

    @admin.display(boolean=True, description=_("address verified"))
    def is_verified(self, person: User) -> bool:
        """Whether a mailed link has verified the person's address."""
        return bool(getattr(person, "verified_address", False))

    @admin.display(boolean=True, description=_("has a password"))
    def has_password(self, person: User) -> bool:
        """Whether the person has chosen a password; the action in the list mails a link for one."""
        return person.has_usable_password()

    def response_add(
        self, request: HttpRequest, obj: User, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Mail a new person the link to a password."""
        self._send(request, obj)
        return super().response_add(request, obj, post_url_continue)

    @admin.action(description=_("Email the selected people a link to choose a password"))
    def send_password_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For somebody who has never had a password, or whom the page for a forgotten one does not help."""
        for person in queryset:
            if person.is_active and self.has_change_permission(request, person):
                self._send(request, person)
                self.log_change(request, person, "Link to choose a password mailed.")
            else:
                said = _t("No link went to %(person)s: the account is inactive, or above yours.")
                self.message_user(request, said % {"person": person}, messages.WARNING)

    def _send(self, request: HttpRequest, person: User) -> None:
        try:
            mail_password_link(request, person)
        except (OSError, SMTPException) as error:
            said = _t("The link to %(person)s could not be mailed (%(reason)s). Send it again from the list.")
            values = {"person": person, "reason": type(error).__name__}
            self.message_user(request, said % values, messages.ERROR)
        else:
            security_log.record(
                "password_reset_asked", actor=actor_of(request), person=person, request=request
            )
            said = _t("A link to choose a password was mailed to %(person)s.")
            self.message_user(request, said % {"person": person}, messages.SUCCESS)

    @admin.action(
        description=_("Remove the second factors of the selected people"), permissions=["superuser"]
    )
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For somebody who has lost the device; they set up another one after they have signed in."""
        for person in queryset:
            if Authenticator.objects.filter(user=person).delete()[0]:
                security_log.record("two_step_removed", actor=actor_of(request), person=person, type="all")
                self.log_change(request, person, "Second factor removed.")
                self.message_user(
                    request, _t("Second factor of %(person)s removed.") % {"person": person}, messages.SUCCESS
                )

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        """Who may take a second factor away can become anybody whose password is known."""
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """See the class's text."""
        above = isinstance(obj, User) and obj.is_superuser and not _is_superuser(request)
        return super().has_change_permission(request, obj) and not above

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """See the class's text; an address is typed for a new person alone."""
        own = tuple(super().get_readonly_fields(request, obj))
        if obj is None:
            own = tuple(name for name in own if name != "email")
        return own if _is_superuser(request) else (*own, "is_staff", "is_superuser")


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


@admin.register(Membership)
class MembershipAdmin(SensitiveAdmin, HistoryAdmin):
    """Who may do what in which company."""

    list_display = ("user", "company", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "company")
    search_fields = ("user__email", "company__name", "company__slug")
    autocomplete_fields = ("user", "company")


@admin.register(Invitation)
class InvitationAdmin(EvidenceAdmin):
    """Invitations: made in the dashboard, since only their mail holds the secret."""

    list_display = ("email", "company", "role", "created_at", "expires_at", "accepted_at", "withdrawn_at")
    list_select_related = ("company",)
    search_fields = ("email", "company__name")
    fields = (
        "email", "company", "role", "invited_by", "created_at", "expires_at", "accepted_at", "withdrawn_at",
    )  # fmt: skip
