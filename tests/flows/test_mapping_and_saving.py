"""A permit is saved while its location moves to another connection, on PostgreSQL: whichever commits second tells both.

Each story runs both ways round: the save stays open until the move has come, and the move until the save has.
"""

import ast
from collections.abc import Iterator

import pytest

from tests import servers

CODE = """
import threading
from datetime import timedelta
from django.db import connection, transaction
from django.utils import timezone
from integrations.zones import mapping
from integrations.models import PermitSync
from locations import services
from locations.models import Permit
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

old = ConnectionFactory(live=True)
new = ConnectionFactory(live=True, company=old.company)
there, elsewhere = ZoneFactory(connection=new), ZoneFactory(connection=old)
HOUR = timedelta(hours=1)

def add(place):
    return PermitFactory(location=place)

def reinstate(place):
    return services.reinstate_permit(permit=Permit.objects.get(location=place))

def extend(place):
    return services.change_permit(permit=Permit.objects.get(location=place), end=timezone.now() + HOUR)

def move_in(place):
    return services.change_permit(permit=Permit.objects.get(location__name=f"beside {place.pk}"), location=place)

def move_out(place):
    beside = type(place).objects.get(name=f"beside {place.pk}")
    return services.change_permit(permit=Permit.objects.get(location=place), location=beside)

def cancel_many(place):
    services.cancel_permits(permits=Permit.objects.filter(location=place))
    return Permit.objects.get(location=place)

def stage(story):
    place = LocationFactory(company=old.company)
    beside = LocationFactory(company=old.company, name=f"beside {place.pk}")
    ZoneMappingFactory(location=place, zone=elsewhere)
    ZoneMappingFactory(location=beside, zone=elsewhere)
    if story in (move_out, cancel_many):
        PermitFactory(location=place)
    if story is move_in:
        PermitFactory(location=beside)
    if story is reinstate:
        services.cancel_permit(permit=PermitFactory(location=place))
    if story is extend:
        PermitFactory(location=place, start=timezone.now() - 2 * HOUR, end=timezone.now() - HOUR)
    return place

def run(first, second):
    begun, finish, errors = threading.Event(), threading.Event(), []
    def held():
        try:
            with transaction.atomic():
                first()
                begun.set()
                finish.wait(20)
        except Exception as error:
            errors.append(repr(error))
        finally:
            begun.set()
            connection.close()
    def other():
        try:
            second()
        except Exception as error:
            errors.append(repr(error))
        finally:
            connection.close()
    threads = [threading.Thread(target=held), threading.Thread(target=other)]
    threads[0].start()
    begun.wait(20)
    threads[1].start()
    threads[1].join(0.7)
    finish.set()
    for thread in threads:
        thread.join(20)
    return errors

found = {}
for story in (add, reinstate, extend, move_in, move_out, cancel_many):
    for order in ("save first", "move first"):
        place, saved = stage(story), []
        save, move = lambda: saved.append(story(place)), lambda: mapping.map_location(location=place, zone=there)
        # What was sent before is settled; the engine takes what is due now as it was at that time.
        PermitSync.objects.update(state="done")
        errors = run(*((save, move) if order == "save first" else (move, save)))
        permit = saved[0]
        rows = dict(PermitSync.objects.filter(permit=permit).values_list("connection_id", "state"))
        names = {old.pk: "old", new.pk: "new"}
        found[story.__name__, order] = (errors, {names[pk]: state for pk, state in rows.items()})
print(found)
"""


@pytest.fixture(scope="module")
def found() -> Iterator[dict[tuple[str, str], tuple[list[str], dict[str, str]]]]:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        yield ast.literal_eval(stack.shell(CODE).strip().splitlines()[-1])


@pytest.mark.parametrize("order", ["save first", "move first"])
@pytest.mark.parametrize("story", ["add", "reinstate", "extend", "move_in"])
def test_a_permit_saved_while_its_location_moves_is_due_where_it_belongs_now(
    found: dict[tuple[str, str], tuple[list[str], dict[str, str]]], story: str, order: str
) -> None:
    errors, rows = found[story, order]
    assert errors == []
    assert rows["new"] == "due"


@pytest.mark.parametrize("order", ["save first", "move first"])
@pytest.mark.parametrize("story", ["move_out", "cancel_many"])
def test_a_permit_that_leaves_while_its_location_moves_is_due_wherever_it_may_have_been_sent(
    found: dict[tuple[str, str], tuple[list[str], dict[str, str]]], story: str, order: str
) -> None:
    errors, rows = found[story, order]
    assert errors == []
    assert set(rows.values()) == {"due"}
