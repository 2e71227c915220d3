"""A permit's proof of delivery: the headline comes first, and what Passport lists now is compared with it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.permits.queries import Delivery, delivery_of
from integrations.permits.rights_lookup import compare
from integrations.vendors.protocol import RightSeen
from locations.models import Permit
from locations.services import cancel_permit, change_permit
from tests.integrations.permits.proof_samples import START, head, push, settle

pytestmark = pytest.mark.django_db


def test_the_headline_answers_first(permit: Permit) -> None:
    now = START + timedelta(minutes=1)
    assert head(permit, now).sentence == "Not yet in Passport: Waiting to be sent."
    settle(permit)
    assert head(permit, now).sentence == "Passport accepted this plate in zone Z123 at 12:03:05."
    settle(permit, seen_at=START + timedelta(seconds=2))
    found = head(permit, now)
    assert found.sentence == "Passport has shown officers this plate in zone Z123 since 12:03:06."
    assert found.detail.startswith("Valid until 30 Nov 2026, 12:03 EST (17:03 UTC).")


def test_the_headline_of_what_begins_later_says_from_when(permit: Permit) -> None:
    change_permit(permit=permit, start=START + timedelta(days=1))
    settle(permit)
    found = head(permit, START + timedelta(minutes=1))
    assert found.sentence == "Passport has this plate for zone Z123, starting 23 Nov 2026, 12:03 EST."


def test_the_headline_of_a_refusal_gives_reason_and_remedy(permit: Permit) -> None:
    settle(
        permit,
        state="refused",
        remote_state=None,
        remote_until=None,
        error="No such space.",
        remedy="Enter another.",
    )
    found = head(permit, START + timedelta(minutes=1))
    assert (found.sentence, found.remedy) == (
        "Passport refuses this plate: No such space.",
        "Enter another.",
    )


def test_an_old_session_that_is_still_there_is_not_called_absent(permit: Permit) -> None:
    settle(permit, state="due")
    assert head(permit, START).sentence.startswith("Passport has this plate, but not yet the latest change.")
    cancel_permit(permit=permit)
    assert head(permit, timezone.now()).sentence.startswith("Passport may still show this plate.")


def test_what_is_over_says_whether_it_ever_arrived(permit: Permit) -> None:
    cancel_permit(permit=permit)
    settle(permit, remote_state=None, remote_until=None)
    now = timezone.now()
    assert head(permit, now).sentence.startswith("Removed from Passport at ")
    push(permit, 20, "refused")
    assert head(permit, now).sentence == "This permit ended before Passport had accepted it."
    settle(permit, remote_state=None, remote_until=None, session_count=0)
    assert head(permit, now).sentence == "This permit ended before anything was sent to Passport."


def right(**values: Any) -> RightSeen:
    columns = {
        "remote_id": "r1",
        "zone_id": "z1",
        "plate": "ABC1234",
        "subdivision": "US-NC",
        "start": START,
        "end": START + timedelta(days=1),
        "space_number": "",
        "reference": "os-8KQ2-1",
        "raw": {},
    }
    return RightSeen(**{**columns, **values})


def compared(permit: Permit, *rights: RightSeen) -> Any:
    settle(
        permit,
        remote_state={
            "session_id": "os-8KQ2-1",
            "plate": "ABC1234",
            "zone_id": "z1",
            "subdivision": "US-NC",
            "start": START.isoformat(),
            "end": (START + timedelta(days=1)).isoformat(),
        },
    )
    found: Delivery = delivery_of(
        Permit.objects.select_related("location").get(), START + timedelta(minutes=1)
    )
    return compare(found, rights, {"z1": "Z123"}, START + timedelta(minutes=1))


# --- In Passport now -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "is_ours"),
    [
        (right(), True),
        (right(reference="os-8KQ2-2"), False),
        (right(reference=""), True),
        (right(reference="", subdivision="NC"), True),
        (right(reference="", subdivision="US-VA"), False),
        (right(reference="", subdivision="MX-JAL"), False),
        (right(reference="", zone_id="z2"), False),
        (right(reference="", end=START + timedelta(days=2)), False),
        (right(reference="", start=None), False),
    ],
)
def test_a_right_is_ours_by_reference_or_else_in_every_part(
    permit: Permit, seen: RightSeen, is_ours: bool
) -> None:
    held = compared(permit, seen)
    assert [line.ours for line in held.rights] == [is_ours]
    assert held.tone == ("success" if is_ours else "warning")


def test_a_plate_that_should_be_there_and_is_not_is_a_warning(permit: Permit) -> None:
    held = compared(permit)
    assert (held.tone, held.sentence) == (
        "warning",
        "Passport currently lists no parking right for this plate.",
    )
