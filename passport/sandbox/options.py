"""Settings of the sandbox that can be changed while it runs.

Each stands for a point that docs/passport-api.md assumes (such as P5, P8 and R4) or allows several answers to.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from .formats import STATE_FORMS

_CHOICES = {
    "answer_mode": ("whole", "multi_status"),
    "state_form": STATE_FORMS,
    "token_lifetime_as": ("expires_in", "expires_at", "both"),
    "page_link": ("body", "header"),
}
_AT_LEAST = {
    "max_events": 1,
    "token_lifetime_s": 1,
    "page_size": 1,
    "rate_limit_per_s": 1,
    "event_log_size": 0,
}
_NULLABLE = frozenset(("page_size", "rate_limit_per_s"))


@dataclass(frozen=True, slots=True)
class Options:
    """All settings with their defaults."""

    answer_mode: str = "whole"
    """``whole``: 202, or one refusal for the whole request; ``multi_status``: 207 with one result per event."""
    max_events: int = 100
    """Most events in one request; more are refused with 400."""
    state_form: str = "either"
    """How ``vehicle_state`` must be written: ``iso`` (US-NC), ``short`` (NC) or ``either``."""
    token_lifetime_s: int = 86_400
    token_lifetime_as: str = "expires_in"
    token_type: bool = False
    """Whether the token answer carries ``token_type``."""
    reference_ids: bool = True
    """Whether rights carry ``reference_id``."""
    page_size: int | None = None
    """Zones and rights per answer; None: all in one."""
    page_link: str = "body"
    """Where the next page is named: ``next`` in the body, or a ``Link`` header."""
    rate_limit_per_s: int | None = None
    """Requests in any second, over all clients; more are answered with 429. None: no limit."""
    event_log_size: int = 20
    """Events remembered per session for the control API; 0 saves memory."""

    def changed(self, edit: Mapping[str, Any]) -> "Options":
        """These settings with `edit` applied; ValueError names what is wrong."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in edit.items():
            if name not in known:
                raise ValueError(f"there is no setting {name}; known are {', '.join(sorted(known))}")
            if name in _CHOICES:
                if value not in _CHOICES[name]:
                    raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}")
            elif name in _AT_LEAST:
                if value is None and name in _NULLABLE:
                    continue
                if isinstance(value, bool) or not isinstance(value, int) or value < _AT_LEAST[name]:
                    raise ValueError(f"{name} must be a whole number of at least {_AT_LEAST[name]}")
            elif not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false")
        return replace(self, **dict(edit))

    def document(self) -> dict[str, Any]:
        return asdict(self)
