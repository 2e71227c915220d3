"""Joins the addresses of the folders: `company_urls` below `/c/<company>/`, `urlpatterns` at the root of the site."""

from integrations.audit_log import urls as audit_log
from integrations.dashboard import urls as dashboard
from integrations.diagnostics import urls as diagnostics
from integrations.held_changes import urls as held_changes
from integrations.members import urls as members
from integrations.notifications import urls as notifications
from integrations.onboarding import urls as onboarding
from integrations.permits import urls as permits
from integrations.reconciliation import urls as reconciliation
from integrations.search import urls as search
from integrations.zones import urls as zones

company_urls = [
    *dashboard.company_urls,
    *diagnostics.company_urls,
    *members.company_urls,
    *onboarding.company_urls,
    *zones.company_urls,
    *held_changes.company_urls,
    *permits.company_urls,
    *reconciliation.company_urls,
    *audit_log.company_urls,
    *notifications.company_urls,
]

urlpatterns = [
    *dashboard.site_urls,
    *search.site_urls,
    *onboarding.site_urls,
    *audit_log.site_urls,
    *notifications.site_urls,
]
