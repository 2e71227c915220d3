"""`PASSPORT_REQUESTS_PER_SECOND`: the product's own client obeys the setting."""

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count as count_from
from typing import Any

import httpx
import pytest
from django.utils import timezone

from integrations.delivery import rate_limit
from integrations.vendors.protocol import Account
from passport.client import EVENTS_PATH, TOKENS_PATH
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.vendor import Passport
from tests.passport.clients import start
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import UNIVERSITY

pytestmark = pytest.mark.django_db
ACCOUNT = Account(1, UNIVERSITY["operator_id"], "KEY23456")
PER_SECOND = 20
numbers = count_from(1)


class Watched(SandboxTransport):
    """Records when each request arrived (monotonic seconds)."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[tuple[float, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.came.append((time.monotonic(), request.url.path))
        return super().handle_request(request)

    def times(self, path: str) -> list[float]:
        return [at for at, came_for in self.came if came_for == path]


@pytest.fixture
def transport(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The sandbox, at the address where the settings' client expects Passport."""
    settings.PASSPORT_BASE_URL = "http://passport.test"
    settings.PASSPORT_CLIENT_ID, settings.PASSPORT_CLIENT_SECRET = SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
    settings.PASSPORT_REQUESTS_PER_SECOND = PER_SECOND
    watched = Watched()
    monkeypatch.setattr("passport.client.limited_transport", lambda: watched)
    return watched


@pytest.fixture
def passport(transport: Watched) -> Iterator[Passport]:
    """The vendor as the product makes it; it has its token already."""
    vendor = Passport()
    vendor.check_token()
    yield vendor
    vendor._client.close()


def send(passport: Passport, count: int) -> list[float]:
    """Send one request after another; return how long each has waited."""
    sent = [passport.send(ACCOUNT, [start(f"os-K-{n}-{next(numbers)}", f"P{n}")]) for n in range(count)]
    assert all(each.error is None for each in sent)
    return [each.waited_s for each in sent]


def test_no_more_requests_leave_than_the_settings_allow(passport: Passport, transport: Watched) -> None:
    send(passport, 12)
    times = transport.times(EVENTS_PATH)
    # Slots are by the database's clock, and a request that wakes up late leaves late, never early.
    assert times[-1] - times[0] >= 11 / PER_SECOND - 0.05


def test_the_wait_is_separate_from_what_the_remote_took(passport: Passport) -> None:
    send(passport, 1)
    began = time.monotonic()
    waits = send(passport, 6)
    took = time.monotonic() - began
    assert 0.05 < sum(waits) <= took
    before, last = timezone.now(), passport.send(ACCOUNT, [start("os-K-99-1", "LAST")])
    assert last.sent_at - before >= timedelta(seconds=last.waited_s)
    assert before < last.sent_at <= last.answered_at


def test_without_a_limit_nothing_waits(settings: Any, transport: Watched) -> None:
    settings.PASSPORT_REQUESTS_PER_SECOND = 0
    vendor = Passport()
    assert send(vendor, 3) == [0, 0, 0]
    vendor._client.close()


def test_a_wait_that_ends_in_an_error_is_reported_as_well(passport: Passport, transport: Watched) -> None:
    transport.simulator.faults.add({"kind": "drop", "path": "events"})
    passport.send(ACCOUNT, [start()])
    failed = passport.send(ACCOUNT, [start()])
    assert failed.error is not None
    assert failed.waited_s > 0


def test_the_token_request_does_not_queue_behind_those_that_need_the_token(
    transport: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "take", lambda *_: pytest.fail("the token request took a turn"))
    vendor = Passport()
    vendor.check_token()
    assert len(transport.times(TOKENS_PATH)) == 1
    vendor._client.close()
