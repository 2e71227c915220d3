"""Forms of companies, locations and members. They check what a person can correct; the services keep the rest."""

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from locations.addresses import clean_address
from locations.fields import LineFormField
from locations.models import Company, Location, Role, User
from locations.models.companies import DateOrder, known_timezones
from locations.names import validate_name
from locations.regions import region_choices

# The zones of North American lots come first; the others follow by name.
COMMON_ZONES = {
    "America/New_York": _("Eastern"),
    "America/Chicago": _("Central"),
    "America/Denver": _("Mountain"),
    "America/Phoenix": _("Arizona"),
    "America/Los_Angeles": _("Pacific"),
    "America/Anchorage": _("Alaska"),
    "Pacific/Honolulu": _("Hawaii"),
    "America/Puerto_Rico": _("Atlantic, Puerto Rico"),
    "America/Halifax": _("Atlantic"),
    "America/Toronto": _("Eastern, Canada"),
    "America/Winnipeg": _("Central, Canada"),
    "America/Edmonton": _("Mountain, Canada"),
    "America/Vancouver": _("Pacific, Canada"),
    "America/Mexico_City": _("Mexico City"),
}


def timezone_choices(stored: str = "") -> list[tuple[str, Any]]:
    """Return all time zones, the common ones first with their everyday names, and `stored`, which may be another (`UTC`)."""
    common = [(key, f"{name} · {key}") for key, name in COMMON_ZONES.items()]
    rest = sorted(key for key in known_timezones() if "/" in key and key not in COMMON_ZONES)
    other = [stored] if stored and stored not in COMMON_ZONES and stored not in rest else []
    return [*common, *((key, key) for key in [*rest, *other])]


class LocationForm(forms.ModelForm):  # type: ignore[type-arg]
    """A location's own facts."""

    timezone = forms.ChoiceField(
        label=_("Time zone"),
        help_text=_("Permit times at this location are entered and shown in this time zone."),
    )

    class Meta:
        model = Location
        fields = ["name", "external_id", "timezone", "active"]
        help_texts = {
            "external_id": _(
                "The location's ID in your own system. It is used to search and to suggest a zone."
            ),
            "active": _(
                "An inactive location needs no zone and is left out of lists. Its existing permits stay valid."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone: forms.ChoiceField = self.fields["timezone"]  # type: ignore[assignment]
        zone.choices = timezone_choices(self.instance.timezone)

    def clean_name(self) -> str:
        """Refuse a name that another location of the company has, character by character."""
        name: str = self.cleaned_data["name"]
        if self._others().filter(name=name).exists():
            raise ValidationError(_("Another location already has this name."), code="taken")
        return name

    def clean_external_id(self) -> str:
        """Refuse a reference that another location of the company has."""
        own: str = self.cleaned_data["external_id"]
        if own and self._others().filter(external_id=own).exists():
            raise ValidationError(_("Another location already has this reference."), code="taken")
        return own

    def _others(self) -> Any:
        return Location.objects.filter(company=self.instance.company_id).exclude(pk=self.instance.pk)


class CompanyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A company's details."""

    default_region = forms.ChoiceField(
        label=_("Default state"),
        required=False,
        choices=lambda: [("", _("No default")), *region_choices()],
        help_text=_("New permits begin with it."),
    )
    default_timezone = forms.ChoiceField(
        label=_("Default time zone"),
        required=False,
        help_text=_("New locations begin with it."),
    )
    date_order = forms.ChoiceField(
        label=_("Date order"),
        required=False,
        choices=[("", _("Ask each time")), *DateOrder.choices],
        help_text=_("How a typed or pasted date such as 03/11/2026 is read."),
    )

    class Meta:
        model = Company
        fields = ["name", "default_region", "default_timezone", "date_order", "two_step_required"]
        labels = {"two_step_required": _("Require two-step sign-in")}
        help_texts = {
            "name": _("The name people know. Changing it does not rename existing integrations."),
            "two_step_required": _(
                "Members without a second step must set one up before they can see any page."
            ),
        }

    def __init__(self, *args: Any, actor: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        zone: forms.ChoiceField = self.fields["default_timezone"]  # type: ignore[assignment]
        zone.choices = [("", _("No default")), *timezone_choices(self.instance.default_timezone)]

    def clean_two_step_required(self) -> bool:
        """Refuse to ask of others what the person does not have yet, so that nobody shuts out the whole company."""
        wanted: bool = self.cleaned_data["two_step_required"]
        if wanted and not self.instance.two_step_required and not is_mfa_enabled(self.actor):
            raise ValidationError(
                _("Set up your own second step first, under “Two-step sign-in”."), code="own_first"
            )
        return wanted


class NewCompanyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new company; support fills it in."""

    class Meta:
        model = Company
        fields = ["name", "offstreet_id", "slug"]
        labels = {"slug": _("Address"), "offstreet_id": _("Offstreet company ID")}
        help_texts = {
            "offstreet_id": _("The company's ID in Offstreet."),
            "slug": _(
                "Part of the address of its pages: lowercase letters, digits and hyphens, for example north-university."
            ),
        }


class InvitationForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(label=_("Email address"), max_length=254)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.OPERATOR)

    def clean_email(self) -> str:
        """See `clean_address`."""
        return clean_address(self.cleaned_data["email"])


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class AcceptForm(forms.Form):
    """What a person without an account says when they accept an invitation."""

    first_name = LineFormField(
        label=_("First name"), max_length=150, required=False, validators=[validate_name]
    )
    last_name = LineFormField(
        label=_("Last name"), max_length=150, required=False, validators=[validate_name]
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least eight characters, and not a common password."),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean_password(self) -> str:
        """Hold the password to the project's rules."""
        password: str = self.cleaned_data["password"]
        person = User(
            email=self.email,
            first_name=self.cleaned_data.get("first_name", ""),
            last_name=self.cleaned_data.get("last_name", ""),
        )
        validate_password(password, person)
        return password
