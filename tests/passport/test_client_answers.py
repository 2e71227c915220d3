"""The client against the sandbox: no matter what comes back, the result is an answer or one of our own errors."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.errors import (
    DeliveryError,
    FixConnection,
    FixRecord,
    Intercepted,
    TooLarge,
    TryLater,
    Unexpected,
)
from integrations.vendors.protocol import Sent
from passport.client import EVENTS_PATH, TOKENS_PATH, TRACE_HEADER
from passport.vendor import Passport
from tests.passport.clients import ACCOUNT, client_on, start
from tests.passport.sandbox_transport import SandboxTransport
from tests.passport.test_problems import ODD_DATES
from tests.passport.test_reading import json_values


class Says(httpx.BaseTransport):
    """Gives a token to every client, and this answer to all other requests."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == TOKENS_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        # A new one each time: a response can be read only once, and a 401 makes the client ask again.
        given = self.response
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)


def sent_over(response: httpx.Response, *, count: int = 1) -> Sent:
    """The result of `count` events that are answered like this."""
    client = client_on(Says(response))
    try:
        return Passport(client).send(ACCOUNT, [start(f"os-K-{n}-1", f"P{n}") for n in range(count)])
    finally:
        client.close()


def sent_error(passport: Passport) -> DeliveryError | None:
    return passport.send(ACCOUNT, [start()]).error


# --- Every fault of the sandbox --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "5xx", "status": 500}, TryLater),
        ({"kind": "5xx", "status": 503}, TryLater),
        ({"kind": "429", "retry_after_s": 20}, TryLater),
        ({"kind": "429", "retry_after_s": 20, "retry_after_form": "date"}, TryLater),
        ({"kind": "html"}, TryLater),
        ({"kind": "html", "status": 200}, TryLater),
        ({"kind": "broken_json"}, TryLater),
        ({"kind": "truncated"}, TryLater),
        ({"kind": "huge_body", "size_bytes": 10_000_000}, TryLater),
        ({"kind": "drop"}, TryLater),
        ({"kind": "answer_lost"}, TryLater),
        ({"kind": "delay", "delay_s": 60}, TryLater),
        ({"kind": "403"}, FixConnection),
        ({"kind": "401"}, FixConnection),
        ({"kind": "5xx", "status": 422}, FixRecord),
        ({"kind": "5xx", "status": 418}, FixRecord),
        ({"kind": "5xx", "status": 413}, TooLarge),
        ({"kind": "5xx", "status": 400, "body": ""}, Intercepted),
        ({"kind": "5xx", "status": 400, "body": '{"message": "Bad Request"}'}, Intercepted),
        *(
            ({"kind": "html", "status": status}, Intercepted)
            for status in (400, 403, 404, 405, 409, 410, 422, 451)
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_every_fault_is_the_error_that_says_what_to_do(
    passport: Passport, transport: SandboxTransport, fault: dict[str, Any], kind: type[DeliveryError]
) -> None:
    transport.simulator.faults.add({"path": "events", **fault})
    error = sent_error(passport)
    assert type(error) is kind
    assert error.sentence
    if fault["kind"] == "429":
        assert isinstance(error, TryLater)
        assert error.retry_after is not None
        assert 15 <= error.retry_after.total_seconds() <= 20


@pytest.mark.parametrize(
    "kind", ["5xx", "html", "broken_json", "drop", "truncated", "huge_body", "wrong_json"]
)
def test_a_failure_of_the_token_is_not_a_fault_of_the_record(
    passport: Passport, transport: SandboxTransport, kind: str
) -> None:
    transport.simulator.faults.add({"path": "token", "kind": kind})
    assert isinstance(sent_error(passport), TryLater)


def test_wrong_credentials_are_said_once_and_concern_the_host(transport: SandboxTransport) -> None:
    passport = Passport(client_on(transport, client_secret="wrong"))
    error = sent_error(passport)
    assert isinstance(error, FixConnection)
    assert error.scope == "host"
    assert len(transport.requests) == 1
    with pytest.raises(FixConnection):
        passport.check_token()


def test_a_refused_token_is_replaced_once_and_the_call_repeated_once(
    passport: Passport, transport: SandboxTransport
) -> None:
    assert sent_error(passport) is None
    transport.simulator.expire_tokens()
    transport.requests.clear()
    assert passport.send(ACCOUNT, [start("os-K-2-1", "NEW1")]).error is None
    assert [request.url.path for request in transport.requests] == [EVENTS_PATH, TOKENS_PATH, EVENTS_PATH]


def test_a_token_that_is_refused_again_ends_it(passport: Passport, transport: SandboxTransport) -> None:
    transport.simulator.faults.add({"kind": "401", "path": "events"})
    assert isinstance(sent_error(passport), FixConnection)
    assert [request.url.path for request in transport.requests].count(EVENTS_PATH) == 2


def test_an_operator_that_is_barred_stops_no_one_else(
    passport: Passport, transport: SandboxTransport
) -> None:
    transport.simulator.faults.add({"kind": "401", "path": "events"})
    error = sent_error(passport)
    assert isinstance(error, FixConnection)
    assert error.scope == "connection"


def test_where_the_credentials_are_refused_as_well_the_host_is_stopped(
    passport: Passport, transport: SandboxTransport
) -> None:
    assert sent_error(passport) is None
    transport.simulator.faults.add({"kind": "401", "path": "events"})
    transport.simulator.faults.add({"kind": "401", "path": "token"})
    error = sent_error(passport)
    assert isinstance(error, FixConnection)
    assert error.scope == "host"


def test_each_request_has_a_trace_id_of_its_own(passport: Passport, transport: SandboxTransport) -> None:
    for number in range(5):
        passport.send(ACCOUNT, [start(f"os-K-{number}-1", f"P{number}")])
    ids = [request.headers[TRACE_HEADER] for request in transport.requests]
    assert len(ids) == len(set(ids)) == 6


PART_LATER, PART_BARRED, PART_FINE = {"status": 503}, {"status": 403}, {"status": 202}


# --- One result per event: see also test_answers.py ------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"data": [PART_LATER] * 3}, TryLater),
        ({"data": [PART_LATER, PART_BARRED, PART_LATER]}, FixConnection),
        ({"data": [PART_LATER, PART_LATER, PART_FINE]}, None),
        ({"data": [PART_LATER, {"status": 400}, PART_LATER]}, None),
        ({"data": [{"status": 400}] * 3}, None),
        ({"data": [PART_LATER]}, TryLater),
        ({"data": "all is well"}, TryLater),
        (None, TryLater),
    ],
    ids=["all later", "one barred", "one fine", "one refused", "all refused", "too few", "odd", "nothing"],
)
def test_a_207_without_any_result_is_a_failure_of_the_whole_request(
    document: Any, kind: type[DeliveryError] | None
) -> None:
    sent = sent_over(httpx.Response(207, json=document, headers={"Retry-After": "30"}), count=3)
    assert type(sent.error) is (kind or type(None))
    if isinstance(sent.error, TryLater) and sent.error.code != "unreadable":
        assert sent.error.retry_after is not None
        assert sent.error.retry_after.total_seconds() == 30


def test_a_207_that_defers_one_event_does_not_affect_the_others() -> None:
    sent = sent_over(httpx.Response(207, json={"data": [PART_LATER]}), count=1)
    assert sent.error is None
    assert isinstance(sent.results[0], TryLater)


NESTED = st.integers(1, 1100).map(lambda levels: b"[" * levels + b'"\\u0000"' + b"]" * levels)
HEADER_NAMES = st.sampled_from(
    ["Retry-After", "Content-Type", "Location", "Set-Cookie", "Content-Encoding", "Link", "Content-Length"]
)
HEADER_VALUES = (
    st.binary(max_size=60)
    | ODD_DATES.map(str.encode)
    | st.sampled_from(
        [b"http://[", b"//\xff", b"gzip", b"a=b; Expires=Mon, 01 Jan 99999 00:00:00 +9", b"9" * 5000]
    )
)


@given(
    status=st.integers(100, 999),
    headers=st.lists(st.tuples(HEADER_NAMES.map(str.encode), HEADER_VALUES), max_size=4),
    body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | NESTED,
)
def test_whatever_comes_back_each_event_is_accepted_or_has_one_of_our_errors(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    sent = sent_over(httpx.Response(status, headers=headers, stream=httpx.ByteStream(body)), count=2)
    assert len(sent.results) == 2
    for result in sent.results:
        assert result is None or isinstance(result, DeliveryError)
        # Never an error of our own code.
        assert not (isinstance(result, Unexpected) and result.leaves_open), result.code
