"""`manage.py passport` and `manage.py permit`: what they do, print, and refuse with one sentence."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from integrations.models import Connection, PermitSync, Zone, ZoneMapping
from integrations.reconciliation import audit
from integrations.vendors.errors import FixConnection, TryLater
from locations.models import Company, Permit
from passport.management.subcommands import subcommands
from tests.factories import (
    OPERATOR_ID,
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    PermitFactory,
    ZoneFactory,
)
from tests.fakes import FakeVendor, fake_vendor, zone_seen

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def vendor() -> Iterator[FakeVendor]:
    with fake_vendor() as fake:
        fake.zones = [
            zone_seen("a", "LotB", "Lot B"),
            zone_seen("b", "LOTB", "Loading"),
            zone_seen("c", "Z123"),
        ]
        yield fake


@pytest.fixture
def company() -> Company:
    company: Company = CompanyFactory(name="University", slug="university")
    LocationFactory(company=company, name="Lot B")
    LocationFactory(company=company, name="Visitor lane")
    return company


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def passport(subcommand: str, *arguments: str) -> str:
    return run("passport", subcommand, "--company", "university", *arguments)


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    text = str(error.value)
    assert "\n" not in text
    return text


def connected() -> Connection:
    passport("connect", "--operator-id", OPERATOR_ID, "--confirmed", "Agreed by phone")
    return Connection.objects.get()


# --- passport connect ---------------------------------------------------------------------------------------------


def test_connect_makes_the_connection_and_pulls_its_zones(company: Company) -> None:
    lines = passport(
        "connect", "--operator-id", f" {OPERATOR_ID.upper()} ", "--confirmed", "By phone"
    ).splitlines()
    assert lines == [
        f"PASSPORTUNIVERSITY has the operator ID {OPERATOR_ID} and is being set up.",
        "Zones: 3 zones listed: 3 new.",
    ]
    assert Zone.objects.count() == 3


def test_connect_may_be_run_again(company: Company) -> None:
    connected()
    assert "nothing changed" in passport("connect", "--operator-id", OPERATOR_ID)
    assert Connection.objects.count() == 1


def test_connect_keeps_the_connection_where_passport_does_not_answer(
    company: Company, vendor: FakeVendor
) -> None:
    vendor.zones_error = TryLater("Passport did not answer.", remedy="Try again in a minute.")
    text = refusal(
        "passport",
        "connect",
        "--company",
        "university",
        "--operator-id",
        OPERATOR_ID,
        "--confirmed",
        "By phone",
    )
    assert text == "Zones: Passport did not answer. Try again in a minute."
    assert Connection.objects.get().operator_id == OPERATOR_ID


def test_connect_says_what_to_do_where_the_operator_is_unknown(company: Company, vendor: FakeVendor) -> None:
    vendor.zones_error = FixConnection(
        "Passport does not know this operator.", remedy="Check the operator ID."
    )
    text = refusal(
        "passport",
        "connect",
        "--company",
        "university",
        "--operator-id",
        OPERATOR_ID,
        "--confirmed",
        "By phone",
    )
    assert "Check the operator ID." in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--company", "university", "--operator-id", "nonsense"), "“nonsense” is not an operator ID"),
        (
            ("--company", "nobody", "--operator-id", OPERATOR_ID),
            "There is no company “nobody”. Companies: university.",
        ),
    ],
)
def test_connect_refuses_what_it_cannot_use(company: Company, arguments: tuple[str, ...], says: str) -> None:
    assert says in refusal("passport", "connect", *arguments)


def test_a_second_site_gets_a_connection_of_its_own(company: Company) -> None:
    connected()
    other = "fd69c211-318f-56a5-836b-8e03dc8897ae"
    passport("connect", "--operator-id", other, "--site", "South")
    assert list(Connection.objects.order_by("id").values_list("label", "operator_id")) == [
        ("", OPERATOR_ID),
        ("South", other),
    ]
    assert "no site “south”. Did you mean “South”?" in refusal(
        "passport", "live", "--company", "university", "--reason", "x", "--site", "south"
    )


# --- passport live, pause, resume ---------------------------------------------------------------------------------


def test_live_keeps_the_reason_and_may_be_run_again(company: Company) -> None:
    connection = connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    PermitFactory(location=company.locations.get(name="Lot B"))
    assert (
        passport("live", "--reason", "Agreed by phone")
        == "PASSPORTUNIVERSITY is live. 1 permit is being sent."
    )
    connection.refresh_from_db()
    assert connection.status_reason == "Agreed by phone"
    assert passport("live", "--reason", "Again") == "PASSPORTUNIVERSITY is already live."


def test_live_without_a_connection_says_what_to_run_first(company: Company) -> None:
    assert "passport connect" in refusal("passport", "live", "--company", "university", "--reason", "x")


def test_pause_and_resume(company: Company) -> None:
    connection = connected()
    passport("live", "--reason", "Agreed")
    assert passport("pause", "--reason", "Repainting") == "PASSPORTUNIVERSITY is paused: Repainting"
    assert passport("pause", "--reason", "Repainting") == "PASSPORTUNIVERSITY is paused: Repainting"
    assert passport("resume") == "PASSPORTUNIVERSITY is live."
    connection.refresh_from_db()
    assert connection.is_live


def test_pausing_what_is_not_live_is_refused(company: Company) -> None:
    connected()
    assert "Only a live connection" in refusal(
        "passport", "pause", "--company", "university", "--reason", "x"
    )


# --- passport refresh-zones ---------------------------------------------------------------------------------------


def test_refresh_zones_names_what_is_gone_and_whom_it_affects(company: Company, vendor: FakeVendor) -> None:
    connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    vendor.zones = [*vendor.zones[1:], zone_seen("d", "New")]
    lines = passport("refresh-zones").splitlines()
    assert lines == ["Zones: 3 zones listed: 1 new, 1 gone.", "  gone: LotB · Lot B [Lot B: 0 permits]"]


def test_a_held_pull_exits_with_a_sentence_and_is_released_or_discarded(
    company: Company, vendor: FakeVendor
) -> None:
    connected()
    vendor.zones = []
    assert "3 of 3 zones are not in the list" in refusal(
        "passport", "refresh-zones", "--company", "university"
    )
    assert json.loads(passport("status", "--json"))["zones"]["held"]
    assert "Discarded" in passport("refresh-zones", "--discard")
    assert "has no held refresh" in refusal(
        "passport", "refresh-zones", "--company", "university", "--release"
    )
    refusal("passport", "refresh-zones", "--company", "university")
    assert "3 gone" in passport("refresh-zones", "--release")
    assert not Zone.objects.listed().exists()


# --- passport map -------------------------------------------------------------------------------------------------


def test_map_points_out_the_twin_of_the_zone(company: Company) -> None:
    connected()
    assert passport("map", "--location", "Lot B", "--zone", "LotB").splitlines() == [
        "Lot B → LotB · Lot B",
        "Two zones differ only in case: LotB and LOTB. You picked LotB.",
    ]
    assert "(unchanged)" in passport("map", "--location", "Lot B", "--zone", "LotB")


@pytest.mark.parametrize(
    ("location", "zone", "says"),
    [
        ("lot b", "LotB", "Did you mean “Lot B”?"),
        ("Lot  B", "LotB", "Did you mean “Lot B”?"),
        ("Lot B", "lotb", "Did you mean “LOTB” or “LotB”?"),
        ("Lot B", "z123", "Did you mean “Z123”?"),
        ("Lot B", "Y", "Zones: LOTB, LotB, Z123."),
        ("Garage", "Z123", "Locations: “Lot B”, “Visitor lane”."),
    ],
)
def test_map_takes_names_letter_for_letter_and_names_the_near_one(
    company: Company, location: str, zone: str, says: str
) -> None:
    connected()
    assert says in refusal(
        "passport", "map", "--company", "university", "--location", location, "--zone", zone
    )
    assert not ZoneMapping.objects.exists()


def test_map_asks_for_the_site_where_two_zones_have_the_number(company: Company) -> None:
    connected()
    ZoneFactory(connection=ConnectionFactory(company=company, label="South"), number="Z123")
    text = refusal("passport", "map", "--company", "university", "--location", "Lot B", "--zone", "Z123")
    assert "--site" in text
    assert "Z123" in passport("map", "--location", "Lot B", "--zone", "Z123", "--site", "South")


def test_unmap_takes_the_zone_away(company: Company) -> None:
    connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    assert passport("map", "--location", "Lot B", "--unmap") == "Lot B no longer has a zone."
    assert not ZoneMapping.objects.exists()


# --- passport status ----------------------------------------------------------------------------------------------


def test_status_tells_connection_zones_mappings_and_registrations(company: Company) -> None:
    connection = connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    PermitFactory.create_batch(2, location=company.locations.get(name="Lot B"))
    PermitFactory(location=company.locations.get(name="Visitor lane"))
    PermitSync.objects.filter(pk=PermitSync.objects.first().pk).update(state=PermitSync.State.REFUSED)  # type: ignore[union-attr]
    document = json.loads(passport("status", "--json"))
    assert document["company"] == "university"
    assert document["connection"]["name"] == "PASSPORTUNIVERSITY"
    assert document["connection"]["operator_id"] == OPERATOR_ID
    assert document["connection"]["status"] == "setup"
    assert document["connection"]["since"] == connection.status_since.isoformat()
    assert document["zones"] | {"refreshed_at": None} == {
        "listed": 3, "missing": 0, "refreshed_at": None, "held": False,
    }  # fmt: skip
    assert document["zones"]["refreshed_at"]
    assert document["mappings"] == [
        {"location": "Lot B", "zone": "LotB", "zone_name": "Lot B", "zone_missing": False}
    ]
    assert document["unmapped"] == [{"location": "Visitor lane", "permits": 1}]
    assert document["registrations"] == {
        "waiting": 1,
        "accepted": 0,
        "refused": 1,
        "withdrawn": 0,
        "unmapped": 1,
    }
    assert 0 <= document["backlog_age_s"] < 60
    assert document["breaker"] is None
    text = passport("status")
    assert "Lot B → LotB" in text
    assert "1 refused" in text


def test_status_of_a_company_without_a_connection(company: Company) -> None:
    document = json.loads(passport("status", "--json"))
    assert document["connection"] is None
    assert len(document["unmapped"]) == 2
    assert "no connection yet" in passport("status")


def test_every_subcommand_says_what_it_does() -> None:
    assert {"connect", "live", "pause", "resume", "refresh-zones", "map", "status"} <= set(subcommands())
    assert all(module.HELP for module in subcommands().values())


def test_compare_says_what_it_found_and_what_a_person_must_decide(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    passport("connect", "--operator-id", OPERATOR_ID, "--confirmed", "Agreed by phone")
    assert passport("compare") == "seen: 0, missing: 0, surplus: 0, unknown: 0"
    assert passport("compare", "--end-unknown").startswith("unknown parking rights ended: 0")
    held = {"seen": 1, "missing": 30, "surplus": 0, "unknown": 0, "held": 1}
    words: list[bool] = []

    def reconcile(connection: Connection, *, is_certain: bool) -> dict[str, int]:
        words.append(is_certain)
        return held

    monkeypatch.setattr(audit, "reconcile", reconcile)
    assert "--send-missing" in passport("compare")
    passport("compare", "--send-missing")
    assert words == [False, True]


# --- permit -------------------------------------------------------------------------------------------------------


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
        ({"plate": "ÄBC"}, "plate: A plate can only contain letters A–Z and digits, not “Ä”."),
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


def test_permit_show_tells_the_state_of_the_push(company: Company) -> None:
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
