"""The tables of the integration, for any vendor; each module states its invariants."""

from integrations.models.alarms import Alarm
from integrations.models.breakers import Breaker, RateBucket
from integrations.models.canaries import CanaryCheck, CanaryRun
from integrations.models.connections import Connection, Contact
from integrations.models.delivery import PermitSync, Push, PushEvent
from integrations.models.held_changes import HeldChange
from integrations.models.hours import PushHour
from integrations.models.onboarding import StatusLink, TestPlate, Ticket, TicketEntry
from integrations.models.people import SUPPORT_TOPICS, Mail, MailChoice, Notice, Topic
from integrations.models.running import CheckRun, PeriodicTask, WorkerHeartbeat
from integrations.models.zones import Zone, ZoneMapping, ZoneRefresh

__all__ = [
    "SUPPORT_TOPICS",
    "Alarm",
    "Breaker",
    "CanaryCheck",
    "CanaryRun",
    "CheckRun",
    "Connection",
    "Contact",
    "HeldChange",
    "Mail",
    "MailChoice",
    "Notice",
    "PeriodicTask",
    "PermitSync",
    "Push",
    "PushEvent",
    "PushHour",
    "RateBucket",
    "StatusLink",
    "TestPlate",
    "Ticket",
    "TicketEntry",
    "Topic",
    "WorkerHeartbeat",
    "Zone",
    "ZoneMapping",
    "ZoneRefresh",
]
