"""Vendor-neutral integration data; see each module for its invariants."""

from integrations.models.connections import Connection, Contact
from integrations.models.delivery import Breaker, Push, PushEvent, RateBucket, Registration
from integrations.models.hours import PushHour
from integrations.models.onboarding import StatusLink, TestPlate, Ticket, TicketEntry
from integrations.models.people import Mail, Notice
from integrations.models.running import Chore, WorkerBeat
from integrations.models.zones import Zone, ZoneMapping, ZoneRefresh

__all__ = [
    "Breaker",
    "Chore",
    "Connection",
    "Contact",
    "Mail",
    "Notice",
    "Push",
    "PushEvent",
    "PushHour",
    "RateBucket",
    "Registration",
    "StatusLink",
    "TestPlate",
    "Ticket",
    "TicketEntry",
    "WorkerBeat",
    "Zone",
    "ZoneMapping",
    "ZoneRefresh",
]
