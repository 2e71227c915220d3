"""Emails and notices in the admin."""

from collections.abc import Iterable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from integrations.models import Mail, MailChoice, Notice
from integrations.notifications import notices
from locations.admin import COMPANY_HELP, find_companies, newest_of
from locations.admin_base import EvidenceAdmin, LookedUpAdmin, actor_of


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
