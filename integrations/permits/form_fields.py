"""Choices that several forms have: locations, of which a company may have a thousand, and states and provinces."""

from collections.abc import Iterator
from typing import Any

from django import forms

from locations.models import Location
from locations.regions import COUNTRIES, SUBDIVISIONS


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


def region_choices() -> list[Any]:
    """Return the states and provinces, grouped by country."""
    return [
        (name, [(code, label) for code, label in SUBDIVISIONS.items() if code.startswith(country)])
        for country, name in COUNTRIES.items()
    ]
