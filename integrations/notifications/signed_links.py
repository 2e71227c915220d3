"""Links for people without a log-in: the one that confirms a test plate, and the status page that can be passed on.

A confirmation link is signed (with the project's secret key, older keys included), belongs to one test and one of the
addresses it was mailed to, and ends after `TEST_LINK_LIFETIME`. Nothing from which it could be made again is in the
database without the key: a mail that waits holds a placeholder, and the row keeps only the fingerprint of the latest
issue, so that sending a new link invalidates the earlier ones. That it can be used once is the test's own matter
(`integrations.onboarding.test_plates.answer_test`), decided under a lock.

A status link is a signed row id; ending the row ends it, and a year after it was made or last renewed it ends
automatically.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection, StatusLink, TestPlate
from integrations.models.onboarding import STATUS_LINK_LIFETIME
from locations import audit_log, invitations
from locations.models import User

TEST_LINK_LIFETIME = timedelta(hours=24)
PLACEHOLDER = "{confirmation-link}"
# The dedupe key of an invitation's mail: this and the invitation's row id.
INVITATION_KEY = "invitation"
# Where a mail's dedupe key begins so, the rest of it names the link: test id, issue, place among the addresses.
MAIL_KEY = "test-link"
_MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class TestLink:
    """What a confirmation link stands for: which test, which issue of its link, which of the addresses."""

    __test__ = False

    test_id: int
    issue: str
    place: int


def issue_of(expires_at: datetime) -> str:
    """Return the name of the issue that ends then: links of one issue are equal but for the address."""
    return f"{int(expires_at.timestamp() * 1_000_000):x}"


def fingerprint(test_id: int, issue: str) -> str:
    """Return what the row keeps of an issue."""
    return hashlib.sha256(f"{test_id}.{issue}".encode()).hexdigest()


def test_token(link: TestLink) -> str:
    """Return the secret part of a confirmation link."""
    return _signer("test-plate").sign(f"{link.test_id}.{link.issue}.{link.place}")


def read_test_token(token: str) -> TestLink | None:
    """Return what a token stands for, or None where it was not made by us."""
    value = _read("test-plate", token)
    parts = value.split(".") if value else []
    if len(parts) != 3 or not (parts[0].isdecimal() and parts[2].isdecimal()):
        return None
    return TestLink(int(parts[0]), parts[1], int(parts[2]))


def is_latest(link: TestLink, test: TestPlate) -> bool:
    """Whether no link was issued for this test after `link`."""
    return bool(test.link_hash) and test.link_hash == fingerprint(link.test_id, link.issue)


def mail_key(link: TestLink) -> str:
    """Return the beginning of the dedupe key of the mail that carries this link."""
    return f"{MAIL_KEY}:{link.test_id}:{link.issue}:{link.place}"


def fill(dedupe_key: str, text: str) -> str:
    """Put the link that a mail's key names in the placeholder's stead; other mails stay as they are."""
    parts = dedupe_key.split(":")
    if parts[0] == INVITATION_KEY and len(parts) > 1:
        address = reverse("invitation", args=[invitations.token_of(int(parts[1]))])
        return text.replace(PLACEHOLDER, f"{settings.SITE_URL}{address}")
    if parts[0] != MAIL_KEY or len(parts) < 4:
        return text
    token = test_token(TestLink(int(parts[1]), parts[2], int(parts[3])))
    return text.replace(PLACEHOLDER, settings.SITE_URL + reverse("test_answer", args=[token]))


def make_status_link(*, connection: Connection, actor: User) -> StatusLink:
    """Make a status page that can be passed on."""
    with transaction.atomic():
        now = timezone.now()
        link = StatusLink.objects.create(
            connection=connection, created_by=actor, created_at=now, expires_at=now + STATUS_LINK_LIFETIME
        )
        audit_log.record(company=connection.company, kind="status_link_made", actor=actor, thing=connection)
    return link


def end_status_link(*, link: StatusLink, actor: User) -> bool:
    """End a status page for good; return whether it still worked."""
    with transaction.atomic():
        works = StatusLink.objects.filter(pk=link.pk, revoked_at=None)
        if not works.update(revoked_at=timezone.now()):
            return False
        connection = link.connection
        audit_log.record(company=connection.company, kind="status_link_ended", actor=actor, thing=connection)
    return True


def renew_status_link(*, link: StatusLink, actor: User) -> bool:
    """Let a status page open for another year from now; return whether it could: one that was revoked stays so."""
    with transaction.atomic():
        usable = StatusLink.objects.filter(pk=link.pk, revoked_at=None)
        if not usable.update(expires_at=timezone.now() + STATUS_LINK_LIFETIME):
            return False
        connection = link.connection
        audit_log.record(
            company=connection.company, kind="status_link_renewed", actor=actor, thing=connection
        )
    return True


def status_token(link: StatusLink) -> str:
    """Return the address part of a status page."""
    return _signer("status-page").sign(str(link.pk))


def status_url(link: StatusLink) -> str:
    """Return the whole address of a status page."""
    return f"{settings.SITE_URL}{reverse('status_page', args=[status_token(link)])}"


def read_status_token(token: str) -> int | None:
    """Return the row id of a status page, or None where the token was not made by us."""
    value = _read("status-page", token)
    return int(value) if value and value.isdecimal() else None


def _signer(use: str) -> Signer:
    # The full stop keeps the address free of colons, which some mail programs end a link at.
    return Signer(salt=f"integrations.notifications.signed_links.{use}", sep=".")


def _read(use: str, token: str) -> str | None:
    if len(token) > _MOST_CHARS:
        return None
    try:
        return str(_signer(use).unsign(token))
    except BadSignature:
        return None
