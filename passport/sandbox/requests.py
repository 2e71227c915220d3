"""One request as the simulator sees it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from .jsonio import loads
from .problems import Problem

TRACE_HEADER = "passport-labs-client-trace-id"
_UNREAD = object()


class Request:
    """Method, path, query, headers and body. `headers` have lower-case names; `json` parses the body once."""

    __slots__ = ("_json", "body", "headers", "kind", "method", "operator_id", "path", "query")

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.kind = "unknown"
        self.operator_id: str | None = None
        self._json: Any = _UNREAD

    @property
    def json(self) -> Any:
        """The body as JSON; a Problem if it is not."""
        if self._json is _UNREAD:
            try:
                self._json = loads(self.body)
            except ValueError:
                raise Problem(400, "malformed_body", "The body is not JSON.") from None
        return self._json

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameters(self) -> dict[str, str]:
        """The query's parameters; one that is repeated is refused."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise Problem(400, "validation_error", "The query could not be read.") from None
        parameters = dict(pairs)
        if len(parameters) != len(pairs):
            raise Problem(400, "validation_error", "A parameter of the query is repeated.")
        return parameters

    def guess_operator(self) -> str | None:
        """The operator that the request is about, in lower case, without insisting on a well-formed request."""
        operator: Any = None
        if self.kind in ("zones", "rights"):
            operator = dict(parse_qsl(self.query)).get("operator_id")
        elif self.kind == "events":
            try:
                operator = self.json["data"][0]["operator_id"]
            except (Problem, LookupError, TypeError):
                return None
        return operator.lower() if isinstance(operator, str) else None
