"""Celery tasks: each fetches and calls, no more. None is retried by Celery and none has a result.

What a task is to do is always stored in the database first; the message is a hint that makes it quick.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from celery import shared_task
from kombu.exceptions import KombuError

from integrations.models import ZoneRefresh
from integrations.worker import service
from integrations.zones import refresh as zone_refresh

log = structlog.get_logger(__name__)


def wake_at_once(task: Any, app: Any, consumer: Any) -> Callable[..., None]:
    """Return how the worker handles a hint: in the thread that consumes, which then acknowledges it.

    A hint is one entry in the engine's inbox. Handing it to the pool like other tasks (a request object, a thread, a tracer)
    would take several times as long as everything else between a save and its request, the database aside.
    """

    def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        try:
            (connection_ids,) = message.payload[0]
            service.engine().wake([int(pk) for pk in connection_ids])
        # kombu's is raised for a body that is not JSON, or says that it is something else (a pickle).
        except (TypeError, ValueError, LookupError, KombuError) as error:
            log.warning("a hint could not be read; the sweeper will find it", error=type(error).__name__)
        ack(log, consumer.connection_errors)

    return take


@shared_task(name="integrations.wake", ignore_result=True, Strategy="integrations.worker.tasks:wake_at_once")
def wake_connections(connection_ids: Sequence[int]) -> None:
    """Have this worker's engine look at these connections."""
    service.engine().wake(connection_ids)


@shared_task(name="integrations.refresh_zones", ignore_result=True)
def refresh_zones(refresh_id: int) -> None:
    """Run the zone refresh with this id, unless it has ended."""
    refresh = ZoneRefresh.objects.select_related("connection", "releases").get(pk=refresh_id)
    if refresh.outcome == ZoneRefresh.Outcome.RUNNING:
        zone_refresh.run_refresh(refresh=refresh)
