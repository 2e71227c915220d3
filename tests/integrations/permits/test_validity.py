"""Is it valid? The decision, as a pure function of permit, zone and pushes as they were at the time asked about."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.permits.validity import decide
from integrations.permits.validity_snapshots import PushThen, ZoneThen, living, shown_until
from locations.regions import Region
from tests.integrations.permits.validity_samples import (
    HOUR,
    NOW,
    ZONE,
    answer,
    permit,
    pushed,
    question,
    told,
    why,
)

# --- The decision, pure ----------------------------------------------------------------------------------


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
        ({"start": NOW}, "only started 22 Nov 2026, 12:00 EST"),
        ({"active": False, "cancelled_at": NOW - 3 * HOUR}, "cancelled 22 Nov 2026, 09:00 EST"),
        ({"location_id": 2, "location_name": "Lot B"}, "for another location: Lot B"),
        ({"known": False, "saved_at": NOW}, "only saved afterwards: 22 Nov 2026, 12:00 EST"),
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


def test_a_plate_of_another_state_is_another_vehicle() -> None:
    verdict = answer(permit(), asked=question(region=Region("US", "US-VA")))
    assert verdict.key == "no"
    assert "another state: North Carolina, US" in why(verdict)
    assert answer(permit(), asked=question(region=Region("US", "US-NC"))).key == "yes"


def test_a_plate_that_was_never_registered_says_so() -> None:
    assert "never been registered" in why(answer())


def test_look_alikes_that_held_then_are_pointed_out() -> None:
    twin, over = permit(pk=8, plate="A8C1234"), permit(pk=9, plate="ABCI234", end=NOW - 5 * HOUR)
    verdict = answer(twin, over)
    assert verdict.key == "no"
    assert [found.pk for found in verdict.alike] == [8]


@pytest.mark.parametrize(
    ("pushes", "words"),
    [
        ([], "nothing had been sent yet"),
        ([pushed(2, result="refused", error="No such space.")], "refused 10:00:00: No such space"),
        (
            [pushed(2, result="later", error="Passport answered 503.")],
            "not reached 10:00:00: Passport answered 503",
        ),
        ([pushed(5), pushed(2, "stopped")], "removed again 10:00:00"),
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
    assert [push.session_id for push in living(pushes)] == ["s2"]


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
    assert living(pushes) == living(accepted)
    last = {push.session_id: push.kind for push in accepted}
    assert {push.session_id for push in living(pushes)} == {
        session for session, kind in last.items() if kind != "stopped"
    }
    assert list(living(pushes)) == sorted(living(pushes), key=lambda push: push.at)


# --- What Passport had was something else ----------------------------------------------------------------


def test_what_passport_had_just_so_is_a_yes() -> None:
    assert answer(permit(pushes=[told(11)])).key == "yes"
    extended = [told(11, until=NOW - 2 * HOUR), told(3, "extended")]
    assert answer(permit(pushes=extended)).key == "yes"


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ({"plate": "ABC1235"}, "had something different, accepted 01:00:00: plate ABC1235"),
        ({"subdivision": "US-VA"}, "had something different, accepted 01:00:00: Virginia, US"),
        ({"zone": "z-9", "zone_number": "Z9"}, "had something different, accepted 01:00:00: zone Z9"),
        ({"zone": "z-9"}, "accepted 01:00:00: zone z-9"),
        ({"until": NOW - HOUR}, "accepted 01:00:00: only until 22 Nov 2026, 11:00 EST"),
        ({"since": NOW}, "accepted 01:00:00: only from 22 Nov 2026, 12:00 EST"),
        ({"plate": "ABC1235", "until": NOW - 3 * HOUR}, "plate ABC1235, only until 22 Nov 2026, 09:00 EST"),
    ],
    ids=["plate", "state", "zone", "zone gone from the list", "extension", "begins later", "two"],
)
def test_a_change_that_passport_did_not_have_yet_was_not_seen(accepted: dict[str, Any], words: str) -> None:
    values = {"zone_number": "", **accepted} if accepted == {"zone": "z-9"} else accepted
    verdict = answer(permit(pushes=[told(11, **values), pushed(2, "extended", "later", error="Away.")]))
    assert (verdict.key, verdict.tone) == ("unseen", "warning")
    assert verdict.sentence == (
        "ABC1234 was registered at North Campus Garage, but Passport did not have its latest change yet, so officers may "
        "have seen outdated details."
    )
    assert words in why(verdict)
    assert "not reached 10:00:00: Away" in why(verdict)
    assert "t11" in [reason.trace_id for reason in verdict.reasons]
    now = answer(permit(pushes=[told(11, **{**values, **({"until": NOW} if "until" in values else {})})]),
                 asked=question(at=NOW))  # fmt: skip
    if "since" not in values:
        assert "does not have its latest change yet" in now.sentence


def test_the_old_end_still_holds_while_the_extension_waits() -> None:
    waiting = permit(pushes=[told(11, until=NOW - 2 * HOUR)])
    assert answer(waiting, asked=question(at=NOW - 2.5 * HOUR)).key == "yes"
    assert answer(waiting, asked=question(at=NOW - 2 * HOUR)).key == "unseen"


def test_a_place_that_lost_its_zone_says_which_one_passport_still_had() -> None:
    verdict = answer(permit(pushes=[told(11)]), zone=None)
    assert verdict.key == "unseen"
    assert "zone Z123" in why(verdict)


def test_of_old_and_new_evidence_the_latest_counts() -> None:
    assert answer(permit(pushes=[pushed(12), told(11, plate="ABC1235", session="s2")])).key == "unseen"
    assert answer(permit(pushes=[pushed(12), told(11, session="s2")])).key == "yes"
    assert answer(permit(pushes=[told(12, plate="ABC1235"), pushed(11, session="s2")])).key == "yes"


def test_another_permit_of_the_same_plate_counts_instead() -> None:
    cancelled = permit(pk=1, active=False, cancelled_at=NOW - 3 * HOUR, pushes=[told(11)])
    verdict = answer(cancelled, permit(pk=2, pushes=[]))
    assert verdict.key == "yes"
    assert "accepted 01:00:00 for permit 1, which covered the same plate" in why(verdict)
    assert answer(cancelled, permit(pk=2, pushes=[]), zone=ZoneThen("Z9", "S", NOW, "z-9")).key == "unseen"


# --- What officers may have seen though it was not valid -------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"active": False, "cancelled_at": NOW - 3 * HOUR}, "cancelled 22 Nov 2026, 09:00 EST"),
        ({"end": NOW - 3 * HOUR}, "ended 22 Nov 2026, 09:00 EST"),
        ({"start": NOW}, "only started 22 Nov 2026, 12:00 EST"),
        ({"plate": "XYZ9", "plate_typed": "XYZ 9"}, "its plate was XYZ 9 at that time"),
        ({"location_id": 2, "location_name": "Lot B"}, "for another location: Lot B"),
    ],
)
def test_a_right_that_was_not_taken_away_yet_may_still_have_been_seen(
    changed: dict[str, Any], words: str
) -> None:
    stopped = told(0.5, "stopped", plate="")
    verdict = answer(permit(**changed, pushes=[told(11)], after=[stopped]))
    assert (verdict.key, verdict.tone, verdict.icon) == ("shown", "warning", "eye")
    assert verdict.sentence == (
        "No: ABC1234 was not registered at North Campus Garage then, but officers may still have seen it, until 11:30:00 "
        "at the latest."
    )
    assert verdict.reasons[0].text == "had it in zone Z123, accepted 01:00:00, changed or removed 11:30:00"
    assert verdict.reasons[0].trace_id == "t11"
    assert words in why(verdict)


def test_what_is_still_there_now_is_said_in_the_present_and_with_its_end() -> None:
    gone = permit(active=False, cancelled_at=NOW - 3 * HOUR, pushes=[told(11)])
    assert answer(gone, asked=question(at=NOW)).sentence == (
        "No: ABC1234 is not registered at North Campus Garage, but officers may still see it, until 22:00:00 at the latest."
    )


@pytest.mark.parametrize(
    "pushes",
    [
        [told(11), told(2, "stopped", plate="")],
        [told(11, until=NOW - HOUR)],
        [told(11, since=NOW)],
        [told(11, plate="ABC1235")],
        [told(11, subdivision="US-VA")],
        [pushed(11)],
    ],
    ids=[
        "taken away",
        "over there",
        "not begun there",
        "another plate",
        "another state",
        "nobody wrote it down",
    ],
)
def test_what_passport_did_not_show_is_a_plain_no(pushes: list[PushThen]) -> None:
    gone = permit(active=False, cancelled_at=NOW - 3 * HOUR, pushes=pushes)
    assert answer(gone, asked=question(region=Region("US", "US-NC"))).key == "no"


def test_a_right_of_another_place_counts_only_in_this_ones_zone() -> None:
    elsewhere = permit(location_id=2, location_name="Lot B", pushes=[told(11)])
    assert answer(elsewhere).key == "shown"
    assert answer(elsewhere, zone=ZoneThen("Z9", "South", NOW, "z-9")).key == "no"
    # A right of this location counts in the zone that the location had before.
    here = permit(active=False, cancelled_at=NOW - 3 * HOUR, pushes=[told(11)])
    assert answer(here, zone=ZoneThen("Z9", "South", NOW, "z-9")).key == "shown"
    assert answer(here, zone=None).key == "shown"


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ([], NOW + 10 * HOUR),
        ([told(-1, "stopped", plate="")], NOW + HOUR),
        ([told(-1, "stopped", "s2")], NOW + 10 * HOUR),
        ([told(-11, "stopped")], NOW + 10 * HOUR),
        ([told(-1, "extended", until=NOW + 20 * HOUR)], NOW + 20 * HOUR),
        ([told(-1, "extended", until=NOW + 2 * HOUR), told(-3, "stopped")], NOW + 2 * HOUR),
        ([pushed(-1, "extended"), told(-3, "stopped")], NOW + 3 * HOUR),
    ],
)
def test_a_session_is_shown_until_it_is_stopped_or_its_last_accepted_end(
    after: list[PushThen], end: datetime
) -> None:
    assert shown_until(told(1), after) == end


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
