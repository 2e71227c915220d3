"""Companies, people, locations and permits. Knows nothing of any integration."""

from django.apps import AppConfig


class LocationsConfig(AppConfig):
    """People, companies, locations and permits."""

    name = "locations"
    verbose_name = "Locations and permits"

    def ready(self) -> None:
        """Connect the security log to the signals that it listens to."""
        from locations import security_signals

        security_signals.connect()
