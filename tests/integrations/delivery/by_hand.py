"""What tests of the engine's promises share: a worker driven step by step, an import, and Passport's sessions."""

from datetime import timedelta

from django.utils import timezone

from integrations.delivery.batch import Batch, batches
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest, claim
from integrations.delivery.row_outcome import ClaimedRow
from integrations.vendors.protocol import Account, get_vendor
from locations import services
from tests.world import World


class Hand:
    """One worker that the test drives step by step: claim, send, settle."""

    def __init__(self, world: World) -> None:
        self.vendor = get_vendor("passport")
        self.account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)

    def claim(self) -> list[ClaimedRow]:
        return claim([ClaimRequest(self.account, self.vendor, 100, SendPermission(True), tests_only=False)])

    def units(self, works: list[ClaimedRow]) -> list[Batch]:
        busy = [work for work in works if work.steps]
        return batches(busy, self.account, self.vendor, now=timezone.now(), probing=False)


def sessions_started(world: World) -> list[str]:
    """The ids of all sessions at Passport, including stopped ones."""
    return sorted(world.transport.simulator.sessions.by_id)


def import_many(world: World, count: int) -> None:
    now = timezone.now()
    services.register_permits(
        drafts=[
            services.PermitDraft(world.here, f"M{number}", "US-NC", now, now + timedelta(days=1))
            for number in range(count)
        ]
    )
