"""Places at which one engine sends: whatever hangs gives way to those that are answered."""

import time
from typing import cast

import pytest
from django.utils import timezone

from integrations.delivery.batch import Batch
from integrations.delivery.fair_share import SLOW_S, SLOW_SENDERS, Flight, Places
from integrations.vendors.protocol import Account, Vendor
from tests.fakes import FakeVendor

# A unit only carries it.
VENDOR = cast(Vendor, FakeVendor())


def unit(connection_id: int, *, probing: bool = False) -> Batch:
    return Batch(Account(connection_id, "operator", "KEY"), VENDOR, [], timezone.now(), probing)


def start(places: Places, connection_id: int, *, ago_s: float = 0.0, probing: bool = False) -> Flight:
    flight = places.start(unit(connection_id, probing=probing))
    flight.began -= ago_s
    return flight


@pytest.fixture
def places() -> Places:
    return Places(6)


def test_requests_that_hang_move_over_and_leave_their_places_to_the_others(places: Places) -> None:
    for dead in range(6):
        start(places, dead, ago_s=SLOW_S + 0.1)
    assert not places.has_room(unit(99))
    places.look(time.monotonic())
    assert places.free() == 6
    assert places.has_room(unit(99))


def test_a_request_that_is_answered_in_time_keeps_its_place(places: Places) -> None:
    start(places, 1, ago_s=SLOW_S / 2)
    places.look(time.monotonic())
    assert places.free() == 5
    assert not places.is_slow(1)


def test_only_what_the_spare_places_do_not_hold_takes_up_ordinary_ones(places: Places) -> None:
    for dead in range(8):
        start(places, dead, ago_s=SLOW_S + 0.1)
    places.look(time.monotonic())
    assert places.free() == 4


def test_a_probe_never_takes_an_ordinary_place(places: Places) -> None:
    for dead in range(6):
        assert places.has_room(unit(dead, probing=True))
        start(places, dead, probing=True)
    assert places.free() == 6
    assert not places.has_room(unit(7, probing=True))
    assert places.has_room(unit(7))


def test_a_connection_whose_last_request_was_slow_sends_on_spare_places_until_it_is_quick_again(
    places: Places,
) -> None:
    places.land(start(places, 1, ago_s=SLOW_S + 0.1))
    assert places.is_slow(1)
    assert places.share(1, []) == SLOW_SENDERS
    flight = start(places, 1)
    assert (flight.is_spare, places.free()) == (True, 6)
    places.land(flight)
    assert not places.is_slow(1)
    assert not start(places, 1).is_spare


def test_of_all_that_have_failed_only_some_are_tried_at_once(places: Places) -> None:
    for dead in range(3):
        start(places, dead, probing=True)
    assert places.probes_left([]) == 1
    assert places.probes_left([unit(7), unit(8, probing=True)]) == 0
    assert places.probes_left([unit(n, probing=True) for n in range(9)]) == 0


def test_a_place_is_free_again_when_its_unit_is_back(places: Places) -> None:
    flights = [start(places, 1), start(places, 1), start(places, 2, probing=True)]
    assert (places.busy[1], places.free()) == (2, 4)
    for flight in flights:
        places.land(flight)
    assert (dict(places.busy), places.free(), places.probes_left([])) == ({}, 6, 4)


def test_one_place_is_enough_to_try_a_connection_that_has_failed() -> None:
    assert Places(1).probes_left([]) == 1
