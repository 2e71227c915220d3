"""What tests of the zones' pages share: what a page's messages say, and the order of its rows."""

from typing import Any

from django.contrib.messages import get_messages


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def order(page: str, *texts: str) -> list[str]:
    """The texts in the order in which a page's table has them."""
    rows = page.split("<tbody>")[1]
    return sorted(texts, key=rows.index)
