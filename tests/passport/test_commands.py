"""`manage.py passport`: what it does, prints, and refuses with one sentence."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from integrations.models import Connection, PermitSync, Zone, ZoneMapping
from integrations.reconciliation import comparison
from integrations.vendors.errors import FixConnection, TryLater
from locations.models import Company
from passport.management.subcommands import subcommands
from tests.factories import OPERATOR_ID, ConnectionFactory, PermitFactory, ZoneFactory
from tests.fakes import FakeVendor, zone_seen
from tests.passport.commands import connected, passport, refusal

pytestmark = pytest.mark.django_db


# --- passport connect ------------------------------------------------------------------------------------


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


# --- passport live, pause, resume ------------------------------------------------------------------------


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


def test_a_live_connection_is_paused_and_resumed(company: Company) -> None:
    connection = connected()
    passport("live", "--reason", "Agreed")
    assert passport("pause", "--reason", "Repainting") == "PASSPORTUNIVERSITY is paused: Repainting"
    assert passport("pause", "--reason", "Repainting") == "PASSPORTUNIVERSITY is paused: Repainting"
    assert passport("resume") == "PASSPORTUNIVERSITY is live."
    connection.refresh_from_db()
    assert connection.is_live


def test_pausing_what_is_not_live_is_refused(company: Company) -> None:
    connected()
    assert "Only a live integration" in refusal(
        "passport", "pause", "--company", "university", "--reason", "x"
    )


# --- passport refresh-zones ------------------------------------------------------------------------------


def test_refresh_zones_names_what_is_gone_and_whom_it_affects(company: Company, vendor: FakeVendor) -> None:
    connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    vendor.zones = [*vendor.zones[1:], zone_seen("d", "New")]
    lines = passport("refresh-zones").splitlines()
    assert lines == ["Zones: 3 zones listed: 1 new, 1 missing.", "  gone: LotB · Lot B [Lot B: 0 permits]"]


def test_a_held_pull_exits_with_a_sentence_and_is_released_or_discarded(
    company: Company, vendor: FakeVendor
) -> None:
    connected()
    vendor.zones = []
    assert "3 of 3 zones are no longer listed" in refusal(
        "passport", "refresh-zones", "--company", "university"
    )
    assert json.loads(passport("status", "--json"))["zones"]["held"]
    assert "Discarded" in passport("refresh-zones", "--discard")
    assert "has no held refresh" in refusal(
        "passport", "refresh-zones", "--company", "university", "--release"
    )
    refusal("passport", "refresh-zones", "--company", "university")
    assert "3 missing" in passport("refresh-zones", "--release")
    assert not Zone.objects.listed().exists()


# --- passport map ----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("target", [("--unmap",), ("--zone", "LOTB")], ids=["removed", "replaced"])
def test_map_shows_what_would_end_many_rights_and_does_it_only_when_it_is_told_so_twice(
    company: Company, target: tuple[str, ...], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.HELD_CHANGE_RIGHTS, settings.HELD_CHANGE_SHARE = 2, 0.2
    connection = connected()
    passport("map", "--location", "Lot B", "--zone", "LotB")
    location = company.locations.get(name="Lot B")
    for _number in range(3):
        permit = PermitFactory(location=location)
        connection.permit_syncs.filter(permit=permit).update(
            state="done", remote_state={"session_id": "x"}, remote_until=permit.end
        )
    arguments = ("--company", "university", "--location", "Lot B", *target)
    assert "Nothing was changed. To go ahead, run the command again with --yes." in refusal(
        "passport", "map", *arguments
    )
    assert ZoneMapping.objects.get().zone.number == "LotB"
    assert not connection.permit_syncs.due().exists()
    with pytest.raises(CommandError):
        call_command("passport", "map", *arguments)
    shown = capsys.readouterr().out
    assert "3 permits from LotB to" in shown
    assert "Of 3 parking rights, 3 would be" in shown
    passport("map", "--location", "Lot B", *target, "--yes")
    assert [mapping.zone.number for mapping in ZoneMapping.objects.all()] == list(target[1:])
    assert connection.permit_syncs.due().count() == 3


# --- passport status -------------------------------------------------------------------------------------


def test_status_shows_connection_zones_mappings_and_permits(company: Company) -> None:
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


def test_status_says_where_a_company_has_no_connection(company: Company) -> None:
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
    assert passport("compare") == "seen: 0, missing: 0, different: 0, surplus: 0, unknown: 0"
    assert passport("compare", "--end-unknown").startswith("unknown parking rights ended: 0")
    held = {"seen": 1, "missing": 30, "differing": 0, "surplus": 0, "unreadable": 0, "unknown": 0, "held": 1}
    words: list[bool] = []

    def reconcile(connection: Connection, *, is_certain: bool) -> dict[str, int]:
        words.append(is_certain)
        return held

    monkeypatch.setattr(comparison, "reconcile", reconcile)
    assert "--send-missing" in passport("compare")
    passport("compare", "--send-missing")
    assert words == [False, True]
