"""The sandbox's two pages: the officer's look-up, and the switchboard of faults.

The officer's page shows what enforcement sees, not what is true: a session that is processed late is not there yet.
Plates are sent by POST, so that they stay out of URLs and logs. The page of faults is a form for what the control API
does. How things are shown is the templates' business; they escape all outside data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(slots=True)
class Page:
    """A form at `path`. What is posted to it is carried out; what is wrong with it is shown above it.

    `carry_out` answers a posted form with what the template shows as its result, or with None: the page again. A
    Problem or ValueError of it says what is wrong with the form.
    """

    simulator: Simulator
    path: str
    template: str
    carry_out: Callable[[Simulator, Mapping[str, str], datetime], dict[str, Any] | None]

    def routes(self) -> list[Route]:
        return [Route(self.path, self._show), Route(self.path, self._take, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        return self._page(request, {})

    async def _take(self, request: Request) -> Response:
        simulator, fields = self.simulator, dict[str, str]()
        try:
            if request.headers.get("sec-fetch-site") == "cross-site":
                raise Problem(403, "validation_error", "This form was sent from another site.")
            posted = read_form(await read_body(request))
            fields = {name: value.strip() for name, value in posted.items()}
            with simulator.lock:
                result = self.carry_out(simulator, fields, simulator.clock(request.state.wire.now()))
        except Problem as problem:
            return self._page(request, fields, problem=problem)
        except ValueError as error:
            return self._page(request, fields, problem=Problem(400, "validation_error", str(error)))
        return (
            RedirectResponse(self.path, 303) if result is None else self._page(request, fields, result=result)
        )

    def _page(self, request: Request, fields: dict[str, str], **outcome: Any) -> Response:
        simulator = self.simulator
        shown = {
            "problem": None,
            "result": None,
            "path": self.path,
            "fields": fields,
            "kinds": KINDS,
            **outcome,
        }
        with simulator.lock:
            now = simulator.clock(request.state.wire.now())
            html = _templates.get_template(self.template).render(shown, simulator=simulator, now=now)
        status = shown["problem"].status if shown["problem"] else 200
        return Response(html, status, _HEADERS, media_type="text/html")


def pages(simulator: Simulator) -> list[Route]:
    """The addresses of both pages."""
    officer = Page(simulator, "/", "officer.html", _look_up)
    faults = Page(simulator, "/faults", "faults.html", _switch)
    return [*officer.routes(), *faults.routes(), Route("/static/sandbox.css", _stylesheet)]


def _look_up(simulator: Simulator, fields: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The rights of a plate in the zone that was asked for, and those elsewhere."""
    operator = simulator.directory.operators.get(fields.get("operator", "").lower())
    plate = fields.get("plate", "")
    if operator is None:
        raise _wrong("operator", "Choose an operator from the list.")
    if not plate_key(plate) or len(plate) > _PLATE_CHARS:
        raise _wrong("plate", f"Type the plate as it is on the car, at most {_PLATE_CHARS} characters.")
    zone = _zone(operator, fields["zone"]) if fields.get("zone") else None
    visible = simulator.sessions.visible(operator.id, now, vehicle_plate=plate)
    rights = sorted(visible, key=lambda right: right.start_time)
    here = [right for right in rights if zone is None or right.zone_id == zone.id]
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
    near = {
        zone.number: zone for zone in operator.zones.values() if zone.number.casefold() == number.casefold()
    }
    if number in near:
        return near[number]
    hint = f" Capitals count: there is {' and '.join(near)}." if near else ""
    raise _wrong("zone", f"{operator.name} has no zone {number[:40]}.{hint}")


def _switch(simulator: Simulator, fields: Mapping[str, str], _now: datetime) -> None:
    """Carry out one of the forms on the page of faults, which are told apart by their `do`."""
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
    document: dict[str, Any] = {name: fields.get(name) for name in ("kind", "path", "operator_id")}
    for name, kind in _NUMBERS.items():
        try:
            document[name] = kind(fields[name]) if fields.get(name) else None
        except ValueError:
            raise ValueError(f"{name} must be a number, not {fields[name][:20]}") from None
    if document["probability"] is not None:
        document["probability"] /= 100
    return {name: value for name, value in document.items() if value not in (None, "")}


async def _stylesheet(_request: Request) -> Response:
    """The stylesheet, read each time: it is small, and edits show at once."""
    headers = {"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"}
    css = (_HERE / "static" / "sandbox.css").read_bytes()
    return Response(css, headers=headers, media_type="text/css")
