"""What the sandbox's two pages share: templates that escape all outside data, headers, and posted forms."""

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from .call import read_form
from .problems import Problem
from .responses import read_body

STYLESHEET_PATH = "/static/sandbox.css"
_HERE = Path(__file__).parent
_STYLESHEET = _HERE / "static" / "sandbox.css"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, status: int = 200, **values: object) -> Response:
    """A whole page from one of the templates."""
    html = _templates.get_template(template).render(values)
    return Response(html, status, _HEADERS, media_type="text/html")


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a posted form, stripped; a Problem if it can't be read or comes from another site."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Problem(403, "validation_error", "This form was sent from another site.")
    return {name: value.strip() for name, value in read_form(await read_body(request)).items()}


async def stylesheet(_request: Request) -> Response:
    """The stylesheet, read each time: it is small, and edits show at once."""
    headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
    return Response(_STYLESHEET.read_bytes(), headers=headers, media_type="text/css")


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


_templates.filters["moment"] = _moment
