"""Tickets, test plates, check plates and links in the admin."""

from collections.abc import Iterable

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from integrations.admin.lookups import find_connections
from integrations.models import CanaryCheck, CanaryRun, StatusLink, TestPlate, Ticket, TicketEntry
from locations.admin import COMPANY_HELP, newest_of
from locations.admin_base import EvidenceAdmin, LookedUpAdmin


class TicketEntryInline(admin.TabularInline):  # type: ignore[type-arg]
    """A ticket's timeline."""

    model = TicketEntry
    fields = readonly_fields = ("at", "kind", "text", "by")
    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """As for the ticket."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse: events are recorded automatically."""
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Ticket)
class TicketAdmin(EvidenceAdmin):
    """Tickets."""

    list_display = ("number", "company", "subject", "state", "opened_at", "done_at")
    list_filter = ("state",)
    list_select_related = ("company",)
    search_fields = ("subject", "company__name")
    inlines = (TicketEntryInline,)


@admin.register(TestPlate)
class TestPlateAdmin(EvidenceAdmin):
    """Test plates; the secrets of links are stored as hashes and not shown."""

    list_display = ("id", "location", "connection", "saved_at", "accepted_at", "seen_at", "answer", "gone_at")
    list_filter = ("answer",)
    list_select_related = ("location", "connection")
    search_fields = ("location__name", "connection__name")
    exclude = ("link_hash",)


@admin.register(StatusLink)
class StatusLinkAdmin(EvidenceAdmin):
    """Shared status pages."""

    list_display = ("connection", "created_by", "created_at", "expires_at", "revoked_at", "last_opened_at")
    list_select_related = ("connection", "created_by")
    search_fields = ("connection__name",)


@admin.register(CanaryRun)
class CanaryRunAdmin(EvidenceAdmin):
    """Rounds of check plates."""

    list_display = ("id", "connection", "number", "began_at", "finished_at")
    list_select_related = ("connection",)
    search_fields = ("connection__name", "connection__company__name")


@admin.register(CanaryCheck)
class CanaryCheckAdmin(LookedUpAdmin, EvidenceAdmin):
    """What became of the check plate in each zone."""

    list_display = ("id", "run", "zone", "failure", "accepted_at", "seen_at", "ended_at", "gone_at")
    list_filter = ("failure",)
    list_select_related = ("run__connection", "zone")
    search_help_text = COMPANY_HELP

    def look_up(self, text: str) -> Iterable[int]:
        """Find the checks of companies, newest first."""
        return newest_of(CanaryCheck.objects.filter(run__connection__in=find_connections(text)))
