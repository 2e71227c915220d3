"""People who do the same thing at the same time: each is a thread that begins when all are ready."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from locations.invitations import change_role, invite_person, remove_member, token_of
from locations.models import Company, Invitation, Location, Membership, User
from locations.services import save_company, save_location
from tests.factories import PASSWORD, CompanyFactory, MembershipFactory, UserFactory
from tests.flows.scripts.threads import start

NEW_PASSWORD = "quite-a-long-passphrase-7"


def all_at_once(*, rounds: int, people: int) -> list[str]:
    """Return what was unexpected, over some rounds; in each, several people open one invitation."""
    support: User = UserFactory(support=True)
    wrong: list[str] = []
    for number in range(rounds):
        company: Company = CompanyFactory()
        wrong += _one_invitation(company, support, f"join{number}@example.org", people)
        wrong += _several_invitations(support, f"many{number}@example.org", people)
        wrong += _two_confirm_one_address(f"new{number}@example.org")
        wrong += _one_asks_twice(f"twice{number}@example.org")
        wrong += _two_managers_and_one_member(company, support)
        wrong += _one_name_for_two(company, f"same{number}")
        wrong += _a_deployment_starts_twice(f"first{number}@example.org")
    return wrong


def _one_invitation(company: Company, support: User, email: str, people: int) -> Iterator[str]:
    made = invite_person(company=company, email=email, role="operator", actor=support)
    clients = [_client() for _ in range(people)]
    found = _at_once(*(_post(one, _path_of(made), password=NEW_PASSWORD) for one in clients))
    yield from _expect("one joins", sorted(found, key=str), [302] + [422] * (people - 1))
    yield from _expect("one is in", sum("_auth_user_id" in one.session for one in clients), 1)
    yield from _expect("one member", Membership.objects.filter(company=company).count(), 1)
    yield from _expect("verified", _addresses(email), [(email, True, True)])


def _several_invitations(support: User, email: str, people: int) -> Iterator[str]:
    """To one new address, from several companies: the account is made once, and invitations that came too late stay open."""
    several = [
        invite_person(company=CompanyFactory(), email=email, role="operator", actor=support)
        for _ in range(people)
    ]
    found = _at_once(*(_post(_client(), _path_of(one), password=NEW_PASSWORD) for one in several))
    yield from _expect("one account", sorted(found, key=str), [302] + [422] * (people - 1))
    person = User.objects.get(email=email)
    yield from _expect("verified once", _addresses(email), [(email, True, True)])
    joined = set(Membership.objects.filter(user=person).values_list("company", flat=True))
    accepted = Invitation.objects.filter(email=email).exclude(accepted_at=None)
    used = set(accepted.values_list("company", flat=True))
    yield from _expect("joined what was used", (len(joined), joined), (1, used))


def _two_confirm_one_address(email: str) -> Iterator[str]:
    people: list[User] = [UserFactory() for _ in range(2)]
    pending = [EmailAddress.objects.create(user=one, email=email) for one in people]
    links = [reverse("account_confirm_email", args=[EmailConfirmationHMAC(one).key]) for one in pending]
    found = _at_once(*(_post(_client(), link) for link in links))
    yield from _expect("no error", [one for one in found if one not in (200, 302, 404)], [])
    has_it = sorted((User.objects.get(pk=one.pk).email == email) for one in people)
    yield from _expect("one has it", has_it, [False, True])
    for one in people:
        own = User.objects.get(pk=one.pk).email
        rows = EmailAddress.objects.filter(user=one, verified=True).values_list("email", "primary")
        yield from _expect("the other is as before", list(rows), [(own, True)])


def _one_asks_twice(email: str) -> Iterator[str]:
    """For a change of address."""
    person: User = UserFactory()
    clients = [_client() for _ in range(2)]
    for one in clients:
        one.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        one.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    found = _at_once(*(_post(one, "/accounts/email/", action_add="", email=email) for one in clients))
    yield from _expect("asked twice", [one for one in found if one not in (200, 302)], [])
    waiting = EmailAddress.objects.filter(user=person, verified=False)
    yield from _expect("one waits", waiting.count(), 1)


def _two_managers_and_one_member(company: Company, support: User) -> Iterator[str]:
    gone = "This person is no longer a member."
    member: Membership = MembershipFactory(company=company)
    found = _at_once(*(lambda: remove_member(membership=member, actor=support) for _ in range(2)))
    yield from _expect("removed once", sorted(map(str, found)), ["None", gone])
    other: Membership = MembershipFactory(company=company, role="viewer")
    removed, changed = _at_once(
        lambda: remove_member(membership=other, actor=support),
        lambda: str(change_role(membership=other, role="operator", actor=support).role),
    )
    yield from _expect("removed", removed, None)
    if changed not in ("operator", gone):
        yield f"changed before, or told: {changed!r}"


def _one_name_for_two(company: Company, slug: str) -> Iterator[str]:
    def make_company() -> str:
        save_company(company=Company(name="C", slug=slug, offstreet_id=f"{slug}-id"))
        return "saved"

    def make_location() -> str:
        save_location(location=Location(company=company, name="Lot"))
        return "saved"

    for make in (make_company, make_location):
        found = _at_once(make, make)
        told = sum("already exists" in str(one) for one in found)
        yield from _expect(f"one saves: {make.__name__}", (found.count("saved"), told), (1, 1))


def _a_deployment_starts_twice(email: str) -> Iterator[str]:
    def begin() -> None:
        with Path(os.devnull).open("w") as nowhere:
            call_command("first_support_user", stdout=nowhere)

    with patch.dict(os.environ, FIRST_SUPPORT_EMAIL=email, FIRST_SUPPORT_PASSWORD=NEW_PASSWORD):
        yield from _expect("two starts", _at_once(begin, begin), [None, None])


def _at_once(*calls: Callable[[], object]) -> list[object]:
    """Return what each call returned, or the text of what it raised; all of them begin at the same time."""
    gate = threading.Barrier(len(calls))
    done: list[object] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            gate.wait()
            done[place] = calls[place]()
        except ValidationError as error:
            done[place] = " ".join(error.messages)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer that is compared
            done[place] = f"{type(error).__name__}: {error}"

    threads = [start(lambda place=place: run(place)) for place in range(len(calls))]  # type: ignore[misc]
    for thread in threads:
        thread.join()
    return done


def _expect(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found!r}, expected {expected!r}"


def _client() -> Client:
    return Client(raise_request_exception=False)


def _post(client: Client, path: str, **data: str) -> Callable[[], int]:
    return lambda: client.post(path, data).status_code


def _path_of(invitation: Invitation) -> str:
    return reverse("invitation", args=[token_of(invitation.pk)])


def _addresses(email: str) -> list[tuple[str, bool, bool]] | None:
    """A person's addresses (verified, primary), or None where there is no such person."""
    person = User.objects.filter(email=email).first()
    if person is None:
        return None
    return list(EmailAddress.objects.filter(user=person).values_list("email", "verified", "primary"))
