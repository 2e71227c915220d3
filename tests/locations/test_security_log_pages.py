"""Who sees which part of the security log: on its pages, as CSV, and by its command."""

import csv
import io

import pytest
import time_machine
from django.core.management import call_command
from django.urls import reverse

from integrations.audit_log import security_queries
from integrations.audit_log.security_labels import WORDS
from locations.models import Company, Role, User
from locations.security_log import record
from tests.factories import MembershipFactory, UserFactory
from tests.pages import World, signed_in, text_of

pytestmark = pytest.mark.django_db


def test_managers_see_their_company_and_what_its_members_did_since_they_joined(
    world: World, person: User
) -> None:
    other = World.build(name="Other", slug="other")
    record("signed_in", actor=person, person=person, methods=["before-joining"])
    MembershipFactory(user=person, company=world.company, role=Role.VIEWER)
    record("signed_in", actor=person, person=person, methods=["since-joining"])
    stranger = UserFactory(email="stranger@elsewhere.example")
    record("sign_in_failed", actor=None, person=stranger)
    record("company_read", actor=stranger, company=other.company)
    page = text_of(world.manager.get(world.url("security_log")))
    assert "since-joining" in page
    assert "became a member" in page
    assert "before-joining" not in page
    assert "stranger@elsewhere.example" not in page
    assert world.operator.get(world.url("security_log")).status_code == 403
    assert "Security log" in text_of(world.manager.get(world.url("activity_people")))
    assert "Security log" not in text_of(world.operator.get(world.url("activity_people")))
    everything = text_of(signed_in(UserFactory(is_staff=True)).get(reverse("security_log_all")))
    assert "before-joining" in everything
    assert "stranger@elsewhere.example" in everything
    assert world.manager.get(reverse("security_log_all")).status_code == 404


def test_the_list_is_paged_and_narrowed_without_losing_or_repeating_a_row(world: World, person: User) -> None:
    MembershipFactory(user=person, company=world.company)
    for number in range(130):
        record("signed_in", actor=person, person=person, methods=[f"m{number}"])
        record("company_read", actor=person, company=world.company)
    seen, key = [], None
    while True:
        events, key = security_queries.list_events(world.company, group="sign_in", key=key)
        seen += [event.details for event in events]
        if key is None:
            break
    assert seen == [f"m{number}" for number in reversed(range(130))]
    page = world.manager.get(world.url("security_log") + "?kind=support")
    assert "support visited the company" in text_of(page)
    assert "m129" not in text_of(page)
    assert "before=" in text_of(page)


def test_the_csv_holds_every_row_once_and_no_formula(
    world: World, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security_queries, "_BATCH_ROWS", 7)
    Company.objects.filter(pk=world.company.pk).update(name="=HYPERLINK(A1)")
    MembershipFactory(user=person, company=world.company)
    for _ in range(20):
        record("signed_in", actor=person, person=person)
        record("company_read", actor=person, company=world.company)
    manager = world.manager
    answer = manager.get(world.url("security_log_csv"))
    assert answer["Content-Type"].startswith("text/csv")
    assert "no-store" in answer["Cache-Control"]
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    head, *lines = list(csv.reader(io.StringIO(text)))
    assert tuple(head) == security_queries.CSV_HEADER
    ids = [int(line[-1]) for line in lines]
    shown = {row.pk for part in security_queries._parts(world.company, list(WORDS)) for row in part}
    assert ids == sorted(shown)
    assert len(ids) >= 40
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line)
    assert signed_in(UserFactory(is_staff=True)).get(reverse("security_log_all_csv")).status_code == 200


def test_the_command_writes_a_companys_days(world: World, person: User) -> None:
    MembershipFactory(user=person, company=world.company)
    with time_machine.travel("2030-03-04T10:10:00Z", tick=False):
        record("signed_in", actor=person, person=person)
    out = io.StringIO()
    days = ("--since", "2030-03-04", "--until", "2030-03-05")
    call_command("audit_log", "export", "--company", "university", *days, stdout=out)
    assert [line.split(",")[1] for line in out.getvalue().splitlines()[1:]] == ["signed_in"]
