"""What tests of the proof of delivery share: requests and answers, recorded as the engine would."""

from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.models import PermitSync, Push, PushEvent
from integrations.permits.headline import Headline, headline
from integrations.permits.proof import gather
from integrations.permits.queries import delivery_of
from locations.models import Permit
from passport.onboarding import NAMES

START = datetime(2026, 11, 22, 17, 3, 4, 117_000, tzinfo=UTC)  # 12:03:04.117 in New York


def push(permit: Permit, after_ms: int, result: str, kind: str = "started", **values: Any) -> PushEvent:
    """Record one request for the permit, answered `after_ms` after START."""
    row = PermitSync.objects.get(permit=permit)
    at = START + timedelta(milliseconds=after_ms)
    request = Push.objects.create(
        connection=row.connection,
        kind=kind,
        events=1,
        sent_at=at - timedelta(milliseconds=values.pop("took_ms", 5)),
        answered_at=at,
        trace_id=f"trace-{after_ms}",
        status={"accepted": 202, "refused": 400}.get(result, 503),
        outcome="accepted",
    )
    return PushEvent.objects.create(
        permit_sync=row,
        push=request,
        kind=kind,
        session_id="os-8KQ2-1",
        due_since=values.pop("due_since", row.due_since),
        result=result,
        **values,
    )


def settle(permit: Permit, **values: Any) -> None:
    """Record what the engine would."""
    PermitSync.objects.filter(permit=permit).update(
        **{
            "state": "done",
            "remote_state": {"session_id": "os-8KQ2-1", "plate": permit.plate, "subdivision": "US-NC"},
            "remote_until": permit.end,
            "accepted_at": START + timedelta(seconds=1),
            "session_count": 1,
            **values,
        }
    )


def head(permit: Permit, now: datetime) -> Headline:
    permit = Permit.objects.select_related("location").get(pk=permit.pk)
    return headline(delivery_of(permit, now), gather(permit), NAMES, now)
