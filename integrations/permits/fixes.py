"""Where a person goes to put right what keeps a permit from being seen. Pure but for addresses."""

import re
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


# What a refusal's code or words must hold to be about a field of the permit's form, in this order: “zone SP-01 has no space
# 44” is about the space. Codes and sentences are the vendor's own.
_FIELD_WORDS = (
    ("space_number", ("space",)),
    ("location", ("zone",)),
    ("subdivision", ("state", "province", "country")),
    ("plate", ("plate", "vehicle")),
    ("start", ("start", "begin")),
    ("end", ("end", "until", "time", "date")),
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the vendor refused a permit, for the form that corrects it; `field` is the one it is about, or empty."""

    sentence: str
    remedy: str
    field: str

    @property
    def words(self) -> dict[str, str]:
        """What to say beside the field, by its name."""
        return {self.field: self.remedy or self.sentence} if self.field else {}


def refused_for_form(permit: Permit) -> Refused | None:
    """Return why a permit is refused now, or None where it is not; one query."""
    row = PermitSync.objects.refused().filter(permit=permit).order_by("-error_since").first()
    if row is None or not row.error:
        return None
    return Refused(row.error, row.remedy, refused_field(row.error_code, row.error))


def refused_field(code: str, sentence: str) -> str:
    """Return the field of the permit's form that a refusal is about, or an empty text; pure."""
    for text in (code, sentence):
        words = set(re.findall(r"[a-z]+", text.casefold()))
        for field, about in _FIELD_WORDS:
            if words.intersection(about):
                return field
    return ""


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
