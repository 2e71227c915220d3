"""The whole sandbox behind one function: Passport's API, the control API and the pages."""

from collections.abc import Mapping
from datetime import datetime

from . import control, officer, switchboard
from .html import STYLESHEET_PATH, stylesheet
from .responses import Response, json_response
from .simulator import Simulator

_PAGES = (officer.PATH, switchboard.PATH, STYLESHEET_PATH)


class Sandbox:
    """Hands each request to whom it is for; this is what the HTTP server serves."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Response:
        """Answer one request; `headers` have lower-case names."""
        if path.startswith(control.PREFIX):
            return control.handle(self.simulator, method, path, query, headers, body, now)
        if path in _PAGES:
            return self._page(method, path, headers, body, now)
        return self.simulator.handle(method, path, query, headers, body, now)

    def _page(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Response:
        simulator = self.simulator
        with simulator.lock:
            now = simulator.clock(now)
            match "GET" if method == "HEAD" else method, path:
                case "GET", officer.PATH:
                    return officer.show(simulator)
                case "POST", officer.PATH:
                    return officer.look_up(simulator, headers, body, now)
                case "GET", switchboard.PATH:
                    return switchboard.show(simulator, now)
                case "POST", switchboard.PATH:
                    return switchboard.act(simulator, headers, body, now)
                case "GET", _:
                    return stylesheet()
        return json_response(405, {"error": f"{path} does not take {method}"})
