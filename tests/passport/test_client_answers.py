"""The client against the sandbox: whatever comes back, it is an answer or one of our own errors."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
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
from integrations.vendors.protocol import Account, RightSeen, Sent
from passport import plan
from passport.client import EVENTS_PATH, TOKENS_PATH, TRACE_HEADER, ZONES_PATH, Config, PassportClient
from passport.http_answer import Answer
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.tokens import MemoryTokenStore
from passport.vendor import Passport
from tests.passport.sandbox_transport import SandboxTransport
from tests.passport.test_problems import ODD_DATES
from tests.passport.test_reading import json_values
from tests.world import UNIVERSITY

BASE = "https://passport.test"
ACCOUNT = Account(1, UNIVERSITY["operator_id"], "KEY23456")
NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
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


@pytest.fixture
def transport() -> SandboxTransport:
    return SandboxTransport()


@pytest.fixture
def passport(transport: SandboxTransport) -> Iterator[Passport]:
    client = client_on(transport)
    yield Passport(client)
    client.close()


def start(session_id: str = "os-K-1-1", plate: str = "ABC1234") -> Any:
    from datetime import timedelta

    from django.utils import timezone

    from integrations.vendors.protocol import Desired

    now = timezone.now()
    wish = Desired(UNIVERSITY["zones"][0]["id"], plate, "US", "US-NC", now, now + timedelta(hours=5))
    [step] = plan.plan(ACCOUNT, None, wish, now=now, session_id=session_id)
    return step


class Says(httpx.BaseTransport):
    """Gives a token to whoever asks, and this answer to everything else."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == TOKENS_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        # Anew each time: a response can be read once, and a 401 makes the client ask again.
        given = self.response
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)


def sent_over(response: httpx.Response, *, count: int = 1) -> Sent:
    """What becomes of `count` events that are answered like this."""
    client = client_on(Says(response))
    try:
        return Passport(client).send(ACCOUNT, [start(f"os-K-{n}-1", f"P{n}") for n in range(count)])
    finally:
        client.close()


def sent_error(passport: Passport) -> DeliveryError | None:
    return passport.send(ACCOUNT, [start()]).error


# --- Every fault of the sandbox -----------------------------------------------------------------------------------


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
def test_trouble_with_the_token_is_no_fault_of_the_record(
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


def test_a_refused_token_is_fetched_anew_once_and_the_call_repeated_once(
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


def test_an_operator_that_is_barred_stops_nobody_else(
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


# --- One result per event: see also test_answers.py -----------------------------------------------------------------


PART_LATER, PART_BARRED, PART_FINE = {"status": 503}, {"status": 403}, {"status": 202}


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
def test_a_207_without_any_judgement_is_trouble_of_the_whole_request(
    document: Any, kind: type[DeliveryError] | None
) -> None:
    sent = sent_over(httpx.Response(207, json=document, headers={"Retry-After": "30"}), count=3)
    assert type(sent.error) is (kind or type(None))
    if isinstance(sent.error, TryLater) and sent.error.code != "unreadable":
        assert sent.error.retry_after is not None
        assert sent.error.retry_after.total_seconds() == 30


def test_a_207_that_puts_off_a_single_event_is_no_trouble_of_the_others() -> None:
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
        # Never a fault of our own.
        assert not (isinstance(result, Unexpected) and result.leaves_open), result.code


# --- Lists --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["body", "header"])
def test_a_list_is_followed_to_its_end(transport: SandboxTransport, link: str) -> None:
    transport.simulator.change_options({"page_size": 7, "page_link": link})
    client = client_on(transport, base_url="http://passport.test")
    zones = client.list_zones(OPERATOR)
    assert [zone["id"] for zone in zones] == [zone["id"] for zone in UNIVERSITY["zones"]]
    client.close()


def listing(*pages: httpx.Response) -> DeliveryError | list[Any]:
    """What the client makes of these pages."""
    with respx.mock(base_url=BASE, assert_all_called=False) as remote:
        remote.post(TOKENS_PATH).respond(200, json={"access_token": "t", "expires_in": 600})
        remote.get(ZONES_PATH).mock(side_effect=list(pages) + [pages[-1]] * 300)
        client = PassportClient(config(), tokens=MemoryTokenStore(), transport=httpx.HTTPTransport())
        try:
            return client.list_zones(OPERATOR)
        except DeliveryError as error:
            return error
        finally:
            client.close()


def page(following: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"data": [{"id": "1"}], "next": following}, headers=headers)


@pytest.mark.parametrize(
    "link",
    ["https://evil.test/v3/shared/zones", "http://passport.test/v3/shared/zones", "//evil.test/zones",
     "https://passport.test:8443/v3/shared/zones", "https://passport.test@evil.test/", "http://[", "https://a\x00b/"],
)  # fmt: skip
def test_a_next_page_at_another_host_is_refused_since_the_token_would_travel_along(link: str) -> None:
    assert isinstance(listing(page(link)), TryLater)


def test_a_next_page_in_a_header_at_another_host_is_refused_too() -> None:
    assert isinstance(listing(page(None, Link='<https://evil.test/x>; rel="next"')), TryLater)


def test_a_next_page_that_points_to_itself_ends_the_list() -> None:
    assert isinstance(listing(page(f"{ZONES_PATH}?page=2")), list)


@pytest.mark.parametrize("document", [None, [], {}, {"data": None}, {"data": {}}, {"data": "x"}, 7])
def test_a_list_of_a_wrong_shape_is_no_list(document: Any) -> None:
    assert isinstance(listing(httpx.Response(200, json=document)), TryLater)


def test_a_redirect_is_not_followed() -> None:
    assert isinstance(listing(httpx.Response(302, headers={"Location": "https://evil.test/"})), TryLater)


@given(json_values | st.text())
def test_no_next_link_whatsoever_raises_anything_but_our_own_errors(link: Any) -> None:
    client = client_on(SandboxTransport())
    document = {"data": [], "next": link, "links": {"next": link}}
    try:
        path = client._next_page(Answer(200, {}, b"{}", document, "t"), document)
    except DeliveryError:
        return
    finally:
        client.close()
    assert path is None or httpx.URL(BASE).join(path).host == "passport.test"


# --- Rights, one by one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html", "status": 200}, {"kind": "html"}, {"kind": "broken_json"}, {"kind": "truncated"},
        {"kind": "wrong_json"}, {"kind": "drop"}, {"kind": "429"}, {"kind": "403"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)  # fmt: skip
def test_rights_that_are_read_as_they_come_meet_the_same_errors(
    passport: Passport, transport: SandboxTransport, fault: dict[str, Any]
) -> None:
    passport.send(ACCOUNT, [start()])
    whole = passport.fetch_rights(OPERATOR)
    taken: list[RightSeen] = []
    passport.read_rights(OPERATOR, taken.append)
    assert taken == [replace(right, raw={}) for right in whole]
    assert taken
    errors: list[DeliveryError] = []
    for read in (
        lambda: passport.fetch_rights(OPERATOR),
        lambda: passport.read_rights(OPERATOR, taken.append),
    ):
        transport.simulator.faults.add({"path": "rights", **fault})
        with pytest.raises(DeliveryError) as raised:
            read()
        errors.append(raised.value)
        transport.simulator.faults.clear()
    # What is read as it comes knows besides that it broke off.
    told = {error.sentence for error in errors} - {"Passport's list broke off before its end."}
    assert len({(type(error), error.status) for error in errors}) == 1
    assert len(told) == 1


def test_rights_on_several_pages_are_all_taken_and_an_expired_token_is_renewed() -> None:
    tokens: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKENS_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        tokens.append(request.url.query.decode())
        if len(tokens) == 1:
            return httpx.Response(401, json={"title": "expired"})
        following = "/v4/enforcement/parking-rights?page=2" if len(tokens) == 2 else None
        return httpx.Response(200, json={"data": [{"id": str(len(tokens))}], "next": following})

    taken: list[Any] = []
    client_on(httpx.MockTransport(answer)).read_rights({"operator_id": OPERATOR}, taken.append)
    assert taken == [{"id": "2"}, {"id": "3"}]
    assert tokens[-1] == "page=2"
