"""What the page shell (side bar, account menu) needs on every page."""

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the template variables of the shell."""
    return {}
