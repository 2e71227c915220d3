"""Emails: written once, sent once, tried again, and given up only if trying can't help."""

import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail as outbox
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings
from django.utils import timezone

from integrations.models import Mail, Notice, Topic
from integrations.notifications import email_queue, notices
from locations.models import Company, Role
from tests.factories import CompanyFactory, MembershipFactory

pytestmark = pytest.mark.django_db
BROKEN = "tests.integrations.notifications.test_email_queue.BrokenBackend"


class BrokenBackend(BaseEmailBackend):
    """Fails as the test says."""

    error: Exception = smtplib.SMTPServerDisconnected("gone")

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise self.error


@pytest.fixture
def company() -> Company:
    company: Company = CompanyFactory(name="University")
    return company


def queue(company: Company, **values: Any) -> int:
    known: dict[str, Any] = {
        "kind": "alarm", "to": ["a@u.example"], "context": {"text": "Zone Z1 is gone.", "path": "/c/u/zones/"},
        "company": company, "dedupe_key": "k", "asked_by": None,
    }  # fmt: skip
    return email_queue.queue(**{**known, **values})


def test_a_mail_has_text_and_html_from_one_source(company: Company) -> None:
    queue(company)
    assert email_queue.send_due(timezone.now()) == 1

    message = outbox.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert message.subject == "University: Zone Z1 is gone."
    assert "Zone Z1 is gone." in message.body
    assert "Zone Z1 is gone." in html
    assert 'href="http://127.0.0.1:8000/c/u/zones/"' in html


def test_what_people_typed_is_text_in_html_and_no_header(company: Company) -> None:
    company.name = "<b>Evil</b>\r\nBcc: x@y.example"
    queue(company)
    email_queue.send_due(timezone.now())

    message = outbox.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    assert "<b>Evil" not in str(message.alternatives[0][0])
    assert "\n" not in message.subject
    assert message.recipients() == ["a@u.example"]


def test_queued_twice_it_is_one_email_for_each_address(company: Company) -> None:
    assert queue(company, to=["a@u.example", "b@u.example", "a@u.example"]) == 2
    assert queue(company, to=["a@u.example"]) == 0
    assert queue(company, to=["a@u.example"], dedupe_key="another") == 1


def test_sent_is_sent(company: Company) -> None:
    queue(company)
    now = timezone.now()
    assert email_queue.send_due(now) == 1
    assert email_queue.send_due(now + timedelta(days=1)) == 0
    assert len(outbox.outbox) == 1


def test_a_mail_that_another_worker_has_is_left_to_it(company: Company) -> None:
    queue(company)
    now = timezone.now()
    mail = Mail.objects.get()
    # What another worker's claim does between reading and claiming here.
    Mail.objects.filter(pk=mail.pk).update(next_attempt_at=now + timedelta(seconds=email_queue.LEASE_S))
    assert email_queue.send_due(now) == 0
    assert outbox.outbox == []


def test_a_worker_that_died_gives_its_mail_back(company: Company) -> None:
    queue(company)
    now = timezone.now()
    Mail.objects.update(next_attempt_at=now + timedelta(seconds=email_queue.LEASE_S), attempts=1)
    assert email_queue.send_due(now + timedelta(seconds=email_queue.LEASE_S + 1)) == 1


@override_settings(EMAIL_BACKEND=BROKEN)
def test_a_server_that_is_down_is_tried_again_at_growing_intervals(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(company)
    monkeypatch.setattr(BrokenBackend, "error", smtplib.SMTPServerDisconnected("gone"))
    now = timezone.now()
    assert email_queue.send_due(now) == 0

    mail = Mail.objects.get()
    assert mail.state == Mail.State.DUE
    assert mail.next_attempt_at > now
    assert "SMTPServerDisconnected" in mail.error
    pauses = [email_queue.pause_s(attempts) for attempts in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == email_queue.LONGEST_PAUSE_S


@override_settings(EMAIL_BACKEND=BROKEN)
@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (smtplib.SMTPRecipientsRefused({"a@u.example": (550, b"no such user")}), True),
        (smtplib.SMTPRecipientsRefused({"a@u.example": (450, b"greylisted")}), False),
        (smtplib.SMTPDataError(554, b"spam"), True),
        (smtplib.SMTPAuthenticationError(535, b"bad password"), False),
        (ConnectionRefusedError(), False),
        (TimeoutError(), False),
    ],
)
def test_only_a_refusal_of_this_very_mail_ends_it(
    company: Company, monkeypatch: pytest.MonkeyPatch, error: Exception, permanent: bool
) -> None:
    queue(company)
    monkeypatch.setattr(BrokenBackend, "error", error)
    email_queue.send_due(timezone.now())

    assert Mail.objects.get().state == (Mail.State.FAILED if permanent else Mail.State.DUE)
    assert Notice.objects.filter(kind="mail_failed").exists() is permanent


def test_one_bad_mail_does_not_hold_up_the_others(company: Company) -> None:
    queue(company, to=["bad\n@u.example", "a@u.example"])
    assert email_queue.send_due(timezone.now()) == 1
    assert Mail.objects.get(to="a@u.example").state == Mail.State.SENT


def test_a_mail_keeps_its_message_id_over_all_tries(company: Company) -> None:
    queue(company)
    mail = Mail.objects.get()
    first, again = email_queue.message(mail), email_queue.message(mail)
    assert first.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]


def test_operators_and_managers_hear_of_it_viewers_do_not() -> None:
    company = CompanyFactory()
    for role in Role.values:
        MembershipFactory(company=company, role=role, user__email=f"{role}@u.example")
    for topic in Topic:
        assert email_queue.people_of(company, topic) == ["operator@u.example", "manager@u.example"]
        assert email_queue.people_of(None, topic) == ["support@offstreet.example"]


def test_an_alarm_is_mailed_once_for_as_long_as_it_stays_open() -> None:
    company = MembershipFactory().company
    for text in ("Zone Z1 is gone.", "Zone Z1 is still gone."):
        notices.tell(company, "zone_missing", Notice.Level.DANGER, text, "/c/u/", "zone:1")
    assert Mail.objects.count() == 1

    notices.resolve("zone:1")
    notices.tell(company, "zone_missing", Notice.Level.DANGER, "Gone again.", "/c/u/", "zone:1")
    assert Mail.objects.count() == 2


def test_a_notice_that_is_no_alarm_is_not_mailed(company: Company) -> None:
    notices.tell(company, "live", Notice.Level.SUCCESS, "Live.", "/c/u/", "live:1")
    assert not Mail.objects.exists()
    assert datetime.now(UTC) >= Notice.objects.get().created_at
