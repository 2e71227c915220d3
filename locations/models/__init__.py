"""People, companies, locations and permits. No model here depends on a vendor."""

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
