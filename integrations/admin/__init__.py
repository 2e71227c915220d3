"""Admin pages of connections, zones, deliveries, onboarding and emails, for support; nearly all are read-only evidence.

What changes a connection, a mapping or a test is done in the dashboard, which asks for reasons and tells people. Here
support looks things up, and triggers what otherwise runs automatically: refreshing zones, trying refused permits again.

The modules register their pages as they are imported.
"""

from integrations.admin import connections, deliveries, notifications, onboarding, running

__all__ = ["connections", "deliveries", "notifications", "onboarding", "running"]
