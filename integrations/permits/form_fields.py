"""Fields that several forms have: a location, of which a company may have a thousand, and where a plate comes from."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from locations.models import Location
from locations.regions import Region, region_choices, region_of_key


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
