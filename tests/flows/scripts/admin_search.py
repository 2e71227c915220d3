"""Every search and every list of the admin, on many rows, with PostgreSQL's plan for each of its queries."""

import re
from typing import TypedDict

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment
from django.utils import timezone

from benchmarks import pages_seed
from integrations.models import Mail, PushEvent
from locations.models import Permit, User

LARGE = ("permit", "historicalpermit", "registration", "push", "pushevent", "pushhour", "mail", "zonerefresh")


class Look(TypedDict):
    """An answer's status, how many rows it listed (-1: it has no list), and the large tables that were read whole."""

    status: int
    found: int
    whole: list[str]


def plans() -> dict[str, Look]:
    """Return what became of each search and list of the admin, by its name."""
    setup_test_environment()  # answers keep their context
    support = User.objects.create(email="support@x.example", is_staff=True, is_superuser=True)
    pages_seed.fill(permits=30_000, companies=60, zones=50)
    now = timezone.now()
    Mail.objects.bulk_create(
        Mail(
            company_id=1 + n % 60,
            kind="alarm",
            dedupe_key=str(n),
            to=f"Person{n}@x.example",
            subject="S",
            text="T" * 200,
            created_at=now,
            next_attempt_at=now,
            state="failed" if n % 1000 == 7 else "sent",
        )
        for n in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(headers={"host": "localhost"})
    client.force_login(support, backend="django.contrib.auth.backends.ModelBackend")
    event = PushEvent.objects.select_related("permit_sync", "push").latest("pk")
    permit = Permit.objects.get(pk=event.permit_sync.permit_id)
    session = f"os-KEY-{permit.pk}-1"
    PushEvent.objects.filter(pk=event.pk).update(session_id=session)
    looks = {
        "permit list": ("locations/permit/", ""),
        "permit by plate": ("locations/permit/", permit.plate.lower()),
        "permit by the beginning of a plate": ("locations/permit/", permit.plate[:4]),
        "permit by external id": ("locations/permit/", permit.external_id),
        "permit by id": ("locations/permit/", str(permit.pk)),
        "permit, none": ("locations/permit/", "QQQQQQ"),
        "registration list": ("integrations/permitsync/", ""),
        "registration by plate": ("integrations/permitsync/", permit.plate),
        "registration by permit": ("integrations/permitsync/", str(permit.pk)),
        "registrations refused": ("integrations/permitsync/?state__exact=refused", ""),
        "registrations due": ("integrations/permitsync/?state__exact=due", ""),
        "push list": ("integrations/push/", ""),
        "push by trace id": ("integrations/push/", event.push.trace_id),
        "push, none": ("integrations/push/", "nothing"),
        "pushes refused": ("integrations/push/?outcome__exact=refused", ""),
        "event list": ("integrations/pushevent/", ""),
        "event by session": ("integrations/pushevent/", session),
        "event by permit": ("integrations/pushevent/", str(permit.pk)),
        "event by trace id": ("integrations/pushevent/", event.push.trace_id),
        "mail by address": ("integrations/mail/", "person77@x.example"),
        "mail by company": ("integrations/mail/", "company-33"),
        "mails that failed": ("integrations/mail/?state__exact=failed", ""),
        "hours by company": ("integrations/pushhour/", "company-34"),
        "refreshes by company": ("integrations/zonerefresh/", "company-33"),
        "refreshes held": ("integrations/zonerefresh/?outcome__exact=held", ""),
        "history of a permit": (f"locations/permit/{permit.pk}/history/", ""),
    }
    said: dict[str, Look] = {}
    for name, (path, text) in looks.items():
        query = {"q": text} if text else None
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"/admin/{path}", query, follow=True)
        whole: set[str] = set()
        for one in queries.captured_queries:
            if not one["sql"].startswith("SELECT"):
                continue
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + one["sql"].replace("%", "%%"))
                plan = " ".join(row[0] for row in cursor.fetchall())
            whole |= set(re.findall(r"Seq Scan on (?:locations|integrations)_(\w+)", plan)) & set(LARGE)
        found = len(answer.context["cl"].result_list) if "cl" in (answer.context or {}) else -1
        said[name] = {"status": answer.status_code, "found": found, "whole": sorted(whole)}
    return said
