"""Permit syncs, pushes and what holds them back, in the admin."""

from collections.abc import Iterable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from integrations.admin.lookups import find_connections
from integrations.delivery import outbox
from integrations.models import Alarm, Breaker, PermitSync, Push, PushEvent, PushHour, RateBucket
from locations.admin import COMPANY_HELP, find_permits, newest_of
from locations.admin_base import FOUND_ROWS, EvidenceAdmin, LookedUpAdmin, actor_of
from locations.pages import read_key


@admin.register(PermitSync)
class PermitSyncAdmin(LookedUpAdmin, EvidenceAdmin):
    """What the vendor has of each permit, and what is being sent."""

    list_display = (
        "id", "permit_id", "connection", "state", "priority", "due_since", "attempts", "accepted_at", "error_code",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("connection",)
    search_help_text = _("The beginning of a plate, however it is written, or a permit's ID.")
    actions = ("retry",)

    def look_up(self, text: str) -> Iterable[int]:
        """Find rows by their permits."""
        return newest_of(PermitSync.objects.filter(permit__in=list(find_permits(text))[:FOUND_ROWS]))

    @admin.action(description=_("Try the selected refused permits again"))
    def retry(self, request: HttpRequest, queryset: QuerySet[PermitSync]) -> None:
        """Make the refused rows due again."""
        ids = list(queryset.values_list("pk", flat=True))
        count = outbox.retry(permit_sync_ids=ids, actor=actor_of(request))
        words = ngettext(
            "%(count)d permit is being tried again.", "%(count)d permits are being tried again.", count
        )
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
    search_help_text = _("A trace ID, or the beginning of one.")

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


@admin.register(Alarm)
class AlarmAdmin(EvidenceAdmin):
    """What people were told to be wrong for too long, and since when it is over."""

    list_display = ("id", "connection", "vendor", "cause", "since", "raised_at", "over_at")
    list_filter = (("over_at", admin.EmptyFieldListFilter), "cause")
    list_select_related = ("connection",)
