"""The whole sandbox as one ASGI application: Passport's API, the control API and the pages."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount

from . import control
from .answers import Json, refusal
from .api import PassportApi
from .checks import Problem
from .control import Control
from .pages import pages
from .simulator import Simulator

_REFUSALS = {
    404: ("not_found", "There is no {path}."),
    405: ("method_not_allowed", "{path} does not take {method}."),
}


def make_app(simulator: Simulator) -> Starlette:
    """The application around `simulator`. Whoever serves it puts a ``wire`` into each request's state
    (:class:`passport.sandbox.answers.Wire`)."""

    async def refuse(request: Request, error: Exception) -> Response:
        """Answer a request that matches no route, names something that doesn't exist, or is too large."""
        assert isinstance(error, HTTPException)
        path, status = request.url.path, error.status_code
        if path.startswith(f"{control.PREFIX}/"):
            return Json({"error": f"{request.method} {path}: {error.detail}"}, 404)
        if status == 404:
            simulator.traffic.by_status["unknown", 404] += 1
        code, detail = _REFUSALS.get(status, ("malformed_body", error.detail))
        return refusal(Problem(status, code, detail.format(path=path, method=request.method)), error.headers)

    async def left(_request: Request, _error: Exception) -> Response:
        """Answer nothing to a client that left before it had sent its body."""
        return Response(status_code=400)

    app = Starlette(
        routes=[
            *PassportApi(simulator).routes(),
            Mount(control.PREFIX, routes=Control(simulator).routes()),
            *pages(simulator),
        ],
        exception_handlers={HTTPException: refuse, ClientDisconnect: left},
    )
    app.router.redirect_slashes = False
    return app
