"""What can be set: the sandbox's settings, and how they and a fault's parameters are checked.

Each is a field of a dataclass whose type says which values are valid; :func:`checked` checks a JSON document against it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints


class Rule(NamedTuple):
    """What a value of an annotated type must be beyond its type, in words and as a function."""

    wanted: str
    allows: Callable[[Any], bool]


def between(least: float, most: float) -> Rule:
    """A number within bounds."""
    return Rule(f"a number from {least:g} to {most:g}", lambda value: least <= value <= most)


Count = Annotated[int, between(1, 10**9)]


def checked(shape: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `document`, all of them fields of the dataclass `shape`; ValueError names what is wrong."""
    hints = get_type_hints(shape, include_extras=True)
    for name, value in document.items():
        if name not in hints:
            raise ValueError(f"there is no {name}; known are {', '.join(sorted(hints))}")
        if not _fits(value, hints[name]):
            raise ValueError(f"{name} must be {_wanted(hints[name])}")
    return dict(document)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _fits(value, get_args(hint)[0]) and bool(hint.__metadata__[0].allows(value))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_args(hint):
        return any(_fits(value, each) for each in get_args(hint))
    return type(value) in ((int, float) if hint is float else (hint,))


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return str(hint.__metadata__[0].wanted)
    words = [each if isinstance(each, str) else _wanted(each) for each in get_args(hint)]
    return f"one of {', '.join(words)}" if words else str(getattr(hint, "__name__", hint))


@dataclass(frozen=True, slots=True)
class Options:
    """The settings: points that docs/passport-api.md assumes (such as P5, P8 and R4) or allows several answers to;
    docs/sandbox.md describes each."""

    answer_mode: Literal["whole", "multi_status"] = "whole"
    max_events: Count = 100
    state_form: Literal["either", "iso", "short"] = "either"
    token_lifetime_s: Count = 86_400
    token_lifetime_as: Literal["expires_in", "expires_at", "both"] = "expires_in"
    token_type: bool = False
    reference_ids: bool = True
    page_size: Count | None = None
    page_link: Literal["body", "header"] = "body"
    rate_limit_per_s: Count | None = None
    event_log_size: Annotated[int, between(0, 10**9)] = 20
