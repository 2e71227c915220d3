"""A permit's proof of delivery: the timeline shows what was recorded, in order."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from integrations.models import PermitSync, ZoneMapping
from integrations.models.delivery import NOT_LISTED
from integrations.permits.proof import gather, timeline
from integrations.permits.queries import delivery_of
from locations.models import Permit
from locations.services import cancel_permit, change_permit, reinstate_permit
from tests.factories import LocationFactory, UserFactory, ZoneFactory
from tests.integrations import on_passport
from tests.integrations.permits.proof_samples import START, head, push, settle
from tests.world import World

pytestmark = pytest.mark.django_db

world = on_passport.world


def titles(permit: Permit) -> list[str]:
    return [entry.title for entry in timeline(permit, gather(permit))]


def test_the_timeline_shows_the_whole_way_in_order(permit: Permit) -> None:
    push(permit, 23, "later", error="Passport answered 503.")
    push(permit, 785, "accepted")
    settle(permit, seen_at=START + timedelta(milliseconds=1363))
    entries = timeline(permit, gather(permit))
    assert [entry.title for entry in entries] == [
        "Registered",
        "Due",
        "Sent",
        "Not reached, 1st attempt",
        "Sent",
        "Accepted by Passport",
        "Seen in the parking rights",
    ]
    registered, due, _sent_in_vain, failed, sent, accepted, seen = entries
    assert (registered.at, registered.by, registered.text) == (
        START,
        "Olive",
        "in the dashboard · revision 1",
    )
    assert due.at == START + timedelta(milliseconds=4)
    assert (failed.text, failed.trace_id) == ("503 · started · Passport answered 503", "trace-23")
    assert (accepted.text, accepted.trace_id, accepted.session_id) == (
        "202 · started",
        "trace-785",
        "os-8KQ2-1",
    )
    assert (sent.at, sent.text, sent.trace_id) == (
        START + timedelta(milliseconds=780),
        "started",
        "trace-785",
    )
    assert seen.text == "ABC1234 · US-NC"


def session(permit: Permit, **values: Any) -> dict[str, Any]:
    """What the evidence says about a session for the permit."""
    return {
        "plate": permit.plate,
        "subdivision": permit.subdivision,
        "zone": permit.location.zone_mapping.zone.remote_id,
        "since": permit.start,
        "until": permit.end,
        **values,
    }


def texts(permit: Permit) -> list[tuple[str, str]]:
    return [(entry.title, entry.text) for entry in timeline(permit, gather(permit))]


def test_what_was_sent_is_described_in_words_no_matter_what_became_of_the_permit(permit: Permit) -> None:
    push(permit, 785, "accepted", **session(permit))
    push(permit, 1_785, "accepted", "extended", **session(permit, until=permit.end + timedelta(days=1)))
    push(permit, 2_785, "accepted", "stopped", **session(permit, plate="OLD1", zone="gone from the list"))
    change_permit(permit=permit, plate="NEW 1")
    told = "started · ABC1234 · US-NC · zone Z123 · until 30 Nov 2026, 12:03 EST"
    longer = "extended · ABC1234 · US-NC · zone Z123 · until 1 Dec 2026, 12:03 EST"
    ended = "stopped · OLD1 · US-NC · unknown zone"
    assert texts(permit)[2:8] == [
        ("Sent", told),
        ("Accepted by Passport", "202 · started · zone Z123 · until 30 Nov 2026, 12:03 EST"),
        ("Sent", longer),
        ("New end accepted", "202 · extended · zone Z123 · until 1 Dec 2026, 12:03 EST"),
        ("Sent", ended),
        ("Removed from Passport", "202 · stopped · unknown zone"),
    ]


def test_what_was_seen_is_what_had_been_accepted_by_then(permit: Permit) -> None:
    push(permit, 1_000, "accepted", **session(permit))
    push(permit, 3_000, "accepted", **session(permit, plate="NEW1"))
    accepted_at = START + timedelta(seconds=3)
    remote_state = {"session_id": "os-2", "plate": "NEW1", "subdivision": "US-NC"}
    settle(permit, accepted_at=accepted_at, remote_state=remote_state, seen_at=START + timedelta(seconds=2))
    assert ("Seen in the parking rights", "ABC1234 · US-NC · zone Z123") in texts(permit)
    settle(permit, accepted_at=accepted_at, remote_state=remote_state, seen_at=START + timedelta(seconds=4))
    assert ("Seen in the parking rights", "NEW1 · US-NC · zone Z123") in texts(permit)
    # It was seen, and the permit was cancelled since: that it was seen is still shown.
    settle(permit, accepted_at=accepted_at + timedelta(hours=1), remote_state=None, remote_until=None,
           seen_at=START + timedelta(seconds=4))  # fmt: skip
    assert ("Seen in the parking rights", "NEW1 · US-NC · zone Z123") in texts(permit)


def test_nothing_is_shown_about_what_was_seen_if_that_is_unknown(permit: Permit) -> None:
    push(permit, 1_000, "accepted")
    settle(permit, accepted_at=START + timedelta(seconds=3), seen_at=START + timedelta(seconds=2))
    assert "Seen in the parking rights" not in titles(permit)
    assert "accepted this plate" in head(permit, START + timedelta(minutes=1)).sentence


def test_of_many_failed_attempts_the_first_and_the_last_are_shown_one_by_one(permit: Permit) -> None:
    for number in range(40):
        push(permit, 1_000 * (number + 1), "later", error="Passport answered 503.")
    push(permit, 50_000, "accepted")
    told = texts(permit)
    assert [title for title, _text in told][2:] == [
        "Sent",
        "Not reached, 1st attempt",
        "Not reached, 2nd to 39th attempt",
        "Sent",
        "Not reached, 40th attempt",
        "Sent",
        "Accepted by Passport",
    ]
    assert told[4][1] == "until 12:03:43 · Passport answered 503"


def test_what_passport_accepted_but_does_not_show_comes_first(permit: Permit) -> None:
    settle(
        permit,
        error_code=NOT_LISTED,
        error="Passport does not list it.",
        remedy="It is sent again.",
        error_since=START + timedelta(minutes=5),
    )
    assert texts(permit)[-1] == ("Missing from the parking rights", "It is sent again")
    found = head(permit, START + timedelta(minutes=6))
    assert (found.tone, found.sentence) == ("danger", "Passport does not list it.")
    assert (found.detail, found.remedy) == ("Since 12:08:04.", "It is sent again.")


def test_each_change_says_who_changed_what_from_what_to_what(permit: Permit) -> None:
    kim = UserFactory(first_name="Kim")
    lot = LocationFactory(company=permit.company, name="Lot B")
    change_permit(permit=permit, actor=kim, end=permit.end + timedelta(days=5))
    change_permit(permit=permit, actor=kim, end=permit.end)
    change_permit(permit=permit, actor=kim, plate="ABD 1234", unit="A-1")
    change_permit(permit=permit, location=lot)
    cancel_permit(permit=permit, actor=kim)
    reinstate_permit(permit=permit, actor=kim)
    changes = [entry for entry in timeline(permit, gather(permit)) if "revision" in entry.text][1:]
    assert [entry.title for entry in changes] == [
        "Extended",
        "Shortened",
        "Plate changed",
        "Moved",
        "Cancelled",
        "Cancellation undone",
    ]
    assert [entry.by for entry in changes] == ["Kim", "Kim", "Kim", "", "Kim", "Kim"]
    assert "end from 30 Nov 2026, 12:03 EST to 5 Dec 2026, 12:03 EST" in changes[0].text
    assert (
        changes[2].text
        == "plate from ABC 1234 to ABD 1234; unit from nothing to A-1 · by a script · revision 4"
    )
    assert "location from North Campus Garage to Lot B" in changes[3].text


def test_a_new_zone_of_the_location_is_part_of_the_story(permit: Permit) -> None:
    mapping = ZoneMapping.objects.get()
    mapping.zone = ZoneFactory(connection=mapping.zone.connection, number="Z9", name="South")
    mapping.save()
    entry = next(entry for entry in timeline(permit, gather(permit)) if entry.title == "Zone chosen")
    assert entry.text == "the location now sends to Z9 · South"


def test_attempts_are_counted_again_after_each_change(permit: Permit) -> None:
    push(permit, 20, "later")
    push(permit, 40, "later")
    push(permit, 60, "accepted")
    PermitSync.objects.update(due_since=START + timedelta(seconds=9))
    push(permit, 9_020, "later", "extended")
    push(permit, 9_040, "accepted", "extended")
    told = [title for title in titles(permit) if title != "Sent"]
    assert told[2:] == [
        "Not reached, 1st attempt",
        "Not reached, 2nd attempt",
        "Accepted by Passport",
        "Due",
        "Not reached, 1st attempt",
        "New end accepted",
    ]


def test_what_is_recorded_and_not_sent_yet_is_shown(permit: Permit) -> None:
    last = timeline(permit, gather(permit))[-1]
    assert (last.title, last.text) == ("Due", "queued for delivery, not sent yet")


def test_the_timeline_costs_the_same_no_matter_how_much_happened(
    permit: Permit, django_assert_num_queries: Any
) -> None:
    for number in range(30):
        push(permit, number, "later" if number % 2 else "refused", **session(permit))
    change_permit(permit=permit, unit="1")
    with django_assert_num_queries(5):
        evidence = gather(permit)
    with django_assert_num_queries(0):
        assert len(timeline(permit, evidence)) > 30


@pytest.mark.parametrize("apart_ms", [-900, -1, 0, 1, 900])
def test_what_was_noted_stands_behind_its_save_though_the_databases_clock_is_another(
    permit: Permit, apart_ms: int
) -> None:
    noted = START + timedelta(milliseconds=apart_ms)
    PermitSync.objects.filter(permit=permit).update(due_since=noted)
    push(permit, 2_000, "accepted")
    with time_machine.travel(START + timedelta(seconds=60), tick=False):
        change_permit(permit=permit, unit="12")
    assert titles(permit)[:4] == ["Registered", "Due", "Sent", "Accepted by Passport"]


def test_the_engine_writes_what_the_timeline_shows(world: World) -> None:
    permit = world.permit("ABC1234")
    world.deliver()
    change_permit(permit=permit, end=permit.end + timedelta(days=1))
    world.deliver()
    cancel_permit(permit=permit)
    world.deliver()
    permit = Permit.objects.select_related("location").get(pk=permit.pk)
    told = titles(permit)
    assert told[:4] == ["Registered", "Due", "Sent", "Accepted by Passport"]
    assert told[-1] == "Removed from Passport"
    assert "New end accepted" in told
    assert delivery_of(permit, timezone.now()).state.key == "withdrawn"
