"""The registrations themselves: people, companies, locations, permits. No model here knows of any vendor."""

from locations.models.audit import AuditEvent
from locations.models.companies import Company, Invitation, Location, Membership, Role
from locations.models.people import User
from locations.models.permits import Permit, PermitQuerySet

__all__ = [
    "AuditEvent",
    "Company",
    "Invitation",
    "Location",
    "Membership",
    "Permit",
    "PermitQuerySet",
    "Role",
    "User",
]
