"""A vendor in memory, for unit tests of `integrations`, which know vendors only through the protocol.

`FakeVendor` keeps sessions by their ids and applies each event as it comes, so a test can assert what the remote *has*.
Zones, rights and failures are set by the test. `fake_vendor()` puts one in the place of the vendor `passport`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.test import override_settings
from django.utils import timezone

from integrations.vendors import protocol
from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import (
    NO_END,
    Account,
    Desired,
    RemoteState,
    RightSeen,
    Sent,
    Step,
    Vendor,
    ZoneSeen,
)
from passport import onboarding


def zone_seen(
    remote_id: str, number: str, name: str = "", *, session_type: str = "vehicle", **raw: Any
) -> ZoneSeen:
    """Return a zone as a vendor lists it."""
    name = name or f"Zone {number}"
    document = {"id": remote_id, "number": number, "name": name, "session_type": session_type, **raw}
    return ZoneSeen(remote_id=remote_id, number=number, name=name, session_type=session_type, raw=document)


class FakeVendor:
    """Implements `integrations.vendors.protocol.Vendor`; one session per permit, replaced as a whole when it
    changes.
    """

    slug = "passport"
    latest_end = datetime(2099, 12, 31, tzinfo=UTC)
    names = onboarding.NAMES
    texts = onboarding.TEXTS
    zones_have_case = True
    state_form = "iso"
    batch_size = 100
    total_timeout_s = 8.0

    def __init__(self) -> None:
        self.zones: list[ZoneSeen] = []
        self.zones_error: Exception | None = None
        self.asked_for: list[str] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        # What `send` answers for an event, by plate; and for whole requests, used one after the other.
        self.refuse: dict[str, DeliveryError] = {}
        self.failures: list[DeliveryError] = []
        self.token_error: DeliveryError | None = None
        self.sent: list[Sequence[Step]] = []

    def clean_operator_id(self, text: str) -> str:
        """Check the ID as the replaced vendor does."""
        return onboarding.clean_operator_id(text)

    def plan(
        self,
        account: Account,
        remote_state: RemoteState | None,
        desired: Desired | None,
        *,
        now: datetime,
        session_id: str,
    ) -> list[Step]:
        """Stop what is no longer wanted; start what is."""
        wanted = _document(desired) if desired is not None else None
        if remote_state is not None and wanted == {
            name: remote_state[name] for name in wanted or remote_state
        }:
            return []
        steps = []
        if remote_state is not None:
            steps.append(_stop(remote_state["session_id"]))
        if wanted is not None:
            steps.append(Step(kind="started", session=session_id, event={**wanted, "session_id": session_id}))
        return steps

    def apply(self, remote_state: RemoteState | None, step: Step) -> RemoteState | None:
        """The session that was started, or none."""
        return dict(step["event"]) if step["kind"] == "started" else None

    def until(self, remote_state: RemoteState | None) -> datetime | None:
        """The session's end."""
        return datetime.fromisoformat(remote_state["end"]) if remote_state else None

    def observe(self, right: RightSeen) -> RemoteState | None:
        """The session behind a right."""
        if right.start is None or right.unreadable:
            return None
        return {
            "session_id": right.reference,
            "zone_id": right.zone_id,
            "plate": right.plate,
            "subdivision": right.subdivision,
            "start": right.start.isoformat(),
            "end": (right.end or NO_END).isoformat(),
            "space": right.space_number,
        }

    def undo(self, account: Account, step: Step, *, now: datetime) -> Step | None:
        """Stop what was started."""
        return _stop(step["session"]) if step["kind"] == "started" else None

    def preflight_error(self, desired: Desired) -> DeliveryError | None:
        """This vendor finds no errors before sending."""
        return None

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        """Apply the events, or fail as the test has asked."""
        self.sent.append(steps)
        now = timezone.now()
        results: list[DeliveryError | None]
        if self.failures:
            failure = self.failures.pop(0)
            return Sent([failure] * len(steps), trace_id="fake", sent_at=now, answered_at=now, error=failure)
        results = [self.refuse.get(step["event"].get("plate", "")) for step in steps]
        for step, result in zip(steps, results, strict=True):
            if result is None and step["kind"] == "started":
                self.sessions[step["session"]] = step["event"]
            elif result is None:
                self.sessions.pop(step["session"], None)
        return Sent(results, trace_id="fake", sent_at=now, answered_at=now, status=202)

    def fetch_zones(self, operator_id: str) -> list[ZoneSeen]:
        """The zones or the error that the test has set."""
        self.asked_for.append(operator_id)
        if self.zones_error is not None:
            raise self.zones_error
        return list(self.zones)

    def fetch_rights(
        self, operator_id: str, *, zone_id: str = "", plate: str = "", subdivision: str = ""
    ) -> list[RightSeen]:
        """One right for each session that has not ended."""
        now = datetime.now(UTC)
        rights = []
        for session, event in self.sessions.items():
            if (plate and event["plate"] != plate) or (zone_id and event["zone_id"] != zone_id):
                continue
            end = datetime.fromisoformat(event["end"])
            if end > now:
                rights.append(_right(session, event, end))
        return rights

    def read_rights(self, operator_id: str, take: Callable[[RightSeen], None]) -> None:
        """The same, one by one."""
        for right in self.fetch_rights(operator_id):
            take(right)

    def check_token(self) -> None:
        """Raise what the test has set."""
        if self.token_error is not None:
            raise self.token_error


def _is_a_vendor() -> Vendor:
    """Let mypy check the fake against the protocol."""
    return FakeVendor()


def _stop(session: str) -> Step:
    return Step(kind="stopped", session=session, event={"session_id": session}, ends=True)


def _document(desired: Desired) -> dict[str, Any]:
    return {
        "zone_id": desired.zone_id,
        "plate": desired.plate,
        "subdivision": desired.subdivision,
        "start": desired.start.isoformat(),
        "end": desired.end.isoformat(),
        "space": desired.space_number,
    }


def _right(session: str, event: Mapping[str, Any], end: datetime) -> RightSeen:
    return RightSeen(
        remote_id=f"right-{session}",
        zone_id=event["zone_id"],
        plate=event["plate"],
        subdivision=event["subdivision"],
        start=datetime.fromisoformat(event["start"]),
        end=end,
        space_number=event.get("space", ""),
        reference=session,
        raw={},
    )


_installed: FakeVendor | None = None


def installed() -> FakeVendor:
    """What the settings of `fake_vendor` point to."""
    assert _installed is not None
    return _installed


@contextmanager
def fake_vendor() -> Iterator[FakeVendor]:
    """Put a `FakeVendor` in the place of the vendor `passport` while the block lasts."""
    global _installed
    _installed = FakeVendor()
    protocol.get_vendor.cache_clear()
    with override_settings(INTEGRATION_VENDORS={"passport": "tests.fakes.installed"}):
        try:
            yield _installed
        finally:
            _installed = None
            protocol.get_vendor.cache_clear()
