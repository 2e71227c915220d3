"""Where a person goes to put right what keeps a permit from being seen. Pure but for addresses."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import PermitSync, ZoneMapping
from integrations.permits.queries import Delivery
from locations.models import Permit


@dataclass(frozen=True, slots=True)
class Fix:
    """A button: its label, its address, and what it is about for those who do not see the row it stands in."""

    label: str
    url: str
    about: str


def fix_of(delivery: Delivery, slug: str) -> Fix | None:
    """Return the button for a permit's state (`slug` is its company's); None where nothing a person changes would help."""
    permit, key = delivery.permit, delivery.state.key
    if key == "refused":
        return fix_refused(permit, delivery.permit_sync, delivery.mapping, slug)
    if key in ("unmapped", "zone_missing", "ended_connection"):
        return _remap(permit, delivery.mapping, slug)
    if key in ("not_live", "paused"):
        return Fix(_("Set-up"), reverse("setup", args=[slug]), permit.plate_typed)
    if key in ("stopped", "outage") or (key in ("due", "sending", "withdrawing") and delivery.state.remedy):
        return Fix(_("Run diagnostics"), reverse("diagnostics", args=[slug]), permit.plate_typed)
    return None


def fix_refused(
    permit: Permit, permit_sync: PermitSync | None, mapping: ZoneMapping | None, slug: str
) -> Fix:
    """Return where a refusal is put right: at the location's mapping if it is about the zone, else in the permit."""
    code = permit_sync.error_code if permit_sync else ""
    # Codes are the vendor's own words; one that is about a zone names it.
    is_about_zone = "zone" in code.casefold() or (
        mapping is not None and mapping.zone.missing_since is not None
    )
    if is_about_zone:
        return _remap(permit, mapping, slug)
    url = reverse("permit_change", args=[slug, permit.pk])
    return Fix(_("Fix"), url, permit.plate_typed)


def _remap(permit: Permit, mapping: ZoneMapping | None, slug: str) -> Fix:
    query = urlencode({"q": permit.location.name}, quote_via=quote)
    label = _("Map location") if mapping is None else _("Remap")
    return Fix(label, f"{reverse('locations', args=[slug])}?{query}", permit.location.name)
