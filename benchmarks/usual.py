"""The usual way to do this job with Django and Celery, at its best (`benchmarks.usual_app`), and how it is released."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import redis

from benchmarks.stage import Stage
from tests import servers

PARKED = "parked"
QUEUE = "usual"
POOLS = {"prefork 8": ("prefork", "8"), "threads 50": ("threads", "50")}
WAITING = "SELECT 1 FROM integrations_registration WHERE state = 'due'"


def environment(stage: Stage) -> dict[str, str]:
    """The variables of its processes."""
    return {**stage.env, "DJANGO_SETTINGS_MODULE": "benchmarks.usual_settings"}


@contextlib.contextmanager
def workers(stage: Stage, pool: str) -> Iterator[list[int]]:
    """Run its worker with one of `POOLS`; give its process id once it consumes."""
    kind, size = POOLS[pool]
    ready = stage.home / f"{stage.new_name()}.ready"
    server = servers.Server(
        name="usual",
        command=[
            *(sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.usual_app", "worker"),
            *("--pool", kind, "--concurrency", size, "--queues", QUEUE, "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        log_path=stage.home / "usual.log",
        ready=ready.exists,
        env={**environment(stage), "USUAL_READY_FILE": str(ready)},
    )
    try:
        server.start()
        yield [server.pid]
    finally:
        server.stop()
        broker(stage).flushall()
        if "Traceback" in server.log():
            print(server.log())


def broker(stage: Stage) -> "redis.Redis":
    """Return a client of the broker."""
    return redis.Redis.from_url(stage.redis.url)


def queue(stage: Stage, permit_ids: Sequence[int]) -> None:
    """Queue one task for each permit, under a name to which the worker doesn't listen yet."""
    os.environ["REDIS_URL"] = stage.redis.url
    from celery import Celery

    app = Celery("queue", broker=stage.redis.url, set_as_current=False)
    with app.producer_pool.acquire(block=True) as producer:
        for pk in permit_ids:
            app.send_task("usual.push", args=[pk], queue=PARKED, producer=producer, ignore_result=True)
    app.close()


def let_go(stage: Stage) -> None:
    """Rename the queue to the one that the worker listens to, in one step."""
    broker(stage).rename(PARKED, QUEUE)
