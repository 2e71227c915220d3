"""A mail server that takes long for each email: no other worker sends one that is being sent or was sent."""

import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from integrations.models import Mail
from integrations.notifications import email_queue

pytestmark = pytest.mark.django_db


class SlowServer:
    """Takes this long for each email; after each, another worker looks for emails too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, each_s: float) -> None:
        self.sent: list[str] = []
        self.passed_s, self._each_s, self._others = 0.0, each_s, True
        self.began = timezone.now()
        monkeypatch.setattr(time, "monotonic", lambda: self.passed_s)
        monkeypatch.setattr(EmailMultiAlternatives, "send", lambda mail, *_args, **_rest: self._take(mail))

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed_s)

    def _take(self, mail: Any) -> int:
        self.passed_s += self._each_s
        if self._others:
            self._others = False
            email_queue.send_due(self.now(), most=1)
            self._others = True
        self.sent.append(mail.to[0])
        return 1


def test_each_mail_is_sent_once_however_long_the_ones_before_took(monkeypatch: pytest.MonkeyPatch) -> None:
    email_queue.write(
        kind="alarm",
        to=[f"a{number}@u.example" for number in range(9)],
        subject="s",
        text="t",
        company=None,
        dedupe_key="k",
        asked_by=None,
    )
    # Together they take several leases, each of them less than one.
    server = SlowServer(monkeypatch, each_s=0.9 * email_queue.LEASE_S)
    email_queue.send_due(server.now())
    while email_queue.send_due(server.now()):
        pass
    assert Counter(server.sent) == Counter(f"a{number}@u.example" for number in range(9))
    assert set(Mail.objects.values_list("state", "attempts")) == {(Mail.State.SENT, 1)}
