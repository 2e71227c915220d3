"""What the HTML part of a mail needs: a line of text, with the addresses in it to click on."""

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.notifications.mail_text import leads_to
from integrations.notifications.signed_links import PLACEHOLDER

register = template.Library()


@register.filter
def mail_line(line: str) -> SafeString:
    """Return the line; one that is nothing but an address of this site becomes a link, anything else is escaped text."""
    line = line.strip()
    if line == PLACEHOLDER or (line and leads_to(line, settings.SITE_URL)):
        return format_html('<a href="{0}" style="color:#0b5cad;word-break:break-all">{0}</a>', line)
    return format_html("{}", line)
