"""The sandbox's two pages: the officer's look-up, and the faults page.

The officer's page shows what enforcement sees, not what is true: a session that is processed late isn't listed yet.
Plates are sent by POST, so that they stay out of URLs and logs. The faults page is a form for the control API. The
templates hold all markup and escape all outside data.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .answers import read_body, read_form
from .checks import Problem, plate_key
from .faults import KINDS
from .simulator import Simulator
from .zones import Operator, Zone

_PLATE_CHARS = 20
_HERE = Path(__file__).parent
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["moment"] = lambda at: f"{at.day} {at:%b %Y, %H:%M} UTC"
_NUMBERS = {"times": int, "probability": float, "delay_s": float, "status": int, "retry_after_s": float}
_FAULT_FIELDS = ("kind", "path", "operator_id", *_NUMBERS)


CarryOut = Callable[[Simulator, Mapping[str, str], datetime], dict[str, Any] | None]


def pages(simulator: Simulator) -> list[Route]:
    """The addresses of both pages."""
    return [
        _page(simulator, "/", "officer.html", _look_up),
        _page(simulator, "/faults", "faults.html", _switch),
        Route("/static/sandbox.css", _stylesheet),
    ]


def _page(simulator: Simulator, path: str, template: str, carry_out: CarryOut) -> Route:
    """A page with a form. `carry_out` handles a posted form and returns what the template shows as its result, or None
    to redirect to the page; a Problem or ValueError is shown above the form."""

    async def answer(request: Request) -> Response:
        body = await read_body(request)
        shown: dict[str, Any] = {"path": path, "fields": {}, "kinds": KINDS, "problem": None, "result": None}
        with simulator.lock:
            now = simulator.clock(request.state.wire.now())
            if request.method == "POST":
                try:
                    shown["fields"] = _fields(request, body)
                    shown["result"] = carry_out(simulator, shown["fields"], now)
                    if shown["result"] is None:
                        return RedirectResponse(path, 303)
                except (Problem, ValueError) as error:
                    shown["problem"] = error if isinstance(error, Problem) else _wrong("", str(error))
            html = _templates.get_template(template).render(shown, simulator=simulator, now=now)
        status = shown["problem"].status if shown["problem"] else 200
        return Response(html, status, _HEADERS, media_type="text/html")

    return Route(path, answer, methods=["GET", "POST"])


def _fields(request: Request, body: bytes) -> dict[str, str]:
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Problem(403, "validation_error", "This form was sent from another site.")
    return {name: value.strip() for name, value in read_form(body).items()}


def _look_up(simulator: Simulator, fields: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The rights of a plate in the requested zone, and those in other zones."""
    operator = simulator.directory.operators.get(fields.get("operator", "").lower())
    plate = fields.get("plate", "")
    if operator is None:
        raise _wrong("operator", "Choose an operator from the list.")
    if not plate_key(plate) or len(plate) > _PLATE_CHARS:
        raise _wrong("plate", f"Type the vehicle's plate, at most {_PLATE_CHARS} characters.")
    zone = _zone(operator, fields["zone"]) if fields.get("zone") else None
    visible = simulator.sessions.visible(operator.id, now, vehicle_plate=plate)
    rights = sorted(visible, key=lambda right: right.start_time)
    here = [right for right in rights if zone is None or right.zone_id == zone["id"]]
    return {
        "operator": operator,
        "plate": plate.upper(),
        "zone": zone,
        "here": here,
        "elsewhere": [right for right in rights if right not in here],
        "valid": any(right.start_time <= now for right in here),
        "zones": {**operator.gone, **operator.zones},
    }


def _wrong(field: str, detail: str) -> Problem:
    return Problem(400, "validation_error", detail, field=field)


def _zone(operator: Operator, number: str) -> Zone:
    number = number.partition(" · ")[0].strip()
    zones = {zone["number"]: zone for zone in operator.zones.values()}
    if number in zones:
        return zones[number]
    near = [each for each in zones if each.casefold() == number.casefold()]
    hint = f" Capitals count: there is {' and '.join(near)}." if near else ""
    raise _wrong("zone", f"{operator.name} has no zone {number[:40]}.{hint}")


def _switch(simulator: Simulator, fields: Mapping[str, str], _now: datetime) -> None:
    """Carry out one of the forms on the faults page; the field `do` says which."""
    match fields.get("do"):
        case "add":
            simulator.faults.add(_fault(fields))
        case "clear":
            simulator.faults.clear(int(fields["id"]) if fields.get("id") else None)
        case "authorise" | "withdraw" as wish:
            operator_id = fields.get("operator", "")
            if operator_id not in simulator.directory.operators:
                raise ValueError("There is no such operator.")
            simulator.change_directory({"operator_id": operator_id, "authorised": wish == "authorise"})
        case "expire":
            simulator.expire_tokens()
        case _:
            raise ValueError("this form is not known")


def _fault(fields: Mapping[str, str]) -> dict[str, Any]:
    """The posted form as the control API takes a fault."""
    document: dict[str, Any] = {name: fields[name] for name in _FAULT_FIELDS if fields.get(name)}
    for name in _NUMBERS.keys() & document:
        try:
            document[name] = _NUMBERS[name](document[name])
        except ValueError:
            raise ValueError(f"{name} must be a number, not {document[name][:20]}") from None
    if "probability" in document:
        document["probability"] /= 100
    return document


async def _stylesheet(_request: Request) -> Response:
    """The stylesheet, read each time: it is small, and edits show at once."""
    headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
    css = (_HERE / "static" / "sandbox.css").read_bytes()
    return Response(css, headers=headers, media_type="text/css")
