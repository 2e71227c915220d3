"""A worker is reported as working only while its engine and its sweep both keep running."""

import threading
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone

from integrations.delivery import engine as engines
from integrations.delivery.engine import Engine
from integrations.models import WorkerHeartbeat
from integrations.worker import scheduler
from integrations.worker.liveness import ENGINE, STEADY_S, SWEEP, TOUCH_EVERY_S, Pulse
from integrations.worker.scheduler import Scheduler


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Watch:
    return Watch()


def turns(pulse: Pulse, clock: Watch, parts: list[str], seconds: float) -> None:
    """Let these parts run once a second."""
    for _second in range(int(seconds)):
        clock.now += 1
        for part in parts:
            pulse.beat(part)


@pytest.mark.parametrize("hung", [ENGINE, SWEEP])
def test_the_file_grows_old_while_one_part_hangs_and_is_fresh_once_it_continues(
    hung: str, clock: Watch, tmp_path: Path
) -> None:
    path = tmp_path / "worker.alive"
    pulse = Pulse(path, clock=clock)
    other = SWEEP if hung == ENGINE else ENGINE
    turns(pulse, clock, [ENGINE, SWEEP], 5)
    assert path.exists()
    turns(pulse, clock, [other], STEADY_S + TOUCH_EVERY_S)
    path.unlink()
    turns(pulse, clock, [other], 60)
    assert not path.exists()
    assert (pulse.is_steady(other), pulse.is_steady(hung), pulse.is_steady()) == (True, False, False)
    turns(pulse, clock, [ENGINE, SWEEP], 3)
    assert path.exists()


def test_a_worker_is_not_late_before_it_has_begun(clock: Watch, tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "worker.alive", clock=clock)
    assert pulse.is_steady()
    clock.now += STEADY_S + 1
    assert not pulse.is_steady()


def test_a_file_that_can_not_be_touched_stops_nothing(clock: Watch, tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "not there" / "worker.alive", clock=clock)
    turns(pulse, clock, [ENGINE, SWEEP], 5)
    assert pulse.is_steady()


@pytest.mark.django_db
def test_each_turn_of_the_engine_is_reported_unless_the_database_broke_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop, turned = threading.Event(), list[int]()
    outcomes = iter([None, OperationalError("away"), ValueError("a fault of ours"), None])

    def turn(self: Engine, _idle_s: float) -> int:
        error = next(outcomes, None)
        if error is not None:
            raise error
        if len(turned) == 2:
            stop.set()
        return 0

    monkeypatch.setattr(engines, "DATABASE_PAUSE_S", 0.001)
    monkeypatch.setattr(Engine, "_turn", turn)
    monkeypatch.setattr(Engine, "_forget", lambda self: None)
    Engine(senders=1, on_turn=lambda: turned.append(1)).run(stop)
    assert len(turned) == 3


@pytest.mark.django_db
def test_a_worker_whose_engine_hangs_does_not_report_itself(clock: Watch) -> None:
    engine, pulse, now = Engine(senders=1), Pulse(clock=clock), timezone.now()
    worker = Scheduler(engine, pulse)
    worker._beat(now)
    assert WorkerHeartbeat.objects.get().seen_at == now
    clock.now += STEADY_S + 1
    worker._beaten_at -= scheduler.BEAT_EVERY_S
    worker._beat(timezone.now())
    assert WorkerHeartbeat.objects.get().seen_at == now
    pulse.beat(ENGINE)
    worker._beat(timezone.now())
    assert WorkerHeartbeat.objects.get().seen_at > now
    engine.close()
