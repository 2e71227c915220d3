"""The page of a comparison: its headline, what differs, what is unknown, and who may start one at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations import throttle
from integrations.models import Connection, PermitSync
from integrations.reconciliation import rounds, views
from integrations.reconciliation.comparison import reconcile
from locations.models import Permit, Role
from tests.factories import ConnectionFactory, MembershipFactory
from tests.pages import signed_in, text_of
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def page(world: World, role: str = Role.VIEWER) -> str:
    client = signed_in(MembershipFactory(company=world.company, role=role).user)
    return text_of(client.get(reverse("comparison", args=[world.company.slug, world.connection.pk])))


@pytest.mark.parametrize(
    ("values", "drifting", "tone", "sentence"),
    [
        ({"compared_at": NOW - timedelta(minutes=2)}, 0, "success", "Passport shows every permit as it accepted it."),
        ({"compared_at": NOW - timedelta(minutes=20)}, 0, "warning", "It is unknown what enforcement sees now."),
        ({"compared_at": NOW, "comparison_failures": 1}, 0, "warning", "It is unknown what enforcement sees now."),
        ({"compared_at": NOW, "comparison_failures": 3}, 0, "danger", "It is unknown what enforcement sees now."),
        ({"compared_at": NOW}, 2, "warning", "Passport doesn't show 2 permits as it accepted them."),
        ({}, 0, "neutral", "No comparison has succeeded yet."),
    ],
)  # fmt: skip
def test_it_is_green_only_on_proof(values: dict[str, Any], drifting: int, tone: str, sentence: str) -> None:
    connection = ConnectionFactory.build(status=Connection.Status.LIVE, **values)
    assert views.answer(connection, drifting=drifting, now=NOW)[:2] == (tone, sentence)


def test_differences_and_unknown_rights_are_shown(world: World) -> None:
    kept, lost = world.permit("KEPT01"), world.permit("LOST01")
    world.deliver()
    PermitSync.objects.filter(permit=lost).delete()
    Permit.objects.filter(pk=lost.pk).update(status="cancelled", cancelled_at=timezone.now())
    for session in list(world.transport.simulator.sessions.by_id.values()):
        if session.vehicle_plate == kept.plate:
            world.transport.simulator.forget_session(session.id)
    long_ago()
    reconcile(world.connection)
    said = page(world)
    assert "KEPT01" in said
    assert "list it among the parking rights" in said
    assert "LOST01" in said
    assert "no longer has a permit for" in said
    assert "--end-unknown" not in said


def test_an_operator_lets_it_be_compared_at_once(world: World) -> None:
    rounds.compare_due(timezone.now())
    assert rounds.compare_due(timezone.now()) == 0
    client = signed_in(MembershipFactory(company=world.company, role=Role.OPERATOR).user)
    address = reverse("compare_now", args=[world.company.slug, world.connection.pk])
    assert client.post(address).status_code == 302
    assert rounds.compare_due(timezone.now()) == 1


def test_no_one_can_have_the_whole_list_read_again_and_again(world: World) -> None:
    throttle._shared.cache_clear()
    client = signed_in(MembershipFactory(company=world.company, role=Role.OPERATOR).user)
    address = reverse("compare_now", args=[world.company.slug, world.connection.pk])
    said = [text_of(client.post(address, follow=True)) for _time in range(7)]
    assert all("The comparison starts within seconds" in text for text in said[:6])
    assert "Try again in a minute." in said[6]
