"""The sandbox as a process, and a client of its control API."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offstreet.runtime import commands, processes
from tests.servers.process import Server, scratch_directory

# After a long storm there are a hundred thousand sessions, each with its log.
LONG_LIST_S = 600.0


class Refused(AssertionError):
    """The sandbox has refused a request to its control API."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Sandbox(Server):
    """The stand-in for Passport, and a client of its control API (`passport/sandbox/control.py` lists it)."""

    url: str = ""

    def call(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, *, timeout_s: float = 30
    ) -> Any:
        """Send one request to `/sandbox/…` and return its answer. Raises `AssertionError` if it is refused."""
        request = urllib.request.Request(
            f"{self.url}/sandbox/{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(f"{method} {path}: {error.code} {error.read().decode()}", error.code) from None

    def add_fault(self, kind: str, **details: Any) -> dict[str, Any]:
        """Switch a fault on (`kind` and details as the control API takes them); return it, with its id."""
        added: dict[str, Any] = self.call("POST", "faults", {"kind": kind, **details})
        return added

    def end_fault(self, number: int) -> None:
        """Switch one fault off; one that has used up its `times` is off already."""
        try:
            self.call("DELETE", f"faults/{number}")
        except Refused as refused:
            if refused.status != 404:
                raise

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.call("DELETE", "faults")

    def rights(self, operator_id: str | None = None) -> list[dict[str, Any]]:
        """Return the parking rights that enforcement sees now, of all operators or of one."""
        query = f"?operator_id={operator_id}" if operator_id else ""
        rights: list[dict[str, Any]] = self.call("GET", f"rights{query}", timeout_s=LONG_LIST_S)["data"]
        return rights

    def sessions(self, **query: str) -> list[dict[str, Any]]:
        """Return sessions with their events; `operator_id`, `plate` or `session_id` narrow them down."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        sessions: list[dict[str, Any]] = self.call("GET", f"sessions?{words}", timeout_s=LONG_LIST_S)["data"]
        return sessions

    def requests(self, limit: int = 500) -> list[dict[str, Any]]:
        """Return the last requests that it got, newest last."""
        requests: list[dict[str, Any]] = self.call("GET", f"requests?limit={limit}")["data"]
        return requests

    def state(self) -> dict[str, Any]:
        """Return its summary: operators, settings, faults, counters, breaches."""
        state: dict[str, Any] = self.call("GET", "state")
        return state

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (docs/sandbox.md lists them) and return all of them."""
        settings: dict[str, Any] = self.call("PATCH", "settings", changes)
        return settings

    def expire_tokens(self) -> None:
        """Make every access token worthless."""
        self.call("POST", "tokens/expire")

    def reset(self) -> None:
        """Forget everything."""
        self.call("POST", "reset")


def make_sandbox(home: Path) -> Sandbox:
    """Return a sandbox, not yet started, that keeps its state in `home` over restarts."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    return Sandbox(
        name="sandbox",
        command=commands.sandbox_command(port=port, state=home / "sandbox.json"),
        log_path=home / "sandbox.log",
        ready=lambda: processes.answers_http(f"{url}/sandbox/health"),
        url=url,
    )


@contextlib.contextmanager
def sandbox_server() -> Iterator[Sandbox]:
    """Run a sandbox."""
    with scratch_directory() as home:
        server = make_sandbox(home)
        try:
            server.start()
            yield server
        finally:
            server.stop()
