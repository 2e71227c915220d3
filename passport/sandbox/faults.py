"""Faults: what can be made to go wrong, for whom, how often.

A fault is matched against each request by path and operator, then drawn with its own seeded random numbers, so a run
can be repeated exactly. Of the faults that meet a request, delays and lateness add up; of the others the oldest wins.

Kinds and their own parameters (defaults in brackets):

=============  =======================================================================================
``delay``      the answer comes ``delay_s`` [1] seconds late, plus up to ``jitter_s`` [0]; with
               ``before`` [false] true the request is *processed* that late instead, also if the
               client has gone by then
``late``       accepted at once, but enforcement sees the effect only after ``delay_s`` [5] seconds
``401``        the access token is refused
``403``        the operator has not authorised the partner
``429``        too many requests; ``retry_after_s`` [2] (null: no header), ``retry_after_form``
               [``seconds``] or ``date``
``5xx``        the ``status`` [503], with problem details, or with ``body`` as it is given; may carry
               ``retry_after_s`` [null] too
``html``       a proxy's HTML page with ``status`` [502]
``broken_json``  ``status`` [200] and a body that is cut off JSON
``wrong_json``   ``status`` [200] and valid JSON of a wrong shape, drawn from several
``huge_body``    ``status`` [200] and ``size_bytes`` [10,000,000] of it
``endless_body`` ``status`` [200] and a body that trickles for ever, a byte each ``delay_s`` [0.05]
``truncated``  the answer breaks off in the middle of its body
``drop``       the connection is closed before the request is processed
``answer_lost``  the request is processed, then the connection is closed without an answer
=============  =======================================================================================

``processed`` says whether the request takes effect all the same: by default it does for those that only spoil the
answer (from ``broken_json`` on, ``drop`` aside), and does not for the refusals.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .formats import is_uuid

PATHS = ("all", "token", "zones", "events", "rights")

_SPOILS_ANSWER = ("broken_json", "wrong_json", "huge_body", "endless_body", "truncated", "answer_lost")
_REFUSES = ("401", "403", "429", "5xx", "html", "drop")
KINDS = ("delay", "late", *_REFUSES, *_SPOILS_ANSWER)

_STATUS = {"401": 401, "403": 403, "429": 429, "5xx": 503, "html": 502}
_DELAY_S = {"delay": 1.0, "late": 5.0, "endless_body": 0.05}


@dataclass(slots=True)
class Fault:
    """One fault that is switched on. `times` counts down to its end; None: until it is cleared."""

    id: int
    kind: str
    path: str = "all"
    operator_id: str | None = None
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    fired: int = 0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    before: bool = False
    status: int = 200
    retry_after_s: float | None = None
    retry_after_form: str = "seconds"
    size_bytes: int = 10_000_000
    processed: bool = False
    body: str | None = None
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def document(self) -> dict[str, Any]:
        """The fault as the control API lists it."""
        return {name: getattr(self, name) for name in _FIELDS if name != "rng"}


_FIELDS = tuple(Fault.__dataclass_fields__)
_NUMBERS = {"probability": (0.0, 1.0), "delay_s": (0.0, 86_400.0), "jitter_s": (0.0, 86_400.0)}
_INTEGERS = {"seed": (-(2**63), 2**63), "times": (1, 10**9), "status": (200, 599), "size_bytes": (0, 10**9)}
_FLAGS = ("before", "processed")


def parse_fault(document: Mapping[str, Any], fault_id: int) -> Fault:
    """A fault from the control API's JSON; ValueError names what is wrong."""
    kind = document.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    values: dict[str, Any] = {
        "status": _STATUS.get(kind, 200),
        "delay_s": _DELAY_S.get(kind, 0.0),
        "retry_after_s": 2.0 if kind == "429" else None,
        "processed": kind in _SPOILS_ANSWER,
    }
    for name, value in document.items():
        if name in ("id", "fired", "rng") or name not in _FIELDS:
            raise ValueError(f"there is no parameter {name}")
        _check(name, value)
        values[name] = value
    if kind in ("401", "403", "429"):
        values["status"] = int(kind)
    if kind == "drop":
        values["processed"] = False
    if kind == "answer_lost":
        values["processed"] = True
    if values.get("operator_id") is not None:
        values["operator_id"] = values["operator_id"].lower()
    values["seed"] = values.get("seed") or 0
    return Fault(**values, id=fault_id, rng=random.Random(values["seed"]))


def _check(name: str, value: Any) -> None:
    if name == "path" and value not in PATHS:
        raise ValueError(f"path must be one of {', '.join(PATHS)}")
    if name == "operator_id" and value is not None and not is_uuid(value):
        raise ValueError("operator_id must be a UUID or null")
    if name == "retry_after_form" and value not in ("seconds", "date"):
        raise ValueError("retry_after_form must be seconds or date")
    if name == "body" and value is not None and not isinstance(value, str):
        raise ValueError("body must be a string or null")
    if name in _FLAGS and not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    if name == "retry_after_s" and value is not None:
        _require_between(name, value, (0.0, 10.0**9), int | float)
    if name in _NUMBERS:
        _require_between(name, value, _NUMBERS[name], int | float)
    if name in _INTEGERS and not (name == "times" and value is None):
        _require_between(name, value, _INTEGERS[name], int)


def _require_between(name: str, value: Any, limits: tuple[float, float], kind: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, kind) or not limits[0] <= value <= limits[1]:
        raise ValueError(f"{name} must be a number from {limits[0]:g} to {limits[1]:g}")


@dataclass(slots=True)
class Verdict:
    """What one request meets: `fault` decides the answer, the delays are in seconds."""

    fault: Fault | None = None
    wait_before_s: float = 0.0
    wait_after_s: float = 0.0
    late_s: float = 0.0
    met: tuple[int, ...] = ()


CALM = Verdict()


class FaultBook:
    """The faults that are switched on, oldest first."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._next_id = 1

    def add(self, document: Mapping[str, Any]) -> Fault:
        """Switch a fault on; ValueError names what is wrong with it."""
        fault = parse_fault(document, self._next_id)
        self._next_id += 1
        self.faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Switch one fault off, or all; returns how many."""
        kept = [] if fault_id is None else [fault for fault in self.faults if fault.id != fault_id]
        count = len(self.faults) - len(kept)
        self.faults = kept
        return count

    @property
    def ask_operator(self) -> bool:
        """Whether any fault needs to know the operator (reading it from a body costs time)."""
        return any(fault.operator_id is not None for fault in self.faults)

    def meet(self, path: str, operator_id: str | None) -> Verdict:
        """Decide what a request to `path` for `operator_id` meets, and count it."""
        if not self.faults:
            return CALM
        verdict = Verdict()
        for fault in list(self.faults):
            if fault.path not in ("all", path):
                continue
            if fault.operator_id is not None and fault.operator_id != operator_id:
                continue
            decides = fault.kind not in ("delay", "late")
            if decides and verdict.fault is not None:
                continue
            if fault.rng.random() >= fault.probability:
                continue
            self._count(fault)
            verdict.met = (*verdict.met, fault.id)
            if decides:
                verdict.fault = fault
            elif fault.kind == "late":
                verdict.late_s += fault.delay_s
            else:
                wait_s = fault.delay_s + (fault.rng.random() * fault.jitter_s if fault.jitter_s else 0.0)
                if fault.before:
                    verdict.wait_before_s += wait_s
                else:
                    verdict.wait_after_s += wait_s
        return verdict

    def _count(self, fault: Fault) -> None:
        fault.fired += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
