"""The companies of the fault tests: live on the sandbox's Passport, with mapped locations."""

from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from integrations.models import Connection
from integrations.onboarding import connections
from integrations.zones import mapping, operator_claims
from integrations.zones import refresh as zone_refresh
from locations.models import Company, Location
from locations.services import PermitDraft, register_permit


def make_live(*, operators: Mapping[str, str]) -> None:
    """Make a company of each slug on its operator id, live, with three locations."""
    for slug, operator_id in operators.items():
        company = Company.objects.create(name=slug.title(), slug=slug, offstreet_id=slug)
        _go_live(company, operator_id, [f"Place {number}" for number in range(3)])


def add_annex(*, slug: str, operator_id: str) -> None:
    """Give a company a second connection, live, with a location of its own."""
    _go_live(Company.objects.get(slug=slug), operator_id, ["Place of the annex"], label="Annex")


def register_at_first_location(*, company: str, plate: str) -> None:
    """Register a permit that is valid from now on."""
    now = timezone.now()
    place = Location.objects.filter(company__slug=company).order_by("pk")[0]
    register_permit(draft=PermitDraft(place, plate, "US-NC", now, now + timedelta(hours=5)))


def resume_all() -> None:
    """Resume all paused connections."""
    for paused in Connection.objects.filter(status=Connection.Status.PAUSED):
        connections.resume(connection=paused)


def _go_live(company: Company, operator_id: str, places: list[str], *, label: str = "") -> None:
    """Connect, import the zones, map a new location to each of the first ones, and go live."""
    connection = connections.connect(company=company, operator_id=operator_id, label=label)
    operator_claims.confirm(connection=connection, operator_id=operator_id, how="storm")
    refresh = zone_refresh.refresh_zones(connection=connection)
    assert refresh.outcome == "done", refresh.error
    zones = connection.zones.filter(session_type="vehicle").order_by("pk")
    for name, zone in zip(places, zones[: len(places)], strict=True):
        mapping.map_location(location=Location.objects.create(company=company, name=name), zone=zone)
    connections.go_live(connection=connection, reason="storm")
