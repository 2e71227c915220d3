"""Clients of Passport over any transport, and the events that tests send with them."""

from datetime import timedelta
from typing import Any

import httpx
from django.utils import timezone

from integrations.vendors.protocol import Account, Desired
from passport import plan
from passport.client import Config, PassportClient
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.tokens import MemoryTokenStore
from tests.world import UNIVERSITY

BASE = "https://passport.test"
ACCOUNT = Account(1, UNIVERSITY["operator_id"], "KEY23456")
OPERATOR = UNIVERSITY["operator_id"]


def config(**changes: Any) -> Config:
    values = {
        "base_url": BASE,
        "client_id": SANDBOX_CLIENT_ID,
        "client_secret": SANDBOX_CLIENT_SECRET,
        "audience": "public.api.passportinc.com",
    }
    return Config(**{**values, **changes})


def client_on(transport: httpx.BaseTransport, **changes: Any) -> PassportClient:
    return PassportClient(config(**changes), tokens=MemoryTokenStore(), transport=transport)


def start(session_id: str = "os-K-1-1", plate: str = "ABC1234") -> Any:
    """Return the step that starts a session of five hours."""
    now = timezone.now()
    wish = Desired(UNIVERSITY["zones"][0]["id"], plate, "US", "US-NC", now, now + timedelta(hours=5))
    [step] = plan.plan(ACCOUNT, None, wish, now=now, session_id=session_id)
    return step
