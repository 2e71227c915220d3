"""Faults: what can be made to go wrong, for whom, how often.

A fault is matched against each request by path and operator, then drawn with its own seeded random numbers, so a run
can be repeated exactly. Of the faults that match a request, delays and lateness add up; of the others the oldest wins.
docs/sandbox.md describes each kind; ``answers`` and ``events`` carry them out.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .checks import is_uuid
from .options import Count, Rule, between, checked

# The request is not processed (REFUSING), or is processed and its answer is corrupted (SPOILING).
REFUSING = ("401", "403", "429", "5xx", "html", "drop")
SPOILING = ("broken_json", "wrong_json", "huge_body", "endless_body", "truncated", "answer_lost")
# Events are accepted, but not applied as sent.
MISAPPLYING = ("forget", "wrong_plate", "wrong_zone", "partial")
# A list is returned, but altered.
MISLISTING = ("missing_fields", "short_list", "endless_list", "other_forms")
DELAYING = ("delay", "late")
KINDS = (*DELAYING, *REFUSING, *SPOILING, *MISAPPLYING, *MISLISTING)
_USUAL: dict[str, dict[str, Any]] = {
    "delay": {"delay_s": 1.0},
    "late": {"delay_s": 5.0},
    "429": {"retry_after_s": 2.0},
    "5xx": {"status": 503},
    "html": {"status": 502},
    "partial": {"status": 503},
    "endless_body": {"delay_s": 0.05},
}
# Implied by the kind's name, so a request can't override them.
_FIXED: dict[str, dict[str, Any]] = {
    **{kind: {"status": int(kind)} for kind in ("401", "403", "429")},
    "drop": {"processed": False},
    "answer_lost": {"processed": True},
}
Seconds = Annotated[float, between(0, 86_400)]


@dataclass(slots=True)
class Settings:
    """A fault's parameters. `times` counts down to its end; None: until it is cleared."""

    kind: str
    path: Literal["all", "token", "zones", "events", "rights"] = "all"
    operator_id: Annotated[str, Rule("a UUID", is_uuid)] | None = None
    probability: Annotated[float, between(0, 1)] = 1.0
    seed: Annotated[int, between(-(2**63), 2**63)] = 0
    times: Count | None = None
    delay_s: Seconds = 0.0
    jitter_s: Seconds = 0.0
    before: bool = False
    status: Annotated[int, between(200, 599)] = 200
    retry_after_s: Annotated[float, between(0, 10**9)] | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    size_bytes: Annotated[int, between(0, 10**9)] = 10_000_000
    processed: bool = False
    body: str | None = None
    event_type: Literal["started", "extended", "stopped"] | None = None
    above_events: Annotated[int, between(0, 10**9)] = 0
    fields: str = "session_type"
    as_null: bool = False


@dataclass(slots=True, kw_only=True)
class Fault(Settings):
    """One fault that is switched on, and how many requests it has met."""

    id: int
    fired: int = 0
    _rng: random.Random  # orjson leaves it out

    def draw(self) -> float:
        """The fault's next random number, from 0 to 1."""
        return self._rng.random()


@dataclass(slots=True)
class Verdict:
    """The faults that one request meets: `fault` decides the answer, the delays are in seconds."""

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
        kind = document.get("kind")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        usual = {"processed": kind not in REFUSING, **_USUAL.get(kind, {})}
        values = {**usual, **checked(Settings, document), **_FIXED.get(kind, {})}
        fault = Fault(**values, id=self._next_id, _rng=random.Random(values.get("seed", 0)))
        if fault.operator_id is not None:
            fault.operator_id = fault.operator_id.lower()
        self._next_id += 1
        self.faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Switch one fault off, or all; returns how many."""
        kept = [] if fault_id is None else [fault for fault in self.faults if fault.id != fault_id]
        count = len(self.faults) - len(kept)
        self.faults = kept
        return count

    def meet(self, path: str, operator_id: str | None, events: int = 0) -> Verdict:
        """Decide which faults a request to `path` for `operator_id`, with so many events, meets, and count them."""
        if not self.faults:
            return CALM
        verdict = Verdict()
        for fault in self.faults:
            if fault.path not in ("all", path) or fault.operator_id not in (None, operator_id):
                continue
            if fault.above_events and events <= fault.above_events:
                continue
            decides = fault.kind not in DELAYING
            if (decides and verdict.fault is not None) or fault.draw() >= fault.probability:
                continue
            fault.fired += 1
            if fault.times is not None:
                fault.times -= 1
            verdict.met = (*verdict.met, fault.id)
            wait_s = fault.delay_s + (fault.draw() * fault.jitter_s if fault.jitter_s else 0.0)
            if decides:
                verdict.fault = fault
            elif fault.kind == "late":
                verdict.late_s += fault.delay_s
            elif fault.before:
                verdict.wait_before_s += wait_s
            else:
                verdict.wait_after_s += wait_s
        self.faults = [fault for fault in self.faults if fault.times != 0]
        return verdict
