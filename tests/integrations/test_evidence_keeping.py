"""Thinning: every try for ninety days, then the last one of each registration."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.evidence_keeping import KEPT, thin
from integrations.models import Push, PushEvent
from locations import services
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> Iterator[World]:
    transport = SandboxTransport()
    with passport_in_memory(transport):
        world = World(transport)
        yield world
        world.engine.close()


def age(days: float) -> None:
    Push.objects.update(sent_at=timezone.now() - timedelta(days=days))


def test_what_is_younger_than_ninety_days_stays(world: World) -> None:
    permit = world.permit()
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    age(KEPT.days - 1)
    assert thin(timezone.now()) == 0
    assert PushEvent.objects.count() == 2


def test_later_only_the_last_try_of_each_registration_stays_and_no_empty_push(world: World) -> None:
    permit, other = world.permit("P1"), world.permit("P2")
    world.deliver()
    for days in (3, 4, 5):
        services.change_permit(permit=permit, end=timezone.now() + timedelta(days=days))
        world.deliver()
    age(KEPT.days + 1)
    assert thin(timezone.now()) == 3
    kept = PushEvent.objects.values_list("registration__permit_id", flat=True)
    assert sorted(kept) == sorted([permit.pk, other.pk])
    assert Push.objects.count() == 2
    assert thin(timezone.now()) == 0
