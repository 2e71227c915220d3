"""What tests of refusals share: Passport's refusals, the workers' later rounds, and all that enforcement sees."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from integrations.delivery import refusals
from integrations.models import Breaker, PermitSync
from locations.models import Permit
from passport.plan import timestamp
from tests.world import World

HOUR = timedelta(hours=1)
GONE = json.dumps(
    {"type": "io.passportlabs:error:zone_not_found", "title": "Zone", "detail": "There is no such zone."}
)
INVALID = json.dumps({"type": "io.passportlabs:error:validation_error", "detail": "vehicle_plate: no."})
REFUSED, DUE, DONE = PermitSync.State.REFUSED, PermitSync.State.DUE, PermitSync.State.DONE


def refuse(world: World, body: str = GONE, status: int = 404, **rest: Any) -> None:
    """Let Passport refuse all events with this problem."""
    world.fault("5xx", status=status, body=body, path="events", **rest)


def whole(world: World) -> list[tuple[str, ...]]:
    """Everything that enforcement sees: plate, state, zone, start, end."""
    return sorted(
        (right["vehicle"]["vehicle_plate"], right["vehicle"]["vehicle_state"], right["zone_id"],
         timestamp(datetime.fromisoformat(right["start_time"])), timestamp(datetime.fromisoformat(right["end_time"])))
        for right in world._rights()
    )  # fmt: skip


def wanted(world: World) -> list[tuple[str, ...]]:
    """What enforcement should see according to the database."""
    permits = Permit.objects.not_ended(timezone.now()).filter(location__zone_mapping__isnull=False)
    return sorted(
        (permit.plate, permit.subdivision, permit.location.zone_mapping.zone.remote_id,
         timestamp(permit.start), timestamp(permit.end))
        for permit in permits.select_related("location__zone_mapping__zone")
    )  # fmt: skip


def later(seconds: float, world: World) -> None:
    """Do what the workers do after this time: only what is due by then is tried again."""
    PermitSync.objects.filter(retry_at__lte=timezone.now() + timedelta(seconds=seconds)).update(
        retry_at=timezone.now()
    )
    refusals.retry_due(timezone.now())
    past = timezone.now() - timedelta(seconds=1)
    PermitSync.objects.filter(state=DUE).update(next_attempt_at=past, leased_until=None, lease=None)
    Breaker.objects.filter(open_until__isnull=False).update(open_until=past, probe_until=None)
    world.deliver()
