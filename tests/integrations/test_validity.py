"""Is it valid? What is asked is answered from what was known at that time: permit, zone and push, as they stood."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import Push, PushEvent, Registration
from integrations.validity import PermitThen, PushThen, Question, Verdict, ZoneThen, decide, gather, had_it
from locations.models import Location, Membership, Permit
from locations.services import cancel_permit, change_permit
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    ZoneFactory,
    ZoneMappingFactory,
)

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONE = ZoneThen("Z123", "North", NOW - 30 * HOUR)


def question(at: datetime = NOW - HOUR, **values: Any) -> Question:
    columns = {
        "plate": "ABC1234",
        "subdivision": "",
        "location_id": 1,
        "location_name": "North Campus Garage",
        "at": at,
        "tz": NEW_YORK,
    }
    return Question(**{**columns, **values})


def pushed(
    hours_ago: float, kind: str = "started", result: str = "accepted", session: str = "s1", **rest: Any
) -> PushThen:
    return PushThen(NOW - hours_ago * HOUR, kind, session, result, trace_id=f"t{hours_ago}", **rest)


def permit(**values: Any) -> PermitThen:
    columns = {
        "pk": 7,
        "plate": "ABC1234",
        "plate_typed": "ABC 1234",
        "subdivision": "US-NC",
        "location_id": 1,
        "location_name": "North Campus Garage",
        "start": NOW - 10 * HOUR,
        "end": NOW + 10 * HOUR,
        "active": True,
        "saved_at": NOW - 12 * HOUR,
        "revision": 1,
        "pushes": [pushed(11)],
    }
    return PermitThen(**{**columns, **values})


def answer(*permits: PermitThen, zone: ZoneThen | None = ZONE, asked: Question | None = None) -> Verdict:
    return decide(asked or question(), permits, zone, NOW)


def why(verdict: Verdict) -> str:
    return " | ".join(f"{reason.about}: {reason.text}" for reason in verdict.reasons)


# --- The decision, pure ----------------------------------------------------------------------------------------


def test_a_permit_that_passport_had_accepted_is_valid_and_proves_it() -> None:
    verdict = answer(permit(external_id="R-00412", changed_by="Olive"))
    assert verdict.key == "yes"
    assert verdict.sentence == "Yes: ABC1234 was valid at North Campus Garage, and Passport had it."
    assert "R-00412" in why(verdict)
    assert "by Olive" in why(verdict)
    assert "North Campus Garage → Z123 · North" in why(verdict)
    assert "accepted 01:00:00" in why(verdict)
    assert [reason.trace_id for reason in verdict.reasons if reason.trace_id] == ["t11"]
    assert all(reason.good for reason in verdict.reasons)


def test_now_is_said_in_the_present() -> None:
    verdict = answer(permit(), asked=question(at=NOW))
    assert verdict.sentence == "Yes: ABC1234 is valid at North Campus Garage, and Passport has it."


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"start": NOW - 10 * HOUR, "end": NOW - 2 * HOUR}, "ended 22 Nov 2026, 10:00 EST"),
        ({"end": NOW - HOUR}, "ended 22 Nov 2026, 11:00 EST"),
        ({"start": NOW}, "began only 22 Nov 2026, 12:00 EST"),
        ({"active": False, "cancelled_at": NOW - 3 * HOUR}, "cancelled 22 Nov 2026, 09:00 EST"),
        ({"location_id": 2, "location_name": "Lot B"}, "for another place: Lot B"),
        ({"known": False, "saved_at": NOW}, "saved only afterwards: 22 Nov 2026, 12:00 EST"),
    ],
)
def test_a_no_says_why(values: dict[str, Any], words: str) -> None:
    verdict = answer(permit(**values))
    assert verdict.key == "no"
    assert verdict.sentence == "No: ABC1234 was not registered at North Campus Garage then."
    assert words in why(verdict)


def test_a_window_holds_its_first_moment_and_not_its_last() -> None:
    assert answer(permit(start=NOW - HOUR)).key == "yes"
    assert answer(permit(end=NOW - HOUR)).key == "no"


def test_a_plate_of_another_state_is_another_car() -> None:
    verdict = answer(permit(), asked=question(subdivision="US-VA"))
    assert verdict.key == "no"
    assert "another state: North Carolina, US" in why(verdict)
    assert answer(permit(), asked=question(subdivision="US-NC")).key == "yes"


def test_a_plate_that_was_never_registered_says_so() -> None:
    assert "never registered" in why(answer())


def test_look_alikes_that_held_then_are_pointed_out() -> None:
    twin, over = permit(pk=8, plate="A8C1234"), permit(pk=9, plate="ABCI234", end=NOW - 5 * HOUR)
    verdict = answer(twin, over)
    assert verdict.key == "no"
    assert [found.pk for found in verdict.alike] == [8]


@pytest.mark.parametrize(
    ("pushes", "words"),
    [
        ([], "nothing had been sent by then"),
        ([pushed(2, result="refused", error="No such space.")], "refused 10:00:00: No such space"),
        (
            [pushed(2, result="later", error="Passport answered 503.")],
            "not reached 10:00:00: Passport answered 503",
        ),
        ([pushed(5), pushed(2, "stopped")], "taken away again 10:00:00"),
    ],
)
def test_registered_but_not_seen_says_what_came_between(pushes: list[PushThen], words: str) -> None:
    verdict = answer(permit(pushes=pushes))
    assert (verdict.key, verdict.tone) == ("unseen", "warning")
    assert words in why(verdict)


def test_a_place_without_a_zone_could_send_nothing() -> None:
    verdict = answer(permit(pushes=[]), zone=None)
    assert verdict.key == "unseen"
    assert "had no zone" in why(verdict)


def test_of_two_permits_the_one_that_passport_had_counts() -> None:
    verdict = answer(permit(pk=1, pushes=[]), permit(pk=2), permit(pk=3, pushes=[]))
    assert verdict.key == "yes"
    assert verdict.reasons[0].permit == 2


def test_a_session_that_replaced_another_outlives_its_end() -> None:
    pushes = [pushed(9), pushed(5, session="s2"), pushed(4.9, "stopped")]
    found = had_it(pushes)
    assert found is not None
    assert found.session_id == "s2"


events = st.lists(
    st.tuples(
        st.sampled_from(["started", "extended", "stopped"]),
        st.sampled_from(["accepted", "refused", "later"]),
        st.sampled_from(["s1", "s2"]),
    ),
    max_size=8,
)


@given(events)
def test_only_accepted_events_decide_and_a_stopped_session_never_counts(
    told: list[tuple[str, str, str]],
) -> None:
    pushes = [
        pushed(10 - number, kind, result, session) for number, (kind, result, session) in enumerate(told)
    ]
    accepted = [push for push in pushes if push.result == "accepted"]
    assert had_it(pushes) == had_it(accepted)
    last = {push.session_id: push.kind for push in accepted}
    assert (had_it(pushes) is not None) == any(kind != "stopped" for kind in last.values())


@given(
    st.timedeltas(min_value=timedelta(days=-2), max_value=timedelta(days=2)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 2]),
)
def test_yes_is_said_only_for_what_held(shift: timedelta, active: bool, known: bool, place: int) -> None:
    asked = question(at=NOW + shift)
    found = permit(active=active, known=known, location_id=place, cancelled_at=None if active else NOW)
    verdict = decide(asked, [found], ZONE, NOW)
    holds = active and known and place == 1 and found.start <= asked.at < found.end
    assert (verdict.key == "yes") == holds
    assert verdict.sentence
    assert verdict.reasons


# --- The facts, as they stood ------------------------------------------------------------------------------------


@pytest.fixture
def place(db: None) -> Location:
    """A place that was mapped to Z123 two days ago."""
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        connection = ConnectionFactory(live=True, company__slug="university")
        found: Location = LocationFactory(company=connection.company, name="North Campus Garage")
        ZoneMappingFactory(
            location=found, zone=ZoneFactory(connection=connection, number="Z123", name="North")
        )
    return found


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


def accepted(of: Permit, hours_ago: float, kind: str = "started") -> None:
    row = Registration.objects.get(permit=of)
    at = NOW - hours_ago * HOUR
    push = Push.objects.create(
        connection=row.connection,
        kind=kind,
        events=1,
        sent_at=at,
        answered_at=at,
        trace_id="t",
        outcome="accepted",
    )
    PushEvent.objects.create(
        registration=row, push=push, kind=kind, session_id="s1", marked_at=at, result="accepted"
    )


def ask(place: Location, hours_ago: float, **values: Any) -> Verdict:
    asked = question(at=NOW - hours_ago * HOUR, location_id=place.pk, **values)
    permits, zone = gather(place.company, asked)
    return decide(asked, permits, zone, NOW)


def test_a_permit_is_judged_by_the_revision_that_held_then(place: Location) -> None:
    found = save(place, 12)
    accepted(found, 11)
    with time_machine.travel(NOW - 3 * HOUR, tick=False):
        change_permit(permit=found, plate="XYZ 9")
    with time_machine.travel(NOW - 2 * HOUR, tick=False):
        cancel_permit(permit=found)
    then = ask(place, 4)
    assert then.key == "yes"
    assert "changed since" in why(then)
    assert ask(place, 2.5).key == "no"
    assert ask(place, 2.5, plate="XYZ9").key == "yes"
    gone = ask(place, 1, plate="XYZ9")
    assert gone.key == "no"
    assert "cancelled 22 Nov 2026, 10:00 EST" in why(gone)


def test_a_permit_saved_after_the_ticket_does_not_undo_it(place: Location) -> None:
    save(place, 1)
    verdict = ask(place, 2)
    assert verdict.key == "no"
    assert "saved only afterwards" in why(verdict)


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
    assert "never registered" in why(ask(place, 1))


def test_the_facts_cost_the_same_however_many_permits_there_are(
    place: Location, django_assert_max_num_queries: Any
) -> None:
    for _number in range(12):
        accepted(save(place, 12), 11)
    with django_assert_max_num_queries(7):
        assert ask(place, 1).key == "yes"


# --- The page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def member(place: Location) -> Membership:
    """A viewer of the company."""
    found: Membership = MembershipFactory(company=place.company, role="viewer")
    return found


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
    # Without a time it is asked about now.
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
