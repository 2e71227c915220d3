"""Curbline as `integrations` sees it, and what its wardens see."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.vendors.errors import DeliveryError, FixConnection, FixRecord
from integrations.vendors.protocol import (
    NO_END,
    Account,
    Desired,
    RemoteState,
    RightSeen,
    Sent,
    Step,
    Vendor,
    VendorNames,
    VendorTexts,
    ZoneSeen,
)


class Seen(NamedTuple):
    """A session as a warden sees it."""

    plate: str
    zone: str
    start: datetime
    end: datetime


class Street:
    """Curbline itself, for one process: accounts with their zones, and the sessions on them."""

    def __init__(self) -> None:
        self.zones: dict[str, list[str]] = {}
        self.registrations: dict[str, dict[str, dict[str, Any]]] = {}

    def open_account(self, account: str, *zones: str) -> None:
        """Create an account with these zones."""
        self.zones[account], self.registrations[account] = list(zones), {}

    def seen(self, account: str) -> set[Seen]:
        """Return everything that the wardens of an account see."""
        return {
            Seen(
                one["plate"],
                one["zone"],
                datetime.fromisoformat(one["start"]),
                datetime.fromisoformat(one["end"]),
            )
            for one in self.registrations[account].values()
        }


STREET = Street()


class Curbline:
    """The vendor."""

    slug = "curbline"
    latest_end = datetime(2099, 12, 31, tzinfo=UTC)
    names = VendorNames(
        label="Curbline", enforcement="Warden", officer_app="Warden Pocket", back_office="Warden Office"
    )
    texts = VendorTexts(
        request_points=(gettext_lazy("our Curbline account number, such as CL-12345"),),
        operator_id_hint=gettext_lazy("CL and five digits, such as CL-12345."),
        zone_settings="Warden Office (Streets)",
    )
    zones_have_case = False
    state_form = ""
    total_timeout_s = 1.0
    batch_size = 20

    def clean_operator_id(self, text: str) -> str:
        """An account number: `CL-12345`."""
        number = "".join(text.split()).upper()
        if number and not re.fullmatch(r"CL-[0-9]{5}", number):
            raise ValidationError(_("A Curbline account number looks like CL-12345."), code="not_an_account")
        return number

    def plan(
        self,
        account: Account,
        remote_state: RemoteState | None,
        desired: Desired | None,
        *,
        now: datetime,
        session_id: str,
    ) -> list[Step]:
        """Put what is wanted if it differs from what is there; a put replaces the session with the same id."""
        if desired is None:
            return [] if remote_state is None else [_delete(remote_state["session_id"], remote_state["end"])]
        wanted = {
            "plate": desired.plate,
            "zone_id": desired.zone_id,
            "start": desired.start.isoformat(),
            "end": desired.end.isoformat(),
        }
        if remote_state is not None and all(remote_state[name] == value for name, value in wanted.items()):
            return []
        own = remote_state["session_id"] if remote_state else session_id
        kind = "extended" if remote_state else "started"
        put = {"id": own, "plate": desired.plate, "zone": desired.zone_id, "from": wanted["start"]}
        return [Step(kind=kind, session=own, event={**put, "to": wanted["end"]})]

    def apply(self, remote_state: RemoteState | None, step: Step) -> RemoteState | None:
        """What was put, or None after a delete."""
        if step["kind"] == "stopped":
            return None
        event = step["event"]
        return {
            "session_id": event["id"],
            "plate": event["plate"],
            "subdivision": "",
            "zone_id": event["zone"],
            "start": event["from"],
            "end": event["to"],
        }

    def until(self, remote_state: RemoteState | None) -> datetime | None:
        """The end of what was put."""
        return datetime.fromisoformat(remote_state["end"]) if remote_state else None

    def observe(self, right: RightSeen) -> RemoteState | None:
        """What was put, as a warden's list shows it."""
        if right.start is None or right.unreadable:
            return None
        return {
            "session_id": right.reference,
            "plate": right.plate,
            "subdivision": "",
            "zone_id": right.zone_id,
            "start": right.start.isoformat(),
            "end": (right.end or NO_END).isoformat(),
        }

    def undo(self, account: Account, step: Step, *, now: datetime) -> Step | None:
        """Delete what a put may have created."""
        return _delete(step["session"], step["event"]["to"]) if step["kind"] == "started" else None

    def preflight_error(self, desired: Desired) -> DeliveryError | None:
        """Curbline accepts everything."""
        return None

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        """Put or delete one after the other."""
        now = timezone.now()
        results = [self._send(account.operator_id, step) for step in steps]
        return Sent(results, trace_id="curbline-1", sent_at=now, answered_at=timezone.now(), status=200)

    def _send(self, account: str, step: Step) -> DeliveryError | None:
        there, event = STREET.registrations[account], step["event"]
        if step["kind"] == "stopped":
            there.pop(event["id"], None)
            return None
        if event["zone"] not in {zone.upper() for zone in STREET.zones[account]}:
            return FixRecord("Curbline has no such zone.", code="no_zone")
        there[event["id"]] = {
            "plate": event["plate"],
            "zone": event["zone"],
            "start": event["from"],
            "end": event["to"],
        }
        return None

    def fetch_zones(self, operator_id: str) -> list[ZoneSeen]:
        """The zones of an account; their id is the name in capitals."""
        if operator_id not in STREET.zones:
            raise FixConnection("Curbline does not know this account.", status=404)
        return [
            ZoneSeen(name.upper(), name, f"Street {name}", "kerb", {"name": name})
            for name in STREET.zones[operator_id]
        ]

    def fetch_rights(
        self, operator_id: str, *, zone_id: str = "", plate: str = "", subdivision: str = ""
    ) -> list[RightSeen]:
        """What the wardens see; they know no states."""
        found: list[RightSeen] = []
        self.read_rights(operator_id, found.append)
        return [one for one in found if plate in ("", one.plate) and zone_id in ("", one.zone_id)]

    def read_rights(self, operator_id: str, take: Callable[[RightSeen], None]) -> None:
        """The same, one by one."""
        for own, one in STREET.registrations[operator_id].items():
            end = datetime.fromisoformat(one["end"])
            if end > timezone.now():
                start = datetime.fromisoformat(one["start"])
                take(RightSeen(f"w-{own}", one["zone"], one["plate"], "", start, end, "", own, {}))

    def check_token(self) -> None:
        """There is none."""


def _delete(own: str, until: str) -> Step:
    return Step(kind="stopped", session=own, event={"id": own}, ends=True, until=until)


def _is_a_vendor() -> Vendor:
    """Let mypy check it against the protocol."""
    return Curbline()
