"""Support's searches and lists in the admin read no large table whole: PostgreSQL's own plans say so."""

import ast

from tests import servers

# The benchmark's seed at a size at which the planner has a choice; what is found is as much of the test as how.
CODE = """
import re
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment
from django.utils import timezone
from benchmarks import pages_seed
from integrations.models import Mail, PermitSync, Push, PushEvent
from locations.models import Company, Permit, User

LARGE = ("permit", "historicalpermit", "registration", "push", "pushevent", "pushhour", "mail", "zonerefresh")
setup_test_environment()  # answers keep their context
support = User.objects.create(email="support@x.example", is_staff=True, is_superuser=True)
pages_seed.fill(permits=30_000, companies=60, zones=50)
now = timezone.now()
Mail.objects.bulk_create(
    Mail(company_id=1 + n % 60, kind="alarm", dedupe_key=str(n), to=f"Person{n}@x.example", subject="S", text="T" * 200,
         created_at=now, next_attempt_at=now, state="failed" if n % 1000 == 7 else "sent")
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
    "permit list": ("locations/permit/", ""), "permit by plate": ("locations/permit/", permit.plate.lower()),
    "permit by the beginning of a plate": ("locations/permit/", permit.plate[:4]),
    "permit by external id": ("locations/permit/", permit.external_id),
    "permit by id": ("locations/permit/", str(permit.pk)), "permit, none": ("locations/permit/", "QQQQQQ"),
    "registration list": ("integrations/permitsync/", ""),
    "registration by plate": ("integrations/permitsync/", permit.plate),
    "registration by permit": ("integrations/permitsync/", str(permit.pk)),
    "registrations refused": ("integrations/permitsync/?state__exact=refused", ""),
    "registrations due": ("integrations/permitsync/?state__exact=due", ""),
    "push list": ("integrations/push/", ""), "push by trace id": ("integrations/push/", event.push.trace_id),
    "push, none": ("integrations/push/", "nothing"), "pushes refused": ("integrations/push/?outcome__exact=refused", ""),
    "event list": ("integrations/pushevent/", ""), "event by session": ("integrations/pushevent/", session),
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
said = {}
for name, (path, text) in looks.items():
    query = {"q": text} if text else None
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/admin/{path}", query, follow=True)
    whole = set()
    for one in queries.captured_queries:
        if not one["sql"].startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + one["sql"].replace("%", "%%"))
            plan = " ".join(row[0] for row in cursor.fetchall())
        whole |= set(re.findall(r"Seq Scan on (?:locations|integrations)_(\\w+)", plan)) & set(LARGE)
    found = len(answer.context["cl"].result_list) if "cl" in (answer.context or {}) else -1
    said[name] = (answer.status_code, found, sorted(whole))
print(said)
"""


def test_no_search_and_no_list_of_the_admin_reads_a_large_table_whole() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        said = ast.literal_eval(stack.shell(CODE).strip().splitlines()[-1])
    assert {name: whole for name, (_status, _found, whole) in said.items() if whole} == {}
    assert {status for status, _found, _whole in said.values()} == {200}
    one_each = {name for name, (_status, found, _whole) in said.items() if found == 1}
    assert one_each >= {
        "permit by external id", "permit by id", "registration by permit", "push by trace id", "event by session",
        "event by permit", "mail by address",
    }  # fmt: skip
    for name in (
        "permit by plate", "permit by the beginning of a plate", "registration by plate", "event by trace id",
        "mail by company", "mails that failed", "registrations refused", "hours by company", "refreshes by company",
    ):  # fmt: skip
        assert said[name][1] >= 1, name
    assert said["permit, none"][1] == said["push, none"][1] == 0
