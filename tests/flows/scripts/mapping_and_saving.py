"""A permit is saved and its location is moved to another connection, one of them within the other's transaction."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from integrations.models import Connection, PermitSync, Zone
from integrations.zones import mapping
from locations import services
from locations.models import Location, Permit
from tests.factories import ConnectionFactory, PermitFactory, ZoneFactory, mapped_location
from tests.flows.scripts.threads import start

HOUR = timedelta(hours=1)
SAVE_FIRST, MOVE_FIRST = "save first", "move first"


class Outcome(TypedDict):
    """What was raised, and the state of the permit's row for each connection that has one: `old`, `new`."""

    errors: list[str]
    rows: dict[str, str]


def all_stories() -> dict[str, dict[str, Outcome]]:
    """Return the outcome of each story in either order."""
    old: Connection = ConnectionFactory(live=True)
    new: Connection = ConnectionFactory(live=True, company=old.company)
    zones: tuple[Zone, Zone] = (ZoneFactory(connection=old), ZoneFactory(connection=new))
    return {
        story.__name__: {order: _tell(story, order, *zones) for order in (SAVE_FIRST, MOVE_FIRST)}
        for story in STORIES
    }


def _tell(story: "Story", order: str, elsewhere: Zone, there: Zone) -> Outcome:
    """Save a permit by the story while its location moves from one zone to the other, in either order."""
    place = mapped_location(elsewhere.connection, elsewhere)
    beside = mapped_location(elsewhere.connection, elsewhere)
    STORIES[story](place, beside)
    saved: list[Permit] = []

    def save() -> None:
        saved.append(story(place, beside))

    def move() -> None:
        mapping.map_location(location=place, zone=there)

    # What was sent before is settled; what is due now stays as it is.
    PermitSync.objects.update(state="done")
    errors = _within(*((save, move) if order == SAVE_FIRST else (move, save)))
    names = {elsewhere.connection_id: "old", there.connection_id: "new"}
    rows = PermitSync.objects.filter(permit=saved[0]).values_list("connection_id", "state")
    return {"errors": errors, "rows": {names[pk]: str(state) for pk, state in rows}}


def _within(first: Callable[[], None], second: Callable[[], None]) -> list[str]:
    """Begin the second while the first one's transaction is open, which commits a moment later; return what was raised."""
    begun, finish = threading.Event(), threading.Event()
    errors: list[str] = []

    def held() -> None:
        try:
            with transaction.atomic():
                first()
                begun.set()
                finish.wait(20)
        finally:
            begun.set()

    threads = [start(held, errors)]
    begun.wait(20)
    threads.append(start(second, errors))
    threads[1].join(0.7)
    finish.set()
    for thread in threads:
        thread.join(20)
    return errors


# --- What is saved: each returns the permit -----------------------------------------------------------------------


def add(place: Location, _beside: Location) -> Permit:
    permit: Permit = PermitFactory(location=place)
    return permit


def reinstate(place: Location, _beside: Location) -> Permit:
    return services.reinstate_permit(permit=Permit.objects.get(location=place))


def extend(place: Location, _beside: Location) -> Permit:
    return services.change_permit(permit=Permit.objects.get(location=place), end=timezone.now() + HOUR)


def move_in(place: Location, beside: Location) -> Permit:
    return services.change_permit(permit=Permit.objects.get(location=beside), location=place)


def move_out(place: Location, beside: Location) -> Permit:
    return services.change_permit(permit=Permit.objects.get(location=place), location=beside)


def cancel_many(place: Location, _beside: Location) -> Permit:
    services.cancel_permits(permits=Permit.objects.filter(location=place))
    return Permit.objects.get(location=place)


# --- What must be there before ------------------------------------------------------------------------------------


def _nothing(_place: Location, _beside: Location) -> None:
    pass


def _current(place: Location, _beside: Location) -> None:
    PermitFactory(location=place)


def _current_beside(_place: Location, beside: Location) -> None:
    PermitFactory(location=beside)


def _cancelled(place: Location, _beside: Location) -> None:
    services.cancel_permit(permit=PermitFactory(location=place))


def _ended(place: Location, _beside: Location) -> None:
    PermitFactory(location=place, start=timezone.now() - 2 * HOUR, end=timezone.now() - HOUR)


Story = Callable[[Location, Location], Permit]
STORIES: dict[Story, Callable[[Location, Location], None]] = {
    add: _nothing,
    reinstate: _cancelled,
    extend: _ended,
    move_in: _current_beside,
    move_out: _current,
    cancel_many: _current,
}
