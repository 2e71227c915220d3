"""Our engine, as it runs in production: worker processes, `celery -A offstreet worker --pool threads`."""

import contextlib
from collections.abc import Callable, Iterator

import psycopg
from celery import Celery

from benchmarks.stage import Stage
from tests import servers

PROCESSES = 2
GO = "UPDATE integrations_connection SET status = 'live' WHERE status = 'paused'"
WAITING = "SELECT 1 FROM integrations_registration WHERE state = 'due'"


@contextlib.contextmanager
def workers(stage: Stage, *, count: int = PROCESSES, **env: str) -> Iterator[list[int]]:
    """Run workers on the stage's database; yield their process ids once all of them listen."""
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


@contextlib.contextmanager
def starter(stage: Stage) -> Iterator[Callable[[], None]]:
    """Return a function that makes the connections live and sends the hint that a commit sends."""
    app = Celery("hint", broker=stage.redis.url, set_as_current=False)
    with (
        psycopg.connect(stage.url(stage.database), autocommit=True) as database,
        app.producer_pool.acquire() as hints,
    ):
        ids = [row[0] for row in database.execute("SELECT id FROM integrations_connection ORDER BY id")]
        hints.connection.ensure_connection()

        def start() -> None:
            database.execute(GO)
            app.send_task(
                "integrations.wake", args=[ids], queue="offstreet", producer=hints, ignore_result=True
            )

        yield start
    app.close()
