"""A response, and how it is to be carried over the wire.

The simulator decides; whoever carries the response (the HTTP server, a test's transport) obeys its :class:`Carriage`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .jsonio import dumps
from .problems import Problem

Ending = Literal["whole", "drop", "truncated", "padded", "endless"]


@dataclass(slots=True)
class Carriage:
    """How a response travels.

    `wait_s`: wait that long first. `resume`: after waiting, the request is only then to be processed; call it with
    the time and carry what it returns. `ending`: ``whole``; ``drop`` closes the connection without a byte;
    ``truncated`` announces the whole body, sends half and closes; ``padded`` follows the body with blanks up to
    `size_bytes`; ``endless`` follows it with a blank each `interval_s` seconds for ever.
    """

    wait_s: float = 0.0
    resume: "Callable[[datetime], Response] | None" = None
    ending: Ending = "whole"
    size_bytes: int = 0
    interval_s: float = 0.05


@dataclass(slots=True)
class Response:
    """Status, headers and body, and how they travel."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    action: Carriage = field(default_factory=Carriage)


def json_response(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    """`document` as a JSON answer."""
    return Response(status, dumps(document), headers=headers or {})


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """A refusal as ``application/problem+json``."""
    return Response(problem.status, dumps(problem.document()), "application/problem+json", headers or {})
