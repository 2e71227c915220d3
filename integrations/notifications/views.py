"""Settings: which mails somebody gets of a company, and who gets what; and the same for support's own mails."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from integrations.models import SUPPORT_TOPICS, Topic
from integrations.notifications import email_queue, preferences
from integrations.notifications.forms import MEANING, SUPPORT_MEANING, MailsForm
from locations.access import CompanyRequest, company_view, may, support_view
from locations.models import Role, User
from locations.pages import render_page

MOST_SHOWN = 500


@company_view()
@require_http_methods(["GET", "HEAD", "POST"])
def notifications(request: CompanyRequest) -> HttpResponse:
    """Let a member choose their mails; a manager sees who gets what."""
    people = preferences.listeners(request.company)
    own = next((one for one in people if one.membership.user_id == request.user.pk), None)
    form = MailsForm(request.POST or None, meaning=MEANING, chosen=own.topics) if own else None
    if request.method == "POST":
        if own is None:
            messages.info(
                request, _("You are not a member of that company. Choose the emails you get as support here.")
            )
            return redirect("support_notifications")
        form = MailsForm(request.POST, meaning=MEANING, chosen=())
        if form.is_valid():
            preferences.choose_mails(membership=own.membership, topics=form.topics(), actor=request.user)
            messages.success(request, _("Your choices were saved."))
            return redirect("notifications", request.company.slug)
    context: dict[str, Any] = {
        "company": request.company,
        "tab": "notifications",
        "form": form,
        "is_support": request.user.is_support,
        "topics": [(topic.value, topic.label) for topic in Topic],
        "people": people[:MOST_SHOWN] if may(request.membership_role, Role.MANAGER) else [],
        "may_see_all": may(request.membership_role, Role.MANAGER),
        "nobody_told": preferences.nobody_gets(Topic.ALARMS, people),
        "told": sum(one.is_reached and Topic.ALARMS in one.topics for one in people),
    }
    return render_page(request, "integrations/notifications/notifications.html", context)


@support_view
@require_http_methods(["GET", "HEAD", "POST"])
def support_notifications(request: HttpRequest) -> HttpResponse:
    """Let somebody of support choose which of support's mails come to their own mailbox as well."""
    assert isinstance(request.user, User)
    if request.method == "POST":
        form = MailsForm(request.POST, meaning=SUPPORT_MEANING, chosen=())
        if form.is_valid():
            preferences.choose_support_mails(user=request.user, topics=form.topics())
            messages.success(request, _("Your choices were saved."))
            return redirect("support_notifications")
    else:
        chosen = preferences.support_topics_of(request.user)
        form = MailsForm(meaning=SUPPORT_MEANING, chosen=chosen)
    context = {
        "form": form,
        "shared": settings.SUPPORT_EMAIL,
        "topics": [
            (topic.label, list(email_queue.support_told(topic)[:MOST_SHOWN])) for topic in SUPPORT_TOPICS
        ],
    }
    return render_page(request, "integrations/notifications/support_notifications.html", context)
