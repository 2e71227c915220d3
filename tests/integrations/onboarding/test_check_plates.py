"""Agreeing to check plates, on the set-up page and during set-up, and what the pages show about them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import CanaryCheck, CanaryRun, Connection
from tests.factories import ConnectionFactory, ZoneFactory
from tests.pages import World, count_queries, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("vendor")]


def checked(connection: Connection, *, ago: timedelta, took_s: float) -> CanaryCheck:
    """A finished check of one zone."""
    began = timezone.now() - ago
    number = CanaryRun.objects.count() + 1
    run = CanaryRun.objects.create(
        connection=connection,
        number=number,
        began_at=began,
        next_at=began,
        finished_at=began + timedelta(seconds=30),
    )
    check: CanaryCheck = CanaryCheck.objects.create(
        run=run, zone=ZoneFactory(connection=connection, number=f"Z-{number}"), session_id=f"s-{number}",
        accepted_at=began, seen_at=began + timedelta(seconds=took_s),
    )  # fmt: skip
    return check


def choose(world: World, minutes: str, who: str = "operator") -> Any:
    return getattr(world, who).post(
        world.url("setup_check_plates", world.connection.pk), {"minutes": minutes}, follow=True
    )


def test_check_plates_are_off_until_someone_at_the_company_agrees(world: World) -> None:
    page = text_of(world.operator.get(world.url("setup")))
    assert "A made-up plate, CANARY0000, is started in each mapped zone" in page
    assert Connection.objects.get().canary_minutes is None
    assert "Check plates are being sent." in text_of(choose(world, "60"))
    assert count_queries(world.operator, world.url("setup")) <= 15
    assert Connection.objects.get().canary_minutes == 60
    assert "No more check plates are sent." in text_of(choose(world, ""))
    assert Connection.objects.get().canary_minutes is None


@pytest.mark.parametrize("minutes", ["1", "x", "99999999999999999999", "-60"])
def test_what_is_none_of_the_choices_changes_nothing(world: World, minutes: str) -> None:
    choose(world, "60")
    assert "Choose how often check plates are sent." in text_of(choose(world, minutes))
    assert Connection.objects.get().canary_minutes == 60


def test_a_viewer_reads_and_does_not_choose(world: World) -> None:
    choose(world, "60")
    assert "every hour" in text_of(world.viewer.get(world.url("setup")))
    assert choose(world, "", "viewer").status_code == 403
    assert Connection.objects.get().canary_minutes == 60


def test_the_change_is_in_the_audit_log_in_words(world: World) -> None:
    choose(world, "60")
    page = text_of(world.manager.get(world.url("activity_people")))
    assert "Check plates" in page
    assert "every 60 minutes" in page


def test_the_overview_says_how_long_a_new_plate_takes_to_be_shown(world: World) -> None:
    overview = world.url("overview")
    assert "shows a new plate after" not in text_of(world.viewer.get(overview))
    choose(world, "60")
    assert "shows a new plate after" not in text_of(world.viewer.get(overview)), "nothing was measured yet"
    for ago_h, took_s in ((1, 2.1), (2, 1.4), (3, 60), (25, 0.1)):
        checked(world.connection, ago=timedelta(hours=ago_h), took_s=took_s)
    page = text_of(world.viewer.get(overview))
    assert "Passport shows a new plate after 2.1 s (median of 24 h)." in page
    assert "Median 2.1 s, longest 1 min." in page
    assert count_queries(world.viewer, overview) <= 15


def test_another_companys_connection_is_not_found(world: World) -> None:
    other = ConnectionFactory(live=True)
    path = world.url("setup_check_plates", other.pk)
    assert world.manager.post(path, {"minutes": "60"}).status_code == 404
    other.refresh_from_db()
    assert other.canary_minutes is None
