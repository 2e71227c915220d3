"""Our engine, as it runs in production: worker processes, `celery -A offstreet worker --pool threads`."""

import contextlib
from collections.abc import Iterator

from benchmarks.stage import Stage
from tests import servers

PROCESSES = 2
GO = "UPDATE integrations_connection SET status = 'live' WHERE status = 'paused'"
WAITING = "SELECT count(*) FROM integrations_registration WHERE state = 'due'"


@contextlib.contextmanager
def workers(stage: Stage, *, count: int = PROCESSES, **env: str) -> Iterator[list[int]]:
    """Run workers on the stage's database; give their process ids once all of them listen."""
    made = [
        servers.make_worker(stage.home, {**stage.env, **env}, name=stage.new_name()) for _ in range(count)
    ]
    try:
        for worker in made:
            worker.start(wait=False)
        for worker in made:
            worker.wait_ready()
        yield [worker.pid for worker in made]
    finally:
        for worker in made:
            worker.stop()
        for worker in made:
            if "Traceback" in worker.log():
                print(worker.log())


def wake(stage: Stage) -> None:
    """Send the one hint that a commit sends."""
    connections = [row[0] for row in stage.query("SELECT id FROM integrations_connection ORDER BY id")]
    send_hint(stage, connections)


def send_hint(stage: Stage, connection_ids: list[int]) -> None:
    """Publish the message that `integrations.wake` publishes."""
    from celery import Celery

    app = Celery("hint", broker=stage.redis.url, set_as_current=False)
    app.send_task("integrations.wake", args=[connection_ids], queue="offstreet", ignore_result=True)
    app.close()
