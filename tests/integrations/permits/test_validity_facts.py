"""Is it valid? The facts of that time, as they are read from the tables, and the page with the question."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from integrations.models import PermitSync, Push, PushEvent
from integrations.permits import validity_queries
from integrations.permits.validity import ValidityAnswer, decide
from integrations.permits.validity_queries import MAX_PERMITS, gather
from locations.models import Location, Membership, Permit
from locations.services import PermitDraft, cancel_permit, change_permit, register_permits
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    ZoneFactory,
    mapped_location,
)
from tests.integrations.permits.validity_samples import HOUR, NEW_YORK, NOW, question, why


@pytest.fixture
def place(db: None) -> Location:
    """A location that was mapped to Z123 two days ago."""
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        connection = ConnectionFactory(live=True, company__slug="university")
        zone = ZoneFactory(connection=connection, number="Z123", name="North")
        return mapped_location(connection, zone, name="North Campus Garage")


def save(place: Location, hours_ago: float, **values: Any) -> Permit:
    with time_machine.travel(NOW - hours_ago * HOUR, tick=False):
        found: Permit = PermitFactory(
            **{
                "location": place,
                "plate": "ABC 1234",
                "start": NOW - 10 * HOUR,
                "end": NOW + 10 * HOUR,
                **values,
            }
        )
    return found


def accepted(of: Permit, hours_ago: float, kind: str = "started", session: str = "s1", **values: Any) -> None:
    """Record an acceptance of the permit as it is in memory; `plate=""` is one from before such details were recorded."""
    at = NOW - hours_ago * HOUR
    # By the database's own clock the permit may already be over.
    row, _made = PermitSync.objects.get_or_create(
        permit=of,
        connection=of.location.zone_mapping.zone.connection,
        defaults={"due_since": at, "next_attempt_at": at},
    )
    push = Push.objects.create(
        connection=row.connection,
        kind=kind,
        events=1,
        sent_at=at,
        answered_at=at,
        trace_id="t",
        outcome="accepted",
    )
    said = {
        "plate": of.plate,
        "subdivision": of.subdivision,
        "zone": of.location.zone_mapping.zone.remote_id,
        "since": of.start,
        "until": of.end,
    }
    PushEvent.objects.create(
        permit_sync=row,
        push=push,
        kind=kind,
        session_id=session,
        due_since=at,
        **{"result": "accepted", **said, **values},
    )


def ask(place: Location, hours_ago: float, **values: Any) -> ValidityAnswer:
    asked = question(at=NOW - hours_ago * HOUR, location_id=place.pk, **values)
    permits, zone = gather(place.company, asked)
    return decide(asked, permits, zone, NOW)


# --- The facts, as they were -----------------------------------------------------------------------------


def test_a_permit_is_judged_by_the_revision_that_held_then(place: Location) -> None:
    found = save(place, 12)
    accepted(found, 11)
    with time_machine.travel(NOW - 3 * HOUR, tick=False):
        found = change_permit(permit=found, plate="XYZ 9")
    with time_machine.travel(NOW - 2 * HOUR, tick=False):
        cancel_permit(permit=found)
    then = ask(place, 4)
    assert then.key == "yes"
    assert "changed since" in why(then)
    # The new plate had not been accepted yet, and the old one not been removed.
    assert ask(place, 2.5).key == "shown"
    assert "its plate was XYZ 9 at that time" in why(ask(place, 2.5))
    assert ask(place, 2.5, plate="XYZ9").key == "unseen"
    assert "plate ABC1234" in why(ask(place, 2.5, plate="XYZ9"))
    gone = ask(place, 1, plate="XYZ9")
    assert gone.key == "no"
    assert "cancelled 22 Nov 2026, 10:00 EST" in why(gone)


def test_a_corrected_plate_is_seen_from_its_acceptance_and_the_old_one_until_its_end(place: Location) -> None:
    found = save(place, 12)
    accepted(found, 11)
    with time_machine.travel(NOW - 5 * HOUR, tick=False):
        found = change_permit(permit=found, plate="XYZ 9")
    accepted(found, 4, session="s2")
    accepted(found, 3, "stopped", plate="", subdivision="", zone="", since=None, until=None)
    assert [ask(place, hours, plate="XYZ9").key for hours in (4.5, 3.5, 2)] == ["unseen", "yes", "yes"]
    assert [ask(place, hours).key for hours in (6, 4.5, 3.5, 2)] == ["yes", "shown", "shown", "no"]
    assert "until 09:00:00 at the latest" in ask(place, 4.5).sentence


def test_old_evidence_that_does_not_say_what_was_sent_counts_as_before(place: Location) -> None:
    found = save(place, 12)
    accepted(found, 11, plate="", subdivision="", zone="", since=None, until=None)
    with time_machine.travel(NOW - 3 * HOUR, tick=False):
        change_permit(permit=found, plate="XYZ 9")
    assert ask(place, 2.5, plate="XYZ9").key == "yes"
    assert ask(place, 2.5).key == "no"


def test_a_moved_permit_is_seen_where_passport_had_it(place: Location) -> None:
    connection = place.zone_mapping.zone.connection
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        lot = mapped_location(connection, ZoneFactory(connection=connection, number="Z9"), name="Lot B")
    found = save(place, 12)
    accepted(found, 11)
    with time_machine.travel(NOW - 5 * HOUR, tick=False):
        change_permit(permit=found, location=lot)
    at_lot = ask(lot, 4)
    assert at_lot.key == "unseen"
    assert "accepted 01:00:00: zone Z123" in why(at_lot)
    assert ask(place, 4).key == "shown"


def test_a_ticket_of_a_daily_visitor_finds_the_permit_of_that_day(place: Location) -> None:
    days = 4 * MAX_PERMITS
    with time_machine.travel(NOW - timedelta(days=days + 1), tick=False):
        register_permits(
            drafts=[
                PermitDraft(
                    place, "ABC 1234", "US-NC", NOW - timedelta(days=day), NOW - timedelta(days=day) + HOUR
                )
                for day in range(-days, days)
            ]
        )
        long_one = PermitFactory(
            location=place, plate="ABC 1234", start=NOW - timedelta(days=days), end=NOW + timedelta(days=days)
        )
    for day in (0, days // 2, days - 1):
        asked = question(at=NOW - timedelta(days=day) + HOUR / 2, location_id=place.pk)
        permits, _zone = gather(place.company, asked)
        assert len(permits) == MAX_PERMITS
        covering = [found for found in permits if found.start <= asked.at < found.end]
        assert len(covering) == 2
        assert long_one.pk in [found.pk for found in covering]
        furthest = max(abs(found.start - asked.at) for found in permits if found.pk != long_one.pk)
        assert furthest < timedelta(days=MAX_PERMITS)


def test_failed_attempts_never_crowd_out_an_acceptance(
    place: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validity_queries, "MAX_TRIES", 3)
    found = save(place, 12)
    accepted(found, 11)
    for number in range(9):
        accepted(found, 10 - number / 10, "extended", result="later")
    assert ask(place, 1).key == "yes"


def test_a_permit_saved_after_the_ticket_does_not_undo_it(place: Location) -> None:
    save(place, 1)
    verdict = ask(place, 2)
    assert verdict.key == "no"
    assert "only saved afterwards" in why(verdict)


def test_what_passport_accepted_later_did_not_help_before(place: Location) -> None:
    accepted(save(place, 12), 3)
    assert ask(place, 4).key == "unseen"
    assert ask(place, 2).key == "yes"


def test_the_zone_is_that_of_the_time(place: Location) -> None:
    save(place, 60, start=NOW - timedelta(days=3))
    with time_machine.travel(NOW - 5 * HOUR, tick=False):
        mapping = place.zone_mapping
        mapping.zone = ZoneFactory(connection=mapping.zone.connection, number="Z9", name="South")
        mapping.save()
    assert "Z123" in why(ask(place, 6))
    assert "Z9" in why(ask(place, 4))
    assert "had no zone" in why(ask(place, 50))


def test_test_plates_and_permits_of_others_are_no_answer(place: Location) -> None:
    save(place, 12, is_test=True)
    save(LocationFactory(), 12)
    assert "never been registered" in why(ask(place, 1))


def test_the_facts_cost_the_same_however_many_permits_there_are(
    place: Location, django_assert_max_num_queries: Any
) -> None:
    for _number in range(12):
        accepted(save(place, 12), 11)
    with django_assert_max_num_queries(7):
        assert ask(place, 1).key == "yes"


@pytest.fixture
def member(place: Location) -> Membership:
    """A viewer of the company."""
    found: Membership = MembershipFactory(company=place.company, role="viewer")
    return found


# --- The page --------------------------------------------------------------------------------------------


def test_the_page_asks_and_answers_in_place(client: Client, member: Membership, place: Location) -> None:
    client.force_login(member.user)
    address = reverse("validity", args=["university"])
    accepted(save(place, 12), 11)
    assert client.get(address).status_code == 200
    local = (NOW - HOUR).astimezone(NEW_YORK).strftime("%Y-%m-%dT%H:%M")
    response = client.post(address, {"plate": "abc-1234", "location": place.pk, "at": local})
    assert response.context["verdict"].key == "yes"
    body = response.content.decode()
    assert "Yes: ABC1234 was valid at North Campus Garage, and Passport had it." in body
    assert "plate=" not in body
    # Without a time, the question is about now.
    assert (
        client.post(address, {"plate": "ABC1234", "location": place.pk}).context["question"].at > NOW - HOUR
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"plate": "?"}, "plate"),
        ({"location": "0"}, "location"),
        ({"at": "then"}, "at"),
        ({"at": "2026-11-01T01:30"}, "at"),
    ],
)
def test_a_question_that_cannot_be_understood_is_asked_back(
    client: Client, member: Membership, place: Location, wrong: dict[str, str], field: str
) -> None:
    client.force_login(member.user)
    data = {"plate": "ABC1234", "location": place.pk, **wrong}
    response = client.post(reverse("validity", args=["university"]), data)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
