"""What Passport's client keeps between requests.

One row per partner application (client id and host): the access token, encrypted at rest, and the claim of the worker
that is fetching a new one. So a fleet of a hundred workers asks for one token per lifetime.
"""

from django.db import models


class AccessToken(models.Model):
    """The partner application's token; see the module's docstring. It is renewed at `expires_at` and ends at `ends_at`."""

    key = models.CharField(max_length=64, primary_key=True)
    secret = models.BinaryField(default=b"")
    expires_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    fetching_until = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"access token {self.key[:8]}"
