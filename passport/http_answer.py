"""One answer over HTTP, whole, and what is wrong with it: its status first, then whether it can be read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.vendors.errors import DeliveryError, TryLater
from passport.problems import error_for, unreadable


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer; `document` is None if the body is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    document: Any
    trace_id: str

    @property
    def is_markup(self) -> bool:
        """Whether an HTML page came instead of a document (from a proxy)."""
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip()[:1] == b"<"

    @property
    def is_broken_json(self) -> bool:
        """Whether the answer claims to be JSON but is not."""
        return (
            bool(self.body.strip())
            and self.document is None
            and "json" in self.headers.get("content-type", "").lower()
        )


def answer_error(answer: Answer) -> DeliveryError | None:
    """Return what is wrong with an answer, or None: its status first, then whether it can be read."""
    error = error_for(
        answer.status,
        answer.document,
        headers=answer.headers,
        now=timezone.now(),
        trace_id=answer.trace_id,
        is_markup=answer.is_markup,
    )
    if error is None and (answer.is_markup or answer.is_broken_json):
        return unreadable(
            _("Passport's answer could not be read."), status=answer.status, trace_id=answer.trace_id
        )
    return error


def broken_off(status: int | None, trace_id: str) -> TryLater:
    """Return the error for a list that was cut off."""
    return unreadable(_("Passport's list broke off before its end."), status=status, trace_id=trace_id)


def without_end(pages: int) -> TryLater:
    """Return the error for a list of more pages than are read."""
    sentence = _("Passport's list has more than %(pages)d pages, so it is not read.") % {"pages": pages}
    return unreadable(sentence, status=None, trace_id="")
