"""Refusals as RFC 7807 problem details, in Passport's wording (documented: `type` is a URN that starts with
``io.passportlabs:error:``, custom fields are wrapped in ``additional_details``)."""

from collections.abc import Mapping
from typing import Any

URN_PREFIX = "io.passportlabs:error:"


class Problem(Exception):
    """One refusal. Raised inside the sandbox; rendered by :meth:`document`.

    `code` is the URN's last part, `status` the HTTP status, `extra` goes into ``additional_details``.
    """

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The problem details document, ready to be written as JSON."""
        body: dict[str, Any] = {
            "type": URN_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.extra:
            body["additional_details"] = dict(self.extra)
        return body

    def at(self, index: int, total: int, *, status: int | None = None) -> "Problem":
        """The same refusal as the answer to a bulk request: it names the event's place in the request."""
        extra: Mapping[str, Any] = {"index": index, **self.extra}
        detail = self.detail
        if total > 1 and status is not None:
            detail = f"Event {index} of {total} is refused, so nothing was applied: {detail}"
        return Problem(status or self.status, self.code, detail, **extra)


def invalid(field: str, detail: str, *, code: str = "validation_error") -> Problem:
    """A 400 that names the field that is wrong."""
    return Problem(400, code, f"{field}: {detail}", field=field)
