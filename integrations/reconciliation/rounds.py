"""When each connection is compared with what enforcement sees, and how the outcome is stored.

Each live connection is due `COMPARISON_EVERY_S` after its last comparison began, whatever its outcome. A worker claims it
under a lease (`comparing_until`), so each connection is compared by one worker at a time, and many connections in parallel.
One that is slow or fails doesn't hold up the others: a few threads of every worker take what is due, one after the other.

Only a success sets `compared_at`. A failure is stored with the number of failures in a row, and after `TELL_AFTER` of them
people are notified.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection as db
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.utils import Error as DatabaseError
from django.db.utils import InterfaceError, OperationalError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.delivery.database_clock import database_now
from integrations.models import Connection
from integrations.reconciliation import comparison, notices
from integrations.vendors.errors import DeliveryError, FixConnection
from integrations.vendors.protocol import get_vendor

log = structlog.get_logger(__name__)

RECONCILE_TASK = "reconcile"
# Longer than one request with all its time-outs, and than comparing one portion; renewed in between.
LEASE = timedelta(minutes=3)
RENEW_AFTER = timedelta(seconds=30)
# How far a stored time may be ahead of another worker's reading of the same clock.
AHEAD = timedelta(minutes=1)
TELL_AFTER = 3
# How many are compared by one worker at the same time.
THREADS = 4
# How many candidates are tried, since other workers may claim the first ones at the same moment.
CANDIDATES = 8

_free = threading.Semaphore(THREADS)
_stop = threading.Event()


class Lost(Exception):
    """Another worker holds the lease by now, or this worker is stopping."""


def reconcile_all(now: datetime) -> None:
    """Compare the live connections that are due (periodic task), on a few threads of their own that outlive this call.

    SQLite has a single writer, so there they are compared one after the other before this returns.
    """
    if db.vendor != "postgresql":
        compare_due(now)
        return
    _stop.clear()
    for _place in range(min(THREADS, due(now).count())):
        if not _free.acquire(blocking=False):
            return
        threading.Thread(target=_work, name="comparing", daemon=True).start()


def compare_due(now: datetime) -> int:
    """Compare all connections that are due, one after the other; return how many there were."""
    count = 0
    while (connection := claim(now)) is not None:
        compare_one(connection)
        count += 1
    return count


def stop() -> None:
    """Stop the comparisons of this process at their next step, because the worker is stopping."""
    _stop.set()


def due(now: datetime) -> QuerySet[Connection]:
    """Return the connections that are due, longest waiting first. `now` is the database's time."""
    pace = timedelta(seconds=settings.COMPARISON_EVERY_S)
    # A time in the future was stored by a wrong clock.
    waiting = Q(reconciled_at=None) | Q(reconciled_at__lte=now - pace) | Q(reconciled_at__gt=now + AHEAD)
    free = Q(comparing_until=None) | Q(comparing_until__lt=now) | Q(comparing_until__gt=now + LEASE + AHEAD)
    live = Connection.objects.filter(waiting, free, status=Connection.Status.LIVE).exclude(operator_id="")
    return live.order_by(F("reconciled_at").asc(nulls_first=True), "pk")


def claim(now: datetime) -> Connection | None:
    """Lease the connection that has waited longest and return it, or None if none is due."""
    for connection in due(now).select_related("company")[:CANDIDATES]:
        mine = Connection.objects.filter(
            pk=connection.pk,
            reconciled_at=connection.reconciled_at,
            comparing_until=connection.comparing_until,
        )
        if mine.update(reconciled_at=now, comparing_until=now + LEASE):
            connection.reconciled_at, connection.comparing_until = now, now + LEASE
            return connection
    return None


def compare_one(connection: Connection) -> None:
    """Compare a claimed connection and store the outcome."""
    began = connection.reconciled_at
    assert began is not None
    try:
        found = comparison.reconcile(connection, renew=_renewing(connection))
    except DeliveryError as error:
        log.info("parking rights could not be read", connection=connection.pk, error=error.sentence)
        _note_failure(connection, failure_sentence(connection, error))
    except Lost:
        log.info("a comparison was given up", connection=connection.pk)
    except (OperationalError, InterfaceError):
        # The database itself fails, so the outcome can't be stored.
        raise
    except Exception as error:
        log.exception("a comparison failed unexpectedly", connection=connection.pk)
        _note_failure(connection, _("Comparing failed: %(name)s.") % {"name": type(error).__name__})
    else:
        if found["held"]:
            _note_failure(connection, _held_sentence(connection, found), is_notified=True)
        elif found["unreadable"]:
            _note_failure(connection, _unreadable_sentence(connection, found["unreadable"]))
        else:
            _note_success(connection, began)


def failure_sentence(connection: Connection, error: DeliveryError) -> str:
    """Say why the list could not be read, and what a person can do about it."""
    names = get_vendor(connection.vendor).names
    if isinstance(error, FixConnection) and error.status == 403:
        text = (
            _("%(vendor)s doesn't let Offstreet read the parking rights of this operator (403).")
            % names.words
        )
        return f"{text} {error.remedy}".strip()
    return f"{error.sentence} {error.remedy}".strip()


# --- How ------------------------------------------------------------------------------------------------------------


def _work() -> None:
    """Compare one due connection after the other until none is left (a thread)."""
    try:
        while not _stop.is_set() and (connection := claim(database_now())) is not None:
            compare_one(connection)
    except DatabaseError as error:
        # The claimed connection is due again when its lease expires.
        log.warning("the database did not answer a comparison", error=type(error).__name__)
    finally:
        # The thread ends, and its database connection with it.
        db.close()
        _free.release()


def _renewing(connection: Connection) -> Callable[[], None]:
    """Return a function that renews the lease of a long comparison, and raises `Lost` if another worker holds it."""

    def renew() -> None:
        if _stop.is_set():
            raise Lost
        now = database_now()
        until = connection.comparing_until
        if until is None or until - now > LEASE - RENEW_AFTER:
            return
        if not Connection.objects.filter(pk=connection.pk, comparing_until=until).update(
            comparing_until=now + LEASE
        ):
            raise Lost
        connection.comparing_until = now + LEASE

    return renew


def _note_success(connection: Connection, began: datetime) -> None:
    with transaction.atomic():
        if _give_back(connection, compared_at=began, comparison_error="", comparison_failures=0):
            notices.end_failing(connection)


def _note_failure(connection: Connection, sentence: str, *, is_notified: bool = False) -> None:
    """Store what went wrong, and notify people unless another notice already does (`is_notified`)."""
    with transaction.atomic():
        failures = F("comparison_failures") + 1
        if not _give_back(connection, comparison_error=sentence, comparison_failures=failures):
            return
        count = Connection.objects.values_list("comparison_failures", flat=True).get(pk=connection.pk)
        if count >= TELL_AFTER and not is_notified:
            notices.tell_failing(connection, error=sentence, failures=count)


def _give_back(connection: Connection, **found: Any) -> bool:
    """Store what was found and end the lease; return False if another worker holds it by now."""
    mine = Connection.objects.filter(pk=connection.pk, comparing_until=connection.comparing_until)
    return bool(mine.update(**found, comparing_until=None))


def _unreadable_sentence(connection: Connection, count: int) -> str:
    text = ngettext(
        "%(vendor)s lists %(n)d parking right of ours with a time that can't be read, so it was not compared.",
        "%(vendor)s lists %(n)d parking rights of ours with times that can't be read, so they were not compared.",
        count,
    )
    return text % {**get_vendor(connection.vendor).names.words, "n": count}


def _held_sentence(connection: Connection, found: dict[str, int]) -> str:
    return _(
        "%(vendor)s's list differs so much from what it accepted (%(missing)d missing, "
        "%(differing)d different, %(surplus)d too many) that nothing was changed."
    ) % {**get_vendor(connection.vendor).names.words, **found}
