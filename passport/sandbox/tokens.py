"""Access tokens: OAuth 2.0 client credentials.

Documented: the four fields, JSON or form, a life time in ``expires_in`` or ``expires_at``, no ``token_type``. Which
of the two life times is answered is a setting, so that clients are tested with either.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .call import FORM, Call, read_form
from .formats import format_time
from .problems import Problem, invalid

SCOPE = "shared.zones:read shared.events:write enforcement.parking-rights:read"
_MAX_TOKENS = 10_000


def read_fields(call: Call) -> dict[str, Any]:
    """The fields of a token request, sent as JSON or as a form."""
    if call.content_type == "application/json":
        if not isinstance(call.json, dict):
            raise Problem(400, "malformed_body", "The body must be an object.")
        return call.json
    if call.content_type == FORM:
        return read_form(call.body)
    raise Problem(400, "malformed_body", f"Content-Type must be application/json or {FORM}.")


class TokenOffice:
    """Issues tokens to one partner application and checks them. `tokens` maps each to its end."""

    def __init__(self, *, client_id: str, client_secret: str, audience: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.audience = audience
        self.tokens: dict[str, datetime] = {}

    def issue(self, fields: Mapping[str, Any], now: datetime, lifetime_s: int) -> tuple[str, datetime]:
        """(token, its end) for a correct request; a Problem otherwise."""
        for name in ("grant_type", "client_id", "client_secret", "audience"):
            if not isinstance(fields.get(name), str) or not fields[name]:
                raise invalid(name, "is required and must be a string")
        if fields["grant_type"] != "client_credentials":
            raise Problem(400, "unsupported_grant_type", "grant_type must be client_credentials.")
        if fields["client_id"] != self.client_id or fields["client_secret"] != self.client_secret:
            raise Problem(401, "invalid_client", "client_id or client_secret is wrong.")
        if fields["audience"] != self.audience:
            raise Problem(400, "invalid_audience", f"audience must be {self.audience}.")
        token = secrets.token_urlsafe(32)
        end = now + timedelta(seconds=lifetime_s)
        if len(self.tokens) >= _MAX_TOKENS:
            self.tokens = dict(sorted(self.tokens.items(), key=lambda item: item[1])[_MAX_TOKENS // 2 :])
        self.tokens[token] = end
        return token, end

    def check(self, authorization: str | None, now: datetime) -> None:
        """Refuse with 401 unless the header carries a token that is known and has not ended."""
        if not authorization:
            raise Problem(401, "unauthorized", "The Authorization header is missing.")
        scheme, _, token = authorization.partition(" ")
        end = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if end is None:
            raise Problem(401, "unauthorized", "The access token is not known.")
        if end <= now:
            raise Problem(401, "unauthorized", "The access token has expired.")

    def expire_all(self) -> int:
        """Forget every token; says how many there were."""
        count = len(self.tokens)
        self.tokens.clear()
        return count


def token_answer(
    token: str, end: datetime, *, lifetime_s: int, lifetime_as: str, with_type: bool
) -> dict[str, Any]:
    """The answer's document; `lifetime_as` is ``expires_in``, ``expires_at`` or ``both``."""
    answer: dict[str, Any] = {"access_token": token, "scope": SCOPE}
    if lifetime_as in ("expires_in", "both"):
        answer["expires_in"] = lifetime_s
    if lifetime_as in ("expires_at", "both"):
        answer["expires_at"] = format_time(end)
    if with_type:
        answer["token_type"] = "Bearer"
    return answer
