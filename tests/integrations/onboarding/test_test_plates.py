"""Test plates with the real plan, client and engine, and the sandbox's parking rights."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import Connection, Mail, PermitSync, TestPlate
from integrations.onboarding import connections, test_plate_poller, test_plates
from integrations.onboarding.test_plate_page import headline, stages
from integrations.vendors.protocol import RightSeen
from locations.models import Permit
from tests.integrations import on_passport
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

world = on_passport.world_before_live


def right(zone: str = "z1", plate: str = "TEST123", reference: str = "s1") -> RightSeen:
    return RightSeen("r", zone, plate, "US-NC", NOW, NOW + timedelta(hours=2), "", reference, {"id": "r"})


class TestLooking:
    def look(self, *rights: RightSeen) -> test_plate_poller.Look:
        known = {
            "zone_id": "z1",
            "plate": "TEST123",
            "subdivision": "US-NC",
            "start": NOW.isoformat(),
            "end": (NOW + timedelta(hours=2)).isoformat(),
        }
        return test_plate_poller.look(rights, known=known, sessions=frozenset({"s1"}), at=NOW)

    def test_ours_is_found_by_its_reference(self) -> None:
        assert self.look(right()).ours is not None

    def test_without_a_reference_every_part_decides(self) -> None:
        assert self.look(right(reference="")).ours is not None
        assert self.look(right(reference="", zone="z2")).ours is None
        # Someone has put the plate on a list.
        on_a_list = replace(right(reference=""), end=NOW + timedelta(days=365), kind="allow_list")
        found = self.look(on_a_list)
        assert found.ours is None
        assert test_plate_poller.evidence(found, NOW)["others_seen"] == [
            {"zone": "z1", "kind": "allow_list", "until": "2027-11-22T12:00:00+00:00"}
        ]

    def test_another_session_with_the_same_plate_is_not_ours(self) -> None:
        found = self.look(right(reference="driver-1"))
        assert found.ours is None
        assert len(found.others) == 1

    def test_ours_in_another_zone_is_said_to_be_elsewhere(self) -> None:
        found = self.look(right(zone="z2"))
        assert found.ours is None
        assert [one.zone_id for one in found.elsewhere] == ["z2"]

    def test_plates_are_compared_normalised(self) -> None:
        assert self.look(right(plate="test 123")).ours is not None
        assert self.look(right(plate="TEST124")).ours is None


@pytest.mark.parametrize(("lasted_s", "at_most_s"), [(1, 1), (60, 2), (300, 5), (3_600, 20), (90_000, 600)])
def test_the_longer_a_stage_lasts_the_more_rarely_passport_is_asked(lasted_s: int, at_most_s: int) -> None:
    every = test_plate_poller.poll_every(timedelta(seconds=lasted_s))
    assert every.total_seconds() <= at_most_s
    assert every >= test_plate_poller.poll_every(timedelta(0))


def start(world: World, **values: object) -> TestPlate:
    return test_plates.start_test(**{"connection": world.connection, "location": world.here, **values})  # type: ignore[arg-type]


def follow(test: TestPlate, seconds: float = 0) -> TestPlate:
    test_plate_poller.follow_tests(timezone.now() + timedelta(seconds=seconds))
    test.refresh_from_db()
    return test


def test_it_is_a_test_everywhere_and_valid_for_two_hours(world: World) -> None:
    test = start(world)

    assert test.permit.is_test
    assert test.permit.source == Permit.Source.TEST
    assert test.permit.end - test.permit.start == timedelta(hours=2)
    assert not Permit.objects.real().exists()
    world.connection.refresh_from_db()
    assert world.connection.status == Connection.Status.TESTING


def test_it_goes_out_while_real_registrations_wait(world: World) -> None:
    world.permit("REAL123")
    test = start(world)
    world.deliver()

    assert world.plates() == ["TEST123"]
    assert follow(test).accepted_at is not None


def test_the_product_sees_it_in_the_parking_rights_and_keeps_the_evidence(world: World) -> None:
    test = start(world)
    world.deliver()
    test = follow(test)

    assert test.seen_at is not None
    assert test.seen_right is not None
    assert test.seen_right["right"]["vehicle"]["vehicle_plate"] == "TEST123"
    assert test.seen_right["right"]["zone_id"] == test.zone.remote_id


def test_a_yes_makes_it_live_withdraws_the_plate_and_it_is_gone_too(world: World) -> None:
    world.permit("REAL123")
    test = start(world)
    world.deliver()
    follow(test)
    test_plates.answer_test(test=test, seen=True, note="", by="Robin", via="page")
    world.deliver()
    test = follow(test)

    world.connection.refresh_from_db()
    assert world.connection.status == Connection.Status.LIVE
    assert world.connection.verified_at is not None
    assert test.withdrawn_at is not None
    assert test.gone_at is not None
    assert world.plates() == ["REAL123"]


def test_a_no_changes_no_status_and_links_to_diagnostics(world: World) -> None:
    test = start(world)
    world.deliver()
    follow(test)
    test_plates.answer_test(test=test, seen=False, note="I see zone Z9", by="Robin", via="page")

    world.connection.refresh_from_db()
    assert world.connection.status == Connection.Status.TESTING
    notice = world.company.notices.get(kind="test_no")
    assert "symptom=plate" in notice.url
    assert "Robin" in notice.text


def test_only_the_first_answer_counts(world: World) -> None:
    test = start(world)
    world.deliver()
    test_plates.answer_test(test=test, seen=False, note="", by="Robin", via="page")
    with pytest.raises(ValidationError, match="already been answered"):
        test_plates.answer_test(test=test, seen=True, note="", by="Kim", via="link")
    test.refresh_from_db()
    assert (test.answer, test.answered_by) == ("no", "Robin")


def test_a_yes_before_passport_accepted_it_is_not_taken(world: World) -> None:
    test = start(world)
    with pytest.raises(ValidationError):
        test_plates.answer_test(test=test, seen=True, note="", by="Robin", via="page")
    world.connection.refresh_from_db()
    assert not world.connection.is_live


def test_at_its_end_it_is_withdrawn_automatically(world: World) -> None:
    test = start(world)
    world.deliver()
    follow(test)
    test = follow(test, seconds=2 * 3600 + 1)

    assert test.withdrawn_at is not None
    assert test.answer == ""
    world.deliver()
    assert world.plates() == []
    assert follow(test, seconds=2 * 3600 + 60).gone_at is not None


def test_it_can_be_taken_back(world: World) -> None:
    test = start(world)
    world.deliver()
    test_plates.withdraw_test(test=test)
    test_plates.withdraw_test(test=test)
    world.deliver()
    assert world.plates() == []
    assert follow(test).gone_at is not None


def test_a_form_that_was_sent_twice_makes_one_test(world: World) -> None:
    assert start(world) == start(world)
    assert Permit.objects.count() == 1


def test_a_plate_with_a_real_registration_there_is_refused(world: World) -> None:
    world.permit("TEST 123")
    with pytest.raises(ValidationError, match="real permit"):
        start(world)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"plate": "TEST!"}, "plate"), ({"ask": ["nobody"]}, "addresses"), ({"plate": ""}, "plate")],
)
def test_what_cannot_be_tested_is_said_beside_the_field(
    world: World, values: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        start(world, **values)
    assert field in caught.value.message_dict


def test_a_location_without_a_zone_is_not_tested(world: World) -> None:
    with pytest.raises(ValidationError) as caught:
        start(world, location=world.location("Nowhere"))
    assert "location" in caught.value.message_dict


def test_a_paused_connection_is_tested_without_becoming_live(world: World) -> None:
    connections.go_live(connection=world.connection, reason="Proved elsewhere")
    connections.pause(connection=world.connection, reason="New signs")
    test = start(world)
    world.deliver()
    follow(test)
    test_plates.answer_test(test=test, seen=True, note="", by="Robin", via="page")

    world.connection.refresh_from_db()
    assert world.connection.status == Connection.Status.PAUSED
    assert world.connection.verified_at is not None


def test_the_link_is_mailed_once_the_plate_is_seen_and_not_before(world: World) -> None:
    test = start(world, ask=["robin@u.example", "kim@u.example", "robin@u.example"])
    assert not Mail.objects.exists()
    world.deliver()
    for _ in range(3):
        follow(test)

    assert {mail.to for mail in Mail.objects.all()} == {"robin@u.example", "kim@u.example"}
    assert Mail.objects.count() == 2


def test_passport_that_cannot_be_asked_is_said_and_asked_again(world: World) -> None:
    test = start(world)
    world.deliver()
    world.fault("5xx")
    test = follow(test)
    assert test.seen_at is None
    assert test.seen_right is not None
    assert test.seen_right["error"]

    world.heal()
    assert follow(test, seconds=5).seen_at is not None


def test_a_plate_in_another_zone_is_not_taken_for_seen(world: World, transport: SandboxTransport) -> None:
    test = start(world)
    world.deliver()
    other = world.there.zone_mapping.zone
    for session in transport.simulator.sessions.by_id.values():
        session.zone_id = other.remote_id
    test = follow(test)

    assert test.seen_at is None
    assert test.seen_right is not None
    assert test.seen_right["elsewhere"] == [other.remote_id]
    permit_sync = PermitSync.objects.get(permit=test.permit)
    assert "another zone" in headline(test, permit_sync, timezone.now())[1]


def test_a_refused_test_plate_shows_the_reason_and_stays_stuck(world: World) -> None:
    test = start(world)
    world.transport.simulator.directory.operators.clear()
    world.deliver()
    permit_sync = PermitSync.objects.get(permit=test.permit)
    shown = stages(test, permit_sync, timezone.now())
    assert [stage.state for stage in shown][:2] in (["done", "stuck"], ["done", "now"])
    assert headline(test, permit_sync, timezone.now())[0] in ("danger", "warning")
