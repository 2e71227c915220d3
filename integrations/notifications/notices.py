"""What people see in the dashboard without having asked: one open notice per matter.

`tell` may be called as often as the matter is noticed; `resolve` closes it when the matter is over. Both belong
into the transaction of what they tell of. An alarm (level *danger*) is mailed as well, once for as long as it stays open:
nobody should have to look at the dashboard to learn that enforcement sees too little. Where nobody of a company wants
alarms they go to support: an alarm always has somebody who reads it.
"""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import Notice, Topic
from integrations.notifications import email_queue
from locations import audit_log
from locations.models import Company, User


def tell(
    company: Company | None, kind: str, level: str, text: str, url: str = "", dedupe_key: str = ""
) -> None:
    """Show a notice to a company's people, or to support where `company` is None.

    With a `dedupe_key` there is at most one open notice of that key: telling it again renews its words.
    """
    values = {"company": company, "kind": kind, "level": level, "text": text, "url": url}
    if dedupe_key and _renew(dedupe_key, values):
        return
    try:
        with transaction.atomic():
            notice = Notice.objects.create(**values, dedupe_key=dedupe_key, created_at=timezone.now())
    except IntegrityError:
        # Somebody else told of the same matter in the same moment.
        if not dedupe_key or not _renew(dedupe_key, values):
            raise
        return
    if level == Notice.Level.DANGER:
        email_queue.queue(
            kind="alarm",
            to=email_queue.people_of(company, Topic.ALARMS) or email_queue.people_of(None, Topic.ALARMS),
            context={"text": text, "path": url},
            company=company,
            dedupe_key=f"alarm:{notice.pk}",
            asked_by=None,
        )


def resolve(dedupe_key: str) -> bool:
    """Close the open notice of this key; return whether there was one."""
    return bool(Notice.objects.filter(dedupe_key=dedupe_key, done_at=None).update(done_at=timezone.now()))


def dismiss(*, notice: Notice, actor: User) -> bool:
    """Close one notice by hand; return whether it was still open."""
    with transaction.atomic():
        still_open = Notice.objects.filter(pk=notice.pk, done_at=None)
        if not still_open.update(done_at=timezone.now(), done_by=actor):
            return False
        audit_log.record(company=notice.company, kind="notice_dismissed", actor=actor, thing=notice.text)
    return True


def open_for(company: Company) -> QuerySet[Notice]:
    """Return a company's open notices, newest first."""
    return Notice.objects.filter(company=company, done_at=None)


def for_support() -> QuerySet[Notice]:
    """Return the open notices that are for support, newest first."""
    return Notice.objects.filter(company=None, done_at=None)


def _renew(dedupe_key: str, values: Mapping[str, Any]) -> bool:
    return bool(Notice.objects.filter(dedupe_key=dedupe_key, done_at=None).update(**values))
