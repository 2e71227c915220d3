"""What the test of an outage does inside the product (`Stack.run`): a calm start, and time that has passed."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from integrations.models import Alarm, Breaker, Connection, PermitSync
from locations.models import Company, Permit
from locations.services import cancel_permit

COMPANY = "university"


def calm() -> None:
    """End the seed's permits that officers can't see, and backdate the connection's going live."""
    now = timezone.now()
    company = Company.objects.get(slug=COMPANY)
    for permit in Permit.objects.real().current(now).filter(company=company, location__zone_mapping=None):
        cancel_permit(permit=permit)
    for row in (
        PermitSync.objects.refused().real().filter(connection__company=company).select_related("permit")
    ):
        if row.permit.status == Permit.Status.ACTIVE:
            cancel_permit(permit=row.permit)
    Connection.objects.update(status_since=now - timedelta(days=30), live_since=now - timedelta(days=30))


def wait(minutes: float) -> None:
    """Let so many minutes pass: what fails and what waits has done so for that much longer."""
    by = timedelta(minutes=minutes)
    Breaker.objects.filter(failing_since__isnull=False).update(failing_since=F("failing_since") - by)
    PermitSync.objects.due().update(due_since=F("due_since") - by)
    Alarm.objects.update(since=F("since") - by)
