"""The question "is it valid?": plate, perhaps its state, a place, a time on the clock there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from integrations.permits.form_fields import ClockInput, LocationField, RegionField
from integrations.permits.form_hints import TimeHint, time_hint
from integrations.permits.queries import with_vendor
from integrations.permits.validity_snapshots import Question
from integrations.vendors.naming import names_of
from locations.fields import LineFormField
from locations.models import Company, Location
from locations.plates import clean_plate
from locations.times import LocalTime, input_value, parse_local, problem_sentence


class ValidityForm(forms.Form):
    """After `is_valid()` it has a `question()`. An empty time means now."""

    use_required_attribute = False

    plate = LineFormField(
        label=_("Plate"),
        max_length=40,
        widget=forms.TextInput(
            attrs={"class": "os-input-plate", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    subdivision = RegionField(required=False, empty_label=_("Any"))
    location = LocationField(label=_("Location"), empty_label=_("Choose…"))
    at = forms.CharField(label=_("Local time"), required=False, widget=ClockInput())
    at_choice = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, Any] | None, *, company: Company, now: datetime) -> None:
        self.now = now
        places = with_vendor(Location.objects.filter(company=company))
        few = list(places[:2])
        initial = (
            {"location": few[0], "at": input_value(now.replace(second=0), few[0].tz)} if len(few) == 1 else {}
        )
        self.company = company
        super().__init__(data, initial=initial)
        field = self.fields["location"]
        assert isinstance(field, LocationField)
        field.queryset = places
        self._read: LocalTime | None = None

    def clean_plate(self) -> str:
        """Return the normalised plate."""
        return clean_plate(self.cleaned_data["plate"])

    def clean(self) -> dict[str, Any]:
        """Read the time on the clock of the chosen place."""
        data = super().clean() or self.cleaned_data
        location, typed = data.get("location"), data.get("at") or ""
        if location is not None and typed:
            self._read = parse_local(
                typed, location.tz, data.get("at_choice") or "", order=self.company.date_order
            )
            if self._read.problem:
                self.add_error(
                    "at", ValidationError(problem_sentence(self._read, location.tz), code=self._read.problem)
                )
        return data

    @property
    def at_hint(self) -> TimeHint:
        """What to say beside the time: UTC, or which of two hours."""
        location = (
            self.cleaned_data.get("location") if self.is_bound and hasattr(self, "cleaned_data") else None
        )
        return (
            time_hint(self._read, location, str(self["at_choice"].value() or ""))
            if self._read
            else TimeHint()
        )

    def question(self) -> Question:
        """Return what is asked."""
        data = self.cleaned_data
        location: Location = data["location"]
        moment = self._read.moment if self._read else None
        return Question(
            plate=data["plate"],
            region=data["subdivision"],
            location_id=location.pk,
            location_name=location.name,
            at=moment or self.now,
            tz=location.tz,
            names=names_of(getattr(location, "vendor", None) or ""),
        )
