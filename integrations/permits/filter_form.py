"""The filters of the list of permits."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from integrations.permits.form_fields import LocationField, RegionField
from integrations.permits.queries import PermitFilters
from locations.fields import LineFormField
from locations.models import Company, Location, Permit


class PermitFilterForm(forms.Form):
    """The filters of the list; where one of them can't be read, nothing matches (`PermitFilters.unreadable`)."""

    q = LineFormField(
        label=_("Plate, unit or your reference"),
        max_length=80,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )
    location = LocationField(label=_("Location"), required=False, empty_label=_("All locations"))
    when = forms.ChoiceField(
        label=_("When"),
        required=False,
        choices=[
            ("", _("Any time")),
            ("current", _("Current")),
            ("coming", _("Upcoming")),
            ("ended", _("Ended")),
            ("cancelled", _("Cancelled")),
        ],
    )
    push = forms.ChoiceField(
        label=_("Delivery"),
        required=False,
        choices=[
            ("", _("Any state")),
            ("unprotected", _("Not there yet")),
            ("waiting", _("Waiting")),
            ("refused", _("Refused")),
            ("accepted", _("Accepted")),
        ],
    )
    type = forms.ChoiceField(label=_("Type"), required=False)
    state = RegionField(required=False, empty_label=_("All states"))
    tests = forms.BooleanField(label=_("Include test plates"), required=False)

    def __init__(self, data: Mapping[str, Any], *, company: Company, types: Sequence[str]) -> None:
        super().__init__(data)
        field = self.fields["location"]
        assert isinstance(field, LocationField)
        field.queryset = Location.objects.filter(company=company)
        kinds = self.fields["type"]
        assert isinstance(kinds, forms.ChoiceField)
        kinds.choices = [
            ("", _("All types")),
            *((kind, kind) for kind in [*types, *self._unlisted(company, types)]),
        ]

    def _unlisted(self, company: Company, types: Sequence[str]) -> list[str]:
        """Return the chosen type where the company has it and the list is too long to name it."""
        kind = str(self["type"].value() or "")
        if not kind or kind in types:
            return []
        return [kind] if Permit.objects.filter(company=company, type=kind).exists() else []

    @property
    def narrow_more(self) -> bool:
        """Whether a filter that is folded away is in use."""
        return any(self[name].value() for name in ("type", "state", "tests"))

    def filters(self) -> PermitFilters:
        """Return what the list is narrowed to."""
        if not self.is_valid():
            return PermitFilters(unreadable=True)
        data = self.cleaned_data
        location = data.get("location")
        return PermitFilters(
            q=data.get("q") or "",
            location=location.pk if location else None,
            region=data.get("state"),
            when=data.get("when") or "",
            push=data.get("push") or "",
            type=data.get("type") or "",
            tests=bool(data.get("tests")),
        )
