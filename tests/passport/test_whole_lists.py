"""An incomplete list of parking rights is an error with its own message, and is never taken for the complete list."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from integrations.vendors.errors import TryLater
from passport.client import TOKENS_PATH, Config, PassportClient
from passport.tokens import MemoryTokenStore


class CutOff(httpx.SyncByteStream):
    """A body whose connection breaks in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"data": [{"id": "1"},'
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def pages_without_end(request: httpx.Request) -> httpx.Response:
    page = int(request.url.params.get("page", "0"))
    return httpx.Response(200, json={"data": [], "next": f"{request.url.path}?page={page + 1}"})


def pages_in_circles(request: httpx.Request) -> httpx.Response:
    page = int(request.url.params.get("page", "0"))
    return httpx.Response(200, json={"data": [], "next": f"{request.url.path}?page={page % 2 + 1}"})


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (pages_without_end, "Passport's list has more than 200 pages, so it is not read."),
        (pages_in_circles, "Passport's list goes in circles, so its end is not known."),
        (lambda _request: httpx.Response(200, stream=CutOff()), "Passport's list broke off before its end."),
        (
            lambda _request: httpx.Response(200, content=b'{"data": ['),
            "Passport's list broke off before its end.",
        ),
        (
            lambda _request: httpx.Response(200, content=b" " * 50_000_001),
            "Passport's answer is longer than 50 MB, so it is not read.",
        ),
    ],
    ids=["200 pages", "circle", "cut off", "ends early", "50 MB"],
)
def test_each_way_in_which_a_list_is_not_whole_has_its_sentence(
    answer: Callable[[httpx.Request], httpx.Response], sentence: str
) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKENS_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        return answer(request)

    config = Config(base_url="https://passport.test", client_id="i", client_secret="s", audience="a")
    client = PassportClient(config, tokens=MemoryTokenStore(), transport=httpx.MockTransport(serve))
    with pytest.raises(TryLater) as raised:
        client.read_rights({"operator_id": "o"}, lambda _entry: None)
    assert raised.value.sentence == sentence
