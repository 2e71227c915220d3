"""Which request hits which fault, how it is answered, and whether it takes effect."""

import json
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from passport.sandbox.answers import retry_after
from passport.sandbox.api import TOKEN_PATH
from passport.sandbox.faults import KINDS, FaultBook
from tests.passport.sandbox_partner import CREDENTIALS, LAKESHORE, NOON, UNIVERSITY, Partner, code
from tests.passport.sandbox_transport import Clock, SandboxTransport

# -- which requests it hits----------------------------------------------------------------------------------------------


def test_without_faults_nothing_is_met() -> None:
    verdict = FaultBook().meet("events", UNIVERSITY)
    assert verdict.fault is None
    assert (verdict.wait_before_s, verdict.wait_after_s, verdict.late_s) == (0, 0, 0)


def test_a_fault_with_a_count_ends_automatically() -> None:
    book = FaultBook()
    book.add({"kind": "5xx", "times": 2})
    met = [book.meet("events", None).fault is not None for _ in range(4)]
    assert met == [True, True, False, False]
    assert book.faults == []


def test_a_fault_without_a_count_stays_until_it_is_cleared() -> None:
    book = FaultBook()
    fault = book.add({"kind": "5xx"})
    assert all(book.meet("zones", None).fault is fault for _ in range(100))
    assert fault.fired == 100
    assert book.clear(fault.id + 1) == 0
    assert book.clear(fault.id) == 1
    assert book.meet("zones", None).fault is None


@pytest.mark.parametrize("path", ["token", "zones", "events", "rights"])
def test_a_fault_meets_only_its_path(path: str) -> None:
    book = FaultBook()
    book.add({"kind": "5xx", "path": path})
    met = {each for each in ("token", "zones", "events", "rights") if book.meet(each, None).fault}
    assert met == {path}


def test_a_fault_meets_only_its_operator(partner: Partner) -> None:
    partner.fault("403", operator_id=UNIVERSITY.upper())
    assert partner.zones(UNIVERSITY).status == 403
    assert partner.zones(LAKESHORE).status == 200
    assert partner.start().status == 403
    assert partner.call("POST", TOKEN_PATH, document=CREDENTIALS).status == 200


def test_a_chance_is_drawn_with_a_seed() -> None:
    def run(seed: int) -> list[bool]:
        book = FaultBook()
        book.add({"kind": "drop", "probability": 0.3, "seed": seed})
        return [book.meet("events", None).fault is not None for _ in range(1000)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 240 < sum(run(1)) < 360


def test_a_chance_of_nothing_never_counts_down() -> None:
    book = FaultBook()
    fault = book.add({"kind": "drop", "probability": 0, "times": 1})
    assert not any(book.meet("events", None).fault for _ in range(50))
    assert fault.times == 1


def test_delays_add_up_and_the_oldest_other_fault_decides() -> None:
    book = FaultBook()
    book.add({"kind": "delay", "delay_s": 1})
    first = book.add({"kind": "429", "times": 1})
    second = book.add({"kind": "5xx"})
    book.add({"kind": "delay", "delay_s": 2, "before": True})
    book.add({"kind": "late", "delay_s": 4})
    verdict = book.meet("events", None)
    assert verdict.fault is first
    assert (verdict.wait_after_s, verdict.wait_before_s, verdict.late_s) == (1, 2, 4)
    assert second.fired == 0
    assert book.meet("events", None).fault is second


def test_jitter_stays_within_its_bounds() -> None:
    book = FaultBook()
    book.add({"kind": "delay", "delay_s": 1, "jitter_s": 0.5})
    waits = [book.meet("events", None).wait_after_s for _ in range(200)]
    assert min(waits) >= 1
    assert max(waits) <= 1.5
    assert max(waits) - min(waits) > 0.3


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "gremlin"},
        {"kind": None},
        {"kind": ["429"]},
        {"kind": "429", "path": "everything"},
        {"kind": "429", "operator_id": "University"},
        {"kind": "429", "probability": 1.1},
        {"kind": "429", "probability": "1"},
        {"kind": "429", "times": 0},
        {"kind": "429", "times": 1.5},
        {"kind": "429", "times": True},
        {"kind": "429", "retry_after_s": -1},
        {"kind": "429", "retry_after_form": "minutes"},
        {"kind": "5xx", "status": 99},
        {"kind": "delay", "delay_s": float("nan")},
        {"kind": "delay", "before": "yes"},
        {"kind": "html", "body": 7},
        {"kind": "drop", "id": 7},
        {"kind": "drop", "rng": 7},
        {"kind": "drop", "colour": "red"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(document: dict[str, Any]) -> None:
    book = FaultBook()
    with pytest.raises(ValueError):
        book.add(document)
    assert book.faults == []


# -- what it answers ---------------------------------------------------------------------------------------------

_ANSWERS: dict[str, tuple[int, bool]] = {
    "401": (401, False),
    "403": (403, False),
    "429": (429, False),
    "5xx": (503, False),
    "html": (502, False),
    "drop": (0, False),
    "broken_json": (200, True),
    "wrong_json": (200, True),
    "huge_body": (200, True),
    "endless_body": (200, True),
    "truncated": (200, True),
    "answer_lost": (0, True),
    "forget": (202, False),
    "wrong_plate": (202, True),
    "wrong_zone": (202, True),
    "partial": (207, True),
    "missing_fields": (202, True),
    "short_list": (202, True),
    "endless_list": (202, True),
    "other_forms": (202, True),
    "delay": (202, True),
    "late": (202, True),
}


def test_every_kind_is_listed_here() -> None:
    assert set(_ANSWERS) == set(KINDS)


@pytest.mark.parametrize(("kind", "status", "takes_effect"), [(k, *answer) for k, answer in _ANSWERS.items()])
def test_each_kind_answers_and_takes_effect_as_described(
    partner: Partner, kind: str, status: int, takes_effect: bool
) -> None:
    partner.fault(kind, times=1)
    assert partner.start().status == status
    assert ("s-1" in partner.simulator.sessions.by_id) is takes_effect
    assert partner.start("s-2").status == 202


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("delay", "late", "drop", "answer_lost", "forget")]
)
def test_processed_can_be_said_either_way(partner: Partner, kind: str) -> None:
    partner.fault(kind, times=1, processed=True)
    partner.start("yes")
    partner.fault(kind, times=1, processed=False)
    partner.start("no")
    assert set(partner.simulator.sessions.by_id) == {"yes"}


def test_a_drop_is_never_processed_and_a_lost_answer_always(partner: Partner) -> None:
    partner.fault("drop", times=1, processed=True)
    partner.start("dropped")
    partner.fault("answer_lost", times=1, processed=False)
    partner.start("lost")
    assert set(partner.simulator.sessions.by_id) == {"lost"}


def test_too_many_requests_asks_to_wait_in_seconds_or_until_a_date(partner: Partner) -> None:
    partner.fault("429", times=1, retry_after_s=90)
    response = partner.zones()
    assert (response.status, response.headers["Retry-After"]) == (429, "90")
    assert code(response) == "rate_limited"
    partner.fault("429", times=1, retry_after_s=90, retry_after_form="date")
    until = parsedate_to_datetime(partner.zones().headers["Retry-After"])
    assert (until - NOON).total_seconds() == 90
    partner.fault("429", times=1, retry_after_s=None)
    assert "Retry-After" not in partner.zones().headers


def test_absurd_waits_can_be_asked_for() -> None:
    assert retry_after(1e9, "seconds", NOON) == "1000000000"
    assert retry_after(0.2, "seconds", NOON) == "1"
    assert parsedate_to_datetime(retry_after(1e12, "date", NOON)).year == 9999


def test_a_server_error_has_the_status_and_body_that_are_given(partner: Partner) -> None:
    partner.fault("5xx", times=1, status=500, body="", retry_after_s=7)
    response = partner.zones()
    assert (response.status, response.body, response.headers["Retry-After"]) == (500, b"", "7")
    partner.fault("5xx", times=1, status=504)
    assert code(partner.zones()) == "internal_error"


def test_an_html_page_comes_with_any_status(partner: Partner) -> None:
    partner.fault("html", times=1, status=200)
    response = partner.zones()
    assert response.status == 200
    assert response.content_type.startswith("text/html")
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_broken_json_cannot_be_parsed(partner: Partner) -> None:
    partner.fault("broken_json", times=1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(partner.zones().body)


def test_json_of_a_wrong_shape_parses_and_varies(partner: Partner) -> None:
    partner.fault("wrong_json", times=60, seed=3)
    shapes = {partner.zones().body for _ in range(60)}
    assert len(shapes) >= 6
    for shape in shapes:
        json.loads(shape)


# -- how it travels ----------------------------------------------------------------------------------------------


@pytest.fixture
def http() -> httpx.Client:
    transport = SandboxTransport(clock=Clock(NOON))
    client = httpx.Client(transport=transport, base_url="http://passport.test", timeout=5)
    token = client.post(TOKEN_PATH, json=CREDENTIALS).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def faulty(http: httpx.Client, kind: str, **parameters: Any) -> Clock:
    assert http.post("/sandbox/faults", json={"kind": kind, **parameters}).status_code == 201
    transport = http._transport
    assert isinstance(transport, SandboxTransport)
    clock = transport.clock
    assert isinstance(clock, Clock)
    return clock


def get_zones(http: httpx.Client) -> httpx.Response:
    return http.get("/v3/shared/zones", params={"operator_id": UNIVERSITY})


def test_a_delay_is_waited_for_and_a_longer_one_times_out(http: httpx.Client) -> None:
    clock = faulty(http, "delay", delay_s=4, times=1)
    assert get_zones(http).status_code == 200
    assert (clock.now - NOON).total_seconds() == 4
    faulty(http, "delay", delay_s=6, times=1)
    with pytest.raises(httpx.ReadTimeout):
        get_zones(http)


@pytest.mark.parametrize("kind", ["drop", "answer_lost", "truncated"])
def test_a_connection_that_breaks_raises_a_transport_error(http: httpx.Client, kind: str) -> None:
    faulty(http, kind, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        get_zones(http)
    assert get_zones(http).status_code == 200


def test_a_huge_body_has_its_size(http: httpx.Client) -> None:
    faulty(http, "huge_body", times=1, size_bytes=3_000_000)
    assert len(get_zones(http).content) == 3_000_000


def test_an_endless_body_never_ends(http: httpx.Client) -> None:
    clock = faulty(http, "endless_body", times=1, delay_s=0.5)
    with http.stream("GET", "/v3/shared/zones", params={"operator_id": UNIVERSITY}) as response:
        for count, _ in enumerate(response.iter_raw()):
            if count == 1000:
                break
    assert (clock.now - NOON).total_seconds() >= 500


def test_a_request_processed_late_happens_although_its_client_has_gone(http: httpx.Client) -> None:
    event = Partner().event()
    envelope = {"type": "parking_session_started", "version": "3.0.0", "data": [event]}
    faulty(http, "delay", delay_s=60, before=True, times=1)
    transport = http._transport
    assert isinstance(transport, SandboxTransport)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v3/shared/events", json=envelope)
    assert len(transport.simulator.sessions) == 0
    transport.process_late()
    assert "s-1" in transport.simulator.sessions.by_id


# -- manners -----------------------------------------------------------------------------------------------------


def breaches(partner: Partner) -> dict[str, int]:
    counted: dict[str, int] = partner.control("GET", "state")["breaches"]
    return counted


def test_coming_back_too_early_is_noted(partner: Partner) -> None:
    partner.fault("429", times=1, retry_after_s=10)
    partner.zones()
    partner.advance(0.1)
    partner.zones()
    assert "retry_after_ignored" not in breaches(partner), "it may have been under way already"
    partner.advance(5)
    partner.zones()
    partner.zones(LAKESHORE)
    assert breaches(partner)["retry_after_ignored"] == 1
    partner.advance(5)
    partner.zones()
    assert breaches(partner)["retry_after_ignored"] == 1


def test_a_date_is_kept_to_although_it_has_whole_seconds(partner: Partner) -> None:
    partner.advance(0.9)
    partner.fault("429", times=1, retry_after_s=10, retry_after_form="date")
    until = parsedate_to_datetime(partner.zones().headers["Retry-After"])
    partner.advance((until - partner.now).total_seconds())
    partner.zones()
    assert "retry_after_ignored" not in breaches(partner)


def test_trace_ids_must_be_there_and_be_unique(partner: Partner) -> None:
    header = "passport-labs-client-trace-id"
    partner.call("GET", "/v3/shared/zones", f"operator_id={UNIVERSITY}", headers={header: ""})
    for _ in range(2):
        partner.call("GET", "/v3/shared/zones", f"operator_id={UNIVERSITY}", headers={header: "same"})
    assert breaches(partner) == {"missing_trace_id": 1, "repeated_trace_id": 1}


def test_a_rate_limit_refuses_what_is_too_much_in_a_second(partner: Partner) -> None:
    partner.control("PATCH", "settings", {"rate_limit_per_s": 3})
    partner.advance(2)
    assert [partner.zones().status for _ in range(5)] == [200, 200, 200, 429, 429]
    partner.advance(1.1)
    assert partner.zones().status == 200
    assert partner.control("GET", "state")["peak_requests_per_s"] == 5
