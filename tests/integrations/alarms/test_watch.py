"""Alarms: raised once when trouble lasts, emailed to people who want them, and closed once, with any number of workers."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.alarms import watch as watching
from integrations.alarms.watch import watch
from integrations.delivery import circuit_breaker
from integrations.delivery.circuit_breaker import connection_scope
from integrations.models import Alarm, Breaker, Connection, Mail, PermitSync, Topic, WorkerHeartbeat
from integrations.notifications import preferences
from integrations.onboarding import connections
from integrations.vendors.errors import TryLater
from integrations.worker import periodic_tasks, scheduler
from locations.models import Permit, Role
from locations.services import cancel_permit
from tests.factories import ConnectionFactory, MembershipFactory, PermitFactory
from tests.pages import World

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(world: World) -> World:
    """A live connection without problems, with one operator who gets alarms by default."""
    MembershipFactory(company=world.company, role=Role.OPERATOR, user__email="operator@university.example")
    Connection.objects.update(status_since=timezone.now() - timedelta(days=1))
    return world


def look(at: datetime) -> None:
    """Let the watch run at `at`, while a worker is alive."""
    WorkerHeartbeat.objects.update_or_create(name="w", defaults={"started_at": at, "seen_at": at})
    watch(at)


def wait(world: World, since: datetime, **values: Any) -> Permit:
    """Let a change have been waiting since then."""
    place = world.location(f"Lot {Permit.objects.count()}", world.zone(f"Z{Permit.objects.count()}"))
    permit: Permit = PermitFactory(location=place)
    PermitSync.objects.filter(permit=permit).update(due_since=since, **values)
    return permit


def deliver(at: datetime) -> None:
    PermitSync.objects.update(state=PermitSync.State.DONE)


def mails(kind: str = "") -> list[tuple[str, str]]:
    found = Mail.objects.order_by("pk")
    return list((found.filter(kind=kind) if kind else found).values_list("to", "subject"))


def test_an_alarm_is_raised_after_ten_minutes_and_mailed_once_and_once_when_it_is_over(world: World) -> None:
    begun = timezone.now()
    wait(world, begun)
    for minutes in (1, 3, 9.9):
        look(begun + minutes * MINUTE)
    assert not Alarm.objects.exists()
    for minutes in (10, 10.25, 11, 40):
        look(begun + minutes * MINUTE)
    [alarm] = Alarm.objects.all()
    assert (alarm.connection, alarm.cause, alarm.since, alarm.over_at) == (
        world.connection,
        "backlog",
        begun,
        None,
    )
    assert alarm.raised_at == begun + 10 * MINUTE
    [(to, subject)] = mails()
    assert to == "operator@university.example"
    assert subject.startswith("University: Changes have waited for 10 min")
    deliver(begun)
    for minutes in (41, 42):
        look(begun + minutes * MINUTE)
    alarm.refresh_from_db()
    assert alarm.over_at == begun + 41 * MINUTE
    [(to, subject)] = mails("alarm_over")
    assert to == "operator@university.example"
    assert "over" in subject
    assert "It lasted 41 min" in Mail.objects.get(kind="alarm_over").text


def test_what_the_mail_says_is_what_the_overview_says(world: World) -> None:
    begun = timezone.now()
    permit = wait(world, begun)
    cancel_permit(permit=permit)
    PermitSync.objects.update(remote_state={"session_id": "s"}, remote_until=permit.end)
    circuit_breaker.record_failure(
        connection_scope(world.connection.pk), TryLater("No answer."), now=begun, began=begun
    )
    look(begun + 12 * MINUTE)
    text = " ".join(Mail.objects.get().text.split())
    assert "Passport has not answered for 12 min." in text
    assert "1 change is waiting: 1 permit was ended here and officers may still see it." in text
    assert "You will get another email when it is over." in text
    assert "/c/university/" in text


def test_only_those_who_want_alarms_get_them_and_support_if_no_one_does(world: World) -> None:
    [operator] = world.company.memberships.all()
    preferences.choose_mails(membership=operator, topics=[Topic.STEPS], actor=operator.user)
    wants = MembershipFactory(
        company=world.company, role=Role.VIEWER, user__email="viewer@university.example"
    )
    preferences.choose_mails(membership=wants, topics=[Topic.ALARMS], actor=wants.user)
    begun = timezone.now()
    wait(world, begun)
    look(begun + 10 * MINUTE)
    assert [to for to, _subject in mails()] == ["viewer@university.example"]
    Alarm.objects.all().delete()
    Mail.objects.all().delete()
    preferences.choose_mails(membership=wants, topics=[], actor=wants.user)
    look(begun + 11 * MINUTE)
    assert [to for to, _subject in mails()] == ["support@offstreet.example"]


def test_one_failing_connection_is_enough_and_the_others_are_left_alone(world: World) -> None:
    begun = timezone.now()
    second = ConnectionFactory(company=world.company, label="North site", live=True)
    Connection.objects.update(status_since=begun - timedelta(days=1))
    circuit_breaker.record_failure(
        connection_scope(second.pk), TryLater("No answer."), now=begun, began=begun
    )
    look(begun + 10 * MINUTE)
    [alarm] = Alarm.objects.all()
    assert alarm.connection == second
    [(_to, subject)] = mails()
    assert subject.startswith("University: North site: Passport has not answered for 10 min.")


def break_host(since: datetime, *, stopped: bool = False) -> None:
    Breaker.objects.create(
        vendor="passport",
        failures=9,
        failing_since=since,
        open_until=since,
        stopped=stopped,
        error="No answer.",
    )


def test_a_hosts_outage_is_reported_to_support_once_and_to_each_company_once(world: World) -> None:
    other = World.build(name="City")
    begun = timezone.now()
    Connection.objects.update(status_since=begun - timedelta(days=1))
    break_host(begun)
    for minutes in (9, 10, 11):
        look(begun + minutes * MINUTE)
    assert set(Alarm.objects.values_list("connection", "vendor")) == {
        (world.connection.pk, None),
        (other.connection.pk, None),
        (None, "passport"),
    }
    # No one at the other company gets alarms; support knows already.
    assert sorted(to for to, _subject in mails()) == [
        "operator@university.example",
        "support@offstreet.example",
    ]
    circuit_breaker.record_success(circuit_breaker.host_scope("passport"), now=begun + 12 * MINUTE)
    look(begun + 12 * MINUTE)
    look(begun + 13 * MINUTE)
    assert not Alarm.objects.filter(over_at=None).exists()
    assert "support@offstreet.example" in [to for to, _subject in mails("alarm_over")]


def test_a_stop_was_reported_when_it_happened_and_only_its_end_is_reported_here(world: World) -> None:
    begun = timezone.now()
    Breaker.objects.create(
        connection=world.connection, failures=1, stopped=True, failing_since=begun, error="Not authorised."
    )
    look(begun + MINUTE)
    [alarm] = Alarm.objects.all()
    assert (alarm.cause, mails()) == ("stopped", [])
    Breaker.objects.update(stopped=False, failures=0, failing_since=None)
    look(begun + 3 * MINUTE)
    assert "Passport accepts changes again" in Mail.objects.get().text


def test_a_hosts_stop_is_reported_to_a_company_only_if_it_lasts(world: World) -> None:
    begun = timezone.now()
    break_host(begun, stopped=True)
    look(begun + 5 * MINUTE)
    assert mails() == []
    look(begun + 10 * MINUTE)
    assert [to for to, _subject in mails()] == ["operator@university.example"]


def test_what_a_person_pauses_is_no_alarm_any_more_and_says_so(world: World) -> None:
    begun = timezone.now()
    wait(world, begun)
    look(begun + 10 * MINUTE)
    connections.pause(connection=world.connection, reason="The signs are repainted.")
    look(begun + 20 * MINUTE)
    assert not Alarm.objects.filter(over_at=None).exists()
    assert "no longer live" in Mail.objects.get(kind="alarm_over").text
    # Held back for long, then resumed: it is late only from then on.
    connections.resume(connection=world.connection)
    resumed = Connection.objects.get().status_since
    look(resumed + 9 * MINUTE)
    assert Alarm.objects.count() == 1


def test_a_problem_that_returns_is_another_alarm(world: World) -> None:
    begun = timezone.now()
    for hours in (0, 1):
        at = begun + timedelta(hours=hours)
        wait(world, at)
        look(at + 10 * MINUTE)
        deliver(at)
        look(at + 11 * MINUTE)
    assert Alarm.objects.filter(over_at__isnull=False).count() == 2
    assert len(mails("alarm")) == len(mails("alarm_over")) == 2


def test_an_alarm_that_another_worker_raised_or_closed_first_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = timezone.now()
    wait(world, begun)
    at = begun + 10 * MINUTE
    seen_before = list(watching._open())
    look(at)
    # This worker read the open alarms before the other raised one.
    monkeypatch.setattr(watching, "_open", Stale(seen_before))
    look(at)
    assert Alarm.objects.count() == len(mails()) == 1
    deliver(at)
    monkeypatch.undo()
    seen_before = list(watching._open())
    look(at + MINUTE)
    [alarm] = seen_before
    watching._close(alarm, "live", at + 2 * MINUTE)
    assert len(mails("alarm_over")) == 1


class Stale:
    """Return what was open for the first two calls, and what is open for later ones."""

    def __init__(self, before: list[Alarm]) -> None:
        self.before, self.asked = before, 0

    def __call__(self) -> Any:
        self.asked += 1
        found = Alarm.objects.filter(over_at=None)
        return found.none() if self.asked == 1 else found


def test_the_database_keeps_two_open_alarms_of_one_connection_out(world: World) -> None:
    at = timezone.now()
    values = {"cause": "outage", "since": at, "raised_at": at}
    Alarm.objects.create(connection=world.connection, **values, over_at=at)
    Alarm.objects.create(connection=world.connection, **values)
    Alarm.objects.create(vendor="passport", **values)
    for wrong in ({"connection": world.connection}, {"vendor": "passport"}, {}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Alarm.objects.create(**values, **wrong)


def test_workers_watch() -> None:
    periodic_tasks.register_all()
    [task] = [task for task in scheduler.scheduled_tasks() if task.name == watching.WATCH_TASK]
    assert task.work is watch
    assert task.every_s <= 30
