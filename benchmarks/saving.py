"""Saves permits through the services, as a person does (its own process, with the product's settings).

    --way ours     as in production
    --way usual    a row for the state, and a task from `on_commit`
    --way none     no integration listens
    --way compare  one of each in turn, to see what each adds to a save

It prints `ready`, waits for a line, saves, and prints one JSON document: {"committed": {plate: Unix seconds},
"save_ms": {way: [milliseconds of each save]}}.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import django


def listen_usually(sender: Any, *, permit_ids: Sequence[int], bulk: bool, **_: Any) -> None:
    """What most projects write: mark the permit as to be sent, and queue a task once that is committed."""
    from django.db import transaction
    from django.utils import timezone

    from benchmarks.usual_app import push
    from integrations.models import PermitSync, Zone

    now = timezone.now()
    connection_id = Zone.objects.values_list("connection_id", flat=True).first()
    assert connection_id is not None
    for pk in permit_ids:
        PermitSync.objects.create(
            permit_id=pk, connection_id=connection_id, due_since=now, next_attempt_at=now
        )
        transaction.on_commit(partial(push.delay, pk))


def listen(way: str) -> None:
    """Let exactly one way listen to saves."""
    from integrations import receivers
    from locations.signals import permits_changed

    permits_changed.disconnect(dispatch_uid="integrations.mark")
    permits_changed.disconnect(dispatch_uid="usual")
    if way == "ours":
        receivers.connect()
    elif way == "usual":
        permits_changed.connect(listen_usually, dispatch_uid="usual")


def main() -> None:
    """Save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--way", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--prefix", default="S")
    parser.add_argument("--per-second", type=float, default=0)
    parser.add_argument("--spread", action="store_true", help="over all locations in turn")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    django.setup()
    from django.utils import timezone

    from integrations.delivery.wakeup import flush
    from integrations.models import ZoneMapping
    from locations.services import PermitDraft, register_permit

    live = ZoneMapping.objects.filter(zone__connection__status="live").exclude(zone__session_type="space")
    mapped = live.select_related("location").order_by("location")
    locations = [mapping.location for mapping in (mapped if options.spread else mapped[:1])]
    now = timezone.now()
    start, end = now - timedelta(hours=1), now + timedelta(days=30)
    ways = ["none", "ours", "usual"] if options.way == "compare" else [options.way]
    listen(ways[0])
    register_permit(draft=PermitDraft(locations[0], f"{options.prefix}WARM", "US-NC", start, end))
    print("ready", flush=True)
    if not sys.stdin.readline():
        return  # the process that started this has gone
    committed: dict[str, float] = {}
    took_ms: dict[str, list[float]] = {way: [] for way in ways}
    began = time.monotonic()
    for number in range(options.count):
        way = ways[number % len(ways)]
        if len(ways) > 1:
            listen(way)
        if options.per_second:
            time.sleep(max(0.0, began + number / options.per_second - time.monotonic()))
        plate = f"{options.prefix}{number:06d}"
        before = time.perf_counter()
        location = locations[number % len(locations)]
        register_permit(draft=PermitDraft(location, plate, "US-NC", start, end))
        took_ms[way].append((time.perf_counter() - before) * 1000)
        committed[plate] = time.time()
    flush(5.0)
    print(json.dumps({"committed": committed, "save_ms": took_ms}), flush=True)


if __name__ == "__main__":
    main()
