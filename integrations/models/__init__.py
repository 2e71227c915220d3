"""Vendor-neutral integration data; see each module for its invariants."""

from integrations.models.connections import Connection, Contact
from integrations.models.delivery import Breaker, Push, PushEvent, RateBucket, Registration
from integrations.models.hours import PushHour
from integrations.models.onboarding import StatusLink, TestPlate, Ticket, TicketEntry
from integrations.models.people import SUPPORT_TOPICS, Mail, MailChoice, Notice, Topic
from integrations.models.running import CheckRun, Chore, WorkerBeat
from integrations.models.zones import Zone, ZoneMapping, ZoneRefresh

__all__ = [
    "SUPPORT_TOPICS",
    "Breaker",
    "CheckRun",
    "Chore",
    "Connection",
    "Contact",
    "Mail",
    "MailChoice",
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
    "Topic",
    "WorkerBeat",
    "Zone",
    "ZoneMapping",
    "ZoneRefresh",
]
