"""Thinning: every try for ninety days, then the last one of each registration."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations import evidence_keeping
from integrations.evidence_keeping import KEPT, drop_empty_pushes, thin
from integrations.models import Chore, Push, PushEvent
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


def test_empty_pushes_go_a_portion_at_a_time_from_where_the_last_round_came_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_keeping, "PORTION", 2)
    monkeypatch.setattr(evidence_keeping, "PUSH_PORTIONS", 2)
    for number in range(7):
        world.permit(f"P{number}")
        world.deliver()
    pushes = list(Push.objects.order_by("pk"))
    assert len(pushes) == 7
    now = timezone.now()
    for number, push in enumerate(pushes[:6]):
        Push.objects.filter(pk=push.pk).update(sent_at=now - KEPT - timedelta(days=6 - number))
    kept = pushes[3]
    PushEvent.objects.exclude(push=kept).delete()
    # Portions overlap by the row at which the one before ended.
    counts = []
    for _round in range(3):
        counts.append(drop_empty_pushes(now))
        assert Chore.objects.get(name=evidence_keeping.EMPTY_CHORE).next_at is not None
    assert sum(counts) == 5
    assert counts[0] < 5
    # What holds the last try of a registration stays, and so does what is young, empty or not.
    assert list(Push.objects.order_by("pk")) == [kept, pushes[6]]


def test_a_walk_over_pushes_of_one_moment_comes_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_keeping, "PORTION", 1)
    for number in range(3):
        world.permit(f"P{number}")
        world.deliver()
    age(KEPT.days + 1)
    PushEvent.objects.all().delete()
    for _round in range(2):
        drop_empty_pushes(timezone.now())
    assert not Push.objects.exists()
