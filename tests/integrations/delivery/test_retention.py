"""Thinning: every attempt is kept for ninety days, then acceptances and the last attempt for each permit sync."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.delivery import retention
from integrations.delivery.retention import KEPT, RETENTION_TASK, thin
from integrations.models import PeriodicTask, Push, PushEvent
from integrations.permits.validity import decide
from integrations.permits.validity_queries import gather
from integrations.permits.validity_snapshots import Question
from locations import services
from locations.models import Permit
from passport.onboarding import NAMES
from tests.world import World

pytestmark = pytest.mark.django_db


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


def fail(world: World, times: int) -> None:
    """Let an attempt fail for everything that is due."""
    world.fault("5xx", status=503, path="events", times=times)
    world.deliver(turns=times)
    world.heal()


def results(permit: Permit) -> list[tuple[str, str]]:
    events = PushEvent.objects.filter(permit_sync__permit=permit).order_by("pk")
    return list(events.values_list("kind", "result"))


def test_later_superseded_tries_go_and_acceptances_stay(world: World) -> None:
    permit = world.permit("P1")
    fail(world, 3)
    world.deliver()
    services.change_permit(permit=permit, end=timezone.now() + timedelta(days=3))
    fail(world, 2)
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    assert Push.objects.count() == PushEvent.objects.count() == 8
    age(KEPT.days + 1)
    assert thin(timezone.now()) == 5
    assert results(permit) == [("started", "accepted"), ("extended", "accepted"), ("stopped", "accepted")]
    assert Push.objects.count() == 3
    assert thin(timezone.now()) == 0


def test_the_last_attempt_stays_even_if_it_failed(world: World) -> None:
    permit = world.permit("P1")
    fail(world, 3)
    age(KEPT.days + 1)
    assert thin(timezone.now()) == 2
    assert results(permit) == [("started", "later")]
    # It is deleted once another has followed it.
    world.deliver()
    age(KEPT.days + 1)
    assert thin(timezone.now()) == 1
    assert results(permit) == [("started", "accepted")]


def test_a_push_that_was_halved_goes_and_one_that_is_young_stays(world: World) -> None:
    world.zones["RG"].remote_id = "00000000-0000-4000-8000-000000000000"
    world.zones["RG"].save()
    place = world.location("Unknown to Passport", "RG")
    refused, _good = world.permit("BAD1", location=place), world.permit("GOOD1")
    world.deliver()
    assert thin(timezone.now()) == 0
    assert Push.objects.filter(event_rows=None).count() == 1
    age(KEPT.days + 1)
    assert thin(timezone.now()) == 0
    assert not Push.objects.filter(event_rows=None).exists()
    assert results(refused) == [("started", "refused")]


def test_thinning_continues_where_it_stopped_and_starts_over_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    monkeypatch.setattr(retention, "PORTIONS", 1)
    permits = [world.permit(f"P{number}") for number in range(2)]
    fail(world, 4)
    world.deliver()
    age(KEPT.days + 1)
    superseded = PushEvent.objects.count() - len(permits)
    gone, places = [], [0]
    while len(places) == 1 or places[-1]:
        gone.append(thin(timezone.now()))
        places.append(PeriodicTask.objects.get(name=RETENTION_TASK).cursor)
    assert sum(gone) == superseded > 3
    assert max(gone) <= 3
    assert places[1:-1] == sorted(set(places[1:-1]))
    assert all(results(permit) == [("started", "accepted")] for permit in permits)


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="reads SQLite's plans; PostgreSQL walks few rows otherwise"
)
def test_what_is_kept_for_good_is_not_read_again(world: World) -> None:
    for number in range(30):
        world.permit(f"P{number}")
    world.deliver()
    age(KEPT.days + 1)
    with CaptureQueriesContext(connection) as queries:
        thin(timezone.now())
    assert len(queries) < 12
    about_events = [
        query["sql"] for query in queries if query["sql"].startswith('SELECT "integrations_pushevent"')
    ]
    assert len(about_events) == 2
    for sql in about_events:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "event_trouble" in plan, plan


def test_an_old_ticket_is_answered_as_before(world: World) -> None:
    permit = world.permit("P1")
    fail(world, 2)
    world.deliver()
    ticket = timezone.now()
    services.change_permit(permit=permit, end=ticket + timedelta(days=9))
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    asked = Question("P1", None, world.here.pk, world.here.name, ticket, world.here.tz, NAMES)
    answers = []
    for _before_and_after in range(2):
        permits, zone = gather(world.company, asked)
        answers.append(decide(asked, permits, zone, timezone.now()).key)
        age(KEPT.days + 1)
        thin(timezone.now())
    assert answers == ["yes", "yes"]
