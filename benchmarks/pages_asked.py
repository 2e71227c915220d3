"""What `make bench-pages` asks for: every page, its filters, and the answers to what is sent, at one company and over all.

What is sent is sent in a transaction that is rolled back afterwards, so that each round meets the same database.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

HTMX = {"hx-request": "true"}


@dataclass(frozen=True)
class Ask:
    """One address; with `data` it is sent there. `weighs`: whether the budgets of weight are meant for it."""

    page: str
    url: str
    data: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    weighs: bool = True


def pages_of(company: Any) -> Iterator[Ask]:
    """Yield the pages of a company, with their filters."""
    from django.urls import reverse

    from integrations.models import Push, Zone, ZoneRefresh
    from locations.models import Location, Permit

    def at(name: str, *args: Any, query: str = "", says: str = "") -> Ask:
        return Ask(f"{name}{says or query}", reverse(name, args=[company.slug, *args]) + query)

    permits = Permit.objects.filter(company=company)
    permit = permits.latest("pk")
    zone = Zone.objects.filter(connection__company=company).latest("pk")
    location = Location.objects.filter(company=company).latest("pk")
    push = Push.objects.filter(connection__company=company).latest("pk")
    refresh = ZoneRefresh.objects.filter(connection__company=company).latest("pk")
    yield from (
        at("overview"),
        at("overview", query="?span=30d"),
        at("setup"),
        at("diagnostics"),
        at("locations"),
        at("locations", query="?show=unmapped"),
        at("locations", query="?q=lot"),
        at("location_add"),
        at("location_change", location.pk),
        at("location_map", location.pk),
        at("zone_options", query="?q=00"),
        at("zones"),
        at("zones", query="?q=place"),
        at("zones", query="?show=missing"),
        at("zone", zone.pk),
        at("zone_refreshes"),
        at("zone_refresh", refresh.pk),
    )
    middle = permits.order_by("-pk").values_list("pk", flat=True)[permits.count() // 2]
    for says, query in (
        ("", ""),
        ("?q=plate", f"?q={permit.plate[:4].lower()}"),
        ("?q=whole plate", f"?q={permit.plate}"),
        ("?q=unit", "?q=A-17"),
        ("?q=nothing", "?q=QQQQQQQ"),
        ("?location=", f"?location={permit.location_id}"),
        ("?state=", f"?state={permit.subdivision}"),
        ("?type=", f"?type={permit.type}"),
        ("?when=current", "?when=current"),
        ("?when=coming", "?when=coming"),
        ("?when=ended", "?when=ended"),
        ("?when=cancelled", "?when=cancelled"),
        ("?push=accepted", "?push=accepted"),
        ("?push=refused", "?push=refused"),
        ("?push=waiting", "?push=waiting"),
        ("?push=unprotected", "?push=unprotected"),
        ("?location=&when=&push=", f"?location={permit.location_id}&when=current&push=accepted"),
        ("?after=middle", f"?after={middle}"),
        ("?when=ended&after=middle", f"?when=ended&after={middle}"),
    ):
        yield at("permits", query=query, says=says)
    shown = "&".join(f"id={pk}" for pk in permits.order_by("-pk").values_list("pk", flat=True)[:50])
    yield from (
        at("permit_states", query=f"?{shown}", says="?id=50 of them"),
        at("permit", permit.pk),
        at("permit_add"),
        at("permit_change", permit.pk),
        at("validity"),
        at("activity"),
        at("activity", query="?outcome=trouble&span=30d"),
        at("activity", query="?kind=stopped"),
        at("push", push.pk),
        at("refused"),
        at("activity_people"),
        at("activity_people", query="?kind=permit"),
        at("settings"),
        at("notifications"),
        at("contacts"),
        at("settings_company"),
    )


def answers_of(company: Any) -> Iterator[Ask]:
    """Yield what is sent to a company's pages."""
    from django.urls import reverse
    from django.utils import timezone

    from integrations.models import ZoneMapping
    from locations.models import Permit

    def to(name: str, *args: Any, says: str = "", headers: Mapping[str, str] = HTMX, **data: Any) -> Ask:
        return Ask(f"POST {name}{says}", reverse(name, args=[company.slug, *args]), data, headers)

    now = timezone.now()
    permits = Permit.objects.filter(company=company)
    permit = permits.current(now).first() or permits.latest("pk")
    clock = now.astimezone(permit.location.tz)
    asked: dict[str, Any] = {"subdivision": permit.subdivision, "location": permit.location_id}
    yield to("validity", plate=permit.plate, at=f"{clock:%Y-%m-%dT%H:%M}", headers={}, **asked)
    yield to("validity", says=" a month ago", plate=permit.plate, headers={}, **asked, at=(
        f"{clock - timedelta(days=30):%Y-%m-%dT%H:%M}"
    ))  # fmt: skip
    yield to("validity", says=" no such plate", plate="QQQ777", at="", headers={}, **asked)
    window: dict[str, Any] = {
        "start": f"{clock:%Y-%m-%dT%H:%M}",
        "end": f"{clock + timedelta(days=1):%Y-%m-%dT%H:%M}",
    }
    yield to("permit_hints", plate=permit.plate, **asked, **window)
    yield to("permit_add", says=" and save", plate="BENCH77", headers={}, **asked, **window)
    mapped = ZoneMapping.objects.filter(location__company=company).select_related("zone").first()
    assert mapped is not None
    other = mapped.zone.connection.zones.listed().exclude(pk=mapped.zone_id).first()
    yield to("location_map", mapped.location_id, says=" as it is", zone=mapped.zone_id)
    if other is not None:
        yield to("location_map", mapped.location_id, says=" anew", zone=other.pk)
    chosen = list(permits.order_by("-pk").values_list("pk", flat=True)[:50])
    yield to("permits_cancel", says=" preview of 50", permit=chosen)
    yield to("permits_cancel", says=" 50 for good", permit=chosen, confirm="1", headers={})


def pages_of_support() -> Iterator[Ask]:
    """Yield support's own pages, and the lists and searches of the admin."""
    from django.urls import reverse

    from integrations.models import Connection, PushEvent
    from locations.models import Permit

    connection = Connection.objects.latest("pk")
    for name, query in (
        ("companies", ""),
        ("companies", "?q=77"),
        ("companies", f"?q={connection.operator_id}"),
        ("companies", "?page=3"),
        ("companies", "?span=30d"),
        ("setups", ""),
        ("support_notifications", ""),
        ("company_add", ""),
        ("home", ""),
    ):
        yield Ask(f"{name}{query[:14]}", reverse(name) + query)
    event = PushEvent.objects.select_related("permit_sync", "push").latest("pk")
    permit = Permit.objects.get(pk=event.permit_sync.permit_id)
    for model, query in (
        ("locations_permit", ""),
        ("locations_permit", f"?q={permit.plate[:4]}"),
        ("locations_permit", f"?q={permit.plate}"),
        ("locations_permit", f"?q={permit.external_id}"),
        ("locations_permit", "?p=100"),
        ("integrations_permitsync", ""),
        ("integrations_permitsync", f"?q={permit.plate}"),
        ("integrations_permitsync", "?state__exact=refused"),
        ("integrations_permitsync", "?state__exact=due"),
        ("integrations_push", ""),
        ("integrations_push", f"?q={event.push.trace_id}"),
        ("integrations_push", "?outcome__exact=refused"),
        ("integrations_pushevent", ""),
        ("integrations_pushevent", f"?q={event.permit_sync.permit_id}"),
        ("integrations_pushevent", f"?q={event.push.trace_id}"),
        ("integrations_zonerefresh", "?outcome__exact=held"),
        ("integrations_pushhour", "?q=company-77"),
        ("locations_company", ""),
        ("locations_company", "?q=company-77"),
        ("locations_location", "?q=lot"),
        ("integrations_zone", "?q=place"),
        ("integrations_connection", "?q=company-77"),
        ("integrations_mail", ""),
        ("locations_auditevent", ""),
        ("locations_user", ""),
        ("locations_user", "?q=manager"),
    ):
        said = f"admin {model.partition('_')[2]}{query[:18]}"
        # The admin is Django's own, for a few people at desks: its weight is not budgeted.
        yield Ask(said, reverse(f"admin:{model}_changelist") + query, weighs=False)
    for model, pk in (("locations_permit", permit.pk), ("integrations_permitsync", event.permit_sync_id)):
        url = reverse(f"admin:{model}_change", args=[pk])
        yield Ask(f"admin one {model.partition('_')[2]}", url, weighs=False)
