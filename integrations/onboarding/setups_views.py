"""Support's list of all set-ups that are not live: who has to act, for how many days; the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from integrations.models import Connection
from integrations.onboarding.snapshot import Facts, Who
from integrations.onboarding.snapshot_queries import snapshots
from integrations.onboarding.steps import BLOCKED, OnboardingStep, active, steps
from integrations.vendors.naming import names_of
from locations.access import support_view
from locations.models import Company
from locations.pages import render_page
from locations.text import tidy

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class SetupRow:
    """One set-up that somebody has to go on with."""

    company: Company
    connection: Connection | None
    step: OnboardingStep
    path: str


@support_view
@require_safe
def setups(request: HttpRequest) -> HttpResponse:
    """List the set-ups; `who` narrows to whose turn it is, `q` to a company's name."""
    who, text = request.GET.get("who", ""), tidy(request.GET.get("q", ""))
    rows = [row for row in open_setups(text, timezone.now()) if not who or row.step.who == who]
    context = {
        "page": Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page")),
        "who": who,
        "q": text,
        "turns": [(key, label) for key, label in Who.choices if key],
        "now": timezone.now(),
    }
    return render_page(request, "integrations/onboarding/setups.html", context)


def open_setups(text: str, now: datetime) -> list[SetupRow]:
    """Return all set-ups with a step to act on, blocked ones first, then by how long they have waited."""
    open_ones = Connection.objects.exclude(status__in=[Connection.Status.LIVE, Connection.Status.ENDED])
    found = list(open_ones.filter(company__name__icontains=text).select_related("company", "operator_id_by"))
    any_current = Connection.objects.filter(company=OuterRef("pk")).exclude(status=Connection.Status.ENDED)
    fresh = Company.objects.filter(~Exists(any_current), name__icontains=text)
    known = snapshots(found, now)
    facts: list[tuple[Company, Connection | None, Facts]] = [
        (one.company, one, known[one.pk]) for one in found
    ]
    facts += [(company, None, Facts(created_at=company.created_at, names=names_of())) for company in fresh]
    return sort_rows([row for entry in facts if (row := _row(*entry, now)) is not None], now)


def sort_rows(rows: Sequence[SetupRow], now: datetime) -> list[SetupRow]:
    """Return the rows blocked ones first, each group by how long it has waited; pure."""
    return sorted(rows, key=lambda row: (row.step.state != BLOCKED, row.step.since or now))


def _row(company: Company, connection: Connection | None, facts: Facts, now: datetime) -> SetupRow | None:
    step = active(steps(facts, now))
    if step is None:
        return None
    path = (
        reverse("setup_connection", args=[company.slug, connection.pk])
        if connection
        else reverse("setup", args=[company.slug])
    )
    return SetupRow(company, connection, step, path)
