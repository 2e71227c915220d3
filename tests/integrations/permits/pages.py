"""What tests of the permits' pages share: addresses, what the form sends, an acceptance, and a page's text."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timezone

from integrations.models import PermitSync
from locations.models import Location, Permit

NEW_YORK = ZoneInfo("America/New_York")
MAX_QUERIES = 15


def url(name: str, *args: Any) -> str:
    return reverse(name, args=["university", *args])


def typed(place: Location, **values: Any) -> dict[str, Any]:
    """What the form sends for a plate that is valid for a day."""
    return {
        "location": place.pk,
        "plate": "abc-1234",
        "subdivision": "US-NC",
        "start": "2026-12-05T18:00",
        "end": "2026-12-06T18:00",
        **values,
    }


def accept(permit: Permit, **values: Any) -> PermitSync:
    """Make a permit sync as if the vendor had accepted the permit."""
    row, _ = PermitSync.objects.update_or_create(
        permit=permit,
        connection=permit.location.zone_mapping.zone.connection,
        defaults={
            "state": "done",
            "due_since": permit.updated_at,
            "next_attempt_at": permit.updated_at,
            "remote_state": {"session_id": f"os-{permit.pk}-1", "plate": permit.plate},
            "remote_until": permit.end,
            "accepted_at": timezone.now(),
            "session_count": 1,
            **values,
        },
    )
    return row


def text_of(response: Any) -> str:
    """The page's words, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def plates(response: Any) -> list[str]:
    return [row.permit.plate for row in response.context["page"].rows]
