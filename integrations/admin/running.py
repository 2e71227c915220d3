"""Periodic tasks and workers in the admin."""

from django.contrib import admin

from integrations.models import PeriodicTask, WorkerHeartbeat
from locations.admin_base import EvidenceAdmin


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(EvidenceAdmin):
    """Periodic tasks."""

    list_display = ("name", "next_at", "last_began_at", "last_ended_at", "last_error")


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(EvidenceAdmin):
    """Workers, and when they were last alive."""

    list_display = ("name", "started_at", "seen_at")
