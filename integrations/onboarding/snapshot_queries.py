"""The snapshot that the steps are worked out from: two queries, for one connection or for a thousand of them."""

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


def facts_with(connection: Connection, latest: TestPlate | None, now: datetime) -> Facts:
    """Return the snapshot for who has read the connection's latest test already (`with_refusal`)."""
    return _facts(connection, _around().get(pk=connection.pk), _test_facts(latest, now) if latest else None)


def snapshots(connections: Iterable[Connection], now: datetime) -> dict[int, Facts]:
    """Return the snapshots by connection id; the connections' own columns are taken as they are given."""
    given = {connection.pk: connection for connection in connections}
    if not given:
        return {}
    around = {row["pk"]: row for row in _around().filter(pk__in=given)}
    tests = _tests(list(given), now)
    return {pk: _facts(connection, around[pk], tests.get(pk)) for pk, connection in given.items()}


def _facts(connection: Connection, around: dict[str, Any], test: TestFacts | None) -> Facts:
    return Facts(
        created_at=connection.created_at,
        names=names_of(connection.vendor),
        contact_unknown_since=(
            around["unknown_since"] or connection.created_at if connection.contact_unknown else None
        ),
        requested_at=connection.requested_at,
        operator_id=connection.operator_id,
        operator_id_at=connection.operator_id_at
        or (connection.created_at if connection.operator_id else None),
        finding=connection.operator_id_finding or ("ok" if connection.zones_pulled_at else ""),
        checked_at=connection.operator_id_checked_at,
        confirmed_at=connection.operator_confirmed_at,
        held_since=connection.operator_id_held_at,
        set_up_at=around["set_up_at"],
        zones=around["zone_count"],
        zones_pulled_at=connection.zones_pulled_at,
        pull=around["pull"],
        pull_since=around["pull_ended"] or around["pull_began"],
        pull_error=around["pull_error"],
        locations=around["location_count"],
        mapped=around["mapped_count"],
        first_mapped_at=around["first_mapped_at"],
        ready_at=connection.ready_for_test_at,
        test=test,
        verified_at=connection.verified_at,
        status=connection.status,
        status_since=connection.status_since,
        status_reason=connection.status_reason,
        live_since=connection.live_since,
    )


def _around() -> QuerySet[Any, Any]:
    """What other tables say of a connection, as subqueries of one query; each is served by an index."""
    mappings = ZoneMapping.objects.filter(zone__connection=OuterRef("pk"), location__active=True)
    unknown = Notice.objects.filter(
        dedupe_key=Concat(Value(UNKNOWN_KEY), Cast(OuterRef("pk"), CharField()), output_field=CharField()),
        done_at=None,
    )
    return Connection.objects.annotate(
        set_up_at=_one(Ticket.objects.filter(connection=OuterRef("pk")).order_by("pk"), "opened_at"),
        zone_count=_counted(Zone.objects.listed().filter(connection=OuterRef("pk")), "connection"),
        mapped_count=_counted(mappings, "zone__connection"),
        first_mapped_at=_grouped(mappings, "zone__connection", Min("mapped_at"), DateTimeField()),
        location_count=_counted(Location.objects.filter(company=OuterRef("company"), active=True), "company"),
        unknown_since=_one(unknown, "created_at"),
        pull=Coalesce(_one(_pulls(), "outcome"), Value(""), output_field=TextField()),
        pull_began=_one(_pulls(), "started_at"),
        pull_ended=_one(_pulls(), "finished_at"),
        pull_error=Coalesce(_one(_pulls(), "error"), Value(""), output_field=TextField()),
    ).values(
        "pk", "set_up_at", "zone_count", "mapped_count", "first_mapped_at", "location_count", "unknown_since", "pull",
        "pull_began", "pull_ended", "pull_error",
    )  # fmt: skip


def _pulls() -> QuerySet[ZoneRefresh]:
    return ZoneRefresh.objects.filter(connection=OuterRef("pk")).order_by("-pk")


def _one(rows: QuerySet[Any], column: str) -> Subquery:
    return Subquery(rows.values(column)[:1])


def _grouped(rows: QuerySet[Any], by: str, what: Any, kind: Any) -> Subquery:
    return Subquery(rows.order_by().values(by).annotate(n=what).values("n"), output_field=kind)


def _counted(rows: QuerySet[Any], by: str) -> Coalesce:
    return Coalesce(_grouped(rows, by, Count("pk"), IntegerField()), Value(0))


def with_refusal(tests: QuerySet[TestPlate]) -> QuerySet[TestPlate]:
    """Add to test plates what became of their registration: `registration_state`, `registration_error_since`."""
    own = PermitSync.objects.filter(permit=OuterRef("permit"), connection=OuterRef("connection"))
    return tests.annotate(
        registration_state=Subquery(own.values("state")[:1]),
        registration_error_since=Subquery(own.values("error_since")[:1]),
    )


def _tests(ids: list[int], now: datetime) -> dict[int, TestFacts]:
    latest = TestPlate.objects.filter(connection=OuterRef("connection")).order_by("-pk").values("pk")[:1]
    found = TestPlate.objects.filter(connection__in=ids, pk=Subquery(latest)).select_related("permit")
    return {test.connection_id: _test_facts(test, now) for test in with_refusal(found)}


def _test_facts(test: Any, now: datetime) -> TestFacts:
    refused = test.registration_state == PermitSync.State.REFUSED
    return TestFacts(
        saved_at=test.saved_at,
        accepted_at=test.accepted_at,
        seen_at=test.seen_at,
        answer=test.answer,
        answered_at=test.answered_at,
        over=test.withdrawn_at is not None or test.permit.end <= now,
        over_at=test.withdrawn_at or min(test.permit.end, now),
        refused_since=(test.registration_error_since or test.saved_at) if refused else None,
        asked_by_mail=bool(test.link_hash),
    )
