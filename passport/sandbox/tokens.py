"""Access tokens: OAuth 2.0 client credentials.

Documented: the four fields, JSON or form, a life time in ``expires_in`` or ``expires_at``, no ``token_type``. Which
of the two life times is answered is a setting, so that clients are tested with either.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .checks import Problem, text
from .options import Options

SCOPE = "shared.zones:read shared.events:write enforcement.parking-rights:read"
_MAX_TOKENS = 10_000
_REFUSALS = {
    "grant_type": (400, "unsupported_grant_type"),
    "client_id": (401, "invalid_client"),
    "client_secret": (401, "invalid_client"),
    "audience": (400, "invalid_audience"),
}
_required = text()


class TokenOffice:
    """Issues tokens to one partner application and checks them. `tokens` maps each to its end."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self.tokens: dict[str, datetime] = {}
        self._expected = {"grant_type": "client_credentials", **credentials}

    def issue(self, fields: Mapping[str, Any], now: datetime, options: Options) -> dict[str, Any]:
        """The answer to a correct request, with a new token; a Problem otherwise."""
        sent = {name: _required(name, fields.get(name)) for name in _REFUSALS}
        for name, (status, code) in _REFUSALS.items():
            if sent[name] != self._expected[name]:
                raise Problem(status, code, f"{name} is wrong.")
        token = secrets.token_urlsafe(32)
        end = now + timedelta(seconds=options.token_lifetime_s)
        if len(self.tokens) >= _MAX_TOKENS:
            self.tokens = dict(sorted(self.tokens.items(), key=lambda item: item[1])[_MAX_TOKENS // 2 :])
        self.tokens[token] = end
        answer: dict[str, Any] = {"access_token": token, "scope": SCOPE}
        if options.token_lifetime_as != "expires_at":
            answer["expires_in"] = options.token_lifetime_s
        if options.token_lifetime_as != "expires_in":
            answer["expires_at"] = end
        if options.token_type:
            answer["token_type"] = "Bearer"
        return answer

    def accepts(self, authorization: str, now: datetime) -> bool:
        """Whether the header carries a token that is known and has not expired."""
        scheme, _, token = authorization.partition(" ")
        end = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        return end is not None and end > now
