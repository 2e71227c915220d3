"""Look-ups that people ask for, done by workers: diagnostics, and what the vendor has for one permit.

A vendor that hangs would hold a thread of the web for as long as its time-outs let it, and a page has only so many: one
person who presses a button again and again would stop the site for everyone. So the web process stores the request
(`CheckRun`), a worker runs it, and the page polls until it is done.

No broker is needed: each worker's scheduler looks for rows once a second, since an unreachable broker is one of the
things that diagnostics report. A row is claimed under a lease, so if a worker dies, another takes over; a look-up
changes nothing, so running it twice does no harm. A company has at most `AT_ONCE` running, so that no company holds up
the others, and a person can ask a few times a minute.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import close_old_connections
from django.db.models import Count, Q
from django.utils.translation import gettext as _
from limits import RateLimitItem, RateLimitItemPerMinute

from integrations import throttle
from integrations.delivery.database_clock import believed_until, come, database_now
from integrations.models import CheckRun, Connection, TestPlate
from locations.models import Company, Permit, User

log = structlog.get_logger(__name__)

# Longer than all time-outs of one look-up together.
LEASE = timedelta(seconds=90)
# What waits for longer than this is given up: nobody looks at the page any more.
GIVE_UP_AFTER = timedelta(minutes=4)
# Workers look once a second; what none has taken up by then, none will soon.
TAKEN_UP_WITHIN = timedelta(seconds=10)
KEPT_FOR = timedelta(hours=1)
# A company's look-ups that are under way at the same time.
AT_ONCE = 2
A_COMPANYS_A_MINUTE: Final[RateLimitItem] = RateLimitItemPerMinute(30)

Result = dict[str, Any]
_work: dict[str, Callable[[CheckRun], Result]] = {}


def register(kind: str, work: Callable[[CheckRun], Result]) -> None:
    """Say how a kind of look-up is done; `work` returns what the page shows, as a JSON document."""
    _work[kind] = work


def within_limits(kind: str, *, company: Company, user: User) -> bool:
    """Count one more question of this person and of this company; return whether both are within their limits."""
    mine = throttle.take(throttle.A_FEW_A_MINUTE, f"check {kind}", str(user.pk))
    return mine and throttle.take(A_COMPANYS_A_MINUTE, "checks of a company", str(company.pk))


def ask(
    kind: str,
    *,
    company: Company,
    user: User,
    connection: Connection | None = None,
    permit: Permit | None = None,
    test: TestPlate | None = None,
    symptom: str = "",
) -> CheckRun:
    """Write down what a person asks for; return it, or the same question of theirs that is still open."""
    asked = {
        "company": company,
        "kind": kind,
        "connection": connection,
        "permit": permit,
        "test": test,
        "symptom": symptom,
        "requested_by": user,
    }
    now = database_now()
    open_one = CheckRun.objects.filter(**asked, finished_at=None, requested_at__gt=now - GIVE_UP_AFTER).last()
    return open_one or CheckRun.objects.create(**asked, requested_at=now)


def claim(now: datetime) -> CheckRun | None:
    """Take the oldest look-up that waits under a lease; None where there is none. `now` is the database's time."""
    still_open = CheckRun.objects.filter(finished_at=None)
    first = still_open.filter(Q(leased_until=None) | come("leased_until", now, at_most=LEASE)).order_by("pk")
    # One look, most of the time.
    if not first.exists():
        return None
    leased = still_open.filter(leased_until__gt=now, leased_until__lte=believed_until(now, LEASE))
    under_way = leased.order_by().values("company")
    busy = under_way.annotate(n=Count("pk")).filter(n__gte=AT_ONCE).values("company")
    run = first.exclude(company__in=busy).select_related("company", "connection", "permit__location").first()
    if run is None:
        return None
    until = now + LEASE
    won = still_open.filter(pk=run.pk, leased_until=run.leased_until).update(leased_until=until)
    run.leased_until = until
    return run if won else None


def perform(run: CheckRun) -> None:
    """Do what was claimed, and write down what was found unless another worker has meanwhile."""
    try:
        result = _work[run.kind](run)
    except Exception as error:
        log.exception("a look-up failed unexpectedly", check=run.pk, kind=run.kind)
        result = failure(_("This could not be looked up: %(name)s.") % {"name": type(error).__name__})
    finally:
        # The thread goes back to wait, and must not keep a connection meanwhile.
        close_old_connections()
    mine = CheckRun.objects.filter(pk=run.pk, leased_until=run.leased_until, finished_at=None)
    mine.update(result=result, finished_at=database_now())
    close_old_connections()


def failure(sentence: str) -> Result:
    """Return the result of a look-up that could not be made."""
    return {"failed": sentence}


def tidy(now: datetime) -> None:
    """Give up what nobody waits for any more, and delete what is old (periodic task)."""
    late = CheckRun.objects.filter(finished_at=None, requested_at__lt=now - GIVE_UP_AFTER)
    late.update(finished_at=now, result=failure(_("It took too long and was stopped. Check again.")))
    CheckRun.objects.filter(requested_at__lt=now - KEPT_FOR).delete()
