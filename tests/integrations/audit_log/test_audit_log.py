"""What people did that isn't in the history of rows: each is recorded by its service and never changes."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from integrations.audit_log import labels as audit_labels
from integrations.audit_log import queries as audit_queries
from integrations.delivery import outbox
from integrations.models import Contact, Notice, PermitSync, StatusLink, TestPlate, ZoneRefresh
from integrations.notifications import contacts, notices, preferences, signed_links
from integrations.onboarding import operator_id_requests, test_plates
from integrations.zones import refresh as zone_refresh
from locations import audit_log
from locations.invitations import invite_person, withdraw_invitation
from locations.models import AuditEvent, Company, User
from locations.models.audit import NeverChanged
from tests.factories import ConnectionFactory, MembershipFactory, PermitFactory, UserFactory
from tests.fakes import FakeVendor, fake_vendor, zone_seen
from tests.pages import World, text_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def kim(db: None) -> User:
    person: User = UserFactory(first_name="Kim", last_name="Lee")
    return person


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    with fake_vendor() as fake:
        yield fake


def told(company: Company, group: str) -> list[tuple[str, str, str, str]]:
    """What the page says about one group, newest first: who, thing, verb, details."""
    found, _older = audit_queries.list_events(company, audit_queries.EventFilters(kind=group))
    return [(one.who, one.thing, one.verb, "; ".join(change[0] for change in one.changes)) for one in found]


# --- Each event -------------------------------------------------------------------------------------------------------


def test_an_invitation_and_its_withdrawal_are_noted(world: World, kim: User) -> None:
    one = invite_person(company=world.company, email="new@u.example", role="viewer", actor=kim)
    withdraw_invitation(invitation=one, actor=kim)
    withdraw_invitation(invitation=one, actor=kim)
    assert told(world.company, "invitation") == [
        ("Kim Lee", "new@u.example", "withdrawn", ""),
        ("Kim Lee", "new@u.example", "sent", "as viewer"),
    ]


def test_a_contact_is_noted_when_it_is_added_and_when_it_is_removed(world: World, kim: User) -> None:
    one = contacts.add_contact(
        company=world.company, kind="enforcement", name="Officers", email="o@u.example", actor=kim
    )
    contacts.remove_contact(contact=one, actor=kim)
    assert not Contact.objects.exists()
    said = ("Kim Lee", "Officers <o@u.example>")
    assert told(world.company, "contact") == [
        (*said, "removed", "Enforcement team"),
        (*said, "added", "Enforcement team"),
    ]


def test_a_contact_that_is_in_the_list_already_leaves_no_event(world: World, kim: User) -> None:
    values: dict[str, Any] = {"company": world.company, "kind": "enforcement", "name": "", "actor": kim}
    contacts.add_contact(email="o@u.example", **values)
    with pytest.raises(ValidationError):
        contacts.add_contact(email="O@u.example", **values)
    contacts.keep_contact(email="o@u.example", **values)
    assert len(told(world.company, "contact")) == 1


def test_a_contact_that_support_adds_in_the_admin_is_noted(world: World) -> None:
    data = {"company": world.company.pk, "kind": "manager", "name": "Dana", "email": "dana@p.example"}
    world.support.post(reverse("admin:integrations_contact_add"), data)
    assert [audit_event[1:] for audit_event in told(world.company, "contact")] == [
        ("Dana <dana@p.example>", "added", "Account manager")
    ]


def test_a_retry_of_one_is_named_by_its_permit_and_of_many_by_their_number(world: World, kim: User) -> None:
    place = world.location("Lot B", world.zone("LotB"))
    permits = [PermitFactory(location=place, plate=f"PLATE{number}") for number in range(3)]
    rows = list(PermitSync.objects.order_by("pk").values_list("pk", flat=True))
    for wanted in (rows, rows[:1]):
        PermitSync.objects.update(state="refused")
        outbox.retry(permit_sync_ids=wanted, actor=kim)
    assert told(world.company, "retry") == [
        ("Kim Lee", "1 permit", "tried again", ""),
        ("Kim Lee", "3 permits", "tried again", ""),
    ]
    page = text_of(world.viewer.get(world.url("activity_people"), {"kind": "retry"}))
    assert world.url("permit", permits[0].pk) in page
    assert "PLATE0" not in str(list(AuditEvent.objects.values()))


def test_a_retry_over_several_companies_is_noted_at_each(world: World, kim: User) -> None:
    other = World.build()
    for each in (world, other):
        PermitFactory(location=each.location("Lot", each.zone("Z")))
    PermitSync.objects.update(state="refused")
    outbox.retry(permit_sync_ids=PermitSync.objects.values_list("pk", flat=True), actor=kim)
    assert len(told(world.company, "retry")) == len(told(other.company, "retry")) == 1


def test_the_pages_retry_says_who(world: World) -> None:
    PermitFactory(location=world.location("Lot B", world.zone("LotB")))
    PermitSync.objects.update(state="refused", error_code="x", retry_at=timezone.now())
    world.operator.post(world.url("retry"), {"reason": "x"})
    assert AuditEvent.objects.get(kind="retried").actor is not None


def test_a_status_page_that_is_made_or_ended_is_noted_without_its_token(world: World, kim: User) -> None:
    link = signed_links.make_status_link(connection=world.connection, actor=kim)
    assert signed_links.end_status_link(link=link, actor=kim)
    assert not signed_links.end_status_link(link=link, actor=kim)
    name = str(world.connection)
    assert told(world.company, "status_link") == [
        ("Kim Lee", name, "revoked", ""),
        ("Kim Lee", name, "created", ""),
    ]
    assert signed_links.status_token(link) not in str(list(AuditEvent.objects.values()))


def test_the_buttons_of_a_status_page_note_what_they_do(world: World) -> None:
    world.operator.post(world.url("status_link_make", world.connection.pk))
    world.operator.post(world.url("status_link_revoke", world.connection.pk, StatusLink.objects.get().pk))
    assert [audit_event[2] for audit_event in told(world.company, "status_link")] == ["revoked", "created"]


@pytest.fixture
def test_plate(world: World, kim: User, vendor: FakeVendor) -> TestPlate:
    place = world.location("Lot B", world.zone("LotB"))
    test = test_plates.start_test(connection=world.connection, location=place, actor=kim)
    PermitSync.objects.update(accepted_at=timezone.now())
    test.accepted_at = timezone.now()
    test.save()
    return test


def test_a_test_plate_is_noted_when_sent_asked_about_and_answered_by_link(
    world: World, kim: User, test_plate: TestPlate
) -> None:
    test_plates.ask_by_mail(test=test_plate, addresses=["o@u.example"], actor=kim)
    test_plates.answer_test(test=test_plate, seen=True, note="", by="o@u.example", via="link")
    assert told(world.company, "test") == [
        ("o@u.example", "Lot B", "answered", "zone LotB; seen"),
        ("Kim Lee", "Lot B", "asked about", "zone LotB; email to o@u.example"),
        ("Kim Lee", "Lot B", "sent", "zone LotB"),
    ]
    kept = str(list(AuditEvent.objects.values()))
    assert test_plate.permit.plate not in kept
    assert "hash" not in kept


def test_a_withdrawn_test_plate_is_logged_once_and_not_as_a_permit(
    world: World, kim: User, test_plate: TestPlate
) -> None:
    for _twice in range(2):
        test_plates.withdraw_test(test=test_plate, actor=kim)
    assert [audit_event[2] for audit_event in told(world.company, "test")] == ["withdrawn", "sent"]
    assert told(world.company, "permit") == []


def test_a_zone_refresh_that_a_person_asks_for_is_noted_and_the_daily_one_is_not(
    world: World, kim: User, vendor: FakeVendor
) -> None:
    vendor.zones = [zone_seen("z1", "1")]
    zone_refresh.refresh_zones(connection=world.connection)
    zone_refresh.refresh_zones(connection=world.connection, trigger="button", asked_by=kim)
    assert told(world.company, "refresh") == [("Kim Lee", str(world.connection), "requested", "")]


@pytest.mark.parametrize(
    ("decide", "verb"),
    [
        (zone_refresh.release_refresh, "changes accepted"),
        (zone_refresh.discard_refresh, "discarded"),
    ],
)
def test_supports_decision_on_a_held_refresh_is_noted(
    world: World, kim: User, vendor: FakeVendor, decide: Any, verb: str
) -> None:
    vendor.zones = [zone_seen(f"z{number}", str(number)) for number in range(4)]
    zone_refresh.refresh_zones(connection=world.connection)
    vendor.zones = []
    held = zone_refresh.refresh_zones(connection=world.connection)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    decide(refresh=held, actor=kim)
    assert told(world.company, "refresh") == [("Kim Lee", str(world.connection), verb, "")]


def test_a_notice_that_is_dismissed_is_noted(world: World, kim: User) -> None:
    notice = Notice.objects.create(
        company=world.company, kind="x", text="Zone 20 is gone.", created_at=timezone.now()
    )
    assert notices.dismiss(notice=notice, actor=kim)
    assert not notices.dismiss(notice=notice, actor=kim)
    assert told(world.company, "notice") == [("Kim Lee", "Zone 20 is gone.", "dismissed", "")]


def test_a_notice_that_support_dismisses_in_the_admin_is_noted(world: World) -> None:
    notice = Notice.objects.create(kind="x", text="Look here", created_at=timezone.now())
    world.support.post(
        reverse("admin:integrations_notice_changelist"), {"action": "close", "_selected_action": [notice.pk]}
    )
    assert AuditEvent.objects.get(kind="notice_dismissed").company is None


def test_a_request_for_an_operator_id_is_noted_with_how_it_was_made(kim: User) -> None:
    connection = ConnectionFactory(operator_id="")
    values: dict[str, Any] = {"connection": connection, "subject": "S", "text": "T", "actor": kim}
    operator_id_requests.request_operator_id(rep_email="dana@p.example", send=True, **values)
    operator_id_requests.request_operator_id(send=False, **values)
    assert [audit_event[1:] for audit_event in told(connection.company, "operator_id")] == [
        (str(connection), "requested", "recorded only, no email sent"),
        (str(connection), "requested", "email to dana@p.example"),
    ]
    assert [audit_event[2] for audit_event in told(connection.company, "contact")] == ["added"]


def test_an_unknown_account_manager_is_recorded_once(kim: User) -> None:
    connection = ConnectionFactory(operator_id="")
    operator_id_requests.contact_unknown(connection=connection, actor=kim)
    operator_id_requests.contact_unknown(connection=connection, actor=kim)
    assert len(told(connection.company, "operator_id")) == 1


def test_the_mails_that_a_member_chooses_are_noted(world: World) -> None:
    one = MembershipFactory(company=world.company, user__first_name="Lee")
    preferences.choose_mails(membership=one, topics=["steps", "alarms"], actor=one.user)
    preferences.choose_mails(membership=one, topics=[], actor=one.user)
    assert told(world.company, "mails") == [
        ("Lee", "", "chosen", "no emails"),
        ("Lee", "", "chosen", "Alarms, Set-up steps"),
    ]


# --- All of them ------------------------------------------------------------------------------------------------------


def kinds_noted() -> set[str]:
    """Return the kinds that the services record: texts in the place of an event's kind."""
    found = set()
    for app in ("integrations", "locations"):
        for path in (ROOT / app).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "audit_log.record(" in text or "contacts.note(" in text:
                strings = {
                    node.value
                    for node in ast.walk(ast.parse(text))
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                }
                found |= strings & audit_labels.WORDS.keys()
    return found


def test_every_kind_with_words_is_noted_somewhere() -> None:
    assert kinds_noted() == audit_labels.WORDS.keys()


def test_every_kind_has_words_that_do_not_fail_on_old_rows(world: World, kim: User) -> None:
    for kind in audit_labels.WORDS:
        audit_log.record(company=world.company, kind=kind, actor=kim, thing="x")
    audit_log.record(company=world.company, kind="of_a_newer_version", actor=kim)
    found, _older = audit_queries.list_events(world.company)
    assert {one.kind for one in found} >= audit_labels.GROUPS.keys()
    assert world.viewer.get(world.url("activity_people")).status_code == 200


def test_events_stand_among_the_histories_in_the_order_of_time(world: World, kim: User) -> None:
    place = world.location("Lot B")
    audit_log.record(company=world.company, kind="invited", actor=kim, thing="a@u.example", role="viewer")
    PermitFactory(location=place, plate="ABC 1", actor=kim)
    found, _older = audit_queries.list_events(world.company)
    assert [one.kind for one in found[:3]] == ["permit", "invitation", "location"]


def test_events_are_paged_by_key_without_a_gap_or_a_double(world: World, kim: User) -> None:
    at = timezone.now()
    AuditEvent.objects.bulk_create(
        AuditEvent(
            company=world.company,
            actor=kim,
            at=at - timedelta(seconds=number // 20),
            kind="retried",
            params={"count": 1},
        )
        for number in range(120)
    )
    seen: list[int] = []
    query = "?kind=retry"
    for _page in range(5):
        response = world.viewer.get(world.url("activity_people") + query)
        seen += [audit_event.pk for line in response.context["lines"] for audit_event in line.audit_events]
        query = response.context["older"]
        if not query:
            break
    assert len(seen) == len(set(seen)) == 120


def test_another_companys_events_are_not_shown(world: World, kim: User) -> None:
    other = World.build()
    audit_log.record(company=other.company, kind="invited", actor=kim, thing="a@u.example", role="viewer")
    assert told(world.company, "invitation") == []


def test_an_event_is_never_changed_or_deleted(world: World, kim: User) -> None:
    audit_event = audit_log.record(company=world.company, kind="invited", actor=kim)
    for act in (
        audit_event.save,
        audit_event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(thing="y"),
    ):
        with pytest.raises(NeverChanged):
            act()
    assert AuditEvent.objects.get(kind="invited").thing == ""
    with pytest.raises(IntegrityError), transaction.atomic():
        audit_log.record(company=world.company, kind="", actor=kim)


def test_what_is_undone_is_not_logged(world: World, kim: User) -> None:
    with transaction.atomic():
        invite_person(company=world.company, email="new@u.example", role="viewer", actor=kim)
        transaction.set_rollback(True)
    assert told(world.company, "invitation") == []
