"""The snapshot that the steps are worked out from, for one connection or for all of them with the same few queries."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Min, OuterRef, Subquery

from integrations.models import (
    Connection,
    Notice,
    Registration,
    TestPlate,
    Ticket,
    Zone,
    ZoneMapping,
    ZoneRefresh,
)
from integrations.onboarding.steps import Facts, TestFacts
from locations.models import Location


def contact_unknown_key(connection_id: int) -> str:
    """The key of support's notice that a company does not know its contact."""
    return f"contact_unknown:{connection_id}"


def facts_of(connection: Connection, now: datetime) -> Facts:
    """Return the snapshot of one connection."""
    return snapshots([connection], now)[connection.pk]


def snapshots(connections: Iterable[Connection], now: datetime) -> dict[int, Facts]:
    """Return the snapshots by connection id; eight queries, however many connections there are."""
    rows = {connection.pk: connection for connection in connections}
    if not rows:
        return {}
    tickets = dict(
        Ticket.objects.filter(connection__in=rows)
        .order_by()
        .values_list("connection")
        .annotate(at=Min("opened_at"))
    )
    zones = dict(
        Zone.objects.listed()
        .filter(connection__in=rows)
        .order_by()
        .values_list("connection")
        .annotate(n=Count("pk"))
    )
    mapped = {
        pk: (count, first)
        for pk, count, first in ZoneMapping.objects.filter(zone__connection__in=rows, location__active=True)
        .order_by()
        .values_list("zone__connection")
        .annotate(n=Count("pk"), first=Min("mapped_at"))
    }
    companies = {connection.company_id for connection in rows.values()}
    locations = dict(
        Location.objects.filter(company__in=companies, active=True)
        .order_by()
        .values_list("company")
        .annotate(n=Count("pk"))
    )
    unknown = dict(
        Notice.objects.filter(
            dedupe_key__in=[contact_unknown_key(pk) for pk in rows], done_at=None
        ).values_list("dedupe_key", "created_at")
    )
    pulls = {pull.connection_id: pull for pull in _latest(ZoneRefresh, rows)}
    tests = _tests(rows, now)
    shown = {}
    for pk, connection in rows.items():
        count, first = mapped.get(pk, (0, None))
        pull = pulls.get(pk)
        shown[pk] = Facts(
            created_at=connection.created_at,
            contact_unknown_since=(
                unknown.get(contact_unknown_key(pk), connection.created_at)
                if connection.contact_unknown
                else None
            ),
            requested_at=connection.requested_at,
            operator_id=connection.operator_id,
            operator_id_at=connection.operator_id_at
            or (connection.created_at if connection.operator_id else None),
            finding=connection.operator_id_finding or ("ok" if connection.zones_pulled_at else ""),
            checked_at=connection.operator_id_checked_at,
            set_up_at=tickets.get(pk) or (connection.zones_pulled_at if connection.live_since else None),
            zones=zones.get(pk, 0),
            zones_pulled_at=connection.zones_pulled_at,
            pull=pull.outcome if pull else "",
            pull_since=(pull.finished_at or pull.started_at) if pull else None,
            pull_error=pull.error if pull else "",
            locations=locations.get(connection.company_id, 0),
            mapped=count,
            first_mapped_at=first,
            ready_at=connection.ready_for_test_at,
            test=tests.get(pk),
            verified_at=connection.verified_at,
            status=connection.status,
            status_since=connection.status_since,
            status_reason=connection.status_reason,
            live_since=connection.live_since,
        )
    return shown


def _latest(model: type[ZoneRefresh], rows: Iterable[int]) -> Iterable[ZoneRefresh]:
    latest = model.objects.filter(connection=OuterRef("connection")).order_by("-pk").values("pk")[:1]
    found = model.objects.filter(connection__in=rows, pk=Subquery(latest))
    return found.defer("found")


def _tests(rows: Iterable[int], now: datetime) -> dict[int, TestFacts]:
    latest = TestPlate.objects.filter(connection=OuterRef("connection")).order_by("-pk").values("pk")[:1]
    tests = list(TestPlate.objects.filter(connection__in=rows, pk=Subquery(latest)).select_related("permit"))
    refused = dict(
        Registration.objects.filter(
            permit__in=[test.permit_id for test in tests], state=Registration.State.REFUSED
        ).values_list("permit", "error_since")
    )
    return {
        test.connection_id: TestFacts(
            saved_at=test.saved_at,
            accepted_at=test.accepted_at,
            seen_at=test.seen_at,
            answer=test.answer,
            answered_at=test.answered_at,
            over=test.withdrawn_at is not None or test.permit.end <= now,
            over_at=test.withdrawn_at or min(test.permit.end, now),
            refused_since=refused.get(test.permit_id)
            or (test.saved_at if test.permit_id in refused else None),
            asked_by_mail=bool(test.link_hash),
        )
        for test in tests
    }
