"""Lists of zones and rights that the client reads: followed to their end, and never to another host."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.protocol import RightSeen
from passport.client import TOKENS_PATH, ZONES_PATH, PassportClient
from passport.http_answer import Answer
from passport.tokens import MemoryTokenStore
from passport.vendor import Passport
from tests.passport.clients import ACCOUNT, BASE, OPERATOR, client_on, config, start
from tests.passport.sandbox_transport import SandboxTransport
from tests.passport.test_reading import json_values
from tests.world import UNIVERSITY

# --- Lists -----------------------------------------------------------------------------------------------


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


# --- Rights, one by one ----------------------------------------------------------------------------------


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
    # A list that is read as it arrives also knows that it broke off.
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
