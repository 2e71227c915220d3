"""One number for one concept: pages, diagnostics and the command agree on every state a permit can be in."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from itertools import product

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from integrations import diagnostics
from integrations.audit_log.pushes import refusals
from integrations.dashboard import all_companies
from integrations.dashboard.company import figures_of, troubled
from integrations.models import Connection, PermitSync
from integrations.models.delivery import NOT_LISTED, STILL_LISTED, Priority
from integrations.permits import counts
from integrations.permits.counts import DeliveryCounts, PlaceCounts, delivery_counts, place_counts, together
from integrations.permits.listing import list_permits
from integrations.permits.queries import PermitFilters
from locations.models import Location, Permit
from locations.services import cancel_permit
from tests.factories import ConnectionFactory, PermitFactory
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
STATES = ("none", "due", "refused", "drifting", "still listed", "accepted")


def put(permit: Permit, connection: Connection, state: str, at: datetime, *, held: bool) -> None:
    """Put a permit sync into this state; `held` means that the vendor has a right that ends later than now."""
    PermitSync.objects.filter(permit=permit, connection=connection).delete()
    if state == "none":
        return
    PermitSync.objects.create(
        permit=permit,
        connection=connection,
        state={"due": "due", "refused": "refused"}.get(state, "done"),
        priority=Priority.TEST if permit.is_test else Priority.NOW,
        due_since=at - HOUR,
        next_attempt_at=at,
        remote_state={"session_id": "s"} if held else None,
        remote_until=at + HOUR if held else None,
        error_code={"refused": "vehicle_state", "drifting": NOT_LISTED, "still listed": STILL_LISTED}.get(
            state, ""
        ),
        error_since=at - HOUR if state in ("refused", "drifting", "still listed") else None,
        drift_since=at - HOUR if state in ("drifting", "still listed") else None,
    )


def fill(world: World, at: datetime) -> None:
    """Make a permit for each combination of time, cancellation, location, permit sync and what the vendor has."""
    elsewhere = ConnectionFactory(company=world.company, label="Second site", live=True)
    mapped = world.location("Lot B", world.zone("LotB"))
    unmapped, out_of_use = world.location("Rec Garage"), world.location("Old lot", active=False)
    windows = {"past": (-3, -2), "now": (-1, 2), "soon": (1, 2)}
    for place, window, cancelled, state, held, is_test in product(
        (mapped, unmapped, out_of_use), windows, (False, True), STATES, (False, True), (False, True)
    ):
        begin, end = (at + HOUR * hours for hours in windows[window])
        permit = PermitFactory(location=place, start=begin, end=end, is_test=is_test)
        if cancelled:
            cancel_permit(permit=permit)
        put(permit, world.connection, state, at, held=held)
        if place is mapped and state == "due":
            # Left over on a connection to which the location no longer sends.
            put(permit, elsewhere, "refused", at, held=False)


def rows_of(world: World) -> Iterator[tuple[Permit, PermitSync]]:
    found = PermitSync.objects.select_related("permit__location__zone_mapping__zone", "connection")
    for row in found.filter(connection__company=world.company, permit__is_test=False):
        yield row.permit, row


def is_wrong(row: PermitSync) -> bool:
    return row.state != "done" or row.error_code != ""


def sends_there(permit: Permit, connection_id: int) -> bool:
    mapping = getattr(permit.location, "zone_mapping", None)
    return mapping is not None and mapping.zone.connection_id == connection_id


def expected(world: World, at: datetime) -> tuple[DeliveryCounts, int]:
    """Count one by one, from the definitions; return also how many are not visible at all."""
    waiting = refused = still = hidden = 0
    for permit, row in rows_of(world):
        current = permit.status == "active" and permit.start <= at < permit.end
        over = permit.status == "cancelled" or permit.end <= at
        waiting += row.state == "due"
        refused += row.state == "refused"
        hidden += current and is_wrong(row) and sends_there(permit, row.connection_id)
        held = row.state != "done" and bool(row.remote_until and row.remote_until > at)
        still += over and (held or row.error_code == STILL_LISTED)
    parked = Permit.objects.real().current(at).filter(location__zone_mapping=None).count()
    since = at - HOUR
    return DeliveryCounts(waiting, since, refused, hidden, still), hidden + parked


def test_every_number_is_what_it_says(world: World) -> None:
    at = timezone.now()
    fill(world, at)
    found = together(delivery_counts(Connection.objects.all(), at).values())
    wanted, _all = expected(world, at)
    assert found == wanted
    assert all((wanted.waiting, wanted.refused, wanted.not_visible, wanted.still_shown))


def test_pages_diagnostics_and_command_agree(world: World) -> None:
    at = timezone.now()
    fill(world, at)
    wanted, hidden = expected(world, at)
    figures = figures_of(world.company, at)
    [line] = all_companies.lines(at)
    total = all_companies.totals([line])
    assert figures.total == line.counts == wanted
    assert figures.places == line.places
    assert (figures.unprotected.n, line.unprotected.n, total.unprotected) == (hidden, hidden, hidden)
    assert sum(reason.count for reason in figures.reasons) == wanted.refused
    rows, still = troubled(world.company, [link.connection.pk for link in figures.links], at)
    assert (len(rows), len(still)) == (hidden, wanted.still_shown)
    shown = list_permits(world.company, PermitFilters(push="unprotected"), now=at, rows=10_000)
    assert len(shown.rows) == hidden
    assert sum(reason.count for reason in refusals(list(world.company.connections.all()))) == wanted.refused
    checks = {
        check.key: check
        for check in diagnostics.examine(
            company=world.company, connection=world.connection, asks_vendor=False
        )
    }
    own = delivery_counts(Connection.objects.filter(pk=world.connection.pk), at)[world.connection.pk]
    assert checks["backlog"].finding.startswith(f"{own.waiting} permits are waiting")
    assert checks["refused"].finding.startswith(f"{own.refused}: ")
    said = StringIO()
    call_command("passport", "status", "--company", "university", "--site", "", "--json", stdout=said)
    document = json.loads(said.getvalue())
    assert document["registrations"]["waiting"] == own.waiting
    assert document["registrations"]["refused"] == own.refused
    assert document["still_shown"] == own.still_shown
    assert document["not_visible"] == own.not_visible + figures.places.parked_unmapped


def test_the_refused_page_says_the_overviews_number_after_a_connection_has_ended(world: World) -> None:
    at = timezone.now()
    place = world.location("Lot B", world.zone("LotB"))
    old = ConnectionFactory(company=world.company, label="Old site", live=True)
    for number in range(3):
        permit = PermitFactory(location=place)
        put(permit, world.connection, "refused" if number == 0 else "accepted", at, held=True)
        put(permit, old, "refused", at, held=True)
    Connection.objects.filter(pk=old.pk).update(status="ended")
    assert figures_of(world.company, at).total.refused == 1
    [shown] = Permit.objects.filter(permit_syncs__state="refused", permit_syncs__connection=world.connection)
    page = text_of(world.operator.get(world.url("refused")))
    assert page.count(reverse("permit", args=[world.company.slug, shown.pk])) >= 1
    others = Permit.objects.exclude(pk=shown.pk)
    assert not any(reverse("permit", args=[world.company.slug, one.pk]) + '"' in page for one in others)


def test_locations_without_a_zone_have_one_number(world: World) -> None:
    at = timezone.now()
    world.location("Lot B", world.zone("LotB"))
    PermitFactory(location=world.location("Rec Garage"))
    PermitFactory(location=world.location("Old lot", active=False))
    [places] = place_counts(Location.objects.all(), at).values()
    assert (places.total, places.mapped, places.unmapped, places.parked_unmapped) == (2, 1, 1, 2)
    page = text_of(world.operator.get(world.url("locations")))
    assert "1 of 2 locations are mapped" in page
    assert figures_of(world.company, at).places == places


def test_a_number_is_bounded_however_much_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_LOOKED_AT", 3)
    at, place = timezone.now(), world.location("Lot B", world.zone("LotB"))
    for _number in range(6):
        put(PermitFactory(location=place), world.connection, "due", at, held=False)
    later = PermitFactory(location=place)
    put(later, world.connection, "due", at, held=False)
    PermitSync.objects.exclude(permit=later).update(priority=Priority.MASS_SOON)
    [found] = delivery_counts(Connection.objects.all(), at).values()
    assert (found.waiting, found.not_visible) == (7, 3)
    # Urgent permits are counted first.
    Permit.objects.exclude(pk=later.pk).update(start=at + HOUR)
    [found] = delivery_counts(Connection.objects.all(), at).values()
    assert found.not_visible == 1


def test_without_any_connection_or_location_there_is_nothing_to_count() -> None:
    at = timezone.now()
    assert delivery_counts(Connection.objects.none(), at) == {}
    assert place_counts(Location.objects.none(), at) == {}
    assert together([]) == DeliveryCounts()
    assert counts.not_visible(DeliveryCounts(), PlaceCounts()).text == "0"
