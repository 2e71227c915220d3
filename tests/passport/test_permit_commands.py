"""`manage.py permit`: what it does, prints, and refuses with one sentence."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from locations.models import Company, Permit
from tests.passport.commands import connected, passport, refusal, run

pytestmark = pytest.mark.django_db


def add(*arguments: str, **changes: str) -> tuple[str, ...]:
    now = timezone.now()
    options = {
        "company": "university",
        "location": "Lot B",
        "plate": "abc-123",
        "state": "US-NC",
        "start": (now - timedelta(hours=1)).isoformat(),
        "end": (now + timedelta(days=1)).isoformat(),
        **changes,
    }
    return (
        "permit",
        "add",
        *(part for name, value in options.items() for part in (f"--{name}", value)),
        *arguments,
    )


def test_permit_add_prints_the_id_alone_on_a_line(company: Company) -> None:
    printed = run(*add())
    permit = Permit.objects.get()
    assert printed == str(permit.pk)
    assert (permit.plate, permit.plate_typed, permit.source) == ("ABC123", "abc-123", "command")


def test_permit_add_with_the_same_external_id_and_content_makes_no_second_one(company: Company) -> None:
    arguments = add("--external-id", "R-1")
    assert run(*arguments) == run(*arguments)
    assert Permit.objects.count() == 1


def test_permit_add_with_the_external_id_of_something_else_is_refused(company: Company) -> None:
    first = add("--external-id", "R-1")
    run(*first)
    text = refusal(*[part if part != "abc-123" else "xyz-1" for part in first])
    assert "which has a different plate" in text


def test_a_time_without_an_offset_is_the_wall_clocks_at_the_location(company: Company) -> None:
    run(*add(start="2026-12-05 18:00", end="2026-12-06T18:00"))
    assert Permit.objects.get().start.isoformat() == "2026-12-05T23:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"plate": "ÄBC"},
            "plate: A plate can only contain letters A–Z and digits, not the Latin letter Ä (U+00C4).",
        ),
        ({"plate": "  "}, "plate: Enter the plate."),
        ({"state": "Narnia"}, "Unknown state or province “Narnia”."),
        ({"start": "tomorrow"}, "Enter the time like this:"),
        ({"end": "2001-01-01 00:00"}, "end: “Until” must be later"),
        ({"location": "lot b"}, "Did you mean “Lot B”?"),
        ({"company": "universe"}, "There is no company “universe”"),
    ],
)
def test_permit_add_refuses_with_one_sentence(company: Company, changes: dict[str, str], says: str) -> None:
    assert says in refusal(*add(**changes))
    assert not Permit.objects.exists()


def test_permit_change_changes_what_is_named_and_may_be_run_again(company: Company) -> None:
    pk = run(*add())
    assert run("permit", "change", pk, "--plate", "XYZ 9", "--location", "Visitor lane") == (
        f"Permit {pk} changed: location, plate."
    )
    assert run("permit", "change", pk, "--plate", "XYZ 9") == f"Permit {pk} already has these values."
    permit = Permit.objects.get()
    assert (permit.plate, permit.location.name, permit.revision) == ("XYZ9", "Visitor lane", 2)
    assert "Say what to change" in refusal("permit", "change", pk)


def test_permit_cancel_may_be_run_again_and_a_cancelled_one_is_not_changed(company: Company) -> None:
    pk = run(*add())
    assert run("permit", "cancel", pk) == f"Permit {pk} cancelled."
    assert run("permit", "cancel", pk) == f"Permit {pk} was already cancelled."
    assert "cancelled" in refusal("permit", "change", pk, "--plate", "XYZ9")
    assert refusal("permit", "cancel", "999999") == "There is no permit 999999."


def test_permit_show_prints_the_state_of_the_push(company: Company) -> None:
    pk = run(*add("--external-id", "R-1"))
    document: dict[str, Any] = json.loads(run("permit", "show", pk, "--json"))
    assert (document["id"], document["plate"], document["plate_typed"]) == (int(pk), "ABC123", "abc-123")
    assert (document["location"], document["zone"], document["external_id"]) == ("Lot B", None, "R-1")
    assert document["push"]["state"] == "unmapped"
    assert document["push"]["word"].startswith("waiting")
    assert document["push"]["session_id"] is None
    assert document["evidence"]
    connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    document = json.loads(run("permit", "show", pk, "--json"))
    assert (document["zone"], document["push"]["state"]) == ("LotB", "not_live")
    text = run("permit", "show", pk)
    assert "not live yet" in text
    assert "ABC123" in text
