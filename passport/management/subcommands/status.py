"""`passport status`: connection, zones, mappings, permits by state, and the age of the backlog."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery.circuit_breaker import breakers_of
from integrations.management.scripting import Say, find_company, find_connection
from integrations.models import Connection, ZoneMapping, ZoneRefresh
from integrations.onboarding import connections
from integrations.permits.counts import (
    UNMAPPED,
    PlaceCounts,
    delivery_counts,
    not_visible,
    place_counts,
    settled_counts,
)
from integrations.permits.queries import pick_breaker
from locations.models import Company, Permit

HELP = "show connection, zones, mappings, permits by state, and the age of the backlog"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true")


def run(options: dict[str, Any], say: Say) -> None:
    """Print the status."""
    company = find_company(options["company"])
    has_any = connections.current_connections(company).exists()
    connection = find_connection(company, options["site"]) if has_any else None
    document = status_document(company, connection)
    if options["json"]:
        say(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(document, say)


def status_document(company: Company, connection: Connection | None) -> dict[str, Any]:
    """Return what `passport status --json` prints. Ages are in seconds, times ISO 8601 in UTC."""
    now = timezone.now()
    permits = Count(
        "permits",
        filter=Q(permits__status=Permit.Status.ACTIVE, permits__end__gt=now, permits__is_test=False),
    )
    locations = company.locations.filter(UNMAPPED).annotate(current=permits).order_by("name")
    unmapped: list[dict[str, Any]] = [
        {"location": location.name, "permits": location.current} for location in locations
    ]
    document: dict[str, Any] = {
        "company": company.slug,
        "connection": None,
        "zones": {"listed": 0, "missing": 0, "refreshed_at": None, "held": False},
        "mappings": [],
        "unmapped": unmapped,
        "registrations": {"waiting": 0, "accepted": 0, "refused": 0, "withdrawn": 0},
        "not_visible": 0,
        "still_shown": 0,
        "backlog_age_s": None,
        "breaker": None,
    }
    if connection is not None:
        document |= _connected(connection)
    document["registrations"]["unmapped"] = sum(entry["permits"] for entry in unmapped)
    return document


def _connected(connection: Connection) -> dict[str, Any]:
    now = timezone.now()
    zones = connection.zones.aggregate(
        listed=Count("id", filter=Q(missing_since=None)),
        missing=Count("id", filter=Q(missing_since__isnull=False)),
    )
    refreshes = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.DONE)
    refreshed_at = refreshes.values_list("finished_at", flat=True).first()
    held = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.HELD).exists()
    mappings = (
        ZoneMapping.objects.filter(zone__connection=connection)
        .select_related("location", "zone")
        .order_by("location__name")
    )
    counts = delivery_counts(Connection.objects.filter(pk=connection.pk), now)[connection.pk]
    places = place_counts(connection.company.locations.all(), now).get(connection.company_id, PlaceCounts())
    settled = settled_counts(connection)
    holding = pick_breaker(breakers_of([connection]), connection, now)
    return {
        "connection": {
            "name": connection.name,
            "site": connection.label,
            "operator_id": connection.operator_id,
            "confirmed": connection.is_confirmed,
            "status": connection.status,
            "since": connection.status_since.isoformat(),
            "reason": connection.status_reason,
        },
        "zones": {**zones, "refreshed_at": refreshed_at.isoformat() if refreshed_at else None, "held": held},
        "mappings": [
            {
                "location": mapping.location.name,
                "zone": mapping.zone.number,
                "zone_name": mapping.zone.name,
                "zone_missing": mapping.zone.missing_since is not None,
            }
            for mapping in mappings
        ],
        "registrations": {
            "waiting": counts.waiting,
            "accepted": settled["accepted"],
            "refused": counts.refused,
            "withdrawn": settled["withdrawn"],
        },
        # Those at locations without a zone are counted at each connection of the company.
        "not_visible": not_visible(counts, places).n,
        "still_shown": counts.still_shown,
        "backlog_age_s": _age_s(now, counts.waiting_since),
        "breaker": holding
        and {
            "state": "stopped" if holding.stopped else "open",
            "since": holding.failing_since.isoformat() if holding.failing_since else None,
            "error": holding.error,
            "remedy": holding.remedy,
        },
    }


def _age_s(now: datetime, since: datetime | None) -> float | None:
    return round((now - since).total_seconds(), 1) if since else None


def _print(document: dict[str, Any], say: Say) -> None:
    connection, zones, counts = document["connection"], document["zones"], document["registrations"]
    if connection is None:
        say(_("%(company)s has no connection yet.") % {"company": document["company"]})
    else:
        site = f" ({connection['site']})" if connection["site"] else ""
        reason = f": {connection['reason']}" if connection["reason"] else ""
        say(f"{connection['name']}{site}  {connection['operator_id'] or '–'}")
        say(f"{connection['status']} since {connection['since']}{reason}")
        if connection["operator_id"] and not connection["confirmed"]:
            say(_("the operator ID is not confirmed, so nothing is read or sent (passport confirm-operator)"))
        age = zones["refreshed_at"] or _("never")
        say(f"zones: {zones['listed']} listed, {zones['missing']} missing, refreshed {age}")
        if zones["held"]:
            say(_("  a refresh is held: refresh-zones --release or --discard"))
        if breaker := document["breaker"]:
            say(f"{breaker['state']} since {breaker['since']}: {breaker['error']} {breaker['remedy']}")
    for entry in document["mappings"]:
        missing = _("  (no longer listed)") if entry["zone_missing"] else ""
        say(f"  {entry['location']} → {entry['zone']} · {entry['zone_name']}{missing}")
    for entry in document["unmapped"]:
        say(f"  {entry['location']} → –  ({entry['permits']} permits waiting)")
    say("registrations: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    say(
        _("not visible to enforcement: %(missing)d; ended, and perhaps still visible: %(still)d")
        % {"missing": document["not_visible"], "still": document["still_shown"]}
    )
    if document["backlog_age_s"] is not None:
        say(f"oldest waiting: {document['backlog_age_s']} s")
