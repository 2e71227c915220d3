"""The snapshot that the steps are worked out from: one query, for one connection or for a thousand of them.

`with_surroundings` adds to connections what other tables say of them. It is the only query of these facts: the steps, the
overview and the list of all companies read them through it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    IntegerField,
    Min,
    OuterRef,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Concat

from integrations.models import (
    Connection,
    Notice,
    PermitSync,
    TestPlate,
    Ticket,
    Zone,
    ZoneMapping,
    ZoneRefresh,
)
from integrations.onboarding.snapshot import Facts, TestFacts
from integrations.vendors.naming import names_of
from locations.models import Location

UNKNOWN_KEY = "contact_unknown:"


def contact_unknown_key(connection_id: int) -> str:
    """The key of support's notice that a company does not know its contact."""
    return f"{UNKNOWN_KEY}{connection_id}"


def facts_of(connection: Connection, now: datetime) -> Facts:
    """Return the snapshot of one connection."""
    return snapshots([connection], now)[connection.pk]


def snapshots(connections: Iterable[Connection], now: datetime) -> dict[int, Facts]:
    """Return the snapshots by connection id; the connections' own columns are taken as they are given."""
    given = {connection.pk: connection for connection in connections}
    if not given:
        return {}
    around = with_surroundings(Connection.objects.filter(pk__in=given).only("pk"))
    return {row.pk: facts_from(row, given[row.pk], now) for row in around}


def with_surroundings(connections: QuerySet[Connection]) -> QuerySet[Any]:
    """Add to connections what other tables say of them, as subqueries that are each served by an index; see `facts_from`."""
    mappings = ZoneMapping.objects.filter(zone__connection=OuterRef("pk"), location__active=True)
    unknown = Notice.objects.filter(
        dedupe_key=Concat(Value(UNKNOWN_KEY), Cast(OuterRef("pk"), CharField()), output_field=CharField()),
        done_at=None,
    )
    pulls = ZoneRefresh.objects.filter(connection=OuterRef("pk")).order_by("-pk")
    tests = TestPlate.objects.filter(connection=OuterRef("pk")).order_by("-pk")
    columns = ("permit", "saved_at", "accepted_at", "seen_at", "answer", "answered_at", "withdrawn_at")
    return connections.annotate(
        set_up_at=_one(Ticket.objects.filter(connection=OuterRef("pk")).order_by("pk"), "opened_at"),
        zone_count=_counted(Zone.objects.listed().filter(connection=OuterRef("pk")), "connection"),
        mapped_count=_counted(mappings, "zone__connection"),
        first_mapped_at=_grouped(mappings, "zone__connection", Min("mapped_at"), DateTimeField()),
        location_count=_counted(Location.objects.filter(company=OuterRef("company"), active=True), "company"),
        unknown_since=_one(unknown, "created_at"),
        pull=Coalesce(_one(pulls, "outcome"), Value(""), output_field=TextField()),
        pull_began=_one(pulls, "started_at"),
        pull_ended=_one(pulls, "finished_at"),
        pull_error=Coalesce(_one(pulls, "error"), Value(""), output_field=TextField()),
        test_link=_one(tests, "link_hash"),
        test_end=_one(tests, "permit__end"),
        **{f"test_{column}": _one(tests, column) for column in columns},
    ).annotate(
        test_refused_at=_one(
            PermitSync.objects.refused()
            .filter(permit=OuterRef("test_permit"), connection=OuterRef("pk"))
            .annotate(refused_at=Coalesce("error_since", "due_since")),
            "refused_at",
        )
    )


def facts_from(row: Any, connection: Connection, now: datetime) -> Facts:
    """Return the snapshot of `connection`; `row` is the same one with its surroundings (`with_surroundings`)."""
    return Facts(
        created_at=connection.created_at,
        names=names_of(connection.vendor),
        contact_unknown_since=(
            row.unknown_since or connection.created_at if connection.contact_unknown else None
        ),
        requested_at=connection.requested_at,
        operator_id=connection.operator_id,
        operator_id_at=connection.operator_id_at
        or (connection.created_at if connection.operator_id else None),
        finding=connection.operator_id_finding or ("ok" if connection.zones_pulled_at else ""),
        checked_at=connection.operator_id_checked_at,
        confirmed_at=connection.operator_confirmed_at,
        held_since=connection.operator_id_held_at,
        set_up_at=row.set_up_at,
        zones=row.zone_count,
        zones_pulled_at=connection.zones_pulled_at,
        pull=row.pull,
        pull_since=row.pull_ended or row.pull_began,
        pull_error=row.pull_error,
        locations=row.location_count,
        mapped=row.mapped_count,
        first_mapped_at=row.first_mapped_at,
        ready_at=connection.ready_for_test_at,
        test=_test_facts(row, now) if row.test_permit is not None else None,
        verified_at=connection.verified_at,
        status=connection.status,
        status_since=connection.status_since,
        status_reason=connection.status_reason,
        live_since=connection.live_since,
    )


def _test_facts(row: Any, now: datetime) -> TestFacts:
    return TestFacts(
        saved_at=row.test_saved_at,
        accepted_at=row.test_accepted_at,
        seen_at=row.test_seen_at,
        answer=row.test_answer,
        answered_at=row.test_answered_at,
        over=row.test_withdrawn_at is not None or row.test_end <= now,
        over_at=row.test_withdrawn_at or min(row.test_end, now),
        refused_since=row.test_refused_at,
        asked_by_mail=bool(row.test_link),
    )


def _one(rows: QuerySet[Any], column: str) -> Subquery:
    return Subquery(rows.values(column)[:1])


def _grouped(rows: QuerySet[Any], by: str, what: Any, kind: Any) -> Subquery:
    return Subquery(rows.order_by().values(by).annotate(n=what).values("n"), output_field=kind)


def _counted(rows: QuerySet[Any], by: str) -> Coalesce:
    return Coalesce(_grouped(rows, by, Count("pk"), IntegerField()), Value(0))
