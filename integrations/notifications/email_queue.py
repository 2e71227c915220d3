"""Mails: written in the transaction of what they tell of, sent by the workers afterwards.

`queue` renders a mail and keeps it as *due*; `send_due` sends. So a mail server that is away delays a mail and nothing
else, and what was undone is never mailed. A mail is claimed right before it is sent by moving its `next_attempt_at` on in
one conditional update: of any number of workers one gets it, and has `LEASE_S` for it alone, however long the mails before
it took. A worker that dies in the middle gives it back after that; the mail keeps its Message-ID over all tries, so that a
server which had it already recognises it.

Trouble with the mail server is tried again for ever, with growing pauses; only a permanent refusal of this very mail
(its address, its content) makes it *failed*, which people are told.

What a mail quotes is made harmless (`integrations.notifications.mail_text`): no link in it leads anywhere but to this site.

The text is the one source: `templates/mail/<kind>.txt`, whose first line is the subject; the HTML part is the same text
in one plain layout. The link that confirms a test plate is no part of what is kept: the secret is put in only when the
mail leaves (see `integrations.notifications.signed_links`).
"""

import smtplib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db import connection as db
from django.db.models import BooleanField, Case, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Now
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Contact, Mail, MailChoice, Notice, Topic
from integrations.notifications import mail_limits, signed_links
from integrations.notifications.mail_text import harmless
from locations.models import Company, Membership, Role, User

log = structlog.get_logger(__name__)

# Longer than any one attempt may take: each of SMTP's eight or so steps has EMAIL_TIMEOUT (15 s).
LEASE_S = 300
FIRST_PAUSE_S = 30
LONGEST_PAUSE_S = 3_600
SUBJECT_MAX_CHARS = 200


# --- Writing ------------------------------------------------------------------------------------------------------


def queue(
    *,
    kind: str,
    to: str | Iterable[str],
    context: Mapping[str, Any],
    company: Company | None,
    dedupe_key: str,
    asked_by: User | None,
) -> int:
    """Keep one mail for each address as due; return how many are new.

    `kind` names the template; `dedupe_key` makes it one mail per address however often the event is told. Call it in
    the transaction of the event. `context` gets `company`, `site_url` and `support_email` added. With `asked_by`, the
    mails count against that person's limit, the company's and the receivers': raises `ValidationError` (see
    `integrations.notifications.mail_limits`). It is None for what nobody asked for, and for what was counted when it was
    asked for.
    """
    addresses = [to] if isinstance(to, str) else list(dict.fromkeys(address.strip() for address in to))
    known = {"company": company, "site_url": settings.SITE_URL, "support_email": settings.SUPPORT_EMAIL}
    subject, text = render(kind, {**known, **context})
    return write(
        kind=kind,
        to=addresses,
        subject=subject,
        text=text,
        company=company,
        dedupe_key=dedupe_key,
        asked_by=asked_by,
    )


def write(
    *,
    kind: str,
    to: Iterable[str],
    subject: str,
    text: str,
    company: Company | None,
    dedupe_key: str,
    asked_by: User | None,
) -> int:
    """Keep a ready text as one due mail for each address; return how many are new. See `queue`."""
    # The database's time, by which the workers go: the clock of this machine may be wrong. With SQLite it is the same one.
    now: Any = Now() if db.vendor == "postgresql" else timezone.now()
    new, to = 0, list(to)
    if asked_by is not None:
        mail_limits.charge(asked_by=asked_by, company=company, to=to, kind=kind)
    subject, text = (harmless(part, own=settings.SITE_URL) for part in (subject, text))
    subject = " ".join(subject.split())[:SUBJECT_MAX_CHARS]
    html = render_to_string("mail/layout.html", {"subject": subject, "paragraphs": paragraphs(text)})
    for address in to:
        try:
            with transaction.atomic():
                Mail.objects.create(
                    company=company,
                    kind=kind,
                    dedupe_key=f"{dedupe_key}:{address}"[:160],
                    to=address,
                    subject=subject,
                    text=text,
                    html=html,
                    created_at=now,
                    next_attempt_at=now,
                )
        except IntegrityError:
            if not Mail.objects.filter(dedupe_key=f"{dedupe_key}:{address}"[:160]).exists():
                raise
            continue
        new += 1
    return new


def render(kind: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Return the subject (one line) and the text of a mail."""
    rendered = render_to_string(f"mail/{kind}.txt", dict(context)).strip()
    subject, _newline, text = rendered.partition("\n")
    return " ".join(subject.split())[:SUBJECT_MAX_CHARS], text.strip() + "\n"


def paragraphs(text: str) -> list[list[str]]:
    """Return a text's paragraphs, each as its lines."""
    return [part.splitlines() for part in text.strip().split("\n\n") if part.strip()]


# --- To whom ------------------------------------------------------------------------------------------------------


# Who gets mails without having chosen anything: those who work with the integration.
TOLD_BY_DEFAULT = (Role.OPERATOR, Role.MANAGER)


def people_of(company: Company | None, topic: Topic) -> list[str]:
    """The addresses of the members who get mails of this topic; without a company, support's.

    Support's own address gets all that is for support, whoever of support wants it besides.
    """
    if company is None:
        return list(
            dict.fromkeys([settings.SUPPORT_EMAIL, *support_told(topic).values_list("email", flat=True)])
        )
    return list(members_told(company, topic).values_list("user__email", flat=True))


def members_told(company: Company, topic: Topic) -> QuerySet[Membership]:
    """The members who get mails of this topic: by what they chose, or else by their role."""
    chosen = MailChoice.objects.filter(membership=OuterRef("pk"), topic=topic).values("wanted")[:1]
    by_role = Case(
        When(role__in=TOLD_BY_DEFAULT, then=Value(True)), default=Value(False), output_field=BooleanField()
    )
    members = company.memberships.filter(user__is_active=True)
    return members.annotate(told=Coalesce(Subquery(chosen), by_role)).filter(told=True).order_by("pk")


def support_told(topic: Topic) -> QuerySet[User]:
    """The people of support who get support's mails of this topic in their own mailbox as well."""
    people = User.objects.filter(is_active=True, is_staff=True)
    return people.filter(mail_choices__topic=topic, mail_choices__wanted=True).order_by("pk")


def contacts_of(company: Company, *kinds: str) -> list[str]:
    """The addresses that the company has set for these kinds of contact."""
    return list(
        Contact.objects.filter(company=company, kind__in=kinds).order_by("pk").values_list("email", flat=True)
    )


# --- Sending ------------------------------------------------------------------------------------------------------


def send_due(now: datetime, *, most: int = 50) -> int:
    """Send what is due, at most `most` mails; return how many were sent. Call it outside of a transaction.

    `now` is the database's time, by which all workers go.
    """
    sent, clock = 0, _clock(now)
    # No mail ever waits for longer than that: a time beyond it was stored by a clock that was wrong.
    longest = timedelta(seconds=LONGEST_PAUSE_S + LEASE_S)
    come = Q(next_attempt_at__lte=now) | Q(next_attempt_at__gt=now + longest)
    due = Mail.objects.filter(come, state=Mail.State.DUE).order_by("next_attempt_at", "pk")
    for mail in due[:most]:
        # From now, and not from the first one: the mails before may have taken minutes.
        until = clock() + timedelta(seconds=LEASE_S)
        if _unclaimed(mail).update(next_attempt_at=until, attempts=mail.attempts + 1):
            mail.next_attempt_at, mail.attempts = until, mail.attempts + 1
            sent += _send(mail, clock)
    return sent


def _clock(now: datetime) -> Callable[[], datetime]:
    """Return a clock that goes on from the database's time."""
    began_s = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began_s)


def _unclaimed(mail: Mail) -> QuerySet[Mail]:
    """Return the mail for as long as no other worker has claimed it since it was read."""
    return Mail.objects.filter(pk=mail.pk, state=Mail.State.DUE, next_attempt_at=mail.next_attempt_at)


def _send(mail: Mail, clock: Callable[[], datetime]) -> int:
    try:
        message(mail).send()
    except Exception as error:  # noqa: BLE001
        # Whatever the back end raises, the mail is kept and the other mails go on.
        if is_permanent(error):
            _give_up(mail, error)
        else:
            pause = timedelta(seconds=pause_s(mail.attempts))
            _unclaimed(mail).update(next_attempt_at=clock() + pause, error=_words(error))
            log.warning(
                "mail not sent, will be tried again", mail=mail.pk, kind=mail.kind, error=type(error).__name__
            )
        return 0
    Mail.objects.filter(pk=mail.pk).update(state=Mail.State.SENT, sent_at=clock(), error="")
    return 1


def message(mail: Mail) -> EmailMultiAlternatives:
    """Return the message as it leaves; its secret link, if it has one, is put in here."""
    text, html = signed_links.fill(mail.dedupe_key, mail.text), signed_links.fill(mail.dedupe_key, mail.html)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    built = EmailMultiAlternatives(
        subject=mail.subject,
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mail.to],
        reply_to=[settings.SUPPORT_EMAIL],
        headers={
            "Message-ID": f"<mail-{mail.pk}-{int(mail.created_at.timestamp())}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    built.attach_alternative(html, "text/html")
    return built


def is_permanent(error: Exception) -> bool:
    """Whether trying this very mail again can't help: a 5xx for its address or content, or an impossible header."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _reason in error.recipients.values()]
        return bool(codes) and all(500 <= code < 600 for code in codes)
    if isinstance(error, smtplib.SMTPDataError):
        return 500 <= error.smtp_code < 600
    # `BadHeaderError` is a ValueError: a line break in an address or a subject.
    return isinstance(error, ValueError)


def pause_s(attempts: int) -> int:
    """Return how long to wait after the given number of tries: 30 s, doubled each time, at most an hour."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S << min(max(attempts - 1, 0), 10))


def _give_up(mail: Mail, error: Exception) -> None:
    with transaction.atomic():
        Mail.objects.filter(pk=mail.pk).update(state=Mail.State.FAILED, error=_words(error))
        # A notice, and not `notices.tell`: its alarms are mails themselves.
        Notice.objects.create(
            company=mail.company,
            kind="mail_failed",
            level=Notice.Level.WARNING,
            text=_("The email “%(subject)s” to %(to)s was refused permanently. Check the address.")
            % {"subject": mail.subject, "to": mail.to},
            created_at=timezone.now(),
        )
    log.warning("mail refused for good", mail=mail.pk, kind=mail.kind, error=type(error).__name__)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
