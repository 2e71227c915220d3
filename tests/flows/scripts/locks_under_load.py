"""Everything that writes permit syncs, at the same time: each writer is a thread of one process."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypedDict

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone

from integrations.delivery import outbox
from integrations.delivery.engine import Engine
from integrations.models import Connection, PermitSync, Zone
from integrations.onboarding import automation, connections, test_plate_poller, test_plates
from integrations.reconciliation import audit, comparison
from integrations.vendors.errors import TryLater
from integrations.worker import scheduler
from integrations.zones import mapping
from locations import services
from locations.models import Location, Permit
from locations.services import PermitDraft, register_permits
from tests.factories import ConnectionFactory, ZoneFactory, listed_zone, mapped_location
from tests.flows.scripts.threads import start
from tests.world import LAKESHORE, UNIVERSITY

PERMITS = 400


class Marked(TypedDict):
    """Errors of the marks, how many rows were not marked each time, and how many rows there are."""

    errors: list[str]
    late: int
    rows: int


class Worked(TypedDict):
    """How often each error occurred, how often each kind of work was done, and how many rows were settled."""

    errors: dict[str, int]
    done: dict[str, int]
    settled: int


def mark_what_begins_and_ends() -> Marked:
    """Map a location to another zone twelve times, while every few milliseconds one of its permits begins or ends."""
    live: Connection = ConnectionFactory(live=True)
    zones: list[Zone] = [ZoneFactory(connection=live), ZoneFactory(connection=live)]
    location = mapped_location(live, zones[0])
    now = timezone.now()
    # One begins or ends every few milliseconds, whichever moment a statement falls into.
    register_permits(
        drafts=[
            PermitDraft(
                location, f"P{n}", "US-NC",
                now + timedelta(milliseconds=15 * n) if n % 2 else now - timedelta(hours=1),
                now + timedelta(hours=5) if n % 2 else now + timedelta(seconds=1, milliseconds=15 * n),
            )
            for n in range(4_000)
        ]
    )  # fmt: skip
    errors = []
    for turn in range(1, 13):
        try:
            mapping.map_location(location=location, zone=zones[turn % 2])
        except DatabaseError as error:
            errors.append(str(error))
    # Each has been marked once when it was saved, and at each turn.
    late = PermitSync.objects.filter(permit__end__gt=now + timedelta(hours=1)).exclude(version=13).count()
    return {"errors": errors, "late": late, "rows": PermitSync.objects.count()}


def write_everything_at_once(*, seconds: int) -> Worked:
    """Let everything that writes permit syncs do so for some seconds, while two engines deliver."""
    writers = _Writers()
    stop, done, errors = threading.Event(), Counter[str](), Counter[str]()

    def repeat(name: str, work: Callable[[random.Random], object]) -> None:
        draw = random.Random(name)
        while not stop.is_set():
            try:
                work(draw)
                done[name] += 1
            except (ValidationError, TryLater):
                done[name] += (
                    1  # a refusal (a permit that is cancelled, a test that is over) is not an error here
                )
            except Exception as error:  # noqa: BLE001 - each is counted, and none may come
                errors[f"{name}: {type(error).__name__} {error}".splitlines()[0][:200]] += 1

    engines = [Engine(senders=6) for _ in range(2)]

    def wake(_draw: random.Random) -> None:
        for engine in engines:
            engine.wake([one.pk for one in writers.live])
        time.sleep(0.05)

    works: dict[str, Callable[[random.Random], object]] = {
        "remap": writers.remap,
        "change": writers.change,
        "cancel": writers.cancel,
        "retry": writers.refuse_and_retry,
        "compare": writers.compare,
        "look": writers.look,
        "test": writers.test,
        "go": writers.go,
        "wake": wake,
        "urgency": lambda _draw: scheduler.raise_urgency(timezone.now() + timedelta(days=1)),
        "follow tests": lambda _draw: test_plate_poller.follow_tests(timezone.now()),
        "follow set-ups": lambda _draw: automation.follow_set_ups(timezone.now()),
    }
    done.update(dict.fromkeys(works, 0))
    crashed: list[str] = []
    threads = [start(lambda one=one: repeat(*one), crashed) for one in works.items()]  # type: ignore[misc]
    threads += [start(lambda engine=engine: engine.run(stop), crashed) for engine in engines]  # type: ignore[misc]
    time.sleep(seconds)
    stop.set()
    for engine in engines:
        engine.wake([])
    for thread in threads:
        thread.join(60)
    errors.update(crashed)
    errors.update("a thread that doesn't end" for thread in threads if thread.is_alive())
    settled = PermitSync.objects.filter(tried_at__isnull=False).count()
    return {"errors": dict(errors), "done": dict(done), "settled": settled}


class _Writers:
    """A company with two connections and two locations, and what people and periodic tasks do with it."""

    def __init__(self) -> None:
        self.live: list[Connection] = []
        self.zones: list[Zone] = []
        for operator in (UNIVERSITY, LAKESHORE):
            which = {"company": self.live[0].company, "label": "second"} if self.live else {}
            one = ConnectionFactory(live=True, operator_id=operator["operator_id"], **which)
            self.live.append(one)
            self.zones += [listed_zone(one, zone) for zone in operator["zones"][:2]]
        self.places = [mapped_location(self.live[0], zone) for zone in self.zones[:2]]
        now = timezone.now()
        # They begin soon, so that their urgency can be raised.
        begin, end = now + timedelta(hours=1), now + timedelta(hours=9)
        permits = register_permits(
            drafts=[PermitDraft(self.places[n % 2], f"P{n}", "US-NC", begin, end) for n in range(PERMITS)]
        )
        # Half of the permit syncs have ids in the opposite order of their permits'.
        PermitSync.objects.filter(permit__in=permits[::2]).delete()
        for first in range(PERMITS - 20, -1, -20):
            with transaction.atomic():
                outbox.mark(permit_ids=[permit.pk for permit in permits[first : first + 20]], bulk=True)
        self.ids = [permit.pk for permit in permits]

    def remap(self, draw: random.Random) -> None:
        mapping.map_locations(choices=[(place, draw.choice(self.zones)) for place in self.places])

    def change(self, draw: random.Random) -> None:
        permit = Permit.objects.get(pk=draw.choice(self.ids))
        services.change_permit(permit=permit, end=timezone.now() + timedelta(minutes=draw.randint(100, 900)))

    def cancel(self, draw: random.Random) -> None:
        ended = services.end_permits(permit_ids=draw.sample(self.ids, 200))
        services.reinstate_permits(ended=ended)

    def refuse_and_retry(self, draw: random.Random) -> None:
        with transaction.atomic():
            some = PermitSync.objects.filter(permit__in=draw.sample(self.ids, 50))
            some = some.order_by("permit_id", "connection_id")
            held = [row.pk for row in some.select_for_update(no_key=True)]
            PermitSync.objects.filter(pk__in=held).update(state="refused")
        outbox.retry(permit_sync_ids=list(PermitSync.objects.refused().values_list("pk", flat=True)))

    def compare(self, draw: random.Random) -> None:
        comparison.reconcile(draw.choice(self.live), is_certain=draw.random() < 0.3)

    def look(self, _draw: random.Random) -> None:
        audit.audit(timezone.now())
        audit.audit_remote_state(timezone.now())

    def test(self, draw: random.Random) -> None:
        one = draw.choice(self.live)
        place = Location.objects.filter(zone_mapping__zone__connection=one).first()
        if place is not None:
            plate = test_plates.start_test(connection=one, location=place, plate=f"T{draw.randint(1, 99999)}")
            time.sleep(0.3)
            test_plates.answer_test(test=plate, seen=draw.random() < 0.8, note="", by="somebody", via="page")

    def go(self, draw: random.Random) -> None:
        one = draw.choice(self.live)
        connections.pause(connection=one, reason="for a moment")
        # As after its set-up: going live marks all of its permits.
        Connection.objects.filter(pk=one.pk).update(status="testing")
        connections.go_live(connection=one, reason="again")
