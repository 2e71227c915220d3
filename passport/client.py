"""The only module that speaks HTTP (and imports httpx): one small pool, hard limits, only our own exceptions.

Each request has time-outs for connecting, reading and writing, and one in total (`passport.limits`). Each answer is capped
in size and must be uncompressed, since a compressed one could grow beyond any cap. Cookies are not kept. A request carries
its own `Passport-Labs-Client-Trace-Id` (observed: H3), which is logged and kept as evidence. On 401 the token
is dropped, fetched again once, and the call repeated once (observed: T5). Keys are rows of docs/passport-api.md, such as H3.

httpx's pool slows down badly beyond about twenty connections in use. More than that are only used while requests hang;
instead, many events travel in one request.

`Refused(answer)` never escapes as httpx's exception: `request` returns an `Answer` or raises `TryLater`.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import orjson
import structlog
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.vendors.errors import FixConnection, Intercepted, TryLater
from passport.http_answer import Answer, answer_error, broken_off, without_end
from passport.limits import SOCKET_OPTIONS, Deadline, LimitedBackend, whole_time
from passport.listing import ListParser
from passport.problems import read_json, read_problem, unreadable
from passport.tokens import FetchedToken, TokenStore

log = structlog.get_logger(__name__)

# A worker's senders use half of these as long as their requests are answered. The other half is for requests that hang
# (`integrations.delivery.fair_share`), and a few for its periodic tasks. All stay open when idle: with fewer, httpx closes
# one and opens another at once, and for a moment there are more than this.
MAX_CONNECTIONS = 40
KEPT_FOR_S = 30
EVENT_ANSWER_MAX_BYTES = 2_000_000
LIST_ANSWER_MAX_BYTES = 50_000_000
TOKEN_ANSWER_MAX_BYTES = 64_000
MAX_PAGES = 200
TRACE_HEADER = "Passport-Labs-Client-Trace-Id"

TOKENS_PATH = "/v3/shared/access-tokens"
ZONES_PATH = "/v3/shared/zones"
EVENTS_PATH = "/v3/shared/events"
RIGHTS_PATH = "/v4/enforcement/parking-rights"


@dataclass(frozen=True, slots=True)
class Config:
    """Where to call, and with which credentials; times in seconds."""

    base_url: str
    client_id: str
    client_secret: str
    audience: str
    connect_timeout_s: float = 3
    read_timeout_s: float = 6
    total_timeout_s: float = 8


class _NoCookies(CookieJar):
    """Keeps no cookies: Passport needs none, and a server could fill the jar endlessly."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore them."""


def limited_transport() -> httpx.BaseTransport:
    """Return httpx's own transport with few connections and a limit on each request's total time."""
    limits = httpx.Limits(
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEPT_FOR_S,
    )
    transport = httpx.HTTPTransport(limits=limits, retries=0, socket_options=SOCKET_OPTIONS)
    # httpx offers no way to hand its pool a network backend; tests/passport/test_client_limits.py notices if this moves.
    transport._pool._network_backend = LimitedBackend()
    return transport


class PassportClient:
    """One partner application's view of Passport's API. Safe to share between threads."""

    def __init__(
        self,
        config: Config,
        *,
        tokens: TokenStore,
        transport: httpx.BaseTransport | None = None,
        before_request: Callable[[], None] = lambda: None,
    ) -> None:
        """Tests pass a `transport`; `before_request` may wait (a limit of requests per second).

        The token request skips that wait, since all others wait for the token.
        """
        self._config = config
        self._tokens = tokens
        self._before_request = before_request
        self._http = httpx.Client(
            base_url=config.base_url,
            transport=transport or limited_transport(),
            timeout=httpx.Timeout(
                connect=config.connect_timeout_s,
                read=config.read_timeout_s,
                write=config.read_timeout_s,
                pool=config.total_timeout_s,
            ),
            follow_redirects=False,
            trust_env=False,
            cookies=_NoCookies(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Offstreet"},
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # -- calls -----------------------------------------------------------------------------------------------

    def check_token(self) -> None:
        """Make sure that there is a token; raise `DeliveryError`."""
        self._tokens.get(self._fetch_token)

    def post_events(self, event_type: str, events: list[dict[str, Any]], *, trace_id: str) -> Answer:
        """Send events of one type in one request (documented: P1, P2).

        Returns the answer whatever its status; raises `DeliveryError` if there is none, or no token.
        """
        body = orjson.dumps({"type": event_type, "version": "3.0.0", "data": events})
        return self._call(
            "POST", EVENTS_PATH, body=body, limit_bytes=EVENT_ANSWER_MAX_BYTES, trace_id=trace_id
        )

    def list_zones(self, operator_id: str) -> list[Any]:
        """Return the documents of an operator's zones (observed: Z1); raise `DeliveryError`."""
        return self._list(ZONES_PATH, {"operator_id": operator_id})

    def list_rights(self, params: Mapping[str, str]) -> list[Any]:
        """Return the documents of the rights that have not ended (observed: R1; assumed: R3); raise `DeliveryError`."""
        return self._list(RIGHTS_PATH, dict(params))

    def read_rights(self, params: Mapping[str, str], take: Callable[[Any], None]) -> None:
        """Hand the documents of the parking rights (see `list_rights`) to `take` as they arrive; raise `DeliveryError`."""
        url, query, seen = RIGHTS_PATH, dict(params), set[str]()
        for _page in range(MAX_PAGES):
            parser = ListParser(take)
            answer = self._call(
                "GET",
                url,
                params=query,
                limit_bytes=LIST_ANSWER_MAX_BYTES,
                trace_id=new_trace_id(),
                parser=parser,
            )
            if error := answer_error(answer):
                raise error
            try:
                parser.close()
            except ValueError:
                raise broken_off(answer.status, answer.trace_id) from None
            following = self._following(answer, parser.rest, url, seen)
            if following is None:
                return
            url, query = following, {}
        raise without_end(MAX_PAGES)

    # -- how -------------------------------------------------------------------------------------------------

    def _list(self, path: str, params: dict[str, str]) -> list[Any]:
        """Read a list wrapped as `{"data": […]}` (observed: F3), following `next` links (assumed: F4)."""
        entries: list[Any] = []
        url, query, seen = path, params, set[str]()
        for _page in range(MAX_PAGES):
            answer = self._call(
                "GET", url, params=query, limit_bytes=LIST_ANSWER_MAX_BYTES, trace_id=new_trace_id()
            )
            if error := answer_error(answer):
                raise error
            document = answer.document
            data = document.get("data") if isinstance(document, dict) else None
            if not isinstance(data, list):
                raise unreadable(
                    _("Passport's answer could not be read."), status=answer.status, trace_id=answer.trace_id
                )
            entries += data
            following = self._following(answer, document, url, seen)
            if following is None:
                return entries
            url, query = following, {}
        raise without_end(MAX_PAGES)

    def _following(self, answer: Answer, document: dict[str, Any], url: str, seen: set[str]) -> str | None:
        """Return the next page and note it in `seen`; None at the end, where a page may point to itself."""
        following = self._next_page(answer, document)
        if following is None or following == url:
            return None
        if following in seen:
            sentence = _("Passport's list goes in circles, so its end is not known.")
            raise unreadable(sentence, status=answer.status, trace_id=answer.trace_id)
        seen.add(following)
        return following

    def _next_page(self, answer: Answer, document: dict[str, Any]) -> str | None:
        """Return the path of the next page; only on Passport's own host, since the token travels along."""
        links = document.get("links")
        candidates = [document.get("next"), links.get("next") if isinstance(links, dict) else None]
        link = next((c for c in candidates if c), None)
        if isinstance(link, dict):
            link = link.get("href")
        if not link:
            link = httpx.Response(200, headers=dict(answer.headers)).links.get("next", {}).get("url")
        if not isinstance(link, str) or not link:
            return None
        try:
            base, target = urlsplit(self._config.base_url), urlsplit(link)
            httpx.URL(link)
        except (ValueError, httpx.InvalidURL):
            raise unreadable(
                _("Passport's answer could not be read."), status=answer.status, trace_id=answer.trace_id
            ) from None
        if target.netloc and (target.scheme, target.netloc) != (base.scheme, base.netloc):
            raise unreadable(
                _("Passport's list continues on another host."),
                status=answer.status,
                trace_id=answer.trace_id,
            )
        return f"{target.path}?{target.query}" if target.query else target.path

    def _call(
        self,
        method: str,
        url: str,
        *,
        limit_bytes: int,
        trace_id: str,
        params: dict[str, str] | None = None,
        body: bytes | None = None,
        parser: ListParser | None = None,
    ) -> Answer:
        """Call with the token; on 401 drop it, fetch a new one once and repeat once (observed: T5)."""
        token = self._tokens.get(self._fetch_token)
        answer = self._request(method, url, limit_bytes, trace_id, params, body, token.secret, parser=parser)
        if answer.status == 401:
            self._tokens.drop(token)
            token = self._tokens.get(self._fetch_token)
            answer = self._request(
                method, url, limit_bytes, new_trace_id(), params, body, token.secret, parser=parser
            )
        return answer

    def _request(
        self,
        method: str,
        url: str,
        limit_bytes: int,
        trace_id: str,
        params: dict[str, str] | None,
        body: bytes | None,
        token: str | None,
        content_type: str = "application/json",
        parser: ListParser | None = None,
    ) -> Answer:
        """Send one request; the body of a success goes to `parser`, where there is one, and is not kept."""
        headers = {TRACE_HEADER: trace_id}
        if body is not None:
            headers["Content-Type"] = content_type
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
            self._before_request()
        began, is_answered = time.monotonic(), False
        try:
            with (
                whole_time(self._config.total_timeout_s) as deadline,
                self._http.stream(
                    method, url, params=params or None, content=body, headers=headers
                ) as response,
            ):
                is_answered = True
                parser = parser if response.is_success else None
                content = _read_capped(response, limit_bytes, trace_id, deadline, parser)
                status, answer_headers = response.status_code, dict(response.headers)
            # The response and its stream hold each other, and with them the body that was sent: 50 kB that would wait for the
            # garbage collector.
            response.stream = httpx.ByteStream(b"")
        except (httpx.TimeoutException, httpcore.TimeoutException) as error:
            raise TryLater(
                _("Passport did not answer in time."), code="timeout", trace_id=trace_id
            ) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            if is_answered and parser is not None:
                raise broken_off(None, trace_id) from error
            raise TryLater(_("Passport can't be reached."), code="unreachable", trace_id=trace_id) from error
        took_ms = round((time.monotonic() - began) * 1000)
        log.debug(
            "request",
            method=method,
            path=urlsplit(url).path,
            status=status,
            trace_id=trace_id,
            took_ms=took_ms,
        )
        # The parser read a document; the answer is judged as one that has one.
        document = read_json(content) if parser is None else {}
        return Answer(status, answer_headers, content, document, trace_id)

    def _fetch_token(self) -> FetchedToken:
        """Ask for an access token (documented: T1, T2); raise `DeliveryError`."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "client_secret": self._config.client_secret,
            "audience": self._config.audience,
        }
        trace_id = new_trace_id()
        answer = self._request(
            "POST", TOKENS_PATH, TOKEN_ANSWER_MAX_BYTES, trace_id, None, orjson.dumps(form), token=None
        )
        if answer.status in (400, 401, 403) and not answer.is_markup:
            raise FixConnection(
                _("Passport does not accept our credentials."),
                scope="host",
                code=read_problem(answer.document).code or "credentials",
                remedy=_("Support: check PASSPORT_CLIENT_ID and PASSPORT_CLIENT_SECRET."),
                status=answer.status,
                trace_id=trace_id,
            )
        if error := answer_error(answer):
            # A failure here is not the fault of the record that happened to need the token.
            if isinstance(error, TryLater) and not isinstance(error, Intercepted):
                raise error
            raise TryLater(error.sentence, code="token", status=answer.status, trace_id=trace_id)
        token = FetchedToken.read(answer.document, now=timezone.now())
        if token is None:
            raise unreadable(
                _("Passport's access token could not be read."), status=answer.status, trace_id=trace_id
            )
        return token


def new_trace_id() -> str:
    """Return a fresh id for one request."""
    return uuid.uuid4().hex


def _read_capped(
    response: httpx.Response, limit_bytes: int, trace_id: str, deadline: Deadline, parser: ListParser | None
) -> bytes:
    """Read the body up to the cap; a longer one is an answer that can't be read. What a parser gets is not returned.

    A body in an encoding that we did not ask for is not read, since a few bytes of it may expand to gigabytes. Where the
    status says enough, the answer counts as one without a body.
    """
    if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        if response.is_success:
            sentence = _("Passport's answer could not be read.")
            raise unreadable(sentence, status=response.status_code, trace_id=trace_id)
        return b""
    chunks, size = [], 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > limit_bytes:
            sentence = _("Passport's answer is longer than %(size)g MB, so it is not read.")
            raise unreadable(
                sentence % {"size": limit_bytes / 1_000_000}, status=response.status_code, trace_id=trace_id
            )
        if parser is None:
            chunks.append(chunk)
        else:
            try:
                parser.feed(chunk)
            except (ValueError, RecursionError, StopIteration):
                raise unreadable(
                    _("Passport's answer could not be read."), status=response.status_code, trace_id=trace_id
                ) from None
        deadline.cap(None)
    return b"".join(chunks)
