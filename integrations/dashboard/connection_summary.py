"""A company's connections as the overview tells of them, each with its snapshot for the steps to live, by one query."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast, Concat

from integrations.models import (
    Breaker,
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
from integrations.onboarding.snapshot_queries import contact_unknown_key
from integrations.permits.queries import count_of
from integrations.vendors.naming import names_of
from locations.models import Company


@dataclass(frozen=True, slots=True)
class ConnectionSummary:
    """One connection with what the overview says of it."""

    connection: Connection
    zones: int
    refresh: ZoneRefresh | None
    stopped: str
    stopped_remedy: str
    stopped_since: datetime | None
    facts: Facts

    @property
    def refresh_runs(self) -> bool:
        """Whether the zones are being pulled now."""
        return self.refresh is not None and self.refresh.outcome == ZoneRefresh.Outcome.RUNNING

    @property
    def sends(self) -> bool:
        """Whether what waits here is on its way: neither held back by a person nor stopped until one acts."""
        return self.connection.is_live and not self.stopped


def _latest_refresh(name: str) -> Subquery:
    found = ZoneRefresh.objects.filter(connection=OuterRef("pk")).order_by("-pk")
    return Subquery(found.values(name)[:1])


def _latest_test(name: str) -> Subquery:
    return Subquery(TestPlate.objects.filter(connection=OuterRef("pk")).order_by("-pk").values(name)[:1])


def _stopped(name: str) -> Subquery:
    mine = Q(connection=OuterRef("pk")) | Q(vendor=OuterRef("vendor"))
    # The connection's own breaker before its host's.
    found = Breaker.objects.filter(mine, stopped=True).order_by(F("vendor").asc(nulls_first=True))
    return Subquery(found.values(name)[:1])


def summaries_of(company: Company, now: datetime) -> list[ConnectionSummary]:
    """Return the company's connections that have not ended, with all that is said of them, by one query.

    The snapshot for the steps to live is the one of `integrations.onboarding.snapshot_queries`, gathered here in the same
    query. A connection that was live has no steps left, so what only they ask for is not looked up for it.
    """
    mapped = ZoneMapping.objects.filter(zone__connection=OuterRef("pk"), location__active=True).order_by()
    unknown = Concat(Value(contact_unknown_key(0).removesuffix("0")), Cast(OuterRef("pk"), CharField()))
    refused = PermitSync.objects.refused().filter(permit=OuterRef("test_permit")).values("error_since")[:1]
    rows = (
        company.connections.exclude(status=Connection.Status.ENDED)
        .select_related("status_by")
        .annotate(
            zones_listed=count_of(Zone.objects.listed().filter(connection=OuterRef("pk"))),
            pull_outcome=_latest_refresh("outcome"),
            pull_pk=_latest_refresh("pk"),
            pull_started=_latest_refresh("started_at"),
            pull_finished=_latest_refresh("finished_at"),
            pull_error=_latest_refresh("error"),
            pull_counts=_latest_refresh("found__counts"),
            pull_listed=_latest_refresh("zones_listed"),
            stopped=_stopped("error"),
            stopped_remedy=_stopped("remedy"),
            stopped_since=_stopped("failing_since"),
            mapped=Case(When(live_since=None, then=count_of(mapped)), default=Value(0)),
            first_mapped=Case(
                When(live_since=None, then=Subquery(mapped.order_by("mapped_at").values("mapped_at")[:1]))
            ),
            opened=Subquery(
                Ticket.objects.filter(connection=OuterRef("pk")).order_by("pk").values("opened_at")[:1]
            ),
            unknown_since=Subquery(
                Notice.objects.filter(dedupe_key=unknown, done_at=None).values("created_at")[:1]
            ),
            places=count_of(company.locations.filter(active=True)),
            test_permit=_latest_test("permit"),
            test_saved=_latest_test("saved_at"),
            test_accepted=_latest_test("accepted_at"),
            test_seen=_latest_test("seen_at"),
            test_answer=_latest_test("answer"),
            test_answered=_latest_test("answered_at"),
            test_withdrawn=_latest_test("withdrawn_at"),
            test_end=_latest_test("permit__end"),
            test_link=_latest_test("link_hash"),
        )
        .annotate(test_refused=Subquery(refused))
        .order_by("pk")
    )
    return [_link(row, now) for row in rows]


def _link(row: Any, now: datetime) -> ConnectionSummary:
    refresh = None
    if row.pull_pk is not None:
        refresh = ZoneRefresh(
            pk=row.pull_pk,
            outcome=row.pull_outcome,
            started_at=row.pull_started,
            finished_at=row.pull_finished,
            error=row.pull_error,
            zones_listed=row.pull_listed,
            found={"counts": row.pull_counts or {}},
        )
    return ConnectionSummary(
        connection=row,
        zones=row.zones_listed,
        refresh=refresh,
        stopped=row.stopped or "",
        stopped_remedy=row.stopped_remedy or "",
        stopped_since=row.stopped_since,
        facts=_facts(row, now),
    )


def _facts(row: Any, now: datetime) -> Facts:
    test = None
    if row.test_permit is not None:
        test = TestFacts(
            saved_at=row.test_saved,
            accepted_at=row.test_accepted,
            seen_at=row.test_seen,
            answer=row.test_answer,
            answered_at=row.test_answered,
            over=row.test_withdrawn is not None or row.test_end <= now,
            over_at=row.test_withdrawn or min(row.test_end, now),
            refused_since=row.test_refused,
            asked_by_mail=bool(row.test_link),
        )
    return Facts(
        created_at=row.created_at,
        names=names_of(row.vendor),
        contact_unknown_since=(row.unknown_since or row.created_at) if row.contact_unknown else None,
        requested_at=row.requested_at,
        operator_id=row.operator_id,
        operator_id_at=row.operator_id_at or (row.created_at if row.operator_id else None),
        finding=row.operator_id_finding or ("ok" if row.zones_pulled_at else ""),
        checked_at=row.operator_id_checked_at,
        confirmed_at=row.operator_confirmed_at,
        held_since=row.operator_id_held_at,
        set_up_at=row.opened or (row.zones_pulled_at if row.live_since else None),
        zones=row.zones_listed,
        zones_pulled_at=row.zones_pulled_at,
        pull=row.pull_outcome or "",
        pull_since=row.pull_finished or row.pull_started,
        pull_error=row.pull_error or "",
        locations=row.places,
        mapped=row.mapped,
        first_mapped_at=row.first_mapped,
        ready_at=row.ready_for_test_at,
        test=test,
        verified_at=row.verified_at,
        status=row.status,
        status_since=row.status_since,
        status_reason=row.status_reason,
        live_since=row.live_since,
    )
