"""A line of text in a model and in a form, cleaned by `locations.text` wherever it comes from."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

from locations.text import clean_line


class LineFormField(forms.CharField):
    """A line that somebody types."""

    def to_python(self, value: Any) -> str | None:
        """Return the cleaned text; raise `ValidationError` for control characters."""
        text = super().to_python(value)
        return clean_line(text) if text else text


if TYPE_CHECKING:
    _Text = models.CharField[str, str]
else:  # Generic for the type checker alone.
    _Text = models.CharField


class LineField(_Text):
    """A column for a line: `full_clean`, and so the services, the admin and every form of the model, clean it."""

    def clean(self, value: Any, model_instance: Any) -> Any:
        """Return the cleaned text; raise `ValidationError` for control characters. Look-ups stay as they are."""
        return super().clean(clean_line(value) if isinstance(value, str) else value, model_instance)

    def formfield(self, **kwargs: Any) -> Any:
        """Return a field that measures and compares what is stored, not what was typed."""
        return super().formfield(**{"form_class": LineFormField, **kwargs})

    def deconstruct(self) -> Any:
        """Return a plain column to migrations: nothing differs in the database."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs
