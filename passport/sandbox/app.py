"""The whole sandbox behind one function: Passport's API, the control API and the pages."""

from collections.abc import Mapping
from datetime import datetime

from . import control
from .responses import Response
from .simulator import Simulator


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
        return self.simulator.handle(method, path, query, headers, body, now)
