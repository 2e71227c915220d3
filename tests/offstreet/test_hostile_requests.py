"""No matter what is sent to which address, the answer is never a 500.

Two kinds: `offstreet.readable` answers requests that can't be read with 400 and a sentence; those that can be read but make
no sense reach every page, with each parameter that the product reads set to the same nonsense.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.admin.sites import site
from django.core.exceptions import BadRequest
from django.http.multipartparser import MultiPartParserError
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse
from hypothesis import given
from hypothesis import strategies as st

from offstreet.readable import check_readable
from tests.fakes import fake_vendor
from tests.offstreet.access_table import (
    ADMIN,
    COMPANY,
    OTHERS,
    OWN_ACCOUNT,
    SIGN_IN,
    Side,
    address,
    ask,
    build_side,
    filled,
)
from tests.pages import take_refreshes, text_of
from tests.routes import all_routes

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
FORM = "application/x-www-form-urlencoded"
SENTENCE = "This request couldn't be read"


def parameters() -> set[str]:
    """The names of all parameters that the product reads itself, and of all fields of its forms."""
    found: set[str] = set()
    for package in ("integrations", "locations", "offstreet", "passport"):
        for path in (ROOT / package).rglob("*.py"):
            found |= set(
                re.findall(r"\b(?:GET|POST)(?:\.get(?:list)?)?[(\[]\"(\w+)\"", path.read_text("utf-8"))
            )
    waiting = list(forms.BaseForm.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.split(".")[0] in ("integrations", "locations", "offstreet"):
            found |= set(getattr(one, "base_fields", ()))
    # What Django's admin reads.
    return found | {
        "p",
        "o",
        "e",
        "_to_field",
        "_popup",
        "_changelist_filters",
        "id__exact",
        "action",
        "index",
        "next",
    }


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    take_refreshes(monkeypatch, lambda _pk: None)
    with fake_vendor():
        yield build_side()


def addresses(own: Side) -> list[str]:
    """Every address of the project, with arguments that exist."""
    urls = [own.url(name, access) for name, access in COMPANY.items()]
    urls += [address(name, own) for name in OTHERS]
    urls += [filled(name) for name in SIGN_IN | OWN_ACCOUNT if name != "account_logout"]
    for route, name in all_routes():
        if route.startswith(ADMIN) and name.endswith(("_changelist", "_add")):
            urls.append(filled(name, "admin:"))
    for model in site._registry:
        first = model._default_manager.order_by("pk").first()
        if first is not None:
            try:
                urls.append(
                    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[first.pk])
                )
            except NoReverseMatch:
                continue
    return urls


def door_requests() -> dict[str, dict[str, Any]]:
    """Requests that are refused before any page, as arguments of `Client.generic`; the caller adds the address."""
    multipart = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--x--\r\n'
    return {
        "NUL in a form": {"method": "POST", "data": b"plate=a%00b", "content_type": FORM},
        "NUL in a field's name": {"method": "POST", "data": b"pl%00ate=a", "content_type": FORM},
        "NUL in a form of parts": {"method": "POST", "data": part % (b"plate", b"a\0b"), "content_type": multipart},
        "UTF-16": {"method": "POST", "data": "plate=a".encode("utf-16"), "content_type": f"{FORM}; charset=utf-16"},
        "UTF-16 said of a form of parts": {
            "method": "POST", "data": part % (b"plate", b"a"), "content_type": f"{multipart}; charset=utf-16",
        },
        "UTF-16 said of a read": {"method": "GET", "CONTENT_TYPE": f"{FORM}; charset=utf-16", "QUERY_STRING": "q=a"},
        "UTF-7": {"method": "POST", "data": b"plate=a", "content_type": f"{FORM}; charset=utf-7"},
        "a charset that nobody knows": {"method": "POST", "data": b"plate=a", "content_type": f"{FORM}; charset=klingon"},
        "a codec that is no charset": {"method": "POST", "data": b"plate=a", "content_type": f"{FORM}; charset=zlib"},
        "too many fields": {"method": "POST", "data": b"&".join([b"a=1"] * 1_001), "content_type": FORM},
        "too many fields in the query": {"method": "GET", "QUERY_STRING": "&".join(["a=1"] * 1_001)},
        "parts without a boundary": {"method": "POST", "data": b"x", "content_type": "multipart/form-data"},
        "parts with a boundary that is none": {
            "method": "POST", "data": b"x", "content_type": "multipart/form-data; boundary=\xe9",
        },
        "JSON in UTF-16": {"method": "POST", "data": '{"a": 1}'.encode("utf-16"), "content_type": "application/json"},
        "NUL in JSON": {"method": "POST", "data": b'{"a": ["\\u0000"]}', "content_type": "application/json"},
        "NUL in a name in JSON": {"method": "PUT", "data": b'{"\\u0000": 1}', "content_type": "application/json"},
        "half a surrogate pair in JSON": {"method": "POST", "data": b'"\\ud800"', "content_type": "application/problem+json"},
    }  # fmt: skip


def send(client: Client, url: str, request: dict[str, Any]) -> Any:
    """Send one of `door_requests`."""
    rest = {key: value for key, value in request.items() if key != "method"}
    return client.generic(request["method"], url, **rest)


@pytest.mark.parametrize("name", door_requests())
def test_what_cannot_be_read_is_answered_400_in_words_on_every_page(name: str, own: Side) -> None:
    client, request = own.world.support, door_requests()[name]
    # Nothing runs before that check, so one address of each kind is enough.
    for url in (
        own.world.url("overview"),
        own.world.url("permits"),
        own.world.url("permit_add"),
        reverse("account_login"),
        reverse("mfa_index"),
        reverse("admin:index"),
        reverse("admin:locations_permit_changelist"),
        address("status_page", own),
        "/healthz",
        "/static/css/app.css",
        "/no/such/page/",
    ):
        answer = send(client, url, request)
        assert (answer.status_code, SENTENCE in text_of(answer)) == (400, True), url
        assert "Content-Security-Policy" in answer, url


@pytest.mark.parametrize(
    "path", ["/%00", "/c/%00/", "/c/a%00/permits/", "/t/%00/", "/static/%00.css", "/admin/%00/"]
)
def test_an_address_with_a_nul_byte_is_answered_400(path: str, own: Side) -> None:
    for client in (Client(), own.world.support):
        assert client.get(path).status_code == 400


def test_a_cookie_with_a_nul_byte_is_no_cookie(own: Side) -> None:
    client = Client()
    client.cookies.load('sessionid="' + "a" * 31 + '\\000"')
    client.cookies["messages"] = "\0"
    answer = client.get(own.world.url("overview"))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


def test_what_browsers_send_gets_through() -> None:
    make = RequestFactory()
    for content_type in (
        FORM,
        f"{FORM}; charset=UTF-8",
        f'{FORM}; charset="utf-8"',
    ):
        request = make.generic(
            "POST", "/?q=%C3%A9%F0%9F%9A%97", b"plate=%F0%9F%9A%97", content_type=content_type
        )
        check_readable(request)
        assert request.POST["plate"] == request.GET["q"].removeprefix("é") == "🚗"
    for body in (b'{"a": "\\ud83d\\ude97"}', b"{}", b"", b"no json at all", b'"\\\\u0000"'):
        check_readable(make.generic("POST", "/", body, content_type="application/json"))


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", FORM, "multipart/form-data; boundary=x", "a/b"]),
)
def test_any_body_is_read_or_refused(body: bytes, content_type: str) -> None:
    request = RequestFactory().generic("POST", "/", body, content_type=content_type)
    try:
        check_readable(request)
    except (BadRequest, MultiPartParserError):
        return
    assert "\0" not in "".join(text for name, values in request.POST.lists() for text in (name, *values))


NONSENSE = {
    "nothing": "",
    "a huge number": "9" * 40,
    "a number of another script": "²",
    "a day long ago": "0001-01-01T00:00",
    "a day far ahead": "9999-12-31T23:59",
    "an address that is none": "http://[",
    "a long text from right to left": "\u202e\u2066%s{}{{x}}<i>'\"\\" * 20,
}
# What Django's admin itself reads; each alone, since most of it is refused before the rest is read.
ADMIN_PARAMETERS = (
    "p", "o", "e", "_to_field", "_popup", "_changelist_filters", "_facets", "id__exact", "id__in", "pk__isnull", "action",
)  # fmt: skip


@pytest.mark.parametrize("method", ["get", "post"])
def test_nonsense_in_every_parameter_is_never_a_500(method: str, own: Side) -> None:
    client = own.world.support
    client.raise_request_exception = False
    found, named = {}, sorted(parameters())
    for place, url in enumerate(addresses(own)):
        # Every address gets each kind of nonsense in some of its parameters.
        kinds = list(NONSENSE.values())
        data = {name: kinds[(at + place) % len(kinds)] for at, name in enumerate(named)}
        headers = {"HX-Request": "true"} if place % 2 else {}
        answer = client.get(url, data, headers=headers) if method == "get" else ask(client, "post", url, data)
        found[url] = answer.status_code
    assert {what: status for what, status in found.items() if status >= 500} == {}


HEADERS = {
    "Referer": ["http://[", "//", "http://testserver/\udcff".encode("utf-8", "replace").decode(), "é"],
    "HX-Current-URL": ["http://[", "http://testserver:port/", "%00", "http://testserver/%ff"],
    "HX-Target": ["%", "é"],
    "Accept-Language": ["x" * 2_000, "*;q=nan", "-"],
    "Accept": ["x", "*/", "text/html;q=x", ";;;"],
    "X-Forwarded-For": ["x", "1.2.3.4, ::", ",,,", "1" * 500],
    "User-Agent": ["", "x" * 5_000, "é"],
    "If-Modified-Since": ["yesterday", "9" * 30],
    "Cookie": [
        "sessionid=é",
        "sessionid=" + "x" * 5_000,
        "csrftoken=x",
        "messages=x",
        "a=b; =; ;",
        "sessionid",
    ],
}


@pytest.mark.parametrize("name", HEADERS)
def test_nonsense_in_a_header_is_never_a_500(name: str, own: Side) -> None:
    for client in (Client(raise_request_exception=False), own.world.support):
        client.raise_request_exception = False
        for value in HEADERS[name]:
            for url in (
                own.world.url("permits"),
                own.world.url("validity"),
                reverse("account_login"),
                "/admin/",
                "/healthz",
            ):
                for method in ("get", "post"):
                    for more in ({}, {"HX-Request": "true"}):
                        answer = getattr(client, method)(url, headers={name: value, **more})
                        assert answer.status_code < 500, (url, value, more)


@pytest.mark.parametrize("parameter", ADMIN_PARAMETERS)
def test_nonsense_in_the_admins_own_parameters_is_never_a_500(parameter: str, own: Side) -> None:
    client = own.world.support
    client.raise_request_exception = False
    key = own.things["location"].pk
    for url in (
        reverse("admin:locations_location_changelist"),
        reverse("admin:locations_permit_changelist"),
        reverse("admin:locations_location_change", args=[key]),
        reverse("admin:locations_location_delete", args=[key]),
        reverse("admin:locations_location_history", args=[key]),
        reverse("admin:autocomplete"),
    ):
        for value in NONSENSE.values():
            assert client.get(url, {parameter: value}).status_code < 500, (url, value)
            assert ask(client, "post", url, {parameter: value}).status_code < 500, (url, value)
