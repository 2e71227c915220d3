"""The project's own application: shell templates, middleware, checks."""

from django.apps import AppConfig


class OffstreetConfig(AppConfig):
    """Project-wide pieces that belong to no single domain."""

    name = "offstreet"
    verbose_name = "Offstreet"
