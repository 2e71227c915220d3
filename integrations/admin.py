"""Admin pages of connections, zones, deliveries, onboarding and emails, for support; nearly all are read-only evidence.

What changes a connection, a mapping or a test is done in the dashboard, which asks for reasons and tells people. Here
support looks things up, and sets going what goes by itself: zones are pulled, refused registrations tried again.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from integrations.delivery import outbox
from integrations.models import (
    Breaker,
    Connection,
    Contact,
    HeldChange,
    Mail,
    MailChoice,
    Notice,
    PeriodicTask,
    PermitSync,
    Push,
    PushEvent,
    PushHour,
    RateBucket,
    StatusLink,
    TestPlate,
    Ticket,
    TicketEntry,
    WorkerHeartbeat,
    Zone,
    ZoneMapping,
    ZoneRefresh,
)
from integrations.notifications import contacts, notices
from integrations.zones import refresh as zone_refresh
from locations.admin import COMPANY_HELP, find_companies, find_permits, newest_of
from locations.admin_base import (
    FOUND_ROWS,
    EvidenceAdmin,
    EvidenceHistoryAdmin,
    LookedUpAdmin,
    SupportAdmin,
    actor_of,
)
from locations.pages import read_key


def find_connections(text: str) -> list[int]:
    """Return the ids of connections whose company matches `text`."""
    found = Connection.objects.filter(company__in=find_companies(text))
    return list(found.order_by().values_list("pk", flat=True))


# --- Connections and zones ----------------------------------------------------------------------------------------


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
        words = ngettext("%(count)d refresh is under way.", "%(count)d refreshes are under way.", begun)
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


# --- Deliveries ---------------------------------------------------------------------------------------------------


@admin.register(PermitSync)
class PermitSyncAdmin(LookedUpAdmin, EvidenceAdmin):
    """What the vendor has of each permit, and what is being sent."""

    list_display = (
        "id", "permit_id", "connection", "state", "priority", "due_since", "attempts", "accepted_at", "error_code",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("connection",)
    search_help_text = _("The beginning of a plate, in any spelling, or a permit's ID.")
    actions = ("retry",)

    def look_up(self, text: str) -> Iterable[int]:
        """Find rows by their permits."""
        return newest_of(PermitSync.objects.filter(permit__in=list(find_permits(text))[:FOUND_ROWS]))

    @admin.action(description=_("Try the selected refused permits again"))
    def retry(self, request: HttpRequest, queryset: QuerySet[PermitSync]) -> None:
        """Make the refused rows due again."""
        ids = list(queryset.values_list("pk", flat=True))
        count = outbox.retry(permit_sync_ids=ids, actor=actor_of(request))
        words = ngettext("%(count)d is tried again.", "%(count)d are tried again.", count)
        self.message_user(request, words % {"count": count}, messages.SUCCESS)


@admin.register(Push)
class PushAdmin(LookedUpAdmin, EvidenceAdmin):
    """Requests that carried events, with their answers."""

    list_display = (
        "trace_id",
        "connection",
        "kind",
        "events",
        "accepted",
        "sent_at",
        "status",
        "outcome",
        "error_code",
    )
    list_filter = ("outcome",)
    list_select_related = ("connection",)
    search_help_text = _("A trace ID, or its beginning.")

    def look_up(self, text: str) -> Iterable[int]:
        """Find pushes by their trace id."""
        return (
            Push.objects.filter(trace_id__startswith=text)
            .order_by("trace_id")
            .values_list("pk", flat=True)[:FOUND_ROWS]
        )


@admin.register(PushEvent)
class PushEventAdmin(LookedUpAdmin, EvidenceAdmin):
    """What each request meant for one permit."""

    list_display = ("id", "permit_sync_id", "push", "kind", "session_id", "result", "error_code")
    list_select_related = ("push",)
    search_help_text = _("A permit's ID, a complete session ID, or the complete trace ID of a push.")

    def look_up(self, text: str) -> Iterable[int]:
        """Find events by permit, session or push. A session id has no index here, but it contains the permit's id."""
        named = {pk for part in text.split("-") if (pk := read_key(part)) is not None}
        permit_syncs = list(PermitSync.objects.filter(permit__in=named).values_list("pk", flat=True))
        events = PushEvent.objects.filter(permit_sync__in=permit_syncs)
        yield from newest_of(events if read_key(text) is not None else events.filter(session_id=text))
        pushes = list(newest_of(Push.objects.filter(trace_id=text)))
        yield from newest_of(PushEvent.objects.filter(push__in=pushes))


@admin.register(PushHour)
class PushHourAdmin(LookedUpAdmin, EvidenceAdmin):
    """A connection's pushes, counted by the hour."""

    list_display = ("hour", "connection", "accepted", "refused")
    list_select_related = ("connection",)
    search_help_text = COMPANY_HELP
    ordering = ("-hour", "-pk")

    def look_up(self, text: str) -> Iterable[int]:
        """Find the hours of companies, newest first."""
        hours = PushHour.objects.filter(connection__in=find_connections(text))
        return hours.order_by("-hour").values_list("pk", flat=True)[:FOUND_ROWS]


@admin.register(Breaker)
class BreakerAdmin(EvidenceAdmin):
    """What holds sends back."""

    list_display = (
        "connection",
        "vendor",
        "failures",
        "failing_since",
        "open_until",
        "stopped",
        "error_code",
    )
    list_display_links = ("connection", "vendor")
    list_select_related = ("connection__company",)
    list_filter = ("stopped",)
    search_fields = ("key",)


@admin.register(RateBucket)
class RateBucketAdmin(EvidenceAdmin):
    """When the fleet's next request may go."""

    list_display = ("key", "next_at")


# --- Onboarding ---------------------------------------------------------------------------------------------------


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


@admin.register(HeldChange)
class HeldChangeAdmin(EvidenceAdmin):
    """Changes that waited for a person, and what became of them."""

    list_display = (
        "id",
        "connection",
        "kind",
        "state",
        "removed",
        "replaced",
        "total",
        "held_at",
        "decided_by",
    )
    list_filter = ("state", "kind")
    list_select_related = ("connection", "decided_by")
    search_fields = ("connection__name",)


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


# --- Telling people -----------------------------------------------------------------------------------------------


@admin.register(Mail)
class MailAdmin(LookedUpAdmin, EvidenceAdmin):
    """Emails, and whether they were sent."""

    list_display = ("id", "kind", "to", "subject", "state", "created_at", "sent_at", "attempts", "error")
    list_filter = ("state",)
    search_help_text = _("A complete email address, or part of a company's name or address.")
    exclude = ("html",)

    def look_up(self, text: str) -> Iterable[int]:
        """Find emails by recipient or company."""
        yield from newest_of(Mail.objects.filter(to__iexact=text))
        yield from newest_of(Mail.objects.filter(company__in=find_companies(text)))


@admin.register(MailChoice)
class MailChoiceAdmin(EvidenceAdmin):
    """Which emails people get; everyone chooses for themselves in the dashboard."""

    list_display = ("membership", "user", "topic", "wanted")
    list_filter = ("topic", "wanted")
    list_select_related = ("membership__user", "membership__company", "user")
    search_fields = ("membership__user__email", "membership__company__name", "user__email")


@admin.register(Notice)
class NoticeAdmin(LookedUpAdmin, EvidenceAdmin):
    """Notices on the dashboard's pages."""

    list_display = ("text", "company", "level", "kind", "created_at", "done_at")
    list_filter = (("done_at", admin.EmptyFieldListFilter),)
    list_select_related = ("company",)
    search_help_text = COMPANY_HELP
    actions = ("close",)

    def look_up(self, text: str) -> Iterable[int]:
        """Find the notices of companies, newest first."""
        return newest_of(Notice.objects.filter(company__in=find_companies(text)))

    @admin.action(description=_("Dismiss the selected notices"))
    def close(self, request: HttpRequest, queryset: QuerySet[Notice]) -> None:
        """Dismiss those that are open."""
        count = sum(notices.dismiss(notice=one, actor=actor_of(request)) for one in queryset)
        self.message_user(request, _t("%(count)d marked as done.") % {"count": count}, messages.SUCCESS)


# --- Running ------------------------------------------------------------------------------------------------------


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(EvidenceAdmin):
    """Periodic tasks."""

    list_display = ("name", "next_at", "last_began_at", "last_ended_at", "last_error")


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(EvidenceAdmin):
    """Workers, and when they were last alive."""

    list_display = ("name", "started_at", "seen_at")
