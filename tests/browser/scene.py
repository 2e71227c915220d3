"""The stage for tests of every page: the demo's seed, and beside it one company for each state that the seed lacks.

`build` runs inside the product under test (`Stack.run`) once its worker has delivered the seed. What pages
show as waiting, failing or ended is written as rows here, since it must not change while pages are checked; so the worker
is stopped first. It returns what tests need: ids by name, tokens of links, and a session for each role.
"""

import mailbox
from datetime import timedelta
from typing import Any, TypedDict

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.mail import send_mail
from django.test import Client
from django.utils import timezone

from integrations import diagnostics
from integrations.models import (
    CheckRun,
    Connection,
    Contact,
    HeldChange,
    Notice,
    PermitSync,
    Push,
    PushEvent,
    StatusLink,
    TestPlate,
    Zone,
    ZoneRefresh,
)
from integrations.models.delivery import NOT_LISTED
from integrations.notifications import notices, preferences, signed_links
from integrations.onboarding import connections, operator_id_requests, test_plates
from integrations.onboarding import services as onboarding
from integrations.vendors.protocol import ZoneSeen
from integrations.zones import mapping, operator_claims
from integrations.zones.diff import clean_listing
from integrations.zones.refresh import apply_listing, begin_refresh
from locations.addresses import verify_address
from locations.invitations import invite_person, token_of
from locations.models import Company, Location, Membership, Permit, Role, User
from locations.services import PermitDraft, cancel_permit, register_permit, save_company, save_location
from offstreet import seeding

# The seed's company, one in which everything is in an unusual state, and one that has nothing yet.
SEEDED, ODD, EMPTY = "university", "odd-places", "empty-lots"
ODD_OPERATOR_ID = "00000000-0000-4000-8000-00000000000d"
NOBODY = "nobody@offstreet.example"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"
SESSIONS = {
    "viewer": "viewer@university.example",
    "operator": "operator@university.example",
    "manager": "manager@university.example",
    "support": seeding.SUPPORT_EMAIL,
    "nobody": NOBODY,
}


class Built(TypedDict):
    """Ids by name; tokens of links, and the key of a session for each role (`session viewer`), by name."""

    ids: dict[str, int]
    tokens: dict[str, str]


def build() -> Built:
    """Create what the seed doesn't have."""
    manager = User.objects.get(email=SESSIONS["manager"])
    support = User.objects.get(email=SESSIONS["support"])
    verify_address(User.objects.create_user(NOBODY, seeding.PASSWORD))
    empty = save_company(company=Company(name="Empty Lots", slug=EMPTY, offstreet_id="OS-3001"))
    odd = save_company(company=Company(name="Odd Places", slug=ODD, offstreet_id="OS-3002"))
    for company in (empty, odd):
        member = Membership.objects.create(user=manager, company=company, role=Role.MANAGER)
    ids: dict[str, int] = {"member": member.pk}
    tokens: dict[str, str] = {}
    _seeded(ids)
    _odd(odd, manager, ids, tokens)
    _steps(manager, support, ids)
    _invitations(odd, manager, ids, tokens)
    _checked(ids)
    # A link as long as the product's own, which the page has to break.
    link = f"{settings.SITE_URL}/t/{'MTIzNDU2Nzg5MDEyMzQ1Njc4OTA' * 3}/"
    subject = "Is TEST123 in zone LotB on your device?"
    send_mail(subject, f"Open this link:\n\n{link}\n", None, [NOBODY])
    # The workers send emails of their own beside it.
    mails = mailbox.Maildir(settings.DEMO_MAILBOX).items()
    tokens["demo mail"] = next(key for key, mail in mails if mail["Subject"] == subject)
    for who, email in SESSIONS.items():
        client, user = Client(), User.objects.get(email=email)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        tokens[f"session {who}"] = key = client.cookies["sessionid"].value
        # What signing in on the page leaves besides the session.
        UserSession.objects.create(user=user, session_key=key, ip="192.0.2.7", user_agent=BROWSER)
    return {"ids": ids, "tokens": tokens}


# --- The seed's company -------------------------------------------------------------------------------------------


def _seeded(ids: dict[str, int]) -> None:
    """Find one permit, push, zone and so on of each state that the seed and the worker have made."""
    company, now = Company.objects.get(slug=SEEDED), timezone.now()
    connection = company.connections.get()
    permit_syncs = PermitSync.objects.filter(connection=connection).select_related("permit")
    active = permit_syncs.filter(permit__status=Permit.Status.ACTIVE)
    accepted = active.filter(state=PermitSync.State.DONE)
    permits = Permit.objects.real().filter(company=company)
    found = {
        "accepted": accepted.filter(permit__start__lte=now, permit__end__gt=now).latest("pk").permit_id,
        "coming": accepted.filter(permit__start__gt=now).latest("pk").permit_id,
        "refused": permit_syncs.refused().latest("pk").permit_id,
        "cancelled": permits.filter(status=Permit.Status.CANCELLED).latest("pk").pk,
        "ended": permits.filter(status=Permit.Status.ACTIVE, end__lt=now).latest("pk").pk,
        "no zone": permits.current(now).filter(location__zone_mapping=None).latest("pk").pk,
    }
    ids.update({f"permit {name}": pk for name, pk in found.items()})
    ids["connection"] = connection.pk
    ids["location"] = company.locations.get(name="North Campus Garage").pk
    ids["location without zone"] = company.locations.get(name="Visitor lane").pk
    ids["zone"] = connection.zones.get(number="SP-01").pk
    ids["refresh done"] = connection.refreshes.latest("pk").pk
    ids["push accepted"] = connection.pushes.filter(outcome=Push.Outcome.ACCEPTED).latest("pk").pk
    ids["push refused"] = connection.pushes.exclude(outcome=Push.Outcome.ACCEPTED).latest("pk").pk
    for slug, name in (("lakeshore-city", "testing"), ("harbor-properties", "set up")):
        ids[f"connection {name}"] = Company.objects.get(slug=slug).connections.get().pk


def _checked(ids: dict[str, int]) -> None:
    """Run the diagnostics of three companies, as a worker would for a page."""
    now = timezone.now()
    for slug in (SEEDED, ODD, EMPTY):
        company = Company.objects.get(slug=slug)
        connection = connections.current_connections(company).first()
        run = CheckRun(
            company=company, connection=connection, kind=CheckRun.Kind.DIAGNOSTICS, requested_at=now
        )
        run.result = diagnostics.run_checks(run)
        run.finished_at = timezone.now()
        run.save()
        ids[f"check {slug}"] = run.pk


# --- The company with everything odd -----------------------------------------------------------------------------


def _odd(company: Company, manager: User, ids: dict[str, int], tokens: dict[str, str]) -> None:
    connection = connections.connect(company=company, operator_id=ODD_OPERATOR_ID, actor=manager)
    connection = operator_claims.confirm(
        connection=connection, operator_id=ODD_OPERATOR_ID, how="By telephone"
    )
    _listed(connection, ("10", "20", "20a", "30", "A very long number of a zone 0001"))
    places = {
        number: save_location(
            location=Location(company=company, name=f"Lot {number}", timezone="America/Denver")
        )
        for number in ("10", "20", "20a", "30")
    }
    zones = {zone.number: zone for zone in Zone.objects.filter(connection=connection)}
    mapping.map_locations(choices=[(place, zones[number]) for number, place in places.items()], actor=manager)
    for kind, name, email in (
        (Contact.Kind.ENFORCEMENT, "Officers", "officers@odd.example"),
        (Contact.Kind.ACCOUNT_MANAGER, "Dana Whitfield", "dana@odd.example"),
    ):
        Contact.objects.create(company=company, kind=kind, name=name, email=email)
    onboarding.set_up(connection=connection, actor=manager)
    _tests(connection, list(places.values()), manager, ids, tokens)
    connections.go_live(connection=connection, reason="The pages want a live one.")
    _troubled_permits(connection, places["10"], manager, ids)
    ids["refresh gone"] = _listed(connection, ("10", "20", "30", "40")).pk
    ids["zone missing"] = zones["20a"].pk
    ids["refresh held"] = _listed(connection, ()).pk
    now = timezone.now()
    at = {"started_at": now - timedelta(minutes=3)}
    ids["refresh failed"] = ZoneRefresh.objects.create(
        connection=connection, **at, finished_at=now, outcome=ZoneRefresh.Outcome.FAILED,
        error="Passport could not be reached.", remedy="Nothing was changed; it is tried again tomorrow.",
    ).pk  # fmt: skip
    ids["refresh running"] = ZoneRefresh.objects.create(connection=connection, started_at=now).pk
    ids["held change"] = HeldChange.objects.create(
        connection=connection, kind=HeldChange.Kind.COMPARISON, removed=30, replaced=0, total=60, held_at=now,
        examples=[ids["permit DRIFT01"]],
    ).pk  # fmt: skip
    notices.tell(
        company,
        "zones",
        Notice.Level.DANGER,
        "Passport no longer lists zone 20a.",
        f"/c/{ODD}/locations/",
    )
    ended = StatusLink.objects.create(connection=connection, created_at=now, revoked_at=now)
    works = StatusLink.objects.create(connection=connection, created_by=manager, created_at=now)
    tokens["status"], tokens["status ended"] = (
        signed_links.status_token(works),
        signed_links.status_token(ended),
    )
    ids["odd connection"] = connection.pk


def _listed(connection: Connection, numbers: tuple[str, ...]) -> ZoneRefresh:
    """Let Passport list these zones; return the refresh."""
    refresh, _ = begin_refresh(connection=connection)
    listed = [
        ZoneSeen(
            remote_id=f"zone-{number}",
            number=number,
            name=f"Zone {number}",
            session_type="vehicle",
            raw={
                "id": f"zone-{number}",
                "number": number,
                "name": f"Zone {number}",
                "session_type": "vehicle",
            },
        )
        for number in numbers
    ]
    return apply_listing(refresh=refresh, listing=clean_listing(listed, connection.operator_id))


def _troubled_permits(connection: Connection, place: Location, manager: User, ids: dict[str, int]) -> None:
    """One permit that waits, one that is tried again, one that is withdrawn but still there, and a duplicate."""
    now = timezone.now()
    for plate in ("WAIT001", "RETRY01", "GONE001", "B0ILER8"):
        permit = register_permit(
            draft=PermitDraft(place, plate, "US-CO", now - timedelta(hours=1), now + timedelta(days=2)),
            actor=manager,
        )
        ids[f"permit {plate}"] = permit.pk
    permit_syncs = PermitSync.objects.filter(connection=connection)
    permit_syncs.filter(permit=ids["permit RETRY01"]).update(
        attempts=3, tried_at=now - timedelta(minutes=2), next_attempt_at=now + timedelta(hours=1),
        error_kind="later", error_code="http_503", error="Passport answers 503: it is overloaded.",
        remedy="It is tried again automatically.", error_since=now - timedelta(minutes=20),
    )  # fmt: skip
    cancel_permit(permit=Permit.objects.get(pk=ids["permit GONE001"]), actor=manager)
    permit_sync, now = permit_syncs.get(permit=ids["permit RETRY01"]), timezone.now()
    push = Push.objects.create(
        connection=connection, kind="started", events=1, sent_at=now, answered_at=now + timedelta(seconds=2),
        trace_id="trace-odd", status=503, outcome=Push.Outcome.NOT_REACHED, error_code="http_503",
        error="Passport answers 503: it is overloaded.",
    )  # fmt: skip
    PushEvent.objects.create(
        push=push, permit_sync=permit_sync, kind="started", session_id="session-odd",
        result=PushEvent.Result.LATER, error_code="http_503", error="Passport answers 503: it is overloaded.",
        due_since=permit_sync.due_since,
    )  # fmt: skip
    ids["push not reached"] = push.pk
    _odd_evidence(connection, place, manager, ids)


def _odd_evidence(connection: Connection, place: Location, manager: User, ids: dict[str, int]) -> None:
    """One permit that Passport accepted but doesn't list, and a cancelled one that it still lists."""
    now, zone = timezone.now(), place.zone_mapping.zone.remote_id
    for plate in ("DRIFT01", "STILL01"):
        permit = register_permit(
            draft=PermitDraft(place, plate, "US-CO", now - timedelta(hours=1), now + timedelta(days=2)),
            actor=manager,
        )
        ids[f"permit {plate}"] = permit.pk
        row = PermitSync.objects.get(permit=permit, connection=connection)
        session = {"session_id": f"session-{plate}", "plate": plate, "subdivision": "US-CO", "zone_id": zone}
        accepted_at = timezone.now() + timedelta(milliseconds=200)
        push = Push.objects.create(
            connection=connection, kind="started", events=1, accepted=1, sent_at=accepted_at - timedelta(milliseconds=80),
            answered_at=accepted_at, trace_id=f"trace-{plate}", status=202, outcome=Push.Outcome.ACCEPTED,
        )  # fmt: skip
        PushEvent.objects.create(
            push=push, permit_sync=row, kind="started", session_id=session["session_id"], due_since=row.due_since,
            result=PushEvent.Result.ACCEPTED, plate=plate, subdivision="US-CO", zone=zone, since=permit.start,
            until=permit.end,
        )  # fmt: skip
        PermitSync.objects.filter(pk=row.pk).update(
            state=PermitSync.State.DONE, remote_state=session, remote_until=permit.end, accepted_at=accepted_at,
            session_count=1
        )  # fmt: skip
    PermitSync.objects.filter(permit=ids["permit DRIFT01"]).update(
        error_kind="drift", error_code=NOT_LISTED, error_since=timezone.now() + timedelta(seconds=1),
        drift_since=timezone.now() + timedelta(seconds=1),
        error="Passport accepted this permit, but doesn't list it among the parking rights.",
        remedy="It is compared again in a few minutes, then sent again.",
    )  # fmt: skip
    cancel_permit(permit=Permit.objects.get(pk=ids["permit STILL01"]), actor=manager)
    unknown = {
        "plate": "BEFORE1", "subdivision": "US-NC", "zone_id": "no zone of ours", "start": "", "kind": "parking_session",
        "end": (timezone.now() + timedelta(days=3)).isoformat(), "reference": "os-8KQ2XK4M-1234567-2-9f86d081",
    }  # fmt: skip
    Connection.objects.filter(pk=connection.pk).update(
        compared_at=timezone.now(),
        comparison={
            "rights": 1_204, "seen": 5, "missing": 1, "differing": 0, "surplus": 0, "unreadable": 0, "unknown": 1, "held": 0,
            "expected": 6, "foreign": {"parking_session": 1_100, "resident_permit": 97}, "unknown_rights": [unknown],
        },
    )  # fmt: skip


def _tests(
    connection: Connection,
    places: list[Location],
    manager: User,
    ids: dict[str, int],
    tokens: dict[str, str],
) -> None:
    """A test plate at each stage. A zone takes only one test at a time, so most of them are ended by their rows alone."""
    now = timezone.now()
    ten_minutes = timedelta(minutes=10)
    stages: dict[str, dict[str, Any]] = {
        "answered yes": {"answer": "yes", "answered_at": now, "answered_by": "officers@odd.example",
                         "answered_via": "link", "link_used_at": now, "withdrawn_at": now},
        "answered no": {"answer": "no", "answered_at": now, "answered_by": "Sam Okafor", "answered_via": "page",
                        "note": "The device shows zone 30.", "withdrawn_at": now},
        "withdrawn": {"withdrawn_at": now},
        "link ended": {"link_expires_at": now - ten_minutes},
        "elsewhere": {"seen_at": None, "seen_right": {"elsewhere": ["30"]}},
        "waiting": {"accepted_at": None, "seen_at": None, "link": False},
        "accepted": {"seen_at": None, "link": False},
        "asked": {},
    }  # fmt: skip
    for number, (name, changes) in enumerate(stages.items()):
        permit = register_permit(
            draft=PermitDraft(
                places[number % len(places)],
                f"TEST{number:03d}",
                "US-CO",
                now,
                now + timedelta(hours=2),
                is_test=True,
            ),
            actor=manager,
        )
        has_link = changes.pop("link", True)
        expires = changes.get("link_expires_at", now + timedelta(hours=24))
        test = TestPlate(
            connection=connection, location=permit.location, zone=permit.location.zone_mapping.zone, permit=permit,
            asked_by=manager, saved_at=now - ten_minutes, accepted_at=now - ten_minutes, seen_at=now - ten_minutes,
        )  # fmt: skip
        for field, value in changes.items():
            setattr(test, field, value)
        test.save()
        if has_link:
            issue = signed_links.issue_of(expires)
            test.link_sent_to, test.link_expires_at = "officers@odd.example", expires
            test.link_hash = signed_links.fingerprint(test.pk, issue)
            test.save()
            tokens[f"link {name}"] = signed_links.test_token(signed_links.TestLink(test.pk, issue, 0))
        ids[f"test {name}"] = test.pk
    older = signed_links.TestLink(ids["test asked"], signed_links.issue_of(now), 0)
    tokens["link superseded"] = signed_links.test_token(older)
    assert test_plates.is_over(TestPlate.objects.get(pk=ids["test withdrawn"]), now)


# --- Companies at each step of set-up ----------------------------------------------------------------------------


def _steps(manager: User, support: User, ids: dict[str, int]) -> None:
    """Companies whose set-up waits for the operator ID, for an account manager's name, for zones, and one on hold."""
    made = {}
    for number, name in enumerate(("asked", "unknown", "id tried", "paused"), start=1):
        slug = f"step-{name.replace(' ', '-')}"
        company = save_company(
            company=Company(name=f"Step {name}", slug=slug, offstreet_id=f"OS-31{number:02d}")
        )
        membership = Membership.objects.create(user=manager, company=company, role=Role.MANAGER)
        if name == "asked":
            # A company in which no one gets alarms.
            preferences.choose_mails(membership=membership, topics=["steps"], actor=manager)
        made[name] = onboarding.begin_connection(company=company, actor=manager)
        ids[f"connection {name}"] = made[name].pk
    operator_id_requests.request_operator_id(
        connection=made["asked"], subject="Operator ID", text="Hello Dana, we need the operator ID.",
        rep_name="Dana Whitfield", rep_email="dana@odd.example", send=True, actor=manager,
    )  # fmt: skip
    operator_id_requests.contact_unknown(connection=made["unknown"], actor=manager)
    onboarding.receive_operator_id(
        connection=made["id tried"], operator_id="00000000-0000-4000-8000-0000000000aa", actor=manager
    )
    paused = connections.set_operator_id(
        connection=made["paused"], operator_id="00000000-0000-4000-8000-0000000000bb", actor=support
    )
    paused = operator_claims.confirm(
        connection=paused, operator_id=paused.operator_id, how="By telephone", actor=support
    )
    connections.go_live(connection=paused, reason="The pages want a live one.")
    connections.pause(connection=paused, reason="The garage is rebuilt.", actor=manager)


def _invitations(company: Company, manager: User, ids: dict[str, int], tokens: dict[str, str]) -> None:
    """An open invitation to someone new, one to someone with an account, and one that was withdrawn."""
    for name, email in (("new", "new@odd.example"), ("known", NOBODY), ("withdrawn", "late@odd.example")):
        made = invite_person(company=company, email=email, role=Role.OPERATOR, actor=manager)
        tokens[f"invitation {name}"] = token_of(made.pk)
        if name == "withdrawn":
            made.withdrawn_at = timezone.now()
            made.save(update_fields=["withdrawn_at"])
        ids[f"invitation {name}"] = made.pk
