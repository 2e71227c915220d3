"""The demo's mailbox: emails are kept in a folder instead of being sent, and two pages show them.

The folder (`DEMO_MAILBOX`) is a Maildir, so any mail program opens it as well. The pages are open to anybody, as the
passwords of the demo are known to everybody; they don't exist without that setting or in production, which refuses to
start with it (`offstreet.guards`).
"""

import email.policy
import mailbox
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage as OutgoingMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

# The page lists so many, newest first; the folder keeps all.
LISTED = 100
# A Maildir's name for a message begins with the time at which it came: seconds, then microseconds.
_ARRIVED = re.compile(r"(\d{1,11})\.M(\d{1,6})P")
# Names are made from a counter of this process, which threads share.
_adding = threading.Lock()


class MailboxBackend(BaseEmailBackend):
    """Django's email backend for the demo: keeps each message in `DEMO_MAILBOX`."""

    def send_messages(self, email_messages: Sequence[OutgoingMessage]) -> int:
        """Keep the messages; return how many there were."""
        with _adding:
            folder = _folder()
            for message in email_messages:
                folder.add(message.message().as_bytes())
        return len(email_messages)


@dataclass(frozen=True, slots=True)
class KeptMail:
    """An email as the pages show it; `key` names it in its address, `text` is its plain-text part."""

    key: str
    at: datetime
    to: str
    subject: str
    text: str


@require_safe
def demo_mails(request: HttpRequest) -> HttpResponse:
    """List the emails, newest first."""
    folder = _open_folder()
    keys = sorted(folder.keys(), key=_arrived, reverse=True)
    mails = [_read(folder, key) for key in keys[:LISTED]]
    return render(request, "offstreet/demo_mails.html", {"mails": mails, "count": len(keys)})


@require_safe
def demo_mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    """Show one email; its links can be followed."""
    folder = _open_folder()
    # Only what the folder lists is opened, so a mail_id leads to no other file.
    if mail_id not in folder.keys():  # noqa: SIM118 - `in folder` would take any path
        raise Http404
    return render(request, "offstreet/demo_mail.html", {"mail": _read(folder, mail_id)})


def _open_folder() -> mailbox.Maildir:
    """Return the folder for a page; raise 404 where there is no demo."""
    if settings.PRODUCTION or not settings.DEMO_MAILBOX:
        raise Http404
    return _folder()


def _folder() -> mailbox.Maildir:
    return mailbox.Maildir(settings.DEMO_MAILBOX, factory=_parse, create=True)


def _parse(file: Any) -> Any:
    """Read a message with decoded headers; typeshed knows only the older kind of message."""
    return email.message_from_binary_file(file, policy=email.policy.default)


def _read(folder: mailbox.Maildir, key: str) -> KeptMail:
    message: Any = folder[key]
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    seconds, microseconds = _arrived(key)
    return KeptMail(
        key=key,
        at=datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds),
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or ""),
        text=part.get_content() if part is not None else "",
    )


def _arrived(key: str) -> tuple[int, int]:
    """Return when a message came, from its name; the beginning of time for a name that another program made."""
    found = _ARRIVED.match(key)
    return (int(found[1]), int(found[2])) if found else (0, 0)
