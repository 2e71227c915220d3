"""A real worker under each pool of Celery's: the engine and the scheduler start in it and stop with it."""

import sys

import pytest

from tests.servers import SQLITE, eventually, make_worker, running_stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

RUNNING = "engine and scheduler are running"
STOPPED = "engine and scheduler have stopped"
POOR_CHOICE = "this pool is a poor choice for this worker"


# `prefork` is Celery's default, and is replaced by the pool of the settings; `processes` is the same pool by name.
@pytest.mark.parametrize(
    ("pool", "is_poor"), [("prefork", False), ("threads", False), ("solo", True), ("processes", True)]
)
def test_the_engine_starts_and_stops_under_any_pool_and_a_poor_one_is_named(pool: str, is_poor: bool) -> None:
    with running_stack(SQLITE, workers=0, web=False, sandbox=False) as stack:
        worker = make_worker(stack.home, stack.env)
        worker.command = [
            sys.executable, "-m", "celery", "-A", "offstreet", "worker", "--pool", pool, "--concurrency", "1",
            "--loglevel", "INFO", "--hostname", "worker@%h", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip
        stack.workers.append(worker)
        worker.start()
        beats = "SELECT name FROM integrations_workerbeat"
        eventually(lambda: len(stack.query(beats)) == 1, what="the scheduler's heartbeat")
        assert eventually(stack.ping, what="a reply") == 1
        worker.stop()
        log = worker.log(100_000)
        assert log.count(RUNNING) == 1
        assert log.count(STOPPED) == 1
        assert (POOR_CHOICE in log) is is_poor
        assert "Traceback" not in log
