"""What the HTML part of a mail needs: a line of text, with the addresses in it to click on."""

import re

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.links import PLACEHOLDER

register = template.Library()

_LINK = re.compile(rf"https?://\S+|{re.escape(PLACEHOLDER)}")


@register.filter
def mail_line(line: str) -> SafeString:
    """Return the line; one that is nothing but an address becomes a link, anything else is escaped text."""
    line = line.strip()
    if _LINK.fullmatch(line):
        return format_html('<a href="{0}" style="color:#0b5cad;word-break:break-all">{0}</a>', line)
    return format_html("{}", line)
