"""Fields that several forms have: a location, of which a company may have a thousand, and where a plate comes from."""

import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from locations.models import Location
from locations.regions import Region, region_choices, region_of_key

# What an input of type datetime-local holds.
_PICKED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII)


# Generic for the type checker alone.
class _Names(forms.models.ModelChoiceIterator):  # type: ignore[type-arg]
    """A location's id and name are all that an option shows: making a thousand objects takes longer than all the rest."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.field.empty_label is not None:
            yield "", self.field.empty_label
        yield from self.queryset.values_list("pk", "name")


class LocationField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """One of the locations that the form puts into `queryset`."""

    iterator = _Names

    def __init__(self, **rest: Any) -> None:
        super().__init__(Location.objects.none(), **rest)


class ClockInput(forms.DateTimeInput):
    """The browser's own picker for a date and a time, which takes no other text; what was pasted is shown as a text again.

    `static/js/app.js` makes it a text where something is pasted into it.
    """

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the kind of input that can show `value`."""
        clock = {"autocomplete": "off", "data-clock": ""}
        context = super().get_context(name, value, {**(attrs or {}), **clock})
        is_picker = not value or _PICKED.fullmatch(str(value)) is not None
        context["widget"]["type"] = "datetime-local" if is_picker else "text"
        return context


class RegionField(forms.ChoiceField):
    """A state, a province or a country; its value is the `Region`, or None where nothing is chosen.

    `empty_label` is the first choice; without it there is none.
    """

    def __init__(self, *, empty_label: str | Promise = "", **rest: Any) -> None:
        self.empty_label = empty_label
        rest.setdefault("label", _("State or country"))
        super().__init__(choices=self._listed, **rest)

    def _listed(self) -> list[Any]:
        return [*([("", self.empty_label)] if self.empty_label else []), *region_choices()]

    def prepare_value(self, value: Any) -> Any:
        """Show a region by its key."""
        return value.key if isinstance(value, Region) else value

    def clean(self, value: Any) -> Region | None:
        """Return the chosen region."""
        key = super().clean(value)
        return region_of_key(key) if key else None
