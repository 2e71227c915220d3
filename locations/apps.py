"""Companies, people, locations and permits. Knows nothing of any integration."""

from django.apps import AppConfig


class LocationsConfig(AppConfig):
    """The registrations themselves."""

    name = "locations"
    verbose_name = "Locations and permits"
