"""What happens to the permits of a company that is live."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from integrations.models import Connection, PermitSync
from integrations.reconciliation import comparison
from locations.models import Location, Permit
from locations.services import PermitDraft, register_permits


def register_many(*, location: str, count: int) -> None:
    """Register this many current permits (M0, M1 …) at once."""
    place, now = Location.objects.get(name=location), timezone.now()
    end = now + timedelta(days=1)
    register_permits(drafts=[PermitDraft(place, f"M{n}", "US-NC", now, end) for n in range(count)])


def change_past_the_services(*, permit: int, plate: str) -> None:
    """Write a plate as a manual repair would, so that no signal is sent."""
    Permit.objects.filter(pk=permit).update(plate=plate)


def compare_an_hour_later() -> None:
    """Compare what is accepted with what Passport has, after moving all times an hour into the past."""
    PermitSync.objects.update(accepted_at=F("accepted_at") - timedelta(hours=1))
    missed = PermitSync.objects.filter(drift_since__isnull=False)
    missed.update(drift_since=F("drift_since") - timedelta(hours=1))
    comparison.reconcile(Connection.objects.get())
