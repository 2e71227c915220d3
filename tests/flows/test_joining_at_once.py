"""Two people at one moment: one is served, the other told in a sentence, and nothing is left half done."""

import ast

import pytest

from tests import servers

CODE = """
import os
import threading
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from locations.invitations import change_role, invite_person, remove_member, token_of
from locations.models import Company, Invitation, Location, Membership, User
from locations.services import save_company, save_location
from tests.factories import CompanyFactory, MembershipFactory, UserFactory

ROUNDS, MANY = 5, 4
PASSWORD = "quite-a-long-passphrase-7"
support = UserFactory(support=True)
wrong = []

def at_once(*calls):
    # What each call returned, all of them begun at one moment.
    gate, done = threading.Barrier(len(calls)), [None] * len(calls)
    def run(place, call):
        try:
            gate.wait()
            done[place] = call()
        except ValidationError as error:
            done[place] = " ".join(error.messages)
        except BaseException as error:
            done[place] = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    return done

def expect(what, found, expected):
    if found != expected:
        wrong.append((what, found, expected))

def post(client, path, **data):
    return lambda: client.post(path, data).status_code

def path_of(invitation):
    return reverse("invitation", args=[token_of(invitation.pk)])

def whole(email):
    # A person is there with a verified address, or not at all.
    person = User.objects.filter(email=email).first()
    return person and list(EmailAddress.objects.filter(user=person).values_list("email", "verified", "primary"))

for number in range(ROUNDS):
    # The same invitation, several times.
    company, email = CompanyFactory(), f"join{number}@example.org"
    made = invite_person(company=company, email=email, role="operator", actor=support)
    clients = [Client(raise_request_exception=False) for _ in range(MANY)]
    found = at_once(*(post(one, path_of(made), password=PASSWORD) for one in clients))
    expect("one joins", sorted(found), [302] + [422] * (MANY - 1))
    expect("one is in", sum("_auth_user_id" in one.session for one in clients), 1)
    expect("one member", Membership.objects.filter(company=company).count(), 1)
    expect("verified", whole(email), [(email, True, True)])

    # Several invitations to one new address, from several companies: the account is made once, and those that came too
    # late are open still.
    email = f"many{number}@example.org"
    several = [
        invite_person(company=CompanyFactory(), email=email, role="operator", actor=support) for _ in range(MANY)
    ]
    clients = [Client(raise_request_exception=False) for _ in range(MANY)]
    found = at_once(*(post(one, path_of(inv), password=PASSWORD) for one, inv in zip(clients, several)))
    expect("one account", sorted(found), [302] + [422] * (MANY - 1))
    person = User.objects.get(email=email)
    expect("verified once", whole(email), [(email, True, True)])
    joined = set(Membership.objects.filter(user=person).values_list("company", flat=True))
    used = set(Invitation.objects.filter(email=email).exclude(accepted_at=None).values_list("company", flat=True))
    expect("joined what was used", (len(joined), joined), (1, used))

    # Two accounts confirm one new address.
    email, people = f"new{number}@example.org", [UserFactory() for _ in range(2)]
    pending = [EmailAddress.objects.create(user=one, email=email) for one in people]
    links = [reverse("account_confirm_email", args=[EmailConfirmationHMAC(one).key]) for one in pending]
    found = at_once(*(post(Client(raise_request_exception=False), link) for link in links))
    expect("no error", [one for one in found if one not in (200, 302, 404)], [])
    now = sorted((User.objects.get(pk=one.pk).email == email) for one in people)
    expect("one has it", now, [False, True])
    for one in people:
        own = User.objects.get(pk=one.pk).email
        rows = EmailAddress.objects.filter(user=one, verified=True)
        expect("the other is as before", list(rows.values_list("email", "primary")), [(own, True)])

    # One person asks for a change of address twice.
    person, email = UserFactory(), f"twice{number}@example.org"
    clients = [Client(raise_request_exception=False) for _ in range(2)]
    for one in clients:
        one.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        one.post(reverse("account_reauthenticate"), {"password": "demo-passport"})
    found = at_once(*(post(one, "/accounts/email/", action_add="", email=email) for one in clients))
    expect("asked twice", set(found) <= {200, 302}, True)
    expect("one waits", EmailAddress.objects.filter(user=person, verified=False).count(), 1)

    # Two managers remove, or change, one member.
    member = MembershipFactory(company=company)
    found = at_once(*(lambda: remove_member(membership=member, actor=support) for _ in range(2)))
    expect("removed once", sorted(map(str, found)), ["None", "This person is no longer a member."])
    member = MembershipFactory(company=company, role="viewer")
    found = at_once(
        lambda: remove_member(membership=member, actor=support),
        lambda: str(change_role(membership=member, role="operator", actor=support).role),
    )
    expect("removed", found[0], None)
    expect("or changed before", found[1] in ("operator", "This person is no longer a member."), True)

    # One name for two companies, or two locations.
    def company_called(slug):
        return lambda: save_company(company=Company(name="C", slug=slug, offstreet_id=f"{slug}-id")) and "saved"
    found = at_once(*(company_called(f"same{number}") for _ in range(2)))
    expect("one company", (found.count("saved"), sum("already exists" in str(one) for one in found)), (1, 1))
    def place():
        return save_location(location=Location(company=company, name="Lot")) and "saved"
    found = at_once(place, place)
    expect("one location", (found.count("saved"), sum("already exists" in str(one) for one in found)), (1, 1))

    # A deployment that starts twice.
    os.environ["FIRST_SUPPORT_EMAIL"], os.environ["FIRST_SUPPORT_PASSWORD"] = f"first{number}@example.org", PASSWORD
    start = lambda: call_command("first_support_user", stdout=open(os.devnull, "w"))
    found = at_once(start, start)
    expect("two starts", found, [None, None])
print(wrong)
"""


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_who_comes_second_is_told_in_a_sentence_and_changes_nothing(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        told = stack.shell(CODE).strip().splitlines()[-1]
    assert ast.literal_eval(told) == []
