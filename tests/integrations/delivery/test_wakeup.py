"""Wake-ups: no one waits for a hint, hints are deduplicated, and one that is lost does no harm."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.delivery import wakeup
from integrations.delivery.wakeup import Waker


class Broker:
    """Takes hints; may be slow or down."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def publish(self, ids: list[int]) -> None:
        self.gate.wait(5)
        if self.error is not None:
            raise self.error
        self.sent.append(ids)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    broker = Broker()
    monkeypatch.setattr(wakeup, "publish", broker.publish)
    yield broker
    broker.gate.set()


def test_a_hint_names_the_connections(broker: Broker) -> None:
    waker = Waker()
    waker.wake([2, 1])
    assert waker.flush(5)
    assert broker.sent == [[1, 2]]


def test_a_thousand_saves_at_once_are_few_messages(broker: Broker) -> None:
    waker = Waker()
    for number in range(1000):
        waker.wake([number % 7])
    assert waker.flush(5)
    assert len(broker.sent) < 100
    assert {pk for ids in broker.sent for pk in ids} == set(range(7))


def test_no_save_waits_for_a_frozen_broker(broker: Broker) -> None:
    broker.gate.clear()
    waker = Waker()
    began = time.monotonic()
    for number in range(200):
        waker.wake([number])
    assert time.monotonic() - began < 2
    assert not waker.flush(0.05)
    broker.gate.set()
    assert waker.flush(5)
    assert len(broker.sent) <= 2  # what the thread took before it hung, and one for the rest
    assert sorted(number for ids in broker.sent for number in ids) == list(range(200))


def test_a_broker_that_is_away_costs_the_hint_and_nothing_else(broker: Broker) -> None:
    broker.error = OSError("away")
    waker = Waker()
    waker.wake([1])
    assert waker.flush(5)
    broker.error = None
    waker.wake([2])
    assert waker.flush(5)
    assert broker.sent == [[2]]


def test_nothing_to_wake_starts_no_thread(broker: Broker) -> None:
    waker = Waker()
    waker.wake([])
    assert waker._thread is None
    assert waker.flush(0)


def test_a_forked_process_sends_its_own_hints_alone(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    before: Any = wakeup._waker
    monkeypatch.setattr(wakeup, "_waker", before)
    wakeup._after_fork()
    assert wakeup._waker is not before
    wakeup.wake([5])
    assert wakeup.flush(5)
    assert broker.sent == [[5]]
