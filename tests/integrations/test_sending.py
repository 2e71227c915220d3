"""How a unit is cut, halved and ended; pure, with a vendor in memory."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.claims import Work
from integrations.errors import DeliveryError, FixRecord, TryLater, Unexpected
from integrations.sending import Unit, batch_limit
from integrations.settling import settlement
from integrations.vendors import Account, Observed, RightSeen, Sent, Step
from tests.fakes import FakeVendor

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
OURS = Unexpected("Sending failed: RecursionError.", code="RecursionError")


class Vendor(FakeVendor):
    """Says of each request what the test has said of its first plate, or of its size."""

    def __init__(self, **said: Any) -> None:
        super().__init__()
        self.whole: DeliveryError | None = said.get("whole")
        self.parts: DeliveryError | None = said.get("parts")

    def observe(self, right: RightSeen) -> Observed | None:
        """Nothing is read back here."""
        return None

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        sent = super().send(account, steps)
        if self.whole is not None:
            sent.error, sent.results = self.whole, [self.whole] * len(steps)
        elif self.parts is not None:
            sent.status, sent.results = 207, [self.parts] * len(steps)
        return sent


def start(number: int) -> Step:
    return Step(kind="started", session=f"os-K-{number}-1", event={"plate": f"P{number}"})


def work(number: int, **values: Any) -> Work:
    made = Work(
        id=number, connection_id=1, priority=0, generation=1, attempts=0, sessions=1, marked_at=NOW, revision=1,
        lease="lease", observed=None, steps=[start(number)],
    )  # fmt: skip
    for name, value in values.items():
        setattr(made, name, value)
    return made


def delivered(vendor: Vendor, *works: Work, probing: bool = False) -> Unit:
    unit = Unit(Account(1, "operator", "K"), vendor, list(works), NOW, probing)
    unit.deliver()
    return unit


def test_a_row_travels_in_ever_smaller_company_until_it_is_alone() -> None:
    assert [batch_limit(100, attempts) for attempts in range(6)] == [100, 100, 25, 6, 1, 1]


@given(st.integers(1, 1000), st.integers(0, 50))
def test_the_company_is_never_empty_and_never_beyond_the_batch(batch: int, attempts: int) -> None:
    assert 1 <= batch_limit(batch, attempts) <= batch


# --- A fault of our own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replay", [False, True], ids=["first try", "sent before"])
def test_after_a_fault_of_our_own_nothing_is_halved_and_nothing_that_may_have_arrived_is_forgotten(
    replay: bool,
) -> None:
    vendor = Vendor(whole=OURS)
    works = [work(number, replay=replay) for number in range(100)]
    delivered(vendor, *works)
    assert len(vendor.sent) == 1
    for number, row in enumerate(works):
        found = settlement(row, now=NOW)
        # Parked, so that nothing goes round and round, with the very events that went out.
        assert (found.state, found.intent, found.error) == ("refused", [start(number)], OURS)


def test_after_a_fault_of_our_own_the_steps_behind_stay_too() -> None:
    stop = Step(kind="stopped", session="os-K-0-1", event={}, ends=True)
    row = work(1, steps=[start(1), stop])
    delivered(Vendor(whole=OURS), row)
    assert settlement(row, now=NOW).intent == [start(1), stop]


@pytest.mark.parametrize(
    "refusal", [FixRecord("No."), Unexpected("Odd.", status=418)], ids=lambda error: error.kind
)
def test_a_request_that_the_vendor_refuses_is_halved_down_to_the_bad_event(refusal: DeliveryError) -> None:
    vendor = Vendor(whole=refusal)
    works = [work(number) for number in range(4)]
    delivered(vendor, *works)
    assert [len(steps) for steps in vendor.sent] == [4, 2, 1, 1, 2, 1, 1]
    assert all(settlement(row, now=NOW).intent is None for row in works)


# --- Events that are answered one by one --------------------------------------------------------------------------


def test_a_single_event_that_is_put_off_waits_by_itself() -> None:
    row = work(1)
    assert delivered(Vendor(parts=TryLater("Later.")), row).trouble is None
    assert settlement(row, now=NOW).state == "due"


def test_a_probe_that_is_put_off_has_found_the_trouble_still_there() -> None:
    later = TryLater("Later.")
    assert delivered(Vendor(parts=later), work(1), probing=True).trouble is later


def test_a_probe_that_is_accepted_or_refused_has_found_a_remote_that_works() -> None:
    assert delivered(Vendor(), work(1), probing=True).trouble is None
    assert delivered(Vendor(parts=FixRecord("No.")), work(1), probing=True).trouble is None
