"""Everything that is specific to Passport."""

from django.apps import AppConfig


class PassportConfig(AppConfig):
    """Client, wire format, planning of events, zone refresh."""

    name = "passport"
    verbose_name = "Passport"
