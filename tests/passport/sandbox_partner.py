"""A partner that talks to the simulator without a client: plain requests as in the contract."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import Headers

from passport.sandbox.api import EVENTS_PATH, RIGHTS_PATH, TOKEN_PATH, ZONES_PATH
from passport.sandbox.app import make_app
from passport.sandbox.credentials import SANDBOX_AUDIENCE, SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_exchange import Exchange, Piece, Start

UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"
VEHICLE = {"vehicle_plate": "ABC123", "vehicle_state": "US-NC", "vehicle_country": "US"}
LAKESHORE = "fd69c211-318f-56a5-836b-8e03dc8897ae"
NORTH_CAMPUS = "594334c4-065c-5550-a853-a3c837a60f41"  # Z123
LOT_B = "eee900e0-7f16-561c-a743-9d44ad2b6980"
NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": SANDBOX_CLIENT_ID,
    "client_secret": SANDBOX_CLIENT_SECRET,
    "audience": SANDBOX_AUDIENCE,
}
FREE = {"parking_fee": "0.00", "convenience_fee": "0.00", "tax": "0.00", "currency_code": "USD"}


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_ms(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# A partner reads this many pieces of an endless answer, then leaves.
PATIENCE = 20


@dataclass(frozen=True)
class Response:
    """An answer, as far as the partner read it. Its status is 0 if the connection was dropped."""

    status: int
    body: bytes
    headers: Headers

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


class Partner:
    """Sends well-formed requests at a time that the test sets; `event` builds one that a test can then break."""

    def __init__(self, simulator: Simulator | None = None, *, now: datetime = NOON) -> None:
        self.simulator = simulator or Simulator()
        self.app = make_app(self.simulator)
        self.now = now
        self.trace = 0
        self.token: str | None = None

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def call(
        self,
        method: str,
        path: str,
        query: str = "",
        document: Any = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """One request as it is, with a trace id and, where there is one, the token."""
        self.trace += 1
        sent = {"passport-labs-client-trace-id": f"trace-{self.trace}"}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        if document is not None:
            body = json.dumps(document).encode()
            sent["content-type"] = "application/json"
        sent.update(headers or {})
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        exchange = Exchange(self.app, lambda: self.now, method, path, query, raw, body or b"")
        head = Start(0, [])
        pieces: list[bytes] = []
        while (step := exchange.step()) is not None and len(pieces) < PATIENCE:
            if isinstance(step, Start):
                head = step
            elif isinstance(step, Piece):
                pieces.append(step.data)
        exchange.leave()
        return Response(head.status, b"".join(pieces), Headers(raw=head.headers))

    def log_in(self) -> "Partner":
        self.token = json.loads(self.call("POST", TOKEN_PATH, document=CREDENTIALS).body)["access_token"]
        return self

    def zones(self, operator_id: str = UNIVERSITY) -> Response:
        return self.call("GET", ZONES_PATH, f"operator_id={operator_id}")

    def rights(self, query: str = "", operator_id: str = UNIVERSITY) -> list[dict[str, Any]]:
        response = self.call("GET", RIGHTS_PATH, f"operator_id={operator_id}&{query}".rstrip("&"))
        assert response.status == 200, response.body
        data: list[dict[str, Any]] = json.loads(response.body)["data"]
        return data

    def event(self, kind: str = "started", /, **changes: Any) -> dict[str, Any]:
        """A well-formed event of `kind`; a change to `...` leaves the field out."""
        event: dict[str, Any] = {
            "occurred_at": stamp_ms(self.now),
            "session_id": "s-1",
            "operator_id": UNIVERSITY,
            "passport_zone_id": NORTH_CAMPUS,
            "start_time": stamp(NOON),
            "end_time": stamp(NOON + timedelta(hours=8)),
            "event_fees": FREE,
        }
        if kind == "started":
            event["vehicle"] = {
                "vehicle_plate": "ABC123",
                "vehicle_state": "US-NC",
                "vehicle_country": "US",
            }
        else:
            event["total_session_fees"] = FREE
        if kind == "stopped":
            event["end_time"] = stamp(max(self.now, NOON))
        event.update(changes)
        return {name: value for name, value in event.items() if value is not ...}

    def send(self, kind: str, *events: Any) -> Response:
        document = {"type": f"parking_session_{kind}", "version": "3.0.0", "data": list(events)}
        return self.call("POST", EVENTS_PATH, document=document)

    def start(self, session_id: str = "s-1", /, **changes: Any) -> Response:
        return self.send("started", self.event("started", **{"session_id": session_id, **changes}))

    def extend(self, session_id: str = "s-1", /, **changes: Any) -> Response:
        return self.send("extended", self.event("extended", **{"session_id": session_id, **changes}))

    def stop(self, session_id: str = "s-1", /, **changes: Any) -> Response:
        return self.send("stopped", self.event("stopped", **{"session_id": session_id, **changes}))

    def control(self, method: str, path: str, document: Any = None, *, expect: int = 200) -> Any:
        target, _, query = path.partition("?")
        response = self.call(method, f"/sandbox/{target}", query, document)
        assert response.status == expect, (response.status, response.body)
        return json.loads(response.body)

    def fault(self, kind: str, **parameters: Any) -> Any:
        return self.control("POST", "faults", {"kind": kind, **parameters}, expect=201)


def problem(response: Response) -> dict[str, Any]:
    """The problem details of a refusal, checked for their form."""
    assert response.content_type == "application/problem+json", response
    document: dict[str, Any] = json.loads(response.body)
    assert document["type"].startswith("io.passportlabs:error:")
    assert document["title"]
    assert document["detail"]
    return document


def code(response: Response) -> str:
    urn: str = problem(response)["type"]
    return urn.removeprefix("io.passportlabs:error:")


def field(response: Response) -> str:
    name: str = problem(response)["additional_details"]["field"]
    return name
