"""Connections, contacts, zones, and changes that wait for a person, in the admin."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from integrations.admin.lookups import find_connections
from integrations.models import Connection, Contact, HeldChange, Zone, ZoneMapping, ZoneRefresh
from integrations.notifications import contacts
from integrations.zones import refresh as zone_refresh
from locations.admin import COMPANY_HELP, newest_of
from locations.admin_base import EvidenceAdmin, EvidenceHistoryAdmin, LookedUpAdmin, SupportAdmin, actor_of


@admin.register(Connection)
class ConnectionAdmin(EvidenceHistoryAdmin):
    """Connections; their steps are taken in the dashboard or by command."""

    list_display = ("name", "label", "company", "operator_id", "status", "status_since", "live_since")
    list_filter = ("status", "vendor")
    list_select_related = ("company",)
    search_fields = ("name", "label", "operator_id", "company__name", "company__slug")
    actions = ("pull_zones",)

    @admin.action(description=_("Refresh the zones of the selected connections"))
    def pull_zones(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        """Start a refresh of each; the workers fetch the zones, and the refresh's page shows what it found."""
        begun = 0
        for connection in queryset:
            try:
                refresh = zone_refresh.ask_refresh(connection=connection, asked_by=actor_of(request))
            except ValidationError as error:
                self.message_user(request, f"{connection}: {error.messages[0]}", messages.ERROR)
                continue
            if refresh.outcome == ZoneRefresh.Outcome.FAILED:
                self.message_user(request, f"{connection}: {refresh.error} {refresh.remedy}", messages.ERROR)
            else:
                begun += 1
        words = ngettext("%(count)d refresh is running.", "%(count)d refreshes are running.", begun)
        self.message_user(request, words % {"count": begun}, messages.SUCCESS)


@admin.register(Contact)
class ContactAdmin(SupportAdmin):
    """Who gets emails about an integration."""

    list_display = ("email", "name", "kind", "company")
    list_filter = ("kind",)
    list_select_related = ("company",)
    search_fields = ("email", "name", "company__name")
    autocomplete_fields = ("company",)

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        """Save, and record who did it."""
        super().save_model(request, obj, form, change)
        contacts.note(
            contact=obj, kind="contact_changed" if change else "contact_added", actor=actor_of(request)
        )


@admin.register(Zone)
class ZoneAdmin(EvidenceAdmin):
    """Zones as the vendor lists them."""

    list_display = (
        "number",
        "name",
        "connection",
        "session_type",
        "first_seen_at",
        "changed_at",
        "missing_since",
    )
    list_filter = (("missing_since", admin.EmptyFieldListFilter), "session_type")
    list_select_related = ("connection",)
    search_fields = ("number", "name", "remote_id__exact")


@admin.register(ZoneMapping)
class ZoneMappingAdmin(EvidenceHistoryAdmin):
    """Which location is mapped to which zone; done in the dashboard, which points out near misses."""

    list_display = ("location", "zone", "mapped_at", "mapped_by")
    list_select_related = ("location", "zone", "mapped_by")
    search_fields = ("location__name", "location__company__name", "zone__number", "zone__name")


@admin.register(ZoneRefresh)
class ZoneRefreshAdmin(LookedUpAdmin, EvidenceAdmin):
    """Zone refreshes and what they found."""

    list_display = ("id", "connection", "started_at", "outcome", "trigger", "zones_listed", "error")
    list_filter = ("outcome",)
    list_select_related = ("connection",)
    search_help_text = COMPANY_HELP

    def look_up(self, text: str) -> Iterable[int]:
        """Find the refreshes of companies, newest first."""
        return newest_of(ZoneRefresh.objects.filter(connection__in=find_connections(text)))


@admin.register(HeldChange)
class HeldChangeAdmin(EvidenceAdmin):
    """Changes that waited for a person, and what became of them."""

    list_display = (
        "id", "connection", "kind", "state", "removed", "replaced", "total", "held_at", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "kind")
    list_select_related = ("connection", "decided_by")
    search_fields = ("connection__name",)
