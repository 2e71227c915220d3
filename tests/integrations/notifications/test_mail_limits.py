"""No one can fill a mailbox through a form, and emails link only to this site, whatever they quote."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import Connection, Contact, Mail, Notice, TestPlate
from integrations.notifications import contacts, email_queue, mail_limits, notices
from integrations.notifications.mail_text import BREAK, harmless
from integrations.onboarding import services, test_plates
from locations.invitations import invite_person, token_of
from locations.models import AuditEvent, Company, Invitation, Permit, User
from locations.names import has_link, validate_name
from tests.factories import CompanyFactory, ConnectionFactory, UserFactory
from tests.pages import World, text_of

SITE = "https://passport.offstreet.example"
STRANGER = "stranger@elsewhere.example"


@pytest.fixture
def beginning(db: None) -> World:
    """A company whose connection was just started: its page has the forms of the first steps."""
    company = CompanyFactory(name="University", slug="university")
    return World(company, ConnectionFactory(company=company, operator_id=""))


def rows() -> dict[str, list[Any]]:
    """Everything that a request for an email may write."""
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Mail, Invitation, AuditEvent, TestPlate, Permit, Contact, Connection, Notice)
    }


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_sixty_invitations_to_one_stranger_are_five_and_each_refusal_says_why(world: World) -> None:
    said = []
    for _ in range(60):
        before = rows()
        answer = world.manager.post(world.url("invite"), {"email": STRANGER, "role": "viewer"})
        said.append(answer.status_code)
        if answer.status_code != 302:
            assert f"The limit for emails to {STRANGER} has been reached." in text_of(answer)
            assert re.search(r"Try again in \d+ minutes\.", text_of(answer))
            assert rows() == before
    assert said == [302] * 5 + [422] * 55
    assert Mail.objects.filter(to=STRANGER).count() == 5


@pytest.mark.parametrize("spelled", ["STRANGER@elsewhere.example", "stranger+other@Elsewhere.example"])
def test_another_spelling_and_another_company_is_the_same_mailbox(world: World, spelled: str) -> None:
    for number in range(5):
        other = World.build(name=f"Other {number}", slug=f"other-{number}")
        other.manager.post(other.url("invite"), {"email": STRANGER, "role": "viewer"})
    answer = world.manager.post(world.url("invite"), {"email": spelled, "role": "viewer"})
    assert answer.status_code == 422
    assert not Invitation.objects.filter(company=world.company).exists()


def test_a_person_has_a_limit_and_a_colleague_may_continue_up_to_the_companys_limit(
    world: World,
) -> None:
    people = [world.manager, world.support]
    sent = [0, 0]
    for who, client in enumerate(people):
        for number in range(70):
            email = f"new-{who}-{number}@u.example"
            answer = client.post(world.url("invite"), {"email": email, "role": "viewer"})
            if answer.status_code != 302:
                assert "You have reached the limit for emails from one person." in text_of(answer)
                break
            sent[who] += 1
    assert sent == [60, 60]
    third = UserFactory(is_staff=True)
    with pytest.raises(ValidationError, match="University has reached the limit for emails from one company"):
        mail_limits.charge(asked_by=third, company=world.company, to=["x@u.example"], kind="invitation")
    mail_limits.charge(asked_by=third, company=CompanyFactory(), to=["x@u.example"], kind="invitation")


def test_an_hour_later_mails_go_out_again_and_a_days_limit_holds_for_the_day(world: World) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        said = []
        for _hour in range(4):
            for _ in range(6):
                answer = world.manager.post(world.url("invite"), {"email": STRANGER, "role": "viewer"})
                said.append(answer.status_code == 302)
            clock.shift(timedelta(hours=1, seconds=1))
    assert said == ([True] * 5 + [False]) * 2 + [False] * 12


def test_asking_an_officer_by_mail_is_limited_and_leaves_the_old_link_in_force(world: World) -> None:
    actor = UserFactory(is_staff=True)
    test = test_plates.start_test(
        connection=world.connection, location=world.location("Lot", world.zone("1")), actor=actor
    )
    TestPlate.objects.update(accepted_at=timezone.now())
    url = world.url("test_plate_ask", test.pk)
    codes = [world.operator.post(url, {"addresses": STRANGER}).status_code for _ in range(20)]
    assert codes == [302] * 20
    before = rows()
    answer = world.operator.post(url, {"addresses": f"{STRANGER}, robin@u.example"})
    assert answer.status_code == 422
    assert "The limit for emails to" in text_of(answer)
    assert rows() == before
    assert Mail.objects.filter(to="robin@u.example").count() == 0


def test_a_test_plate_that_would_mail_too_much_is_not_registered(world: World) -> None:
    location = world.location("Lot", world.zone("1"))
    for _ in range(20):
        mail_limits.charge(asked_by=None, company=None, to=[STRANGER], kind="test_plate")
    client = world.operator
    before = rows()
    answer = client.post(
        world.url("setup_test", world.connection.pk),
        {"location": location.pk, "plate": "TEST123", "subdivision": "US-NC", "ask": STRANGER},
    )
    assert answer.status_code == 422
    assert "The limit for emails to" in text_of(answer)
    assert rows() == before


@pytest.mark.parametrize(
    "sent",
    [
        {"word": "unknown"},
        {"word": "send", "rep_email": STRANGER, "subject": "Operator ID", "text": "Hello"},
    ],
    ids=["ask support", "ask Passport"],
)
def test_beginning_a_connection_with_a_mail_too_many_begins_none(db: None, sent: dict[str, str]) -> None:
    world = World(CompanyFactory(), ConnectionFactory())
    for _ in range(60):
        mail_limits.charge(asked_by=None, company=world.company, to=["a@u.example"], kind=str(_))
        mail_limits.charge(asked_by=None, company=world.company, to=["b@u.example"], kind=str(_))
    client = world.operator
    before = rows()
    answer = client.post(world.url("setup_begin_request"), sent, follow=True)
    assert "has reached the limit for emails from one company" in text_of(answer)
    assert rows() == before


def test_answers_over_and_over_fill_no_mailbox_and_are_taken_all_the_same(world: World) -> None:
    Contact.objects.create(company=world.company, kind="offstreet", email=STRANGER)
    location = world.location("Lot", world.zone("1"))
    for number in range(25):
        test = test_plates.start_test(
            connection=world.connection, location=location, plate=f"TEST{number:03}"
        )
        TestPlate.objects.filter(pk=test.pk).update(accepted_at=timezone.now())
        test_plates.answer_test(test=test, seen=False, note="", by="Robin", via="page")
        TestPlate.objects.filter(pk=test.pk).update(gone_at=timezone.now())
    assert TestPlate.objects.filter(answer="no").count() == 25
    assert Mail.objects.filter(kind="test_answered", to=STRANGER).count() == 20


def test_emails_that_no_one_asked_for_are_sent_no_matter_how_many_were_sent(world: World) -> None:
    world.manager  # noqa: B018
    for _ in range(130):
        try:
            mail_limits.charge(asked_by=None, company=world.company, to=(), kind="x")
        except ValidationError:
            break
    notices.tell(
        world.company, "gone", Notice.Level.DANGER, "Zone Z1 is gone.", "/c/university/zones/", "gone"
    )
    assert Mail.objects.filter(kind="alarm").count() == 1


def test_the_counters_hold_no_address() -> None:
    assert STRANGER not in mail_limits.mailbox(STRANGER)
    assert mail_limits.mailbox(" Kim+lot@U.example ") == mail_limits.mailbox("kim@u.example")
    assert mail_limits.mailbox("k.i.m@u.example") == mail_limits.mailbox("kim@u.example")
    assert mail_limits.mailbox("kim@u.example") != mail_limits.mailbox("kim@v.example")
    assert mail_limits.mailbox("kim@u.example") != mail_limits.mailbox("kim@uexample")


@pytest.mark.parametrize("exists", [True, False])
def test_password_resets_for_one_address_end_with_the_same_page_whether_there_is_an_account(
    world: World, exists: bool
) -> None:
    if exists:
        UserFactory(email=STRANGER)
    pages = [Client().post(reverse("account_reset_password"), {"email": STRANGER}) for _ in range(7)]
    assert [page.status_code for page in pages] == [302] * 5 + [429] * 2
    assert "Wait a while" in text_of(pages[-1])
    assert len(outbox.outbox) <= 5


def test_a_reset_mail_counts_for_the_receiver_as_any_other(world: World) -> None:
    UserFactory(email=STRANGER)
    for _ in range(20):
        mail_limits.charge(asked_by=None, company=None, to=[STRANGER], kind="account")
    page = Client().post(reverse("account_reset_password"), {"email": STRANGER})
    assert page.status_code == 302
    assert outbox.outbox == []


# --- Names ------------------------------------------------------------------------------------------------------------

LINKS = (
    "https://evil.example", "Pay at http://evil.example/x now", "evil.example/login", "www.evil.example", "WWW.Evil.example",
    "evil.example", "evil。example", "evil．com", "ftp://x", "Lot//x://y", "xn--evl-2ja.example", "evil.example:8080",
)  # fmt: skip
NOT_A_LINE = ("A\nBcc: x", "A\r\nB", "A\u2028B", "A\x0bB", "A\x85B", "A\x00B", "\u202egpj.exe", "a\u2066b")
ADDRESSES = ("kim@evil.example", "Support <help@evil.example>", "kim@localhost", "a＠b")
FINE = (
    "University", "St. Mary's – Lot 5.B", "Garage 2.5", "Lot @ Main St", "North/South", "A & B, Inc.", "Kim Lee-O'Neil",
    "U. of X: Deck #4", "東京", "Jr.", "No.5", "24/7 lot", "…", "A:B",
)  # fmt: skip


def is_refused(name: str) -> bool:
    try:
        validate_name(name)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize("name", [*LINKS, *NOT_A_LINE, *ADDRESSES])
def test_a_name_that_no_mail_may_quote_is_refused(name: str) -> None:
    assert is_refused(name)


@pytest.mark.parametrize("name", FINE)
def test_an_ordinary_name_is_let_through(name: str) -> None:
    assert not is_refused(name)


def _company(world: World, name: str) -> Any:
    return world.manager.post(world.url("settings_company"), {"name": name})


def _location(world: World, name: str) -> Any:
    return world.operator.post(world.url("location_add"), {"name": name, "timezone": "America/New_York"})


def _contact(world: World, name: str) -> Any:
    return world.operator.post(world.url("contacts"), {"kind": "offstreet", "name": name, "email": STRANGER})


def _site(world: World, name: str) -> Any:
    return world.operator.post(world.url("setup_another"), {"label": name})


def _representative(world: World, name: str) -> Any:
    return world.operator.post(
        world.url("setup_request", world.connection.pk),
        {"word": "send", "rep_name": name, "rep_email": STRANGER, "subject": "Hello", "text": "Hello"},
    )


def _found_representative(world: World, name: str) -> Any:
    return world.support.post(
        world.url("setup_contact", world.connection.pk), {"name": name, "rep_email": STRANGER}
    )


def _new_company(world: World, name: str) -> Any:
    return world.support.post(reverse("company_add"), {"name": name, "offstreet_id": "x", "slug": "x"})


def _person(world: World, name: str) -> Any:
    made = invite_person(company=world.company, email="new@u.example", role="viewer", actor=UserFactory())
    return Client().post(
        reverse("invitation", args=[token_of(made.pk)]),
        {"first_name": name, "password": "quite-a-long-passphrase-7"},
    )


FORMS: tuple[Callable[[World, str], Any], ...] = (
    _company, _location, _contact, _site, _representative, _found_representative, _new_company, _person,
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["https://evil.example/x", "evil.example", "A\nBcc: x", "kim@evil.example"])
def test_every_form_that_takes_a_name_refuses_it_with_a_sentence(
    form: Callable[[World, str], Any], name: str, beginning: World
) -> None:
    Connection.objects.update(contact_unknown=form is _found_representative)
    answer = form(beginning, name)
    assert answer.status_code in (422, 200)
    sentence = "contains a control character (U+000A)" if "\n" in name else "A name"
    assert sentence in text_of(answer)
    for model, field in (
        (Company, "name"), (User, "first_name"), (Contact, "name"), (Connection, "label"),
    ):  # fmt: skip
        assert not model.objects.filter(**{f"{field}__contains": "evil"}).exists()
    assert not Mail.objects.filter(to=STRANGER).exists()


def test_scripts_and_commands_go_through_the_same_check(world: World) -> None:
    for act in (
        lambda: contacts.add_contact(
            company=world.company, kind="offstreet", name="evil.example", email=STRANGER, actor=None
        ),
        lambda: services.begin_connection(company=world.company, label="www.evil.example"),
    ):
        with pytest.raises(ValidationError):
            act()


@pytest.mark.parametrize("text", ["See https://evil.example", "see www.evil.example", "evil.example/x"])
def test_the_mail_to_passport_holds_no_link(beginning: World, text: str) -> None:
    for field in ("text", "subject"):
        sent = {"word": "send", "rep_email": STRANGER, "subject": "Hello", "text": "Hello", field: text}
        answer = beginning.operator.post(beginning.url("setup_request", beginning.connection.pk), sent)
        assert answer.status_code == 422
        assert "contain web addresses" in text_of(answer)
    assert not Mail.objects.exists()


# --- What an email quotes ---------------------------------------------------------------------------------------------

# What email programs turn into links, roughly and generously.
CLICKABLE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s]|www\.\w|\w\.[a-z]{2,}", re.IGNORECASE)


@pytest.mark.parametrize("bad", [*LINKS, *NOT_A_LINE])
def test_rows_from_before_make_no_link_in_any_part_of_a_mail(world: World, bad: str, settings: Any) -> None:
    settings.SITE_URL = SITE
    Company.objects.update(name=bad.replace("\x00", ""))
    company = Company.objects.get(pk=world.company.pk)
    email_queue.queue(
        kind="test_answered",
        to="kim@u.example",
        company=company,
        context={
            "seen": False, "who": bad, "note": bad, "location": bad, "zone": bad, "live": False, "path": "/c/university/",
        },
        dedupe_key="k",
        asked_by=None,
    )  # fmt: skip
    made = Mail.objects.get()
    message = email_queue.message(made)
    html = str(message.alternatives[0][0])
    for part in (made.subject, str(message.body)):
        rest = part.replace(f"{SITE}/c/university/", "")
        assert CLICKABLE.search(rest) is None, rest
    assert "\n" not in made.subject
    assert re.findall(r'href="([^"]*)"', html) == [f"{SITE}/c/university/"]
    assert "\nBcc: x" not in message.message().as_string().partition("\n\n")[0]


def test_our_own_links_and_peoples_addresses_stay_whole() -> None:
    text = f"{SITE}/c/university/setup/?a=b#c\nPlease answer to kim.lee+x@u.example.\n({SITE})\n{{confirmation-link}}"
    assert harmless(text, own=SITE) == text


@pytest.mark.parametrize(
    "bad",
    [
        f"{SITE}.evil.example/", f"{SITE}@evil.example", f"{SITE}/,https://evil.example", f"{SITE}:8080/x",
        "evil.example/kim@u.example", "www.evil.example@u.example/x", "192.0.2.7/login", "http://192.0.2.7",
    ],
)  # fmt: skip
def test_what_only_looks_like_ours_is_broken(bad: str) -> None:
    made = harmless(bad, own=SITE)
    assert BREAK in made
    assert made.replace(BREAK, "") == bad
    assert CLICKABLE.search(made.replace(SITE, "")) is None


@given(st.text(alphabet="ab/.:@w \n-。‮\x00", max_size=40))
def test_nothing_is_lost_but_what_cannot_be_seen_and_twice_is_once(text: str) -> None:
    once = harmless(text, own=SITE)
    assert once.replace(BREAK, "") == text.replace("\x00", "").replace("‮", "")
    assert harmless(once, own=SITE) == once


@given(st.text(max_size=60))
def test_what_is_a_link_in_a_text_is_one_in_a_name(text: str) -> None:
    if has_link(text):
        with pytest.raises(ValidationError):
            validate_name(text)
