"""How many events travel together after requests that were too large."""

from passport.batch_size import DOUBLE_AFTER_S, BatchSize


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_too_large_is_remembered_and_forgotten_slowly() -> None:
    clock = Clock()
    size = BatchSize(100, clock=clock)
    assert size.now() == 100
    size.was_too_large(100)
    size.was_too_large(50)
    assert size.now() == 25
    clock.now += DOUBLE_AFTER_S - 1
    assert size.now() == 25
    clock.now += 1
    assert size.now() == 50
    clock.now += 30 * DOUBLE_AFTER_S
    assert size.now() == 100


def test_a_larger_request_that_was_under_way_lifts_nothing_and_one_event_is_the_least() -> None:
    size = BatchSize(100, clock=Clock())
    size.was_too_large(10)
    size.was_too_large(100)
    assert size.now() == 5
    for _ in range(5):
        size.was_too_large(size.now())
    assert size.now() == 1


def test_it_never_exceeds_what_is_allowed() -> None:
    clock = Clock()
    size = BatchSize(3, clock=clock)
    size.was_too_large(3)
    clock.now += 10**9
    assert size.now() == 3
