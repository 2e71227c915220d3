"""Admin pages of connections, zones, deliveries, onboarding and emails, for support; nearly all are read-only evidence.

What changes a connection, a mapping or a test is done in the dashboard, which asks for reasons and tells people. Here
support looks things up, and sets going what goes by itself: zones are pulled, refused registrations tried again.

The modules register their pages as they are imported.
"""

from integrations.admin import connections, deliveries, notifications, onboarding, running

__all__ = ["connections", "deliveries", "notifications", "onboarding", "running"]
