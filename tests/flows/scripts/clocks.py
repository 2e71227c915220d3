"""Workers whose clocks are wrong."""

from datetime import timedelta
from unittest.mock import patch

from django.utils import timezone

from integrations.delivery.database_clock import database_now
from integrations.delivery.engine import Engine
from integrations.models import PermitSync, Push
from locations import services
from tests.factories import ConnectionFactory, listed_zone, mapped_location
from tests.world import UNIVERSITY


def two_workers() -> dict[str, object]:
    """Deliver four changes of one permit, each by a worker whose clock is a minute and a half ahead or behind."""
    live = ConnectionFactory(live=True, operator_id=UNIVERSITY["operator_id"])
    location = mapped_location(live, listed_zone(live, UNIVERSITY["zones"][0]))
    now = timezone.now
    permit = services.register_permit(
        draft=services.PermitDraft(
            location, "CLOCK1", "US-NC", now() - timedelta(hours=1), now() + timedelta(hours=5)
        )
    )
    within = []
    for turn, wrong_s in enumerate((90, -90, 90, -90)):
        before = database_now()
        if turn:
            permit = services.change_permit(permit=permit, end=now() + timedelta(hours=5 + turn))
        # A separate worker, with its own clock.
        with patch.object(timezone, "now", lambda wrong_s=wrong_s: now() + timedelta(seconds=wrong_s)):
            engine = Engine(senders=2)
            engine.drain([live.pk])
            engine.close()
        after = database_now()
        push = Push.objects.latest("pk")
        within.append(before <= push.sent_at <= push.answered_at <= after)
    by_time = list(Push.objects.order_by("sent_at").values_list("pk", flat=True))
    accepted_at = PermitSync.objects.get().accepted_at
    last = Push.objects.latest("pk")
    return {
        "within": within,
        "in order": by_time == sorted(by_time),
        "kinds": list(Push.objects.order_by("pk").values_list("kind", flat=True)),
        "accepted after its answer": accepted_at is not None and accepted_at >= last.answered_at,
    }
