"""Template tags of the activity pages."""

from django import template

from integrations.audit_log.pushes import KINDS

register = template.Library()


@register.filter
def event_kind(kind: str) -> str:
    """Return what an event of this kind does, in words; a kind that is not known here as it came."""
    return str(KINDS.get(kind, kind))
