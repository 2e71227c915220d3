"""Notices about check plates (`integrations.reconciliation.canary`): one for each failing zone, for as long as it fails and
is still checked.
"""

from collections.abc import Sequence

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import CanaryCheck, Connection, Notice, Zone
from integrations.notifications import notices
from integrations.vendors.protocol import get_vendor


def notice_key(zone_id: int) -> str:
    """Return the key of the notice that the check plate failed in a zone."""
    return f"canary:{zone_id}"


def resolve(zone_id: int) -> None:
    """Resolve the notice that a zone fails."""
    notices.resolve(notice_key(zone_id))


def end(connection: Connection, *, besides: Sequence[int] = ()) -> None:
    """Resolve the notices of zones that are no longer checked, since no later run would."""
    zones = Zone.objects.filter(connection=connection).exclude(pk__in=besides)
    keys = [notice_key(zone) for zone in zones.values_list("pk", flat=True)]
    open_ones = Notice.objects.filter(dedupe_key__in=keys, done_at=None)
    for key in open_ones.values_list("dedupe_key", flat=True):
        notices.resolve(key)


def tell(check: CanaryCheck, failure: CanaryCheck.Failure, sentence: str, *, plate: str) -> None:
    """Notify the company that a check failed, unless check plates have been switched off. `sentence` is the vendor's."""
    connection = Connection.objects.select_related("company").get(pk=check.run.connection_id)
    if connection.canary_minutes is None or connection.status != Connection.Status.LIVE:
        # Check plates have been switched off: no later run would resolve the notice.
        return
    names = get_vendor(connection.vendor).names
    words = {**names.words, "zone": check.zone.number, "sentence": sentence, "plate": plate}
    text = {
        CanaryCheck.Failure.REFUSED: _(
            "Zone %(zone)s: %(vendor)s refused the check plate, so it may refuse new permits there as well. %(sentence)s"
        ),
        CanaryCheck.Failure.NOT_SHOWN: _(
            "Zone %(zone)s: %(vendor)s accepted the check plate %(plate)s and has not shown it for two minutes. Officers "
            "may not see new plates there."
        ),
        CanaryCheck.Failure.NOT_ENDED: _(
            "Zone %(zone)s: %(vendor)s did not let the check plate be ended, so permits that were ended may stay valid "
            "there. %(sentence)s"
        ),
        CanaryCheck.Failure.STILL_SHOWN: _(
            "Zone %(zone)s: the check plate %(plate)s was ended two minutes ago and %(vendor)s still shows it. Plates "
            "that were ended may stay valid there."
        ),
    }[failure]
    url = reverse("diagnostics", args=[connection.company.slug])
    key = notice_key(check.zone_id)
    notices.tell(connection.company, "canary", Notice.Level.DANGER, (text % words).strip(), url, key)
