"""Every address with the lowest role that is let in, by method, and a company with one of everything to try them on.

An address that is not in the table fails `test_access_table.py`, so that no page is added without saying who may see it.
"""

import contextlib
import mailbox
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from integrations.models import (
    Connection,
    Contact,
    HeldChange,
    Notice,
    Push,
    StatusLink,
    TestPlate,
    ZoneRefresh,
)
from integrations.notifications import signed_links
from locations.access import SUPPORT
from locations.invitations import invite_person, token_of
from locations.models import Role
from tests.factories import MembershipFactory, PermitFactory, UserFactory
from tests.pages import World

VIEWER, OPERATOR, MANAGER = Role.VIEWER.value, Role.OPERATOR.value, Role.MANAGER.value
ANYBODY, SIGNED_IN = "anybody", "signed in"


@dataclass(frozen=True)
class Access:
    """Who is let in by each method (None: no one), and the address's arguments."""

    get: str | None = None
    post: str | None = None
    pk: str = ""
    link: str = ""
    data: dict[str, str] = field(default_factory=dict)


COMPANY: dict[str, Access] = {
    # Overview, locations, zones
    "overview": Access(get=VIEWER),
    "locations": Access(get=VIEWER),
    "location_add": Access(get=OPERATOR, post=OPERATOR),
    "location_change": Access(get=VIEWER, post=OPERATOR, pk="location"),
    "location_map": Access(get=OPERATOR, post=OPERATOR, pk="location"),
    "locations_map": Access(post=OPERATOR),
    "suggestions_accept": Access(post=OPERATOR),
    "zone_options": Access(get=OPERATOR),
    "zone_hint": Access(get=OPERATOR),
    "mapping_undo": Access(post=OPERATOR),
    "zones": Access(get=VIEWER),
    "zone": Access(get=VIEWER, pk="zone"),
    "zones_refresh": Access(post=OPERATOR),
    "zone_refreshes": Access(get=VIEWER),
    "zone_refresh": Access(get=VIEWER, pk="refresh"),
    "zone_refresh_decide": Access(post=OPERATOR, pk="refresh"),
    "comparison": Access(get=VIEWER, pk="connection"),
    "compare_now": Access(post=OPERATOR, pk="connection"),
    "held_change": Access(get=VIEWER, pk="held_change"),
    "held_change_decide": Access(post=OPERATOR, pk="held_change"),
    # Permits
    "permits": Access(get=VIEWER),
    "permits_search": Access(post=VIEWER),
    "permit_add": Access(get=OPERATOR, post=OPERATOR),
    "permit_hints": Access(post=OPERATOR),
    "permit_states": Access(get=VIEWER),
    "permits_cancel": Access(post=OPERATOR),
    "permits_reinstate": Access(post=OPERATOR),
    "permit": Access(get=VIEWER, pk="permit"),
    "permit_change": Access(get=OPERATOR, post=OPERATOR, pk="permit"),
    "permit_cancel": Access(get=OPERATOR, post=OPERATOR, pk="permit"),
    "permit_reinstate": Access(get=OPERATOR, post=OPERATOR, pk="permit"),
    "permit_check": Access(post=VIEWER, pk="permit"),
    "permit_held": Access(get=VIEWER, pk="permit"),
    "validity": Access(get=VIEWER, post=VIEWER),
    # Activity
    "activity": Access(get=VIEWER),
    "push": Access(get=VIEWER, pk="push"),
    "refused": Access(get=VIEWER),
    "retry": Access(post=OPERATOR, data={"reason": "x"}),
    "activity_people": Access(get=VIEWER),
    "activity_people_search": Access(post=VIEWER),
    "activity_people_csv": Access(get=VIEWER),
    "security_log": Access(get=MANAGER),
    "security_log_csv": Access(get=MANAGER),
    # Settings
    "settings": Access(get=VIEWER),
    "settings_company": Access(get=VIEWER, post=MANAGER),
    "invite": Access(post=MANAGER),
    "invitation_withdraw": Access(post=MANAGER, pk="invitation"),
    "member_change": Access(post=MANAGER, pk="member"),
    "member_remove": Access(get=MANAGER, post=MANAGER, pk="member"),
    "notifications": Access(get=VIEWER, post=VIEWER),
    "contacts": Access(get=VIEWER, post=OPERATOR),
    "contact_remove": Access(post=OPERATOR, pk="contact"),
    # Set-up
    "setup": Access(get=VIEWER),
    "setup_another": Access(get=OPERATOR, post=OPERATOR),
    "setup_begin_request": Access(post=OPERATOR),
    "setup_begin_operator_id": Access(post=OPERATOR),
    "setup_connection": Access(get=VIEWER, pk="connection"),
    "setup_request": Access(post=OPERATOR, pk="connection"),
    "setup_contact": Access(post=SUPPORT, pk="connection"),
    "setup_confirm_operator": Access(post=SUPPORT, pk="connection"),
    "setup_change_operator_id": Access(get=SUPPORT, post=SUPPORT, pk="connection"),
    "setup_end": Access(get=SUPPORT, post=SUPPORT, pk="connection"),
    "setup_anew": Access(get=SUPPORT, post=SUPPORT, pk="connection"),
    "setup_withdraw": Access(post=SUPPORT, pk="connection"),
    "setup_operator_id": Access(post=OPERATOR, pk="connection"),
    "setup_recheck": Access(post=OPERATOR, pk="connection"),
    "setup_rename": Access(post=OPERATOR, pk="connection"),
    "setup_set_up": Access(post=OPERATOR, pk="connection"),
    "setup_test": Access(post=OPERATOR, pk="connection"),
    "setup_check_plates": Access(post=OPERATOR, pk="connection"),
    "setup_live": Access(post=OPERATOR, pk="connection"),
    "setup_pause": Access(post=MANAGER, pk="connection"),
    "setup_resume": Access(post=MANAGER, pk="connection"),
    "status_link_make": Access(post=OPERATOR, pk="connection"),
    "status_link_renew": Access(post=OPERATOR, pk="connection", link="status_link"),
    "status_link_revoke": Access(post=OPERATOR, pk="connection", link="status_link"),
    "test_plate": Access(get=VIEWER, pk="test_plate"),
    "test_plate_answer": Access(post=OPERATOR, pk="test_plate"),
    "test_plate_ask": Access(post=OPERATOR, pk="test_plate"),
    "test_plate_withdraw": Access(post=OPERATOR, pk="test_plate"),
    "diagnostics": Access(get=VIEWER, post=VIEWER),
    "diagnostics_moved": Access(get=VIEWER),
    "notice_dismiss": Access(post=OPERATOR, pk="notice"),
}
# Outside of any company. For the last three, the token in the address gives access.
OTHERS: dict[str, Access] = {
    "home": Access(get=SIGNED_IN),
    "search": Access(get=SIGNED_IN, post=SIGNED_IN),
    "companies": Access(get=SUPPORT),
    "company_add": Access(get=SUPPORT, post=SUPPORT),
    "setups": Access(get=SUPPORT),
    "security_log_all": Access(get=SUPPORT),
    "security_log_all_csv": Access(get=SUPPORT),
    "support_notice_dismiss": Access(post=SUPPORT),
    "support_notifications": Access(get=SUPPORT, post=SUPPORT),
    "healthz": Access(get=ANYBODY),
    "demo_mails": Access(get=ANYBODY),
    "demo_mail": Access(get=ANYBODY),
    "styleguide": Access(get=ANYBODY),
    "styleguide_part": Access(get=ANYBODY),
    "styleguide_zones": Access(get=ANYBODY),
    "invitation": Access(get=ANYBODY, post=ANYBODY),
    "test_answer": Access(get=ANYBODY, post=ANYBODY),
    "status_page": Access(get=ANYBODY),
}
# Signing in, by `django-allauth`: what one needs before signing in, and what a person does with their own account.
SIGN_IN = frozenset({
    "account_login", "account_logout", "account_inactive", "account_signup", "account_email_verification_sent",
    "account_confirm_email", "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key", "account_reset_password_from_key_done",
})  # fmt: skip
OWN_ACCOUNT = frozenset({
    "account_reauthenticate", "account_email", "account_change_password", "account_set_password", "mfa_index",
    "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "usersessions_list", "mfa_list_webauthn",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_reauthenticate_webauthn",
    # The second half of a sign-in: without the first there is nothing to continue.
    "mfa_authenticate", "account_confirm_login_code",
})  # fmt: skip
ACCOUNTS, ADMIN = "accounts/", "admin/"


@dataclass
class Side:
    """A company with one of everything that an address can name."""

    world: World
    things: dict[str, Any]

    def url(self, name: str, access: Access, of: "Side | None" = None) -> str:
        """Return the address of a page; `of` takes its arguments from another company."""
        things = (of or self).things
        args = [things[key].pk for key in (access.pk, access.link) if key]
        return self.world.url(name, *args)


def build_side() -> Side:
    """Make a company with one of each thing."""
    world, now = World.build(), timezone.now()
    # Verified by a test, or only support could set it live.
    Connection.objects.filter(pk=world.connection.pk).update(verified_at=now)
    zone = world.zone("Z1")
    location = world.location("Lot", zone)
    permit = PermitFactory(location=location)
    at = {"started_at": now, "finished_at": now, "outcome": ZoneRefresh.Outcome.HELD}
    test_permit = PermitFactory(location=location, is_test=True)
    things = {
        "location": location,
        "zone": zone,
        "permit": permit,
        "connection": world.connection,
        "refresh": ZoneRefresh.objects.create(connection=world.connection, **at),
        "held_change": HeldChange.objects.create(
            connection=world.connection, kind="comparison", removed=30, replaced=0, total=60, held_at=now,
            examples=[permit.pk],
        ),
        "push": Push.objects.create(
            connection=world.connection, kind="started", events=1, sent_at=now, answered_at=now, trace_id="t",
            outcome="accepted",
        ),
        "member": MembershipFactory(company=world.company, role=VIEWER),
        "invitation": invite_person(
            company=world.company, email="invited@example.org", role=VIEWER, actor=UserFactory(support=True)
        ),
        "contact": Contact.objects.create(company=world.company, kind="enforcement", email="o@example.org"),
        "status_link": StatusLink.objects.create(connection=world.connection, created_at=now),
        "notice": Notice.objects.create(company=world.company, kind="live", text="Live.", created_at=now),
        "test_plate": TestPlate.objects.create(
            connection=world.connection, location=location, zone=zone, permit=test_permit, saved_at=now
        ),
    }  # fmt: skip
    return Side(world, things)


def ask(client: Client, method: str, url: str, data: dict[str, str]) -> HttpResponse:
    """Request a page and undo what it did."""
    with contextlib.suppress(_Undo), transaction.atomic():
        answer: HttpResponse = getattr(client, method)(url, data if method == "post" else None)
        raise _Undo
    return answer


class _Undo(Exception):
    """Raised to roll back."""


def address(name: str, own: Side) -> str:
    """Return the address of a page outside of companies, with a token that works."""
    if name == "invitation":
        return reverse(name, args=[token_of(own.things["invitation"].pk)])
    if name == "status_page":
        return reverse(name, args=[signed_links.status_token(own.things["status_link"])])
    if name == "demo_mail" and settings.DEMO_MAILBOX:
        return reverse(name, args=[mailbox.Maildir(settings.DEMO_MAILBOX).add("Subject: Hello\n\nHello.")])
    if name == "test_answer":
        test = own.things["test_plate"]
        issue = signed_links.issue_of(timezone.now() + timedelta(hours=1))
        TestPlate.objects.filter(pk=test.pk).update(
            link_hash=signed_links.fingerprint(test.pk, issue),
            link_expires_at=timezone.now() + timedelta(hours=1),
        )
        return reverse(name, args=[signed_links.test_token(signed_links.TestLink(test.pk, issue, 0))])
    if name == "support_notice_dismiss":
        return reverse(
            name, args=[Notice.objects.create(kind="held", text="Held.", created_at=timezone.now()).pk]
        )
    return reverse(name, args=["1"] if name == "demo_mail" else [])


def filled(name: str, prefix: str = "") -> str:
    """Return an address by its name, with a made-up value for each argument."""
    for parts in (0, 1, 2):
        with contextlib.suppress(NoReverseMatch):
            return reverse(prefix + name, args=["1"] * parts)
    raise AssertionError(name)
