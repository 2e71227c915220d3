"""The whole sandbox as one ASGI application: Passport's API, the control API and the pages."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from . import control
from .api import PassportApi
from .control import Control
from .officer import OfficerPage
from .pages import STYLESHEET_PATH, stylesheet
from .problems import Problem
from .responses import Json, problem_response
from .simulator import Simulator
from .switchboard import FaultsPage

_CODES = {404: "not_found", 405: "method_not_allowed"}


def make_app(simulator: Simulator) -> Starlette:
    """The application around `simulator`. Whoever serves it puts a ``wire`` into each request's state
    (:class:`passport.sandbox.responses.Wire`)."""

    async def refuse(request: Request, error: Exception) -> Response:
        """Answer a request that no route takes, or that is too large."""
        assert isinstance(error, HTTPException)
        path, status = request.url.path, error.status_code
        if path.startswith(f"{control.PREFIX}/"):
            return Json({"error": f"there is no {request.method} {path}"}, 404)
        if status == 404:
            simulator.traffic.by_status["unknown", 404] += 1
        detail = {404: f"There is no {path}.", 405: f"{path} does not take {request.method}."}
        problem = Problem(status, _CODES.get(status, "malformed_body"), detail.get(status, error.detail))
        return problem_response(problem, error.headers)

    async def left(_request: Request, _error: Exception) -> Response:
        """Answer nothing to a client that left before it had sent its body."""
        return Response(status_code=400)

    app = Starlette(
        routes=[
            *PassportApi(simulator).routes(),
            Mount(control.PREFIX, routes=Control(simulator).routes()),
            *OfficerPage(simulator).routes(),
            *FaultsPage(simulator).routes(),
            Route(STYLESHEET_PATH, stylesheet),
        ],
        exception_handlers={HTTPException: refuse, ClientDisconnect: left},
    )
    app.router.redirect_slashes = False
    return app
