"""Permits that a search finds, and those that the lists show."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from integrations.permits.listing import list_permits
from integrations.permits.queries import PermitFilters, permit_types
from locations.models import Location
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, mapped_location


def search_and_lists() -> dict[str, object]:
    """Return the plates that each search and each list gives, in its order."""
    now = timezone.now()
    soon = now + timedelta(days=1)
    live = ConnectionFactory(live=True)
    mapped, unmapped = mapped_location(live), LocationFactory(company=live.company)
    rows: list[tuple[str, Location, dict[str, Any]]] = [
        ("ABC 200", mapped, {"unit": "abc-1", "type": "Visitor"}),
        ("abc-100", unmapped, {"external_id": "R-1"}),
        ("ZZZ 9", mapped, {"unit": "ABC-7", "type": "Staff"}),
        ("QQQ 1", mapped, {"external_id": "abc/1"}),
        ("ABD 1", mapped, {"unit": "Straße 5"}),
        ("AB", mapped, {"start": soon, "end": soon + timedelta(days=1)}),
        ("ABC 300", mapped, {"is_test": True}),
    ]
    for plate, place, rest in rows:
        PermitFactory(plate=plate, location=place, **rest)
    PermitFactory(plate="ABC 999")

    def found(**filters: Any) -> list[str]:
        page = list_permits(live.company, PermitFilters(**filters), now=now)
        return [row.permit.plate for row in page.rows]

    few = list_permits(live.company, PermitFilters(q="ab"), now=now, rows=2)
    return {
        "abc": found(q="abc"),
        "a.b c": found(q="a.b c"),
        "inside": found(q="c-10") + found(q="zz9"),
        "too short to look inside": found(q="10"),
        "unit": found(q="aBC-7"),
        "external": found(q="r-"),
        "words": found(q="straß"),
        "odd": found(q="%_'"),
        "all": found(),
        "waiting": found(push="waiting"),
        "waiting abc": found(push="waiting", q="abc", when="current"),
        "unprotected": found(push="unprotected"),
        "few": [[row.permit.plate for row in few.rows], few.more],
        "types": permit_types(live.company),
    }
