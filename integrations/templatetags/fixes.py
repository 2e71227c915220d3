"""The button that leads to what puts a permit right: `{% with fix=delivery|fix:company.slug %}`."""

from django import template

from integrations.models import PermitSync
from integrations.permits.fixes import Fix, fix_of, fix_refused
from integrations.permits.queries import Delivery

register = template.Library()


@register.filter
def fix(delivery: Delivery, slug: str) -> Fix | None:
    """Return the button for a permit's delivery; None where there is none."""
    return fix_of(delivery, slug)


@register.filter
def refusal_fix(row: PermitSync, slug: str) -> Fix:
    """Return the button for a refused permit sync; its permit's location and mapping should be loaded."""
    return fix_refused(row.permit, row, getattr(row.permit.location, "zone_mapping", None), slug)
