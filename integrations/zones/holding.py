"""When a refresh of zones is held: what it would do to zones and to parking rights, and telling people.

A refresh is held where more than half of the zones would go missing, or where what changed would end too many rights
(`integrations.held_changes.impact`). That is measured by planning: each right in a zone whose kind has changed is planned as
if the change had been made.
"""

from collections.abc import Collection
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.delivery.desired_state import FACT_LOOKUPS, PermitFacts, desired_of
from integrations.delivery.session_id import UNUSED
from integrations.held_changes.impact import (
    EXAMPLES,
    Impact,
    as_document,
    count_rights,
    from_document,
)
from integrations.models import Connection, Notice, PermitSync, ZoneRefresh
from integrations.notifications import notices, ticket_log
from integrations.vendors.protocol import Account, get_vendor
from integrations.zones.diff import Diff, loses_too_many


def impact_of(connection: Connection, found: Diff, now: datetime) -> Impact:
    """Return what the changes that a refresh found do to the rights in their zones."""
    kinds = {
        change.seen.remote_id: change.seen.session_type
        for change in (*found.back, *found.renamed, *found.case_changed, *found.changed)
        if change.known is not None
        and change.seen is not None
        and change.known.session_type != change.seen.session_type
    }
    if not kinds:
        return Impact(0, 0, 0)
    vendor, account = (
        get_vendor(connection.vendor),
        Account(connection.pk, connection.operator_id, connection.key),
    )
    rows = PermitSync.objects.real().filter(
        connection=connection,
        remote_until__gt=now,
        permit__location__zone_mapping__zone__connection=connection,
        permit__location__zone_mapping__zone__remote_id__in=list(kinds),
    )
    removed = replaced = 0
    examples: list[int] = []
    columns = ("permit_id", "remote_state", *FACT_LOOKUPS)
    for permit_id, remote_state, *values in rows.order_by("pk").values_list(*columns).iterator(2_000):
        facts = PermitFacts(*values)
        assert facts.zone_id is not None
        desired = desired_of(facts._replace(session_type=kinds[facts.zone_id]), now=now)
        if desired is None:
            continue  # on its way to be removed, whatever its zone is
        steps = vendor.plan(account, remote_state, desired, now=now, session_id=UNUSED)
        if not any(step["session"] == UNUSED for step in steps):
            continue
        refused = vendor.preflight_error(desired) is not None
        removed, replaced = removed + refused, replaced + (not refused)
        if len(examples) < EXAMPLES:
            examples.append(permit_id)
    return Impact(removed, replaced, count_rights(connection, now), examples)


def must_wait(refresh: ZoneRefresh, found: Diff, impact: Impact, allowed: Collection[str]) -> bool:
    """Whether a person has to look first: nobody has accepted this much, with the refresh that this one releases."""
    if loses_too_many(found, allowed):
        return True
    accepted = from_document(refresh.releases.found.get("rights")) if refresh.releases else None
    return impact.is_too_much and not (accepted is not None and accepted.covers(impact))


def hold(refresh: ZoneRefresh, connection: Connection, found: Diff, impact: Impact) -> None:
    """Hold a refresh, with what it would do, and tell the company and support."""
    older = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.HELD)
    older.update(outcome=ZoneRefresh.Outcome.FAILED, error=_("Replaced by a newer refresh."))
    refresh.outcome = ZoneRefresh.Outcome.HELD
    gone = [change.known.remote_id for change in found.gone if change.known]
    refresh.found["gone_ids"] = gone
    refresh.found["rights"] = as_document(impact)
    if impact.is_too_much:
        refresh.error = _(
            "Zones have changed in a way that would end parking rights. %(what)s Nothing was changed."
        ) % {"what": impact.words}
    else:
        refresh.error = _("%(gone)d of %(all)d zones are no longer listed, so nothing was changed.") % {
            "gone": len(gone),
            "all": found.listed_before,
        }
    refresh.remedy = _(
        "An operator of the company, or support, has to accept the changes or keep the current zones."
    )
    text = _("Zones of %(company)s: %(sentence)s") % {
        "company": connection.company,
        "sentence": refresh.error,
    }
    url, key = reverse("zone_refresh", args=[connection.company.slug, refresh.pk]), _key(connection)
    level = Notice.Level.DANGER if impact.is_too_much else Notice.Level.WARNING
    notices.tell(connection.company, "zones_held", level, text, url, f"{key}:company")
    notices.tell(None, "zones_held", Notice.Level.WARNING, text, url, key)
    ticket_log.record(
        connection, "zones", _("Zone refresh held: %(why)s") % {"why": refresh.error}, refresh.asked_by
    )


def end_held(connection: Connection) -> None:
    """Say no more that a refresh is held."""
    notices.resolve(_key(connection))
    notices.resolve(f"{_key(connection)}:company")


def _key(connection: Connection) -> str:
    return f"zones_held:{connection.pk}"
