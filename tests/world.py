"""A company on the sandbox's Passport, in memory: the real services, engine, plan and client; no socket, no worker.

`World` has what a story needs, in its own words. After `deliver()` a test asserts what *Passport* has
(`rights()`), not what was called.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.test import override_settings
from django.utils import timezone

import passport.sandbox
from integrations.delivery import refusals
from integrations.delivery.engine import Engine
from integrations.models import PeriodicTask, PermitSync, Zone
from integrations.reconciliation import audit
from integrations.vendors.protocol import Vendor, get_vendor
from locations.models import Company, Permit
from passport.client import Config, PassportClient
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.tokens import MemoryTokenStore
from passport.vendor import Passport
from tests.factories import CompanyFactory, ConnectionFactory, PermitFactory, listed_zone
from tests.pages import World as CompanyWorld
from tests.passport.sandbox_transport import SandboxTransport

SHIPPED = json.loads(
    (Path(passport.sandbox.__file__).parent / "data" / "passport_zones.json").read_text("utf-8")
)
UNIVERSITY, LAKESHORE, HARBOR, _PRACTICE = SHIPPED["operators"]

_vendor: Vendor | None = None


def current_vendor() -> Vendor:
    """The dotted path in the settings points here."""
    assert _vendor is not None
    return _vendor


class World(CompanyWorld):
    """One company, live on Passport, with two mapped locations."""

    def __init__(
        self, transport: SandboxTransport, operator: dict[str, Any] = UNIVERSITY, *, live: bool = True
    ) -> None:
        company: Company = CompanyFactory(name=operator["name"])
        super().__init__(
            company, ConnectionFactory(company=company, operator_id=operator["operator_id"], live=live)
        )
        self.transport = transport
        self.passport_operator = operator
        self.zones: dict[str, Zone] = {
            zone["number"]: listed_zone(self.connection, zone) for zone in operator["zones"][:12]
        }
        self.here = self.location("Here", operator["zones"][0]["number"])
        self.there = self.location("There", operator["zones"][2]["number"])
        self.engine = Engine(senders=4)

    def permit(self, plate: str = "ABC1234", **values: Any) -> Permit:
        permit: Permit = PermitFactory(**{"location": self.here, "plate": plate, **values})
        return permit

    def deliver(self, *, turns: int = 1) -> None:
        """Let the engine do all it can; with `turns` > 1, every backoff and breaker ends in between."""
        for _turn in range(turns):
            self.engine.drain([self.connection.pk])
            if turns > 1:
                self.let_time_pass()

    def let_time_pass(self) -> None:
        """End all waiting: backoffs, leases, open breakers, and the delays of refused rows."""
        from integrations.models import Breaker

        past = timezone.now() - timedelta(seconds=1)
        PermitSync.objects.filter(retry_at__isnull=False).update(retry_at=past)
        refusals.retry_due(timezone.now())
        PermitSync.objects.update(next_attempt_at=past, leased_until=None, lease=None)
        Breaker.objects.filter(open_until__isnull=False).update(open_until=past, probe_until=None)

    def permit_sync(self, permit: Permit) -> PermitSync:
        return PermitSync.objects.get(permit=permit, connection=self.connection)

    def fault(self, kind: str, **rest: Any) -> None:
        self.transport.simulator.faults.add({"kind": kind, **rest})

    def heal(self) -> None:
        self.transport.simulator.faults.clear()

    def rights(self) -> set[tuple[str, str, str]]:
        """What enforcement sees of this operator: (plate, zone number, end to the second)."""
        numbers = {zone["id"]: zone["number"] for zone in self.passport_operator["zones"]}
        return {
            (right["vehicle"]["vehicle_plate"], numbers[right["zone_id"]], _second(right["end_time"]))
            for right in self._rights()
        }

    def plates(self) -> list[str]:
        return sorted(right["vehicle"]["vehicle_plate"] for right in self._rights())

    def wanted(self) -> set[tuple[str, str, str]]:
        """What enforcement should see according to the database."""
        permits = Permit.objects.not_ended(timezone.now()).filter(company=self.company)
        return {
            (permit.plate, permit.location.zone_mapping.zone.number, _second(permit.end.isoformat()))
            for permit in permits.select_related("location__zone_mapping__zone")
        }

    def events(self) -> list[dict[str, Any]]:
        """The event requests that reached Passport, in order."""
        return [
            json.loads(request.content)
            for request in self.transport.requests
            if request.url.path.endswith("/events")
        ]

    def _rights(self) -> list[dict[str, Any]]:
        client = httpx.Client(
            transport=SandboxTransport(self.transport.simulator), base_url="http://passport.test"
        )
        form = {
            "grant_type": "client_credentials",
            "client_id": SANDBOX_CLIENT_ID,
            "client_secret": SANDBOX_CLIENT_SECRET,
            "audience": "public.api.passportinc.com",
        }
        token = client.post("/v3/shared/access-tokens", json=form).json()["access_token"]
        answer = client.get(
            "/v4/enforcement/parking-rights",
            params={"operator_id": self.passport_operator["operator_id"]},
            headers={
                "Authorization": f"Bearer {token}",
                "Passport-Labs-Client-Trace-Id": timezone.now().isoformat(),
            },
        )
        rights: list[dict[str, Any]] = answer.json()["data"]
        return rights


def long_ago() -> None:
    """Backdate all acceptances and drift by an hour, and let everything be tried again at once."""
    ago = timezone.now() - timedelta(hours=1)
    PermitSync.objects.filter(accepted_at__isnull=False).update(accepted_at=ago)
    PermitSync.objects.filter(error_since__isnull=False).update(error_since=ago)
    PermitSync.objects.filter(drift_since__isnull=False).update(drift_since=ago)
    PermitSync.objects.filter(drift_retry_at__isnull=False).update(drift_retry_at=ago)


def audit_all() -> int:
    """Let both audits walk through all rows once; return how many they marked.

    They walk through ids, a window at a time, and on PostgreSQL ids don't start over in each test.
    """
    marked = 0
    for walk, name in ((audit.audit, audit.AUDIT_TASK), (audit.audit_remote_state, audit.REMOTE_STATE_TASK)):
        marked += walk(timezone.now())
        while PeriodicTask.objects.get(name=name).cursor:
            marked += walk(timezone.now())
    return marked


def _second(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%dT%H:%M:%S")


@contextmanager
def passport_in_memory(transport: SandboxTransport) -> Iterator[Passport]:
    """Make the sandbox behind `transport` the product's Passport."""
    global _vendor
    config = Config(
        base_url="http://passport.test",
        client_id=SANDBOX_CLIENT_ID,
        client_secret=SANDBOX_CLIENT_SECRET,
        audience="public.api.passportinc.com",
    )
    with override_settings(INTEGRATION_VENDORS={"passport": "tests.world.current_vendor"}):
        _vendor = vendor = Passport(PassportClient(config, tokens=MemoryTokenStore(), transport=transport))
        get_vendor.cache_clear()
        try:
            yield vendor
        finally:
            get_vendor.cache_clear()
            _vendor = None


@contextmanager
def world_in_memory(transport: SandboxTransport, **values: Any) -> Iterator[World]:
    """A company on the Passport behind `transport`; `values` as `World` takes them."""
    with passport_in_memory(transport):
        world = World(transport, **values)
        try:
            yield world
        finally:
            world.engine.close()
