"""Celery tasks: each fetches and calls, no more. None is retried by Celery and none carries a result.

What a task is asked to do is always written down in the database first; the message is a hint that makes it quick.
"""

from collections.abc import Sequence

from celery import shared_task

from integrations import worker


@shared_task(name="integrations.wake", ignore_result=True)
def wake_connections(connection_ids: Sequence[int]) -> None:
    """Let this worker's engine look at these connections."""
    worker.engine().wake(connection_ids)


@shared_task(name="integrations.refresh_zones", ignore_result=True)
def refresh_zones(refresh_id: int) -> None:
    """Pull the zones for which this refresh was begun."""
    from integrations import zones
    from integrations.models import ZoneRefresh

    refresh = ZoneRefresh.objects.select_related("connection").get(pk=refresh_id)
    if refresh.outcome == ZoneRefresh.Outcome.RUNNING:
        zones.run_refresh(refresh=refresh)
