"""The slots in which one engine sends: requests that hang give way to those that are answered."""

import time
from typing import cast

import pytest
from django.utils import timezone

from integrations.delivery.batch import Batch
from integrations.delivery.fair_share import SLOW_S, SLOW_SENDERS, FairShare, Flight
from integrations.vendors.protocol import Account, Vendor
from tests.fakes import FakeVendor

# A unit only passes it on.
VENDOR = cast(Vendor, FakeVendor())


def unit(connection_id: int, *, probing: bool = False) -> Batch:
    return Batch(Account(connection_id, "operator", "KEY"), VENDOR, [], timezone.now(), probing)


def start(fair: FairShare, connection_id: int, *, ago_s: float = 0.0, probing: bool = False) -> Flight:
    flight = fair.start(unit(connection_id, probing=probing))
    flight.began -= ago_s
    return flight


@pytest.fixture
def fair() -> FairShare:
    return FairShare(6)


def test_requests_that_hang_move_over_and_leave_their_places_to_the_others(fair: FairShare) -> None:
    for dead in range(6):
        start(fair, dead, ago_s=SLOW_S + 0.1)
    assert not fair.has_room(unit(99))
    fair.move_slow_ones(time.monotonic())
    assert fair.free() == 6
    assert fair.has_room(unit(99))


def test_a_request_that_is_answered_in_time_keeps_its_place(fair: FairShare) -> None:
    start(fair, 1, ago_s=SLOW_S / 2)
    fair.move_slow_ones(time.monotonic())
    assert fair.free() == 5
    assert not fair.is_slow(1)


def test_only_what_the_spare_places_do_not_hold_takes_up_ordinary_ones(fair: FairShare) -> None:
    for dead in range(8):
        start(fair, dead, ago_s=SLOW_S + 0.1)
    fair.move_slow_ones(time.monotonic())
    assert fair.free() == 4


def test_a_probe_never_takes_an_ordinary_place(fair: FairShare) -> None:
    for dead in range(6):
        assert fair.has_room(unit(dead, probing=True))
        start(fair, dead, probing=True)
    assert fair.free() == 6
    assert not fair.has_room(unit(7, probing=True))
    assert fair.has_room(unit(7))


def test_a_connection_whose_last_request_was_slow_sends_on_spare_places_until_it_is_quick_again(
    fair: FairShare,
) -> None:
    fair.land(start(fair, 1, ago_s=SLOW_S + 0.1))
    assert fair.is_slow(1)
    assert fair.share(1, []) == SLOW_SENDERS
    flight = start(fair, 1)
    assert (flight.is_spare, fair.free()) == (True, 6)
    fair.land(flight)
    assert not fair.is_slow(1)
    assert not start(fair, 1).is_spare


def test_of_all_that_have_failed_only_some_are_tried_at_once(fair: FairShare) -> None:
    for dead in range(3):
        start(fair, dead, probing=True)
    assert fair.probes_left([]) == 1
    assert fair.probes_left([unit(7), unit(8, probing=True)]) == 0
    assert fair.probes_left([unit(n, probing=True) for n in range(9)]) == 0


def test_a_place_is_free_again_when_its_unit_is_back(fair: FairShare) -> None:
    flights = [start(fair, 1), start(fair, 1), start(fair, 2, probing=True)]
    assert (fair.busy[1], fair.free()) == (2, 4)
    for flight in flights:
        fair.land(flight)
    assert (dict(fair.busy), fair.free(), fair.probes_left([])) == ({}, 6, 4)


def test_one_place_is_enough_to_try_a_connection_that_has_failed() -> None:
    assert FairShare(1).probes_left([]) == 1
