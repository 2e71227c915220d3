"""How a batch is cut, halved and ended; pure, with a vendor in memory."""

import math
import random
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery.batch import Batch, batch_limit, batches
from integrations.delivery.record_results import row_result
from integrations.delivery.row_outcome import ClaimedRow, Disposition, RowOutcome
from integrations.vendors.errors import DeliveryError, FixRecord, Intercepted, TooLarge, TryLater, Unexpected
from integrations.vendors.protocol import Account, RemoteState, RightSeen, Sent, Step
from tests.fakes import FakeVendor

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
OURS = Unexpected("Sending failed: RecursionError.", code="RecursionError")


class Vendor(FakeVendor):
    """Answers each request as the test has asked for its first plate or its size."""

    def __init__(self, **said: Any) -> None:
        super().__init__()
        self.whole: DeliveryError | None = said.get("whole")
        self.parts: DeliveryError | None = said.get("parts")

    def observe(self, right: RightSeen) -> RemoteState | None:
        """Nothing is read back in these tests."""
        return None

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        sent = super().send(account, steps)
        if self.whole is not None:
            sent.error, sent.results = self.whole, [self.whole] * len(steps)
        elif self.parts is not None:
            sent.status, sent.results = 207, [self.parts] * len(steps)
        return sent


class Strict(Vendor):
    """Refuses each request that contains a bad event, or more events than it takes, and may name the bad one.

    A request with a `barred` plate never gets there: something on the way answers.
    """

    def __init__(
        self, bad: set[str], *, naming: str = "", takes: int = 10**6, barred: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.bad, self.naming, self.takes, self.barred = bad, naming, takes, barred

    @property
    def accepted(self) -> list[str]:
        return sorted(event["plate"] for event in self.sessions.values())

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        plates = [step["event"]["plate"] for step in steps]
        guilty = [place for place, plate in enumerate(plates) if plate in self.bad]
        error: DeliveryError | None = None
        if len(steps) > self.takes:
            error = TooLarge("Too large.", status=413)
        elif any(plate in self.barred for plate in plates):
            error = Intercepted("A page.", status=404)
        elif guilty:
            error = FixRecord("No.", status=400)
        if error is None:
            return super().send(account, steps)
        self.sent.append(steps)
        named = {
            "session": guilty[:1], "index": guilty[:1], "lies": [0],
            "from one": [place + 1 for place in guilty[:1] if place + 1 < len(steps)],
        }.get(self.naming, [])  # fmt: skip
        return Sent(
            [error] * len(steps), trace_id="t", sent_at=NOW, answered_at=NOW, status=400, error=error,
            named=named if len(steps) > 1 else (), named_surely=self.naming == "session",
        )  # fmt: skip


def start(number: int) -> Step:
    return Step(kind="started", session=f"os-K-{number}-1", event={"plate": f"P{number}"})


def row(number: int, **values: Any) -> ClaimedRow:
    plain: dict[str, Any] = {
        "id": number, "connection_id": 1, "priority": 0, "version": 1, "attempts": 0, "session_count": 1, "due_since": NOW,
        "revision": 1, "lease": "lease", "remote_state": None, "steps": [start(number)],
    }  # fmt: skip
    return ClaimedRow(**plain | values)


def outcome(number: int, **values: Any) -> RowOutcome:
    return RowOutcome(row(number, **values))


def delivered(vendor: Vendor, *outcomes: RowOutcome, probing: bool = False) -> Batch:
    unit = Batch(Account(1, "operator", "K"), vendor, list(outcomes), NOW, probing)
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
    outcomes = [outcome(number, is_replay=replay) for number in range(100)]
    delivered(vendor, *outcomes)
    assert len(vendor.sent) == 1
    for number, one in enumerate(outcomes):
        found = row_result(one, now=NOW)
        # Set aside with exactly the events that were sent, so that nothing loops.
        assert (found.state, found.pending_steps, found.error) == ("refused", [start(number)], OURS)


def test_after_a_fault_of_our_own_the_steps_behind_stay_too() -> None:
    stop = Step(kind="stopped", session="os-K-0-1", event={}, ends=True)
    one = outcome(1, steps=[start(1), stop])
    delivered(Vendor(whole=OURS), one)
    assert row_result(one, now=NOW).pending_steps == [start(1), stop]


@pytest.mark.parametrize(
    "refusal", [FixRecord("No."), Unexpected("Odd.", status=418)], ids=lambda error: error.kind
)
def test_a_request_that_the_vendor_refuses_is_halved_down_to_the_bad_event(refusal: DeliveryError) -> None:
    vendor = Vendor(whole=refusal)
    outcomes = [outcome(number) for number in range(4)]
    delivered(vendor, *outcomes)
    # Two bad ones in a row: the others are sent alone.
    assert [len(steps) for steps in vendor.sent] == [4, 2, 1, 1, 1, 1]
    assert all(row_result(one, now=NOW).pending_steps is None for one in outcomes)


# --- How many requests it takes -----------------------------------------------------------------------------------


def refused_plates(outcomes: Iterable[RowOutcome]) -> set[str]:
    return {f"P{one.row.id}" for one in outcomes if one.disposition is Disposition.REFUSED}


def requests_for(
    share: float, *, naming: str = "", rows: int = 1_000, suspected: bool = False, seed: int = 1
) -> int:
    """Deliver this many rows, a hundred together, of which this share is refused; return the number of requests."""
    draw = random.Random(seed)
    bad = {f"P{number}" for number in range(rows) if draw.random() < share}
    vendor = Strict(bad, naming=naming)
    claimed = [row(number, refusals=int(suspected)) for number in range(rows)]
    outcomes = []
    for batch in batches(claimed, Account(1, "operator", "K"), vendor, now=NOW, probing=False):
        batch.deliver()
        assert batch.trouble is None
        outcomes += batch.outcomes
    # The whole effect: accepted ones are there, bad ones are refused, and each was started once.
    assert refused_plates(outcomes) == bad
    assert vendor.accepted == sorted(f"P{number}" for number in range(rows) if f"P{number}" not in bad)
    assert not any(one.unsent_steps or one.retry_error for one in outcomes)
    return len(vendor.sent)


def least(share: float, rows: int = 1_000) -> float:
    """The smallest number of yes-or-no answers that can tell which rows are bad (Shannon)."""
    if share in (0, 1):
        return 0
    return -rows * (share * math.log2(share) + (1 - share) * math.log2(1 - share))


@pytest.mark.parametrize("share", [0, 0.01, 0.03, 0.1, 0.3, 0.6, 1])
def test_bad_events_that_are_not_named_are_found_with_about_as_few_requests_as_possible(share: float) -> None:
    batches = 10
    taken = requests_for(share)
    # Never much more than one request each, apart from each batch's first; and near the theoretical limit if few are bad.
    assert taken <= 1_000 + 5 * batches
    assert taken <= 1.25 * least(share) + (5 * batches if share in (0.6, 1) else 1.5 * batches) + 1_000 * (
        share == 1
    )


def test_thirty_in_a_hundred_that_are_bad_take_a_quarter_fewer_requests_than_halving() -> None:
    assert requests_for(0.3) <= 0.76 * 1_380


def bad_of(share: float) -> int:
    draw = random.Random(1)
    return sum(draw.random() < share for _ in range(1_000))


def test_bad_events_that_are_named_cost_one_request_each() -> None:
    # Plus one for the rest of each batch.
    assert requests_for(0.3, naming="session") <= bad_of(0.3) + 10


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 1])
def test_bad_events_that_a_number_points_to_cost_two_at_the_most(share: float) -> None:
    assert requests_for(share, naming="index") <= min(2 * bad_of(share) + 10, 1_000 + 6 * 10)


def test_numbers_that_count_from_one_are_not_misleading() -> None:
    assert requests_for(0.3, naming="from one") <= 1_000 + 10 * 10


def test_what_was_refused_before_is_sent_alone() -> None:
    assert requests_for(1, suspected=True) == 1_000
    # Once it is accepted, it is soon sent together with others again.
    assert requests_for(0, suspected=True) <= 10 * 15


def test_what_was_refused_before_travels_apart_from_what_was_not() -> None:
    vendor = Strict({"P1"})
    rows = [row(number, refusals=int(number == 1)) for number in range(100)]
    made = batches(rows, Account(1, "operator", "K"), vendor, now=NOW, probing=False)
    for unit in made:
        unit.deliver()
    assert sorted(len(steps) for steps in vendor.sent) == [1, 99]


@given(
    st.sets(st.integers(0, 29)),
    st.sampled_from(["", "session", "index", "from one", "lies"]),
    st.integers(1, 30),
)
def test_no_matter_which_are_bad_or_named_each_event_gets_its_own_result(
    bad: set[int], naming: str, most: int
) -> None:
    vendor = Strict({f"P{number}" for number in bad}, naming=naming)
    vendor.batch_size = most
    outcomes = [outcome(number) for number in range(30)]
    delivered(vendor, *outcomes)
    assert refused_plates(outcomes) == vendor.bad
    assert vendor.accepted == sorted(f"P{number}" for number in range(30) if number not in bad)


# --- Requests that are too large ----------------------------------------------------------------------------------


def test_a_request_that_is_too_large_is_split_and_no_event_is_refused_for_it() -> None:
    vendor = Strict(set(), takes=30)
    outcomes = [outcome(number) for number in range(100)]
    assert delivered(vendor, *outcomes).trouble is None
    assert [len(steps) for steps in vendor.sent] == [100, 50, 25, 25, 25, 25]
    assert not refused_plates(outcomes)


def test_a_single_event_that_is_too_large_waits() -> None:
    one = outcome(1)
    delivered(Strict(set(), takes=0), one)
    assert row_result(one, now=NOW).state == "due"


# --- Answers that the vendor did not give -------------------------------------------------------------------------


def test_a_proxy_that_answers_everything_is_asked_three_times_and_nothing_is_refused() -> None:
    vendor = Strict(set(), barred={f"P{number}" for number in range(100)})
    outcomes = [outcome(number) for number in range(100)]
    unit = delivered(vendor, *outcomes)
    assert isinstance(unit.trouble, Intercepted)
    assert [len(steps) for steps in vendor.sent] == [100, 1, 1]
    for number, one in enumerate(outcomes):
        found = row_result(one, now=NOW)
        assert (found.state, found.pending_steps) == ("due", [start(number)])


@pytest.mark.parametrize("barred", [{"P0"}, {"P7"}, {"P99"}, {"P1", "P50", "P51"}], ids=sorted)
def test_a_firewall_that_blocks_a_few_events_holds_up_no_others(barred: set[str]) -> None:
    vendor = Strict(set(), barred=barred)
    outcomes = [outcome(number) for number in range(100)]
    assert delivered(vendor, *outcomes).trouble is None
    assert vendor.accepted == sorted({f"P{number}" for number in range(100)} - barred)
    assert len(vendor.sent) <= 2 + len(barred) * 12
    for number, one in enumerate(outcomes):
        if f"P{number}" not in barred:
            assert row_result(one, now=NOW).state == "done"
            continue
        found = row_result(one, now=NOW)
        # What arrived is unknown: exactly the same is sent again. The very first request only tested the connection.
        assert (found.state, found.pending_steps) == ("due" if number == 0 else "refused", [start(number)])
        assert number == 0 or found.retry_at is not None


def test_an_event_that_is_blocked_with_no_others_beside_it_waits_alone() -> None:
    one = outcome(1)
    unit = delivered(Strict(set(), barred={"P1"}), one)
    assert (unit.trouble, unit.intercepted) == (None, {1})
    assert row_result(one, now=NOW).state == "due"


def test_a_probe_that_something_else_answers_finds_the_vendor_still_failing() -> None:
    assert delivered(Strict(set(), barred={"P1"}), outcome(1), probing=True).trouble is not None


def test_a_unit_whose_leases_have_ended_sends_no_further_request() -> None:
    vendor = Strict({"P1"})
    unit = Batch(Account(1, "operator", "K"), vendor, [outcome(number) for number in range(8)], NOW)
    send = vendor.send

    def slow(account: Account, steps: Sequence[Step]) -> Sent:
        unit.good_until = 0
        return send(account, steps)

    vendor.send = slow  # type: ignore[method-assign]
    unit.deliver()
    assert len(vendor.sent) == 1
    assert (unit.trouble, {row_result(one, now=NOW).state for one in unit.outcomes}) == (None, {"due"})


# --- Events that are answered one by one --------------------------------------------------------------------------


def test_a_single_event_that_is_deferred_waits_alone() -> None:
    one = outcome(1)
    assert delivered(Vendor(parts=TryLater("Later.")), one).trouble is None
    assert row_result(one, now=NOW).state == "due"


def test_a_probe_that_is_deferred_finds_the_vendor_still_failing() -> None:
    later = TryLater("Later.")
    assert delivered(Vendor(parts=later), outcome(1), probing=True).trouble is later


def test_a_probe_that_is_accepted_or_refused_has_found_a_remote_that_works() -> None:
    assert delivered(Vendor(), outcome(1), probing=True).trouble is None
    assert delivered(Vendor(parts=FixRecord("No.")), outcome(1), probing=True).trouble is None


def test_a_retry_after_on_an_answer_to_single_events_ends_the_unit() -> None:
    """99 of 100 were told one by one to wait two minutes, and were sent again at once."""
    later = TryLater("Slow down.", retry_after=timedelta(minutes=2))
    vendor = Vendor(parts=later)
    outcomes = [outcome(number, steps=[start(number), start(number + 100)]) for number in range(3)]
    assert delivered(vendor, *outcomes).trouble is later
    assert len(vendor.sent) == 1
