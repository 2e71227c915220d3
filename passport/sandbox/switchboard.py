"""The page on which faults are switched on and off by hand, with what the sandbox has seen so far.

A form for what ``/sandbox/faults`` does; both go through the same :class:`FaultBook`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .faults import KINDS, PATHS, Fault
from .pages import page, read_fields
from .problems import Problem
from .simulator import Simulator

PATH = "/faults"

_KIND_LABELS = {
    "delay": "Slow: answer late",
    "late": "Processed late: enforcement sees it later",
    "401": "401: token refused",
    "403": "403: operator not authorised",
    "429": "429: too many requests",
    "5xx": "5xx: server error",
    "html": "A proxy's HTML page",
    "drop": "Connection dropped, nothing processed",
    "broken_json": "Broken JSON",
    "wrong_json": "JSON of a wrong shape",
    "huge_body": "A body of 10 MB",
    "endless_body": "A body that never ends",
    "truncated": "Answer cut off",
    "answer_lost": "Processed, but the answer is lost",
}
_PATH_LABELS = {
    "all": "every path",
    "token": "access token",
    "zones": "zones",
    "events": "events",
    "rights": "parking rights",
}
_NUMBERS = {
    "times": ("Times", "empty: until switched off", int),
    "probability": ("Chance in %", "of requests that meet it", float),
    "delay_s": ("Delay in s", "empty: the kind's own", float),
    "status": ("Status", "for 5xx, HTML, JSON", int),
    "retry_after_s": ("Retry-After in s", "for 429 and 5xx", float),
}


class FaultsPage:
    """One page of forms, told apart by their `do`."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        return [Route(PATH, self.show), Route(PATH, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The page."""
        with self.simulator.lock:
            return self._page(request, {}, "")

    async def act(self, request: Request) -> Response:
        """Carry out one of the forms; one that is not accepted comes back with what is wrong."""
        fields: dict[str, str] = {}
        try:
            fields = await read_fields(request)
            with self.simulator.lock:
                self._carry_out(fields)
        except Problem as problem:
            message = problem.detail
        except KeyError:
            message = "There is no such operator."
        except ValueError as error:
            message = str(error)
        else:
            return RedirectResponse(PATH, 303)
        with self.simulator.lock:
            return self._page(request, fields, message)

    def _carry_out(self, fields: Mapping[str, str]) -> None:
        simulator = self.simulator
        match fields.get("do"):
            case "add":
                simulator.faults.add(_document(fields))
            case "clear":
                simulator.faults.clear(int(fields["id"]) if fields.get("id") else None)
            case "authorise" | "withdraw" as wish:
                operator = simulator.directory.operators[fields.get("operator", "")]
                edit = {"do": "operator", "operator_id": operator.id, "authorised": wish == "authorise"}
                simulator.change_directory(edit)
            case "expire":
                simulator.expire_tokens()
            case _:
                raise ValueError("this form is not known")

    def _page(self, request: Request, fields: Mapping[str, str], message: str) -> Response:
        simulator = self.simulator
        operators = simulator.directory.operators
        return page(
            "faults.html",
            status=400 if message else 200,
            path=PATH,
            fields=fields,
            message=message,
            active=[(fault, self._facts(fault)) for fault in simulator.faults.faults],
            operators=operators.values(),
            names=[("", "every operator"), *((each.id, each.name or each.id) for each in operators.values())],
            kinds=[(kind, _KIND_LABELS[kind]) for kind in KINDS],
            kind_labels=_KIND_LABELS,
            paths=[(path, _PATH_LABELS[path]) for path in PATHS],
            numbers=_NUMBERS,
            figures=self._figures(simulator.clock(request.state.wire.now())),
        )

    def _facts(self, fault: Fault) -> str:
        operator = self.simulator.directory.operators.get(fault.operator_id or "")
        facts = [
            _PATH_LABELS[fault.path],
            operator.name if operator else fault.operator_id or "every operator",
        ]
        if fault.probability < 1:
            facts.append(f"{fault.probability:.0%} of requests")
        if fault.delay_s:
            facts.append(f"{fault.delay_s:g} s")
        if fault.kind in ("5xx", "html"):
            facts.append(f"status {fault.status}")
        if fault.retry_after_s is not None:
            facts.append(f"Retry-After {fault.retry_after_s:g} s")
        facts.append("until switched off" if fault.times is None else f"{fault.times} more")
        return " · ".join([*facts, f"met {fault.fired} times"])

    def _figures(self, now: datetime) -> list[tuple[str, int]]:
        """What the sandbox has seen so far, as (label, number)."""
        simulator = self.simulator
        summary = simulator.traffic.summary()
        visible = simulator.sessions.visible
        rights = sum(1 for operator_id in simulator.directory.operators for _ in visible(operator_id, now))
        return [
            ("Sessions", len(simulator.sessions)),
            ("Parking rights", rights),
            *(
                (f"{_PATH_LABELS.get(path, path)}: {status}", count)
                for path, statuses in summary["requests"].items()
                for status, count in statuses.items()
            ),
            *((f"breach: {name.replace('_', ' ')}", count) for name, count in summary["breaches"].items()),
        ]


def _document(fields: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": fields.get("kind"), "path": fields.get("path") or "all"}
    if fields.get("operator_id"):
        document["operator_id"] = fields["operator_id"]
    for name, (label, _, kind) in _NUMBERS.items():
        text = fields.get(name, "")
        if not text:
            continue
        try:
            document[name] = kind(text)
        except ValueError:
            raise ValueError(f"{label} must be a number, not {text[:20]}") from None
    if "probability" in document:
        document["probability"] /= 100
    return document
