"""What people are told of a comparison with enforcement's list: once for as long as it lasts, and no more when it is over."""

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, Notice
from integrations.notifications import notices
from integrations.vendors.protocol import get_vendor


def held_key(connection_id: int) -> str:
    """The key of the company's notice that a comparison is held."""
    return f"comparison_held:{connection_id}"


def tell_held(connection: Connection, *, missing: int, expected: int) -> None:
    """Tell the company and support that the vendor lists too little to be believed; nothing is changed meanwhile."""
    names = get_vendor(connection.vendor).names
    words = {
        "name": connection.name,
        "vendor": names.label,
        "enforcement": names.enforcement,
        "missing": f"{missing:,}",
        "expected": f"{expected:,}",
        "command": _command(connection, "--send-missing"),
    }
    fact = _(
        "%(name)s: %(vendor)s accepted these registrations and does not list them: %(missing)s of %(expected)s that hold now."
    )
    company = _("Nothing is changed until the list is complete again. Support looks into it.")
    support = _(
        "So many at once point to a list that is short, so nothing is changed. If %(enforcement)s lacks them as well, send "
        "them again: %(command)s"
    )
    url = reverse("doctor", args=[connection.company.slug])
    danger, key = Notice.Level.DANGER, held_key(connection.pk)
    notices.tell(
        connection.company, "comparison_held", Notice.Level.WARNING, f"{fact} {company}" % words, url, key
    )
    notices.tell(None, "comparison_held", danger, f"{fact} {support}" % words, url, f"{key}:support")


def end_held(connection: Connection) -> None:
    """Say no more that a comparison is held."""
    notices.resolve(held_key(connection.pk))
    notices.resolve(f"{held_key(connection.pk)}:support")


def tell_unknown(connection: Connection, count: int) -> None:
    """Tell support of rights under our key that no registration stands for; or, where there are none, no more of them."""
    key = f"rights_unknown:{connection.pk}"
    if not count:
        notices.resolve(key)
        return
    text = ngettext(
        "%(name)s: %(vendor)s lists %(count)s parking right that Offstreet sent and knows nothing of any more, as after "
        "a backup was restored. It ends with its window. To end it now: %(command)s",
        "%(name)s: %(vendor)s lists %(count)s parking rights that Offstreet sent and knows nothing of any more, as after "
        "a backup was restored. They end with their windows. To end them now: %(command)s",
        count,
    ) % {
        "name": connection.name,
        "vendor": get_vendor(connection.vendor).names.label,
        "count": f"{count:,}",
        "command": _command(connection, "--end-unknown"),
    }
    url = reverse("doctor", args=[connection.company.slug])
    notices.tell(None, "rights_unknown", Notice.Level.WARNING, text, url, key)


def _command(connection: Connection, option: str) -> str:
    site = f' --site "{connection.label}"' if connection.label else ""
    return f"manage.py {connection.vendor} compare --company {connection.company.slug}{site} {option}"
