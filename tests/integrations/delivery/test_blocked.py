"""A transaction that the database refuses keeps no one else waiting: its rows are recorded a moment later."""

import sqlite3
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, transaction

from integrations.delivery import outbox, record_results
from integrations.delivery.engine import Engine
from integrations.delivery.record_results import is_blocked
from integrations.models import Breaker, PermitSync
from integrations.vendors.errors import TryLater
from locations import services
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.fakes import FakeVendor
from tests.world import World


def caused_by(cause: BaseException | None) -> OperationalError:
    error = OperationalError("no")
    error.__cause__ = cause
    return error


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    return error


REFUSED_ONCE = [
    psycopg.errors.LockNotAvailable(),
    psycopg.errors.DeadlockDetected(),
    psycopg.errors.QueryCanceled(),
    sqlite_error(sqlite3.SQLITE_BUSY),
    sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT),
]
names = [type(error).__name__ for error in REFUSED_ONCE]


@pytest.mark.parametrize("cause", REFUSED_ONCE, ids=names)
def test_what_the_database_refuses_for_now_is_distinguished_from_a_failing_database(
    cause: BaseException,
) -> None:
    assert is_blocked(caused_by(cause))


@pytest.mark.parametrize(
    "cause",
    [None, psycopg.errors.AdminShutdown(), psycopg.OperationalError(), sqlite_error(sqlite3.SQLITE_IOERR)],
    ids=["no answer", "shut down", "connection lost", "disk"],
)
def test_a_database_that_is_away_blocks_nothing_but_is_away(cause: BaseException | None) -> None:
    assert not is_blocked(caused_by(cause))


@pytest.fixture
def other(world: World) -> PermitSync:
    """A row of another company that is due."""
    live = ConnectionFactory(live=True)
    location = LocationFactory(company=live.company)
    ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
    permit = PermitFactory(location=location)
    return PermitSync.objects.get(permit=permit)


def refuse_first(
    monkeypatch: pytest.MonkeyPatch, connection_id: int, cause: BaseException, times: int
) -> list[int]:
    """Let the database refuse this many times to record anything for one connection; return what was tried."""
    write, tried = record_results._write_rows, list[int]()

    def refusing(batches: Any, now: Any) -> Any:
        if any(batch.connection_id == connection_id for batch in batches) and len(tried) < times:
            tried.append(len(batches))
            raise caused_by(cause)
        return write(batches, now)

    monkeypatch.setattr(record_results, "_write_rows", refusing)
    return tried


@pytest.mark.django_db
@pytest.mark.parametrize("cause", REFUSED_ONCE, ids=names)
@pytest.mark.parametrize("is_idle", [True, False], ids=["idle rows", "sent rows"])
def test_what_others_have_lined_up_is_sent_although_one_company_can_not_be_recorded(
    world: World, other: PermitSync, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch,
    cause: BaseException, is_idle: bool,
) -> None:  # fmt: skip
    permit = world.permit()
    if is_idle:
        services.cancel_permit(permit=permit)  # never sent: there is nothing to do
    tried = refuse_first(monkeypatch, world.connection.pk, cause, times=3)
    engine = Engine(senders=4)
    engine.drain([world.connection.pk, other.connection_id])
    engine.close()
    assert len(tried) == 3
    other.refresh_from_db()
    row = world.permit_sync(permit)
    assert (other.state, row.state) == (PermitSync.State.DONE, PermitSync.State.DONE)
    # Nothing was dropped and sent again after its lease: each row was tried once.
    assert len(vendor.sent) == (1 if is_idle else 2)


@pytest.mark.django_db
def test_what_is_given_back_and_can_not_be_recorded_drops_nothing_of_others(
    world: World, other: PermitSync, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.batch_size = 1
    permits = [world.permit(f"P{number}") for number in range(12)]
    vendor.failures = [TryLater("Away.")]
    engine = Engine(senders=2)
    tried: list[int] = []
    write = record_results._write_rows

    def refusing(batches: Any, now: Any) -> Any:
        # A row that is given back has sent nothing.
        if (
            any(outcome.retry_error for batch in batches if not batch.pushes for outcome in batch.outcomes)
            and len(tried) < 2
        ):
            tried.append(len(batches))
            raise caused_by(psycopg.errors.LockNotAvailable())
        return write(batches, now)

    monkeypatch.setattr(record_results, "_write_rows", refusing)
    engine.drain([world.connection.pk, other.connection_id])
    assert tried
    other.refresh_from_db()
    assert other.state == PermitSync.State.DONE
    Breaker.objects.all().delete()
    assert not PermitSync.objects.exclude(lease=None).exists()
    world.let_time_pass()
    engine.drain([world.connection.pk])
    engine.close()
    assert {world.permit_sync(permit).state for permit in permits} == {PermitSync.State.DONE}


@pytest.mark.django_db
def test_a_backfill_of_any_size_is_marked_in_portions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    permits = [world.permit(f"P{number}") for number in range(7)]
    PermitSync.objects.all().delete()
    portions: list[int] = []
    mark = outbox.mark

    def counting(*, permit_ids: Any, bulk: bool = False) -> set[int]:
        portions.append(len(permit_ids))
        return mark(permit_ids=permit_ids, bulk=bulk)

    monkeypatch.setattr(outbox, "MARK_ROWS", 3)
    monkeypatch.setattr(outbox, "mark", counting)
    with transaction.atomic():
        assert outbox.mark_connection(connection_id=world.connection.pk) == {world.connection.pk}
    assert portions == [3, 3, 1]
    assert PermitSync.objects.filter(permit__in=permits, state="due").count() == 7
