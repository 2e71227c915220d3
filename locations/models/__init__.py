"""The registrations themselves: people, companies, locations, permits. No model here knows of any vendor."""

from locations.models.companies import Company, Invitation, Location, Membership, Role
from locations.models.deeds import Deed
from locations.models.people import User
from locations.models.permits import Permit, PermitQuerySet

__all__ = [
    "Company",
    "Deed",
    "Invitation",
    "Location",
    "Membership",
    "Permit",
    "PermitQuerySet",
    "Role",
    "User",
]
