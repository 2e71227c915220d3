"""What tests of the overview share: permit syncs as if Passport had answered."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from integrations.models import Connection, PermitSync, WorkerHeartbeat
from locations.models import Permit


def in_order() -> None:
    """Let a worker run, and let each connection have just been compared with what enforcement sees."""
    now = timezone.now()
    WorkerHeartbeat.objects.update_or_create(name="w", defaults={"started_at": now, "seen_at": now})
    Connection.objects.update(compared_at=now, status_since=now - timedelta(days=1))


def settle(permit: Permit, **values: Any) -> PermitSync:
    """Make a permit sync as if Passport had answered."""
    now = timezone.now()
    as_accepted = {
        "state": PermitSync.State.DONE, "remote_state": {"session_id": "s"}, "remote_until": permit.end,
        "accepted_at": now, "accepted_revision": permit.revision,
    }  # fmt: skip
    PermitSync.objects.filter(permit=permit).update(**(as_accepted | values))
    return PermitSync.objects.get(permit=permit)


def refuse(
    permit: Permit, code: str = "vehicle_state", sentence: str = "Passport does not know the state."
) -> None:
    now = timezone.now()
    settle(
        permit, state=PermitSync.State.REFUSED, remote_state=None, remote_until=None, accepted_at=None,
        error_kind="record", error_code=code, error=sentence, remedy="Correct the state.", error_since=now,
    )  # fmt: skip
