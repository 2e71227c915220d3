"""What tests of the admin share: the address of a model's page, and what its forms send."""

from datetime import UTC, timedelta
from typing import Any

from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from locations.models import Location
from tests.factories import UserFactory
from tests.pages import reauthenticate, signed_in


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def form_of(location: Location, **changes: str) -> dict[str, str]:
    now = timezone.now().astimezone(UTC)
    return {
        "location": str(location.pk),
        "plate_typed": "xyz-987",
        "subdivision": "US-NC",
        "start_0": now.strftime("%Y-%m-%d"),
        "start_1": "00:00:00",
        "end_0": (now + timedelta(days=3)).strftime("%Y-%m-%d"),
        "end_1": "12:00:00",
        "space_number": "",
        "type": "",
        "unit": "",
        "external_id": "",
        **changes,
    }


FORMSET = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}


def support_client(**rights: bool) -> Client:
    """Return a client of a support user who has just confirmed their identity."""
    client = signed_in(UserFactory(**rights))
    reauthenticate(client)
    return client
