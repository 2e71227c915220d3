"""The main job, end to end, in real processes: what is saved is what enforcement sees.

Commands save; a real worker pushes over HTTP; the sandbox's parking rights are compared with the database each time. On
SQLite with the embedded broker and on PostgreSQL with Redis.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.flows.scripts import permits
from tests.flows.scripts.companies import make_company
from tests.servers import Stack, eventually

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"


def iso(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="seconds")


def prepare(stack: Stack, *, live: bool = True) -> None:
    """Make a company, connect it, map two of its three locations and set it live."""
    stack.run(make_company, locations=["North Campus Garage", "Lot B", "Visitor lane"])
    stack.manage(
        "passport",
        "connect",
        "--company",
        "university",
        "--operator-id",
        UNIVERSITY.upper(),
        "--confirmed",
        "A story of the tests",
    )
    for location, zone in (("North Campus Garage", "Z123"), ("Lot B", "LotB")):
        stack.manage("passport", "map", "--company", "university", "--location", location, "--zone", zone)
    if live:
        stack.manage("passport", "live", "--company", "university", "--reason", "flow test")


def add(stack: Stack, plate: str, location: str = "North Campus Garage", **more: str) -> str:
    arguments = {
        "--company": "university", "--location": location, "--plate": plate, "--state": "US-NC",
        "--start": iso(hours=-1), "--end": iso(days=1),
        **{f"--{name.replace('_', '-')}": value for name, value in more.items()},
    }  # fmt: skip
    return stack.manage("permit", "add", *(word for pair in arguments.items() for word in pair)).strip()


def seen(stack: Stack) -> list[tuple[str, str]]:
    """What enforcement sees: (plate, zone number), sorted."""
    numbers = {
        zone["remote_id"]: zone["number"]
        for zone in stack.query("SELECT remote_id, number FROM integrations_zone")
    }
    rights = stack.sandbox.rights(UNIVERSITY)
    return sorted((right["vehicle"]["vehicle_plate"], numbers[right["zone_id"]]) for right in rights)


def until(stack: Stack, *expected: tuple[str, str]) -> None:
    eventually(lambda: seen(stack) == sorted(expected), what=f"rights {expected}")


def test_everything_that_is_saved_is_seen(stack: Stack) -> None:
    prepare(stack)
    permit = add(stack, "abc-1234")
    until(stack, ("ABC1234", "Z123"))

    stack.manage("permit", "change", permit, "--end", iso(days=9))
    eventually(lambda: stack.sandbox.rights(UNIVERSITY)[0]["end_time"] > iso(days=8))
    stack.manage("permit", "change", permit, "--end", iso(hours=3))
    eventually(lambda: stack.sandbox.rights(UNIVERSITY)[0]["end_time"] < iso(days=1))
    stack.manage("permit", "change", permit, "--plate", "XYZ 99")
    until(stack, ("XYZ99", "Z123"))
    stack.manage("permit", "change", permit, "--location", "Lot B")
    until(stack, ("XYZ99", "LotB"))

    # Remapping a location moves its current permits.
    stack.manage("passport", "map", "--company", "university", "--location", "Lot B", "--zone", "LOTB")
    until(stack, ("XYZ99", "LOTB"))
    coming = add(stack, "LATER1", start=iso(days=2), end=iso(days=3))
    until(stack, ("LATER1", "Z123"), ("XYZ99", "LOTB"))

    shown: dict[str, Any] = json.loads(stack.manage("permit", "show", permit, "--json"))
    assert shown["push"]["state"] == "accepted"
    stack.manage("permit", "cancel", permit)
    stack.manage("permit", "cancel", coming)
    until(stack)
    stack.manage("permit", "cancel", permit)  # may be run again


def test_what_cannot_be_sent_yet_waits_visibly(stack: Stack) -> None:
    prepare(stack, live=False)
    permit = add(stack, "WAIT1")
    unmapped = add(stack, "LANE1", location="Visitor lane")
    time.sleep(2)
    assert seen(stack) == []
    assert "live" in json.loads(stack.manage("permit", "show", permit, "--json"))["push"]["word"]
    assert "zone" in json.loads(stack.manage("permit", "show", unmapped, "--json"))["push"]["word"]

    stack.manage("passport", "live", "--company", "university", "--reason", "flow test")
    until(stack, ("WAIT1", "Z123"))
    stack.manage("passport", "map", "--company", "university", "--location", "Visitor lane", "--zone", "216")
    until(stack, ("LANE1", "216"), ("WAIT1", "Z123"))
    status = json.loads(stack.manage("passport", "status", "--company", "university", "--json"))
    assert status["registrations"]["accepted"] == 2


def test_thousands_at_once_arrive(stack: Stack) -> None:
    prepare(stack)
    stack.run(permits.register_many, location="Lot B", count=3000)
    eventually(lambda: len(stack.sandbox.rights(UNIVERSITY)) == 3000, timeout_s=60)


def test_a_change_that_bypassed_the_services_is_pushed_as_well(stack: Stack) -> None:
    prepare(stack)
    permit = add(stack, "SQL1")
    until(stack, ("SQL1", "Z123"))
    stack.run(permits.change_past_the_services, permit=int(permit), plate="SQL2")
    until(stack, ("SQL2", "Z123"))


def test_what_passport_lost_is_sent_again_only_after_it_was_missed_twice(stack: Stack) -> None:
    prepare(stack)
    add(stack, "DRIFT1")
    until(stack, ("DRIFT1", "Z123"))
    [session] = stack.sandbox.sessions()
    stack.sandbox.call("DELETE", f"sessions/{session['session_id']}")
    # Two comparisons, the second a while after the first; time is moved by hand.
    for _round in range(2):
        stack.run(permits.compare_an_hour_later)
    until(stack, ("DRIFT1", "Z123"))
