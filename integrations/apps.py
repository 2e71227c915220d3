"""Vendor-neutral integration: connections, zones, mappings, the delivery engine, onboarding."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Listens to `permits_changed` and keeps what each vendor has in line with it."""

    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        """Connect the one signal that `locations` declares."""
        from integrations import receivers

        receivers.connect()
