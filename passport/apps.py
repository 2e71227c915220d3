"""All that is Passport."""

from django.apps import AppConfig


class PassportConfig(AppConfig):
    """Client, wire format, planning of events, zone pull."""

    name = "passport"
    verbose_name = "Passport"
