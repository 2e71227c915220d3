"""A process that edits: saves, changes, moves and cancels permits, maps locations to zones of this and of that connection
and to none, pauses and resumes connections; all through the services, seeded and repeatable.

    python -m tests.faults.driver --seed 7 --edits 2000 --name a

It shares the load with others of its kind (`--name` keeps their external ids apart). An edit whose database goes away is
not counted, since nothing was saved; whether its transaction was committed shows in the database afterwards, which is
what Passport is compared with. Prints one line of JSON with the number of edits and the slowest save. On SIGUSR1
it writes where each of its threads is (to debug a driver that hangs).
"""

import argparse
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")

import django

django.setup()

from django.core.exceptions import ValidationError  # noqa: E402
from django.db import DatabaseError, InterfaceError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from integrations.delivery import wakeup  # noqa: E402
from integrations.models import Connection, Zone  # noqa: E402
from integrations.onboarding import connections  # noqa: E402
from integrations.zones import mapping  # noqa: E402
from locations import services  # noqa: E402
from locations.models import Location, Permit  # noqa: E402
from tests.faults.companies import resume_all  # noqa: E402

BULK_ROWS = 40
ZONES_EACH = 4
# How often a location is unmapped, and how often a pause is begun rather than ended.
UNMAPPED, PAUSED = 0.2, 0.4


class Driver:
    """Does one edit after another, drawn from its own random numbers."""

    def __init__(self, seed: int, name: str) -> None:
        self.random = random.Random(f"{seed}/{name}")
        self.name = name
        self.number = 0
        self.places = list(Location.objects.order_by("pk"))
        self.connections = list(Connection.objects.order_by("pk"))
        self.zones = {
            place.pk: [
                zone
                for each in self.connections
                if each.company_id == place.company_id
                for zone in Zone.objects.filter(connection=each, session_type="vehicle").order_by("pk")[
                    :ZONES_EACH
                ]
            ]
            for place in self.places
        }
        self.mine: list[int] = []
        self.slowest_ms = 0.0
        self.kinds: list[tuple[Callable[[], int], int]] = [
            (self.add, 30), (self.extend, 15), (self.shorten, 8), (self.change_plate, 12), (self.move, 8), (self.cancel, 12),
            (self.reinstate, 4), (self.churn, 4), (self.add_many, 2), (self.cancel_many, 2), (self.map_anew, 2),
            (self.pause_or_resume, 1),
        ]  # fmt: skip

    def edit(self) -> int:
        """Do one edit; return how many permits it changed."""
        call = self.random.choices([kind for kind, _ in self.kinds], [weight for _, weight in self.kinds])[0]
        began = time.monotonic()
        try:
            return call()
        except ValidationError:
            return 0  # a cancelled permit can't be changed, and a page would not offer it
        finally:
            self.slowest_ms = max(self.slowest_ms, (time.monotonic() - began) * 1000)

    def draft(self) -> services.PermitDraft:
        self.number += 1
        now = timezone.now()
        start = now + timedelta(minutes=self.random.choice([-120, -5, 0, 30, 2000]))
        return services.PermitDraft(
            location=self.random.choice(self.places),
            plate=self.plate(),
            subdivision=self.random.choice(["US-NC", "US-MI", "CA-ON"]),
            start=start,
            end=max(start, now) + timedelta(hours=self.random.randint(5, 90)),
            external_id=f"{self.name}-{self.number}",
        )

    def plate(self) -> str:
        return f"{self.name}{self.random.randrange(10**6):06d}".upper()

    def permit(self) -> Permit:
        return Permit.objects.get(pk=self.random.choice(self.mine[-200:]))

    def add(self) -> int:
        self.mine.append(services.register_permit(draft=self.draft()).pk)
        return 1

    def add_many(self) -> int:
        saved = services.register_permits(drafts=[self.draft() for _ in range(BULK_ROWS)])
        self.mine += [permit.pk for permit in saved]
        return BULK_ROWS

    def extend(self) -> int:
        permit = self.permit()
        services.change_permit(permit=permit, end=permit.end + timedelta(hours=self.random.randint(1, 40)))
        return 1

    def shorten(self) -> int:
        permit = self.permit()
        services.change_permit(permit=permit, end=max(permit.start, timezone.now()) + timedelta(hours=4))
        return 1

    def change_plate(self) -> int:
        services.change_permit(permit=self.permit(), plate=self.plate())
        return 1

    def move(self) -> int:
        permit = self.permit()
        places = [place for place in self.places if place.company_id == permit.company_id]
        services.change_permit(permit=permit, location=self.random.choice(places))
        return 1

    def cancel(self) -> int:
        services.cancel_permit(permit=self.permit())
        return 1

    def cancel_many(self) -> int:
        some = self.random.sample(self.mine, min(len(self.mine), BULK_ROWS // 2))
        return services.cancel_permits(permits=Permit.objects.filter(pk__in=some))

    def reinstate(self) -> int:
        services.reinstate_permit(permit=self.permit())
        return 1

    def churn(self) -> int:
        """Create, change and cancel in quick succession."""
        permit = services.register_permit(draft=self.draft())
        services.change_permit(permit=permit, plate=self.plate())
        services.cancel_permit(permit=permit)
        return 3

    def map_anew(self) -> int:
        """Map one location, or several at once, to zones of any of their company's connections, or to none."""
        places = self.random.sample(self.places, self.random.choice([1, 1, 1, 3]))
        choices = [
            (place, None if self.random.random() < UNMAPPED else self.random.choice(self.zones[place.pk]))
            for place in places
        ]
        mapping.map_locations(choices=choices)
        return 1

    def pause_or_resume(self) -> int:
        """Pause a connection, or resume all that are paused."""
        if self.random.random() < PAUSED:
            connections.pause(connection=self.random.choice(self.connections), reason="storm")
        else:
            resume_all()
        return 1


def begin(seed: int, name: str) -> Driver:
    """Return a driver with a first permit; waits for a database that is down."""
    while True:
        try:
            driver = Driver(seed, name)
            driver.add()
            return driver
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--edits", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pause-ms", type=float, default=0)
    options = parser.parse_args()
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    driver, edits, lost, deadlocks = begin(options.seed, options.name), 0, 0, 0
    while edits < options.edits and not asked_to_end.is_set():
        try:
            edits += driver.edit()
        except (DatabaseError, InterfaceError) as error:
            lost += 1
            deadlocks += "deadlock" in str(error)
            connection.close()
            time.sleep(0.1)
        time.sleep(options.pause_ms / 1000)
    wakeup.flush(2)
    said = {"edits": edits, "database_away": lost, "deadlocks": deadlocks}
    print(json.dumps(said | {"slowest_ms": round(driver.slowest_ms)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
