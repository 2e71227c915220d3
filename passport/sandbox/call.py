"""One request to Passport's API, as faults and rules see it."""

from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from .problems import Problem

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 50


class Call:
    """A request with its body read. `kind` is what it is about: one of ``faults.PATHS`` but ``all``."""

    def __init__(self, kind: str, request: Request, body: bytes) -> None:
        self.kind = kind
        self.request = request
        self.body = body
        self.path: str = request.scope["path"]
        self.query = request.scope["query_string"].decode("latin-1")

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return self.request.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def json(self) -> Any:
        """The body as JSON; a Problem if it is not."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            raise Problem(400, "malformed_body", "The body is not JSON.") from None

    @cached_property
    def operator_id(self) -> str | None:
        """The operator that the request is about, in lower case, without insisting on a well-formed request."""
        operator: Any = None
        if self.kind in ("zones", "rights"):
            operator = self.request.query_params.get("operator_id")
        elif self.kind == "events":
            try:
                operator = self.json["data"][0]["operator_id"]
            except (Problem, LookupError, TypeError):
                return None
        return operator.lower() if isinstance(operator, str) else None

    def parameters(self, *allowed: str) -> dict[str, str]:
        """The query's parameters; one that is not `allowed`, or repeated, is refused."""
        pairs = self.request.query_params.multi_items()
        parameters = dict(pairs)
        if len(parameters) != len(pairs):
            raise Problem(400, "validation_error", "A parameter of the query is repeated.")
        for name in sorted(parameters.keys() - set(allowed)):
            raise Problem(400, "validation_error", f"{name}: is not a parameter of {self.path}")
        return parameters


def read_form(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; a Problem if it can't be read or repeats a field."""
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Problem(400, "malformed_body", "The body is not a form.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(400, "malformed_body", "A field of the form is repeated.")
    return fields
