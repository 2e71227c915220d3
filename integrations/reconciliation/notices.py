"""Notices about a comparison with enforcement's list. Each is sent once and resolved when the problem is over."""

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, Notice, PermitSync
from integrations.notifications import notices
from integrations.vendors.protocol import get_vendor

# The company is notified of drift after this many repairs.
TOLD_TRIES = 2


def held_key(connection_id: int) -> str:
    """Return the key of the company's notice that a comparison is held."""
    return f"comparison_held:{connection_id}"


def tell_held(connection: Connection, *, missing: int, expected: int, tells_company: bool = True) -> None:
    """Notify support that the vendor's list differs too much to be trusted, so nothing is changed.

    The company is notified too, unless another notice already does (`tells_company` is False).
    """
    names = get_vendor(connection.vendor).names
    words = {
        "name": connection.name,
        "vendor": names.label,
        "enforcement": names.enforcement,
        "missing": f"{missing:,}",
        "expected": f"{expected:,}",
        "command": command(connection, "--send-missing"),
    }
    fact = _(
        "%(name)s: of %(expected)s current permits, %(vendor)s lists %(missing)s differently "
        "from what it accepted, or not at all."
    )
    company = _("Nothing is changed until the list is right again. Support will look into it.")
    support = _(
        "So many at once suggest that the list is wrong, so nothing is changed. If "
        "%(enforcement)s is wrong as well, send them again: %(command)s"
    )
    url = reverse("diagnostics", args=[connection.company.slug])
    danger, key = Notice.Level.DANGER, held_key(connection.pk)
    if tells_company:
        warning = Notice.Level.WARNING
        notices.tell(connection.company, "comparison_held", warning, f"{fact} {company}" % words, url, key)
    else:
        notices.resolve(key)
    notices.tell(None, "comparison_held", danger, f"{fact} {support}" % words, url, f"{key}:support")


def end_held(connection: Connection) -> None:
    """Resolve the notices that a comparison is held."""
    notices.resolve(held_key(connection.pk))
    notices.resolve(f"{held_key(connection.pk)}:support")


def tell_unknown(connection: Connection, count: int) -> None:
    """Notify support of rights under our key that belong to no permit sync; resolve the notice if there are none."""
    key = f"rights_unknown:{connection.pk}"
    if not count:
        notices.resolve(key)
        return
    text = ngettext(
        "%(name)s: %(vendor)s lists %(count)s parking right that Offstreet sent but no longer "
        "knows, for example because a backup was restored. It ends at its own end time. To end "
        "it now: %(command)s",
        "%(name)s: %(vendor)s lists %(count)s parking rights that Offstreet sent but no longer "
        "knows, for example because a backup was restored. They end at their own end times. To "
        "end them now: %(command)s",
        count,
    ) % {
        "name": connection.name,
        "vendor": get_vendor(connection.vendor).names.label,
        "count": f"{count:,}",
        "command": command(connection, "--end-unknown"),
    }
    url = reverse("diagnostics", args=[connection.company.slug])
    notices.tell(None, "rights_unknown", Notice.Level.WARNING, text, url, key)


def tell_not_applied(connection: Connection) -> None:
    """Notify the company of permits that were accepted and sent again twice, and are still not listed correctly."""
    key = _not_applied_key(connection)
    rows = PermitSync.objects.filter(
        connection=connection, drift_since__isnull=False, drift_tries__gte=TOLD_TRIES
    )
    count = rows.count()
    if not count:
        notices.resolve(key)
        return
    text = ngettext(
        "%(name)s: %(vendor)s accepted %(count)s permit, but doesn't list it correctly in the "
        "parking rights, even after it was sent again. The vehicle may not be visible to "
        "enforcement. It is sent again at increasing intervals.",
        "%(name)s: %(vendor)s accepted %(count)s permits, but doesn't list them correctly in "
        "the parking rights, even after they were sent again. The vehicles may not be visible "
        "to enforcement. They are sent again at increasing intervals.",
        count,
    ) % {
        "name": connection.name,
        "vendor": get_vendor(connection.vendor).names.label,
        "count": f"{count:,}",
    }
    url = reverse("diagnostics", args=[connection.company.slug])
    notices.tell(connection.company, "not_applied", Notice.Level.DANGER, text, url, key)


def tell_failing(connection: Connection, *, error: str, failures: int) -> None:
    """Notify support and the company that the list could not be read several times in a row, so what enforcement sees is
    unknown.
    """
    words = {
        "name": connection.name,
        "vendor": get_vendor(connection.vendor).names.label,
        "failures": f"{failures:,}",
        "error": error,
    }
    text = _(
        "%(name)s: what enforcement sees could not be compared with what was sent, %(failures)s times in a row. %(error)s"
    )
    url = reverse("diagnostics", args=[connection.company.slug])
    key, danger = _failing_key(connection), Notice.Level.DANGER
    notices.tell(connection.company, "comparison_failing", Notice.Level.WARNING, text % words, url, key)
    notices.tell(None, "comparison_failing", danger, text % words, url, f"{key}:support")


def end_failing(connection: Connection) -> None:
    """Resolve the notices that the list can't be read."""
    notices.resolve(_failing_key(connection))
    notices.resolve(f"{_failing_key(connection)}:support")


def end_all(connection: Connection) -> None:
    """Resolve all notices of a connection that has ended and is no longer compared."""
    end_held(connection)
    end_failing(connection)
    tell_unknown(connection, 0)
    notices.resolve(_not_applied_key(connection))


def _not_applied_key(connection: Connection) -> str:
    return f"not_applied:{connection.pk}"


def _failing_key(connection: Connection) -> str:
    return f"comparison_failing:{connection.pk}"


def command(connection: Connection, option: str) -> str:
    """Return the command that compares a connection with an option."""
    site = f' --site "{connection.label}"' if connection.label else ""
    return f"manage.py {connection.vendor} compare --company {connection.company.slug}{site} {option}"
