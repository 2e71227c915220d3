"""`manage.py encrypt_second_factors`: all secrets of the second step under the newest key. See `offstreet.second_factors`."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand

from offstreet.second_factors import renew


class Command(BaseCommand):
    """See the module's text."""

    help = (
        "Encrypt the secrets of two-step sign-in with the first of FIELD_ENCRYPTION_KEYS; may be run again. "
        "Run it before an old key is taken out of the list."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all of them; print how many were not encrypted, or by an older key."""
        ids = list(Authenticator.objects.order_by("pk").values_list("pk", flat=True))
        self.stdout.write(f"{sum(map(renew, ids))} of {len(ids)} second steps were re-encrypted.")
