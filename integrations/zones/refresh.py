"""Updates the Zone table to what the vendor lists.

`refresh_zones` fetches the list, `integrations.zones.diff` finds what has changed, and `apply_listing` updates the
table in one transaction, tells people, and retries what was refused because of the old state of a zone.

A refresh must never wipe the table: an answer that failed or can't be read changes nothing, and a list that would mark
more than half of the zones as missing (an empty one, too) or end too many rights is *held* until a person accepts it
(`integrations.zones.holding`). Accepting it fetches the list once more, and then makes only the changes that the person
has seen.

Refreshes of one connection don't overlap: a `ZoneRefresh` that is *running* acts as a lease. Its holder asks the vendor
without any lock or open transaction, and before it writes, checks that it still holds the lease.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from celery.exceptions import CeleryError
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from kombu.exceptions import KombuError

from integrations.delivery.database_clock import database_now
from integrations.models import Connection, Notice, Zone, ZoneRefresh
from integrations.notifications import notices, ticket_log
from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import get_vendor
from integrations.zones import holding, operator_claims
from integrations.zones.diff import Change, Diff, Known, ZoneListing, clean_listing, diff
from integrations.zones.mapping import mark_locations, missing_zone_key, refused_at
from integrations.zones.refresh_summary import summary
from integrations.zones.report import ZoneLocations, document
from locations import audit_log
from locations.models import User

log = structlog.get_logger(__name__)

# A refresh that says *running* for longer than this was interrupted (its process was killed).
RUNNING_LIMIT_S = 300
# Zones are refreshed once a day; after one that failed or is held, again after an hour, and twice as late each time.
EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(hours=1)
# One statement takes so many rows.
BATCH_ROWS = 2_000
# Changes of these decide whether a permit is accepted, so refused ones are tried again.
_DECISIVE_FIELDS = frozenset({"session_type", "spaces"})


# --- Refreshing ---------------------------------------------------------------------------------------------------


def refresh_zones(
    *, connection: Connection, trigger: str = "daily", asked_by: User | None = None
) -> ZoneRefresh:
    """Pull the connection's zones and bring the table in line; return how it went.

    The outcome is `done`, `held` (waits for a person), `failed` (with sentence and remedy; nothing was changed) or
    `running`: somebody else's refresh of this connection, which is under way.
    """
    refresh, is_ours = begin_refresh(connection=connection, trigger=trigger, asked_by=asked_by)
    return run_refresh(refresh=refresh) if is_ours else refresh


def ask_refresh(
    *, connection: Connection, trigger: str = "button", asked_by: User | None = None
) -> ZoneRefresh:
    """Begin a refresh and hand it to the workers; return at once. Raises `ValidationError` as `begin_refresh` does.

    Where no worker can be told, the refresh says so and has failed. Not to be called inside a transaction.
    """
    refresh, is_ours = begin_refresh(connection=connection, trigger=trigger, asked_by=asked_by)
    return _hand_over(refresh) if is_ours else refresh


def _hand_over(refresh: ZoneRefresh) -> ZoneRefresh:
    """Let a worker run a refresh that was begun; where none can be told, it has failed."""
    try:
        current_app.send_task("integrations.refresh_zones", args=[refresh.pk], ignore_result=True)
    except (CeleryError, KombuError, OSError) as error:
        log.warning(
            "no worker could be told to pull zones",
            connection=refresh.connection_id,
            error=type(error).__name__,
        )
        sentence = _("The refresh could not be started.")
        remedy = _(
            "Nothing was changed. Try again. If this continues, tell support that the broker is "
            "not responding."
        )
        return _fail(refresh, sentence, remedy, kind="unexpected", code="broker")
    return refresh


def begin_refresh(
    *,
    connection: Connection,
    trigger: str = "daily",
    asked_by: User | None = None,
    releases: ZoneRefresh | None = None,
) -> tuple[ZoneRefresh, bool]:
    """Return a running refresh of the connection and whether it is ours to run (`run_refresh`).

    `releases` is the held refresh whose missing zones may go by this one.

    Raises `ValidationError` where the connection has no operator id or has ended, and where nobody has confirmed yet that
    the operator id is the company's (`integrations.zones.operator_claims`).
    """
    # The database's clock: what is due is compared with it.
    now = database_now()
    with transaction.atomic():
        connection = _locked(connection.pk)
        if connection.status == Connection.Status.ENDED:
            raise ValidationError(_("This integration has ended."), code="ended")
        if not connection.operator_id:
            raise ValidationError(_("The operator ID has not been entered yet."), code="no_operator")
        operator_claims.require_confirmed(connection)
        running = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.RUNNING)
        limit = now - timedelta(seconds=RUNNING_LIMIT_S)
        running.filter(started_at__lt=limit).update(
            outcome=ZoneRefresh.Outcome.FAILED,
            finished_at=now,
            error=_("The refresh was interrupted."),
            remedy=_("Nothing was changed. Refresh again."),
        )
        if under_way := running.filter(started_at__gte=limit).first():
            return under_way, False
        refresh = ZoneRefresh.objects.create(
            connection=connection, started_at=now, trigger=trigger, asked_by=asked_by, releases=releases
        )
        # Nobody else takes it as long as this one may run, nor for a while if its process is killed.
        Connection.objects.filter(pk=connection.pk).update(zones_due_at=now + AGAIN_AFTER)
        if asked_by is not None:
            kind = "refresh_released" if trigger == "released" else "refresh_asked"
            _note(refresh, kind, asked_by)
    return refresh, True


def again_after(failures: int) -> timedelta:
    """Return how long after the `failures`-th failure in a row zones are refreshed again; pure."""
    return min(AGAIN_AFTER * (1 << min(failures - 1, 8)), EVERY) if failures else EVERY


def run_refresh(*, refresh: ZoneRefresh) -> ZoneRefresh:
    """Do the pull that `begin_refresh` has begun, and say when the next one is due.

    What it releases may happen, however much that is.
    """
    is_done = False
    try:
        done = _run(refresh)
        is_done = done.outcome == ZoneRefresh.Outcome.DONE
    finally:
        row = Connection.objects.filter(pk=refresh.connection_id)
        failures = 0 if is_done else (row.values_list("zones_failures", flat=True).first() or 0) + 1
        row.update(zones_due_at=database_now() + again_after(failures), zones_failures=failures)
    return done


def _run(refresh: ZoneRefresh) -> ZoneRefresh:
    connection, held = refresh.connection, refresh.releases
    allowed = frozenset(held.found.get("gone_ids", [])) if held is not None else frozenset()
    try:
        vendor = get_vendor(connection.vendor)
        listing = clean_listing(vendor.fetch_zones(connection.operator_id), connection.operator_id)
        return apply_listing(refresh=refresh, listing=listing, allowed=allowed)
    except DeliveryError as error:
        log.warning(
            "zones could not be pulled", connection=connection.pk, code=error.code, trace_id=error.trace_id
        )
        return _fail(refresh, error.sentence, error.remedy, kind=error.kind, code=error.code)
    except Exception as error:
        log.exception("refreshing zones failed in a way that nobody foresaw", connection=connection.pk)
        name = type(error).__name__
        _fail(refresh, _("The refresh failed: %(name)s.") % {"name": name}, "", kind="unexpected", code=name)
        raise


def apply_listing(
    *, refresh: ZoneRefresh, listing: ZoneListing, allowed: Collection[str] = ()
) -> ZoneRefresh:
    """Bring the table in line with a list, in one transaction, or hold it; return the finished refresh."""
    now = database_now()
    with transaction.atomic():
        connection = _locked(refresh.connection_id)
        refresh = ZoneRefresh.objects.select_for_update(no_key=True).get(pk=refresh.pk)
        if refresh.outcome != ZoneRefresh.Outcome.RUNNING:
            return refresh  # it took so long that it was given up meanwhile
        if not (connection.is_confirmed and connection.operator_id == listing.operator_id):
            # Whoever enters a foreign operator ID while a pull is on its way must not be shown that operator's zones.
            sentence = _("The operator ID was changed in the meantime.")
            remedy = _("Nothing was changed. Refresh again once it is confirmed.")
            return _fail(refresh, sentence, remedy, kind="unexpected", code="operator_changed")
        known = _known(connection)
        has_case = get_vendor(connection.vendor).zones_have_case
        found = diff(known, listing.zones, zones_have_case=has_case)
        refresh.finished_at, refresh.zones_listed = now, len(listing.zones)
        places = ZoneLocations(connection, found, now)
        impact = holding.impact_of(connection, found, now)
        if holding.must_wait(refresh, found, impact, allowed):
            refresh.found = document(found, listing, places, {zone.remote_id: zone.pk for zone in known})
            holding.hold(refresh, connection, found, impact)
        else:
            ids = _write(connection, found, now)
            refresh.found = document(found, listing, places, ids)
            _finish(refresh, connection, found, places, now)
        refresh.save()
    return refresh


def release_refresh(*, refresh: ZoneRefresh, actor: User | None = None) -> ZoneRefresh:
    """Accept a held refresh: fetch the list again, and make the changes that `refresh` was held for.

    Returns the new refresh (or the one that is under way); `refresh` stays held unless the new one is done. Raises
    `ValidationError` where `refresh` is not held.
    """
    fresh, is_ours = _begin_release(refresh, actor)
    return run_refresh(refresh=fresh) if is_ours else fresh


def ask_release(*, refresh: ZoneRefresh, actor: User | None = None) -> ZoneRefresh:
    """Begin what `release_refresh` does and hand it to the workers; return at once, as `ask_refresh` does."""
    fresh, is_ours = _begin_release(refresh, actor)
    return _hand_over(fresh) if is_ours else fresh


def _begin_release(refresh: ZoneRefresh, actor: User | None) -> tuple[ZoneRefresh, bool]:
    if refresh.outcome != ZoneRefresh.Outcome.HELD:
        raise ValidationError(_("This refresh isn't waiting for a decision."), code="not_held")
    return begin_refresh(connection=refresh.connection, trigger="released", asked_by=actor, releases=refresh)


def discard_refresh(*, refresh: ZoneRefresh, actor: User | None = None) -> ZoneRefresh:
    """Discard a held refresh and keep the current zones. Raises `ValidationError` if it is not held."""
    with transaction.atomic():
        connection = _locked(refresh.connection_id)
        refresh = ZoneRefresh.objects.select_for_update(no_key=True).get(pk=refresh.pk)
        if refresh.outcome != ZoneRefresh.Outcome.HELD:
            raise ValidationError(_("This refresh isn't waiting for a decision."), code="not_held")
        refresh.outcome, refresh.released_by = ZoneRefresh.Outcome.FAILED, actor
        refresh.error, refresh.remedy = (
            _("The current zones were kept."),
            _("Nothing was changed."),
        )
        refresh.save()
        holding.end_held(connection)
        ticket_log.record(connection, "zones", _("Held zone refresh discarded. Nothing was changed."), actor)
        _note(refresh, "refresh_discarded", actor)
    return refresh


# --- Inside ---------------------------------------------------------------------------------------------------------


def _locked(pk: int) -> Connection:
    # Without its key: permits are saved (and refer to the connection) while its zones are written.
    return (
        Connection.objects.select_for_update(of=("self",), no_key=True).select_related("company").get(pk=pk)
    )


def _note(refresh: ZoneRefresh, kind: str, actor: User | None) -> None:
    connection = refresh.connection
    audit_log.record(company=connection.company, kind=kind, actor=actor, thing=connection, refresh=refresh.pk)


def _known(connection: Connection) -> list[Known]:
    rows = connection.zones.values_list(
        "pk", "remote_id", "number", "name", "session_type", "raw", "missing_since"
    )
    return [
        Known(*row[:5], raw=row[5] if isinstance(row[5], dict) else {}, missing=row[6] is not None)
        for row in rows
    ]


def _write(connection: Connection, found: Diff, now: datetime) -> dict[str, int]:
    """Write what was found; return the primary keys of all zones concerned by their remote ids."""
    kept = [*found.back, *found.renamed, *found.case_changed, *found.changed, *found.silent]
    rows = [
        Zone(
            connection=connection,
            remote_id=seen.remote_id,
            number=seen.number,
            name=seen.name,
            session_type=seen.session_type,
            raw=seen.raw,
            first_seen_at=now,
            changed_at=now,
        )
        for seen in (change.seen for change in (*found.added, *kept))
        if seen is not None
    ]
    # One statement for a thousand rows; a row that is there keeps its primary key and the time it was first seen.
    written = Zone.objects.bulk_create(
        rows,
        batch_size=BATCH_ROWS,
        update_conflicts=True,
        unique_fields=["connection", "remote_id"],
        update_fields=["number", "name", "session_type", "raw", "changed_at", "missing_since"],
    )
    gone = [change.known for change in found.gone if change.known]
    for begin in range(0, len(gone), BATCH_ROWS):
        batch = [zone.pk for zone in gone[begin : begin + BATCH_ROWS]]
        Zone.objects.filter(pk__in=batch).update(missing_since=now)
    return {zone.remote_id: zone.pk for zone in written} | {zone.remote_id: zone.pk for zone in gone}


def _finish(
    refresh: ZoneRefresh, connection: Connection, found: Diff, places: ZoneLocations, now: datetime
) -> None:
    """Write down that the table is in line, and set going and tell what follows from it."""
    refresh.outcome = ZoneRefresh.Outcome.DONE
    replaced = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.HELD)
    if refresh.releases_id is not None:
        replaced.filter(pk=refresh.releases_id).update(released_by=refresh.asked_by)
    replaced.update(outcome=ZoneRefresh.Outcome.FAILED, error=_("Replaced by a newer refresh."))
    holding.end_held(connection)
    if refresh.zones_listed:
        Connection.objects.filter(pk=connection.pk).update(zones_pulled_at=now)
    else:
        label = get_vendor(connection.vendor).names.label
        refresh.error = _("%(vendor)s lists no zones for this operator ID.") % {"vendor": label}
        refresh.remedy = _(
            "Ask your %(vendor)s account manager whether zones are set up and whether the operator "
            "ID is right. Then refresh again."
        ) % {"vendor": label}
    decisive = [
        change for change in (*found.renamed, *found.case_changed, *found.changed) if _is_decisive(change)
    ]
    for change in found.back:
        assert change.known is not None
        notices.resolve(missing_zone_key(change.known.pk))
    for change in found.gone:
        if affected := places.of(change):
            _tell_missing(connection, change, affected)
    if not found.is_quiet:
        ticket_log.record(connection, "zones", summary(refresh), refresh.asked_by)
    concerned = [*found.back, *decisive]
    zones = {change.known.remote_id for change in concerned if change.known is not None}
    locations = [place["id"] for change in concerned for place in places.of(change)]
    mark_locations(locations, permit_ids=refused_at(connection, zones))


def _is_decisive(change: Change) -> bool:
    return bool(_DECISIVE_FIELDS.intersection(change.fields))


def _tell_missing(connection: Connection, change: Change, affected: Sequence[Mapping[str, Any]]) -> None:
    assert change.known is not None
    permits = sum(place["permits"] for place in affected)
    text = _(
        "%(vendor)s no longer lists zone %(zone)s. Mapped to it: %(places)s, with %(permits)s. "
        "Map these locations to another zone, or ask %(vendor)s whether it will come back."
    ) % {
        "zone": f"{change.known.number} · {change.known.name}",
        "vendor": get_vendor(connection.vendor).names.label,
        "places": ", ".join(place["name"] for place in affected),
        "permits": ngettext("%(count)d current permit", "%(count)d current permits", permits)
        % {"count": permits},
    }
    notices.tell(
        connection.company,
        "zone_missing",
        Notice.Level.DANGER,
        text,
        reverse("locations", args=[connection.company.slug]),
        missing_zone_key(change.known.pk),
    )


def _fail(refresh: ZoneRefresh, sentence: str, remedy: str, *, kind: str, code: str) -> ZoneRefresh:
    """Record that the refresh failed; the zones stay as they are."""
    with transaction.atomic():
        refresh = ZoneRefresh.objects.select_for_update(no_key=True).get(pk=refresh.pk)
        if refresh.outcome == ZoneRefresh.Outcome.RUNNING:
            refresh.outcome, refresh.finished_at = ZoneRefresh.Outcome.FAILED, database_now()
            refresh.error, refresh.remedy = sentence, remedy
            refresh.found = {"error": {"kind": kind, "code": code}}
            refresh.save()
    return refresh
