"""The forms of the way to live. They check what is typed; what is decided is checked again by the services."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from integrations.onboarding.test_plates import DEFAULT_PLATE, DEFAULT_REGION, split
from integrations.permits.form_fields import RegionField
from integrations.vendors.protocol import VendorTexts
from integrations.zones.operator_claims import HOW_MAX_CHARS
from locations.fields import LineFormField
from locations.models import Location
from locations.names import validate_name


class RequestForm(forms.Form):
    """The mail that asks for the operator ID."""

    rep_name = LineFormField(
        label=_("Account manager's name"), max_length=120, required=False, validators=[validate_name]
    )
    rep_email = forms.EmailField(label=_("Account manager's email address"), required=False)
    subject = LineFormField(label=_("Subject"), max_length=200)
    text = forms.CharField(label=_("Text"), widget=forms.Textarea(attrs={"rows": 14}), max_length=6_000)


class OperatorIdForm(forms.Form):
    """The operator ID as it was received."""

    operator_id = forms.CharField(
        label=_("Operator ID"),
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, texts: VendorTexts, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["operator_id"].help_text = str(texts.operator_id_hint)


class ConfirmForm(forms.Form):
    """Support's word that the operator ID is the company's, or that it is not."""

    operator_id = forms.CharField(max_length=36, widget=forms.HiddenInput)
    how = forms.CharField(
        label=_("How do you know, or why not?"),
        max_length=HOW_MAX_CHARS,
        help_text=_("For example: the account manager confirmed it on the phone. Your answer is kept."),
    )


class ContactForm(forms.Form):
    """The account manager that support has found out."""

    name = LineFormField(
        label=_("Account manager's name"), max_length=120, required=False, validators=[validate_name]
    )
    rep_email = forms.EmailField(label=_("Account manager's email address"))


class TestForm(forms.Form):
    """One test plate; `places` are the locations that can be tested, with their zones."""

    __test__ = False

    location = forms.TypedChoiceField(label=_("Location"))
    plate = LineFormField(label=_("Plate"), max_length=40, initial=DEFAULT_PLATE)
    subdivision = RegionField(initial=DEFAULT_REGION)
    space_number = LineFormField(
        label=_("Space number"),
        max_length=20,
        required=False,
        help_text=_("Only if the zone requires a space number."),
    )
    ask = forms.CharField(
        label=_("Ask by email"),
        required=False,
        max_length=400,
        help_text=_(
            "These addresses get a link to answer as soon as the plate is listed. Separate them with commas."
        ),
    )

    def __init__(self, *args: Any, places: Sequence[Location], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by_key = {str(place.pk): place for place in places}
        location: forms.TypedChoiceField = self.fields["location"]  # type: ignore[assignment]
        location.choices = [
            (key, f"{place.name} → {place.zone_mapping.zone.number}") for key, place in by_key.items()
        ]
        location.coerce = by_key.__getitem__

    def values(self) -> dict[str, Any]:
        """Return the values for `integrations.onboarding.test_plates.start_test`."""
        values = dict(self.cleaned_data)
        values["region"] = values.pop("subdivision")
        return values

    def clean_ask(self) -> list[str]:
        """Return the addresses one by one; the service checks each."""
        return split(self.cleaned_data["ask"])


class AskForm(forms.Form):
    """Whom to ask by mail."""

    addresses = forms.CharField(label=_("Email addresses"), max_length=400)

    def clean_addresses(self) -> list[str]:
        """Return the addresses one by one; the service checks each."""
        return split(self.cleaned_data["addresses"])


class AnswerForm(forms.Form):
    """A person's word; the note is what is seen instead."""

    answer = forms.ChoiceField(choices=[("yes", _("Yes")), ("no", _("No"))])
    note = forms.CharField(max_length=2_000, required=False)


class ReasonForm(forms.Form):
    """Why something is done that somebody will ask about later."""

    reason = forms.CharField(label=_("Reason"), max_length=500)


class NameForm(forms.Form):
    """The integration's own name; `integrations.onboarding.connections.rename` checks it."""

    name = forms.CharField(
        label=_("Name of the integration"),
        max_length=140,
        help_text=_("It can be changed until the integration is set up."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class ChangeOperatorIdForm(OperatorIdForm):
    """Another operator ID, and why."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        help_text=_("It is kept in the ticket, which the company can read."),
    )


class EndForm(forms.Form):
    """Why an integration ends; `held` permits are valid there, and may run out if that is ticked."""

    reason = forms.CharField(
        label=_("Reason"), max_length=500, help_text=_("It is kept, and the company is told.")
    )
    leave_behind = forms.BooleanField(
        label=_("Leave them to expire there. Officers see them until then."), required=False
    )
    word = forms.CharField(
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: Any, held: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = held
        self.fields["word"].label = _t("Type “%(word)s” to confirm") % {"word": _t("end")}
        if not held:
            del self.fields["leave_behind"]

    def clean_word(self) -> str:
        """Check the word, in any case."""
        word: str = self.cleaned_data["word"]
        if word.strip().strip("“”\"'").casefold() != _t("end").casefold():
            raise forms.ValidationError(_t("Type “%(word)s”, or go back.") % {"word": _t("end")})
        return word


class SiteForm(forms.Form):
    """The site of a further connection."""

    label = LineFormField(
        label=_("Name of the site"),
        max_length=80,
        help_text=_("For example, “Medical Campus”."),
        validators=[validate_name],
    )
