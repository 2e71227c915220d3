"""What the tests of check plates share: the time as they read it, a company that agreed, and the notices to people."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import (
    CanaryRun,
    Connection,
    Notice,
    Zone,
)
from integrations.reconciliation import canary
from integrations.vendors.protocol import RightSeen
from tests.factories import (
    ConnectionFactory,
    ZoneFactory,
    mapped_location,
)
from tests.fakes import FakeVendor


class Clock:
    """The database's time as check plates read it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC)
        monkeypatch.setattr(canary, "database_now", lambda: self.now)

    def follow(self, seconds: float = 0.0) -> None:
        """Let time pass, then let the workers run once."""
        self.now += timedelta(seconds=seconds)
        canary.follow(self.now)

    def until_finished(self, *, step_s: float = 1.0, most: int = 400) -> CanaryRun:
        for _ in range(most):
            self.follow(step_s)
            done = CanaryRun.objects.exclude(finished_at=None).last()
            if done is not None and not CanaryRun.objects.filter(finished_at=None).exists():
                return done
        raise AssertionError("the run has not finished")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def connection() -> Connection:
    """A live connection that agreed, with two mapped zones, one without a location, one missing and one with spaces."""
    made: Connection = ConnectionFactory(live=True, canary_minutes=60)
    mapped: dict[str, dict[str, Any]] = {
        "101": {},
        "102": {},
        "gone": {"missing_since": datetime.now(UTC)},
        "spaces": {"session_type": "space"},
    }
    for number, values in mapped.items():
        zone = ZoneFactory(connection=made, number=number, **values)
        mapped_location(made, zone)
    ZoneFactory(connection=made, number="103")
    return made


def zones_in(rights: list[RightSeen]) -> set[tuple[str, str]]:
    """What officers see: plate and zone number."""
    return {(right.plate, Zone.objects.get(remote_id=right.zone_id).number) for right in rights}


def told(key_begins: str = "canary:") -> list[str]:
    return list(
        Notice.objects.filter(dedupe_key__startswith=key_begins, done_at=None).values_list("text", flat=True)
    )


def hide(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    """Accept what is sent to these zones, and never list it."""
    hidden = set(Zone.objects.filter(number__in=numbers).values_list("remote_id", flat=True))
    shown = vendor.fetch_rights

    def fetch(*args: Any, **kwargs: Any) -> list[RightSeen]:
        return [right for right in shown(*args, **kwargs) if right.zone_id not in hidden]

    monkeypatch.setattr(vendor, "fetch_rights", fetch)
