"""The frame of the sandbox's pages: one layout, one stylesheet, no script.

Invariant: whatever comes from outside goes through :func:`e` before it is put between tags or into an attribute.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import parse_qsl

from .problems import Problem
from .responses import Response

STYLESHEET_PATH = "/static/sandbox.css"
_STYLESHEET = Path(__file__).with_name("static") / "sandbox.css"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LINKS = (("/", "Officer"), ("/faults", "Faults"))


def e(value: object) -> str:
    """Escaped for text and for quoted attributes."""
    return escape(str(value), quote=True)


def page(path: str, title: str, body: str, *, status: int = 200) -> Response:
    """A whole page; `body` is HTML that is escaped already."""
    links = "".join(
        f'<a href="{href}"{" aria-current=page" if href == path else ""}>{label}</a>'
        for href, label in _LINKS
    )
    document = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{e(title)} · Passport sandbox</title>"
        f'<link rel="stylesheet" href="{STYLESHEET_PATH}"></head><body>'
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header><p class="brand">Passport sandbox</p><nav aria-label="Pages">{links}</nav></header>'
        f'<main id="main">{body}</main>'
        "<footer>A stand-in for Passport, for trying things out. Nothing here reaches a real officer.</footer>"
        "</body></html>"
    )
    return Response(status, document.encode(), "text/html; charset=utf-8", dict(_HEADERS))


def see_other(path: str) -> Response:
    """Go to `path` after a form was carried out."""
    return Response(303, b"", "text/plain", {"Location": path})


def stylesheet() -> Response:
    """The stylesheet, read anew each time: it is small, and edits show at once."""
    headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
    return Response(200, _STYLESHEET.read_bytes(), "text/css; charset=utf-8", headers)


def read_form(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The fields of a posted form, blanks around them removed; a Problem if it can't be read or comes from afar."""
    if headers.get("sec-fetch-site") == "cross-site":
        raise Problem(403, "validation_error", "This form was sent from another site.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:
        raise Problem(400, "malformed_body", "The form could not be read.") from None
    return {name: value.strip() for name, value in pairs}


def options(choices: Iterable[tuple[str, str]], chosen: str) -> str:
    """``<option>`` elements from (value, label) pairs."""
    return "".join(
        f'<option value="{e(value)}"{" selected" if value == chosen else ""}>{e(label)}</option>'
        for value, label in choices
    )


def moment(at: datetime) -> str:
    """A time as a person reads it, in UTC."""
    shown = f"{at.day} {at:%b %Y, %H:%M} UTC"
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{shown}</time>'


def error_summary(message: str) -> str:
    """A message above a form that was not accepted."""
    return (
        f'<p class="note bad" role="alert"><span aria-hidden="true">✕</span> {e(message)}</p>'
        if message
        else ""
    )
