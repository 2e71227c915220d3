"""Zones and mappings as support uses them: by script, in real processes, against the sandbox over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.flows.scripts.companies import make_company
from tests.servers import Stack, eventually

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]
OPERATOR = "072e8b73-87ba-52be-ad93-16807143d145"


def status(stack: Stack) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        stack.manage("passport", "status", "--company", "university", "--json")
    )
    return document


def zone_id(stack: Stack, number: str) -> str:
    zones = stack.sandbox.call("GET", f"operators/{OPERATOR}/zones")["data"]
    return next(str(zone["id"]) for zone in zones if zone["number"] == number)


def passport(stack: Stack, *arguments: str) -> str:
    command, *rest = arguments
    return stack.manage("passport", command, "--company", "university", *rest)


def zone_that_enforcement_sees(stack: Stack, plate: str) -> str | None:
    rights = stack.sandbox.rights(OPERATOR)
    return next((right["zone_id"] for right in rights if right["vehicle"]["vehicle_plate"] == plate), None)


def test_zones_are_kept_in_line_and_a_mapping_moves_its_permits(stack: Stack) -> None:
    stack.run(make_company, locations=["Lot B"])
    assert "10 new" in passport(stack, "connect", "--operator-id", OPERATOR.upper(), "--confirmed", "Agreed")
    assert "LotB and LOTB. You picked LotB." in passport(
        stack, "map", "--location", "Lot B", "--zone", "LotB"
    )
    near = stack.try_manage(
        "passport", "map", "--company", "university", "--location", "Lot B", "--zone", "lotB"
    )
    assert near.returncode != 0
    assert "Did you mean" in near.stderr
    passport(stack, "live", "--reason", "The story goes on with a live company.")

    # A permit is seen in its zone, and moves with its location.
    window = ("--start", "2026-01-01T00:00Z", "--end", "2099-01-01T00:00Z")
    place = ("--company", "university", "--location", "Lot B", "--plate", "abc 123", "--state", "US-NC")
    pk = stack.manage("permit", "add", *place, *window).strip()
    eventually(lambda: zone_that_enforcement_sees(stack, "ABC123") == zone_id(stack, "LotB"))
    passport(stack, "map", "--location", "Lot B", "--zone", "Z123")
    eventually(lambda: zone_that_enforcement_sees(stack, "ABC123") == zone_id(stack, "Z123"))
    eventually(lambda: len(stack.sandbox.rights(OPERATOR)) == 1)
    shown = json.loads(stack.manage("permit", "show", pk, "--json"))
    assert (shown["zone"], shown["push"]["state"]) == ("Z123", "accepted")

    # A mapped zone goes away and comes back; another one is renamed.
    z123 = zone_id(stack, "Z123")
    stack.sandbox.call("PATCH", f"operators/{OPERATOR}/zones/{zone_id(stack, 'RG')}", {"name": "Recreation"})
    stack.sandbox.call("DELETE", f"operators/{OPERATOR}/zones/{z123}")
    printed = passport(stack, "refresh-zones")
    assert "1 renamed, 1 missing" in printed
    assert "gone: Z123 · North Campus Garage [Lot B: 1 permits]" in printed
    assert stack.query(
        "SELECT level FROM integrations_notice WHERE kind = 'zone_missing' AND done_at IS NULL"
    )
    stack.sandbox.call("PATCH", f"operators/{OPERATOR}/zones/{z123}", {})
    assert "1 back" in passport(stack, "refresh-zones")
    assert not stack.query(
        "SELECT 1 FROM integrations_notice WHERE kind = 'zone_missing' AND done_at IS NULL"
    )

    # Neither an empty list nor a broken answer deletes anything.
    stack.sandbox.add_fault("html", path="zones")
    broken = stack.try_manage("passport", "refresh-zones", "--company", "university")
    assert broken.returncode != 0
    assert len(broken.stderr.strip().splitlines()[-1]) > 10
    stack.sandbox.clear_faults()
    stack.sandbox.call("PATCH", f"operators/{OPERATOR}", {"zones": []})
    held = stack.try_manage("passport", "refresh-zones", "--company", "university")
    assert "10 of 10 zones are no longer listed" in held.stderr
    after = status(stack)
    assert (after["zones"]["listed"], after["zones"]["held"]) == (10, True)
    assert after["mappings"] == [
        {"location": "Lot B", "zone": "Z123", "zone_name": "North Campus Garage", "zone_missing": False}
    ]


def test_of_two_refreshes_at_once_one_runs_and_the_other_waits_for_it(stack: Stack) -> None:
    stack.manage("seed")
    stack.sandbox.add_fault("delay", path="zones", delay_s=8)
    patient: dict[str, Any] = {"PASSPORT_READ_TIMEOUT_S": "30", "PASSPORT_TOTAL_TIMEOUT_S": "40"}
    command = ("passport", "refresh-zones", "--company", "university")
    with ThreadPoolExecutor(1) as background:
        first = background.submit(stack.manage, *command, **patient)
        eventually(
            lambda: bool(stack.query("SELECT 1 FROM integrations_zonerefresh WHERE outcome = 'running'"))
        )
        second = stack.manage(*command, **patient)
    assert first.result() == second == "Zones: 10 zones listed: nothing changed.\n"
    assert len(stack.query("SELECT 1 FROM integrations_zonerefresh WHERE trigger = 'command'")) == 1
