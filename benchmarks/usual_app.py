"""The usual way's Celery application: a task for each permit, one `httpx.post` with a module-level client.

At its best: late acks, ignored results, database connections kept between tasks, the access token ready, one query to read,
one to record the acceptance. It has no stored steps, no coalescing, no order, no retry and no evidence.
"""

import os
from pathlib import Path
from typing import Any

import httpx
import orjson
from celery import Celery
from celery.signals import worker_ready
from django.utils import timezone

from benchmarks.limit import event, timestamp

QUEUE = "usual"
app = Celery("usual", broker=os.environ.get("REDIS_URL"))
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Celery closes the database connection after each task unless it is told how often to reuse it.
    CELERY_DB_REUSE_MAX=10**9,
)
client = httpx.Client(
    base_url=os.environ.get("PASSPORT_BASE_URL", ""),
    headers={"Authorization": "Bearer bench", "Content-Type": "application/json"},
    limits=httpx.Limits(max_connections=50, max_keepalive_connections=50),
    trust_env=False,
)


@app.task(name="usual.push")
def push(permit_id: int) -> None:
    """Send one permit and note that it was accepted."""
    from integrations.models import PermitSync
    from locations.models import Permit

    permit = Permit.objects.select_related("location__zone_mapping__zone").get(pk=permit_id)
    zone = permit.location.zone_mapping.zone
    now = timezone.now()
    row = (permit.pk, zone.connection_id, permit.plate, permit.start, permit.end, permit.type, zone.remote_id)
    body = {"type": "parking_session_started", "version": "3.0.0", "data": [event(row, timestamp(now))]}
    client.post("/v3/shared/events", content=orjson.dumps(body)).raise_for_status()
    PermitSync.objects.filter(permit_id=permit_id).update(state="done", accepted_at=timezone.now())


@worker_ready.connect
def _ready(**_: Any) -> None:
    Path(os.environ["USUAL_READY_FILE"]).touch()
