"""Settings → Notifications: people choose their emails, managers see who gets which, and alarms always reach someone."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from integrations.models import Mail, MailChoice, Notice, Topic
from integrations.notifications import email_queue, notices, preferences
from integrations.notifications.preferences import topics_of
from locations.invitations import change_role
from locations.models import Company, Membership, Role
from tests.factories import MembershipFactory, UserFactory
from tests.pages import World, count_queries, signed_in, text_of

pytestmark = pytest.mark.django_db
ALL = set(Topic.values)
SHARED = "support@offstreet.example"


def member(company: Company, role: str, email: str = "kim@u.example") -> Membership:
    found: Membership = MembershipFactory(company=company, role=role, user__email=email)
    return found


def alarm(company: Company, key: str = "zone:1") -> list[str]:
    """Raise an alarm and return who is emailed."""
    notices.tell(company, "zone_missing", Notice.Level.DANGER, "Zone Z1 is gone.", "/c/u/", key)
    return list(Mail.objects.filter(kind="alarm").order_by("pk").values_list("to", flat=True))


# --- Choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "chosen", "expected"),
    [
        (Role.VIEWER, {}, set()),
        (Role.OPERATOR, {}, ALL),
        (Role.MANAGER, {}, ALL),
        (Role.VIEWER, {"alarms": True}, {"alarms"}),
        (Role.MANAGER, {"alarms": False}, ALL - {"alarms"}),
    ],
)
def test_what_was_chosen_goes_before_the_roles_default(
    role: Role, chosen: dict[str, bool], expected: set[str]
) -> None:
    assert topics_of(role, chosen) == expected


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("chosen", [None, [], ["alarms"], ["steps", "results"]])
def test_mails_go_to_those_whom_the_page_shows(world: World, role: str, chosen: list[str] | None) -> None:
    one = member(world.company, role)
    if chosen is not None:
        preferences.choose_mails(membership=one, topics=chosen, actor=one.user)
    shown = next(each for each in preferences.listeners(world.company) if each.membership == one)
    for topic in Topic:
        assert ("kim@u.example" in email_queue.people_of(world.company, topic)) == (topic in shown.topics)


def test_a_viewer_turns_alarms_on_and_a_manager_turns_them_off(world: World) -> None:
    viewer, manager = (
        member(world.company, "viewer", "v@u.example"),
        member(world.company, "manager", "m@u.example"),
    )
    url = world.url("notifications")
    assert signed_in(viewer.user).post(url, {"alarms": "on"}).status_code == 302
    assert signed_in(manager.user).post(url, {"steps": "on", "results": "on"}).status_code == 302
    assert alarm(world.company) == ["v@u.example"]
    assert email_queue.people_of(world.company, Topic.STEPS) == ["m@u.example"]


def test_what_was_turned_off_stays_off_with_another_role(world: World) -> None:
    member(world.company, "manager", "boss@u.example")
    one = member(world.company, "viewer")
    preferences.choose_mails(membership=one, topics=["results"], actor=one.user)
    change_role(membership=one, role="operator", actor=UserFactory(support=True))
    assert "kim@u.example" not in email_queue.people_of(world.company, Topic.ALARMS)
    assert "kim@u.example" in email_queue.people_of(world.company, Topic.RESULTS)


def test_a_choice_is_for_one_company(world: World) -> None:
    other = World.build()
    one = member(world.company, "operator")
    MembershipFactory(company=other.company, user=one.user, role="operator")
    preferences.choose_mails(membership=one, topics=[], actor=one.user)
    assert email_queue.people_of(world.company, Topic.ALARMS) == []
    assert email_queue.people_of(other.company, Topic.ALARMS) == ["kim@u.example"]


def test_choosing_twice_keeps_the_latest_choice(world: World) -> None:
    one = member(world.company, "operator")
    for topics in (["alarms"], ["steps"]):
        preferences.choose_mails(membership=one, topics=topics, actor=one.user)
    assert MailChoice.objects.count() == len(Topic)
    assert email_queue.people_of(world.company, Topic.ALARMS) == []
    assert email_queue.people_of(world.company, Topic.STEPS) == ["kim@u.example"]


def test_a_member_who_leaves_the_company_leaves_no_choice_behind(world: World) -> None:
    one = member(world.company, "operator")
    preferences.choose_mails(membership=one, topics=[], actor=one.user)
    one.delete()
    assert not MailChoice.objects.exists()


def test_the_database_keeps_a_choice_to_one_owner_and_known_topics(world: World) -> None:
    one = member(world.company, "operator")
    wrong = (
        {"topic": "alarms"},
        {"topic": "alarms", "membership": one, "user": one.user},
        {"topic": "weather", "membership": one},
        {"topic": "results", "user": one.user},
    )
    for values in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            MailChoice.objects.create(wanted=True, **values)


# --- Who gets what ----------------------------------------------------------------------------------------------------


def test_a_manager_sees_who_gets_what_and_others_only_their_own(world: World) -> None:
    member(world.company, "operator", "lee@u.example")
    url = world.url("notifications")
    assert "lee@u.example" in text_of(world.manager.get(url))
    for client in (world.operator, world.viewer):
        page = text_of(client.get(url))
        assert "lee@u.example" not in page
        assert "Your emails" in page


def test_a_company_in_which_no_one_gets_alarms_is_told_so_and_support_gets_them(world: World) -> None:
    one = member(world.company, "manager")
    client = signed_in(one.user)
    words = "No one here gets alarms."
    assert words not in text_of(client.get(world.url("notifications")))
    client.post(world.url("notifications"), {"steps": "on"})
    for page in ("notifications", "settings"):
        assert words in text_of(client.get(world.url(page)))
    assert alarm(world.company) == [SHARED]


def test_someone_who_cannot_sign_in_gets_nothing(world: World) -> None:
    one = member(world.company, "manager")
    one.user.is_active = False
    one.user.save()
    assert email_queue.people_of(world.company, Topic.ALARMS) == []
    assert "No one here gets alarms." in text_of(world.support.get(world.url("notifications")))


def test_the_pages_queries_do_not_grow_with_people(world: World) -> None:
    world.manager.get(world.url("notifications"))
    few = count_queries(world.manager, world.url("notifications"))
    for number in range(20):
        one = member(world.company, "operator", f"p{number}@u.example")
        preferences.choose_mails(membership=one, topics=["alarms"], actor=one.user)
    assert count_queries(world.manager, world.url("notifications")) <= few


# --- Support ----------------------------------------------------------------------------------------------------------


def test_support_takes_its_own_mails_besides_the_shared_mailbox() -> None:
    person = UserFactory(support=True, email="charlie@offstreet.example")
    client = signed_in(person)
    assert email_queue.people_of(None, Topic.ALARMS) == [SHARED]
    assert client.post(reverse("support_notifications"), {"alarms": "on"}).status_code == 302
    assert email_queue.people_of(None, Topic.ALARMS) == [SHARED, "charlie@offstreet.example"]
    assert email_queue.people_of(None, Topic.STEPS) == [SHARED]
    assert SHARED in text_of(client.get(reverse("support_notifications")))


def test_someone_who_is_no_longer_support_gets_no_emails_of_support() -> None:
    person = UserFactory(support=True, email="charlie@offstreet.example")
    preferences.choose_support_mails(user=person, topics=["alarms"])
    person.is_staff = False
    person.save()
    assert email_queue.people_of(None, Topic.ALARMS) == [SHARED]


def test_support_that_is_not_a_member_is_redirected_to_its_own_emails(world: World) -> None:
    assert reverse("support_notifications") in text_of(world.support.get(world.url("notifications")))
    response = world.support.post(world.url("notifications"), {"alarms": "on"})
    assert response["Location"] == reverse("support_notifications")
    assert not MailChoice.objects.exists()
