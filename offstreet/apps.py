"""The project's own application: shell templates, middleware, checks.

Importing it loads the Celery application, so that a task called from any Django process goes to the right broker.
"""

from django.apps import AppConfig

from offstreet.celery import app as celery_app

__all__ = ("OffstreetConfig", "celery_app")


class OffstreetConfig(AppConfig):
    """Project-wide pieces that belong to no single domain."""

    name = "offstreet"
    verbose_name = "Offstreet"

    def ready(self) -> None:
        """Keep what a person signs in with encrypted by the newest key."""
        from allauth.mfa.signals import authenticator_used

        from offstreet.second_factors import renew_when_used

        authenticator_used.connect(renew_when_used, dispatch_uid="second factors")
