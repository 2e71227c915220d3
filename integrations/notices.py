"""What people see in the dashboard without having asked: one open notice per matter.

`tell` may be called as often as the matter is noticed; `resolve` closes it when the matter is over. Both belong into the
transaction of what they tell of.
"""

from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.models import Notice
from locations.models import Company


def tell(company: Company | None, kind: str, level: str, text: str, url: str = "", dedupe_key: str = "") -> None:
    """Show a notice to a company's people, or to support where `company` is None.

    With a `dedupe_key` there is at most one open notice of that key: telling it again renews its words.
    """
    values = {"company": company, "kind": kind, "level": level, "text": text, "url": url}
    if dedupe_key and _renew(dedupe_key, values):
        return
    try:
        with transaction.atomic():
            Notice.objects.create(**values, dedupe_key=dedupe_key, created_at=timezone.now())
    except IntegrityError:
        # Somebody else told of the same matter in the same moment.
        if not dedupe_key or not _renew(dedupe_key, values):
            raise


def resolve(dedupe_key: str) -> bool:
    """Close the open notice of this key; return whether there was one."""
    return bool(Notice.objects.filter(dedupe_key=dedupe_key, done_at=None).update(done_at=timezone.now()))


def _renew(dedupe_key: str, values: dict[str, object]) -> bool:
    return bool(Notice.objects.filter(dedupe_key=dedupe_key, done_at=None).update(**values))
