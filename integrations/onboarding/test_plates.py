"""Test plates: one permit that proves the whole way, from the save to what an officer sees.

A test plate is a permit with `is_test`, valid for two hours, that is sent like a real one, even while the connection
isn't live. `integrations.onboarding.test_plate_poller` takes it from stage to stage:

    saved → accepted by the vendor → seen in the vendor's parking rights (the evidence is kept)
          → answered by a person, on the page or by the emailed link → withdrawn → gone from the parking rights

One answer is taken, under a lock. *Yes* needs the vendor's acceptance and makes a connection that is being tested live,
unless the plate was not seen at another location: then a person takes it live, or tests that one again. *No* leads to
diagnostics. After the answer, or when its time is over, the permit is withdrawn automatically.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Connection, Contact, Notice, PermitSync, TestPlate, Topic, ZoneMapping
from integrations.notifications import email_queue, mail_limits, notices, signed_links, ticket_log
from integrations.onboarding import connections
from integrations.onboarding.doubts import named, not_seen
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import get_vendor
from integrations.zones import operator_claims
from locations import audit_log
from locations.models import Location, Permit, User
from locations.plates import clean_plate
from locations.regions import Region, region_label
from locations.services import PermitDraft, cancel_permit, lock_locations, register_permit

log = structlog.get_logger(__name__)

DEFAULT_PLATE = "TEST123"
DEFAULT_REGION = Region("US", "US-NC")
VALID_FOR = timedelta(hours=2)
MOST_ADDRESSES = 10
MOST_ADDRESS_CHARS = 400
NOTE_MAX_CHARS = 2_000
_BEFORE_LIVE = (Connection.Status.SETUP, Connection.Status.TESTING)


# --- Questions --------------------------------------------------------------------------------------------------------


def is_over(test: TestPlate, now: datetime) -> bool:
    """Whether the test plate is no longer valid at `now`."""
    return test.withdrawn_at is not None or test.permit.end <= now


def was_taken_back(test: TestPlate) -> bool:
    """Whether somebody withdrew the test before its time and without an answer; its link is worth nothing then."""
    return not test.answer and test.withdrawn_at is not None and test.withdrawn_at < test.permit.end


# --- What people do -------------------------------------------------------------------------------------------------


def start_test(
    *,
    connection: Connection,
    location: Location,
    plate: str = DEFAULT_PLATE,
    region: Region = DEFAULT_REGION,
    space_number: str = "",
    ask: Iterable[str] = (),
    actor: User | None = None,
) -> TestPlate:
    """Register a test plate at a mapped location; raise `ValidationError` keyed by field.

    `ask` are the addresses that get the link as soon as the vendor shows the plate. A test that is under way there for
    the same plate is returned as it is, so that a form sent twice makes one.
    """
    addresses = _clean_addresses(ask)
    wanted = _keyed("plate", clean_plate, plate)
    now = timezone.now()
    with transaction.atomic():
        # The connection first, as whoever maps does: the other way round the two could wait for each other in a circle.
        connection = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        operator_claims.require_confirmed(connection)
        location = Location.objects.select_for_update(no_key=True).get(pk=location.pk)
        mapping = ZoneMapping.objects.select_related("zone").filter(location=location).first()
        if mapping is None or mapping.zone.connection_id != connection.pk:
            raise ValidationError({"location": [_("Map this location to a zone of this integration first.")]})
        zone = mapping.zone
        if zone.missing_since is not None:
            raise ValidationError(
                {"location": [_("The vendor no longer lists its zone. Remap the location first.")]}
            )
        under_way = TestPlate.objects.filter(
            zone=zone, withdrawn_at=None, permit__end__gt=now
        ).select_related("permit")
        for test in under_way:
            if test.location_id == location.pk and test.permit.plate == wanted:
                return test
            if test.permit.plate == wanted or test.location_id == location.pk:
                raise ValidationError({"plate": [_("A test is running in this zone. Withdraw it first.")]})
        if _is_registered(wanted, location, now):
            raise ValidationError(
                {"plate": [_("This plate has a real permit here. Choose one that no vehicle has.")]}
            )
        if zone.needs_space and not space_number.strip():
            raise ValidationError({"space_number": [_("This zone requires a space number.")]})
        if addresses:
            mail_limits.charge(asked_by=actor, company=connection.company, to=addresses, kind="test_plate")
        connections.begin_testing(connection=connection, actor=actor)
        permit = register_permit(
            draft=PermitDraft(
                location=location,
                plate=plate,
                **region._asdict(),
                start=now,
                end=now + VALID_FOR,
                space_number=space_number if zone.needs_space else "",
                type="test",
                is_test=True,
            ),
            actor=actor,
            source=Permit.Source.TEST,
        )
        test = TestPlate.objects.create(
            connection=connection,
            location=location,
            zone=zone,
            permit=permit,
            asked_by=actor,
            saved_at=permit.created_at,
            link_sent_to=", ".join(addresses),
        )
        Connection.objects.filter(pk=connection.pk, ready_for_test_at=None).update(ready_for_test_at=now)
        text = _("Test plate registered at %(location)s, zone %(zone)s.") % {
            "location": location,
            "zone": zone.number,
        }
        ticket_log.record(connection, "test", text, actor)
        _note(test, "test_sent", actor)
    return test


def ask_by_mail(*, test: TestPlate, addresses: Iterable[str], actor: User | None = None) -> TestPlate:
    """Mail the link that asks for a person's word; a link sent before ends. Raises `ValidationError`."""
    to = _clean_addresses(addresses)
    if not to:
        raise ValidationError({"addresses": [_("Enter at least one email address.")]})
    with transaction.atomic():
        test = locked(test)
        if test.answer:
            raise ValidationError(_("This test has already been answered."), code="answered")
        if is_over(test, timezone.now()):
            raise ValidationError(_("This test has ended. Send another test plate."), code="over")
        if test.accepted_at is None:
            raise ValidationError(_("The vendor has not accepted the test plate yet."), code="not_accepted")
        mail_limits.charge(asked_by=actor, company=test.connection.company, to=to, kind="test_plate")
        issue_link(test, to)
        text = _("Asked by email: %(to)s.") % {"to": ", ".join(to)}
        ticket_log.record(test.connection, "test_asked", text, actor)
        _note(test, "test_asked", actor, to=to)
    return test


def answer_test(
    *, test: TestPlate, seen: bool, note: str, by: str, via: str, actor: User | None = None
) -> TestPlate:
    """Take a person's word, once; withdraw the test plate, and go live where this was the word that was waited for.

    `via` is "page", "link" or "command". Raises `ValidationError`: `answered`, `not_accepted`.
    """
    with transaction.atomic():
        # Before the test and its permit, as everybody who takes a connection further (`integrations.delivery.outbox`).
        connection = Connection.objects.select_for_update(no_key=True).get(pk=test.connection_id)
        test = locked(test)
        now = timezone.now()
        if test.answer:
            raise ValidationError(_("This test has already been answered."), code="answered")
        take_in_acceptance(test)
        if seen and test.accepted_at is None:
            raise ValidationError(
                _(
                    "The vendor has not accepted this test plate yet, so it can't be on a device. Wait a moment."
                ),
                code="not_accepted",
            )
        test.answer = TestPlate.Answer.YES if seen else TestPlate.Answer.NO
        test.answered_at, test.answered_by, test.answered_via = now, by[:200], via
        test.note = note.strip()[:NOTE_MAX_CHARS]
        if via == "link":
            test.link_used_at = now
        test.save()
        if seen and connection.status in _BEFORE_LIVE:
            _hold_what_is_marked(test, now)
        withdraw(test, now, actor)
        _note(test, "test_answered", actor, by=test.answered_by, answer=test.answer)
        doubts = not_seen(test.connection)
        _tell_answer(test, actor, doubts)
        if seen:
            _verify(test, actor, now, doubts)
    return test


def withdraw_test(*, test: TestPlate, actor: User | None = None) -> TestPlate:
    """Take the test plate back before its time; one that is withdrawn stays as it is."""
    with transaction.atomic():
        test = locked(test)
        if test.withdrawn_at is None:
            withdraw(test, timezone.now(), actor)
            ticket_log.record(test.connection, "test_withdrawn", _("Test plate withdrawn."), actor)
            _note(test, "test_withdrawn", actor)
    return test


def test_path(test: TestPlate) -> str:
    """Return the path of a test's page."""
    return reverse("test_plate", args=[test.connection.company.slug, test.pk])


test_path.__test__ = False  # type: ignore[attr-defined]


# --- Inside ---------------------------------------------------------------------------------------------------------


def take_in_acceptance(test: TestPlate) -> None:
    """Note that the vendor has accepted the test plate, where it has; the test must be locked."""
    permit_sync = permit_sync_of(test)
    if test.accepted_at is None and permit_sync is not None and permit_sync.accepted_at:
        test.accepted_at = permit_sync.accepted_at
        test.save(update_fields=["accepted_at"])
        ticket_log.record(
            test.connection, "test_accepted", _("Test plate accepted."), at=permit_sync.accepted_at
        )


def withdraw(test: TestPlate, now: datetime, actor: User | None) -> None:
    """Withdraw the registration of a locked test, once."""
    if test.withdrawn_at is not None:
        return
    cancel_permit(permit=test.permit, actor=actor)
    test.withdrawn_at = now
    test.save(update_fields=["withdrawn_at"])


def _hold_what_is_marked(test: TestPlate, now: datetime) -> None:
    """Lock the registrations that the withdrawal and going live mark one after the other, in the order that everyone keeps.

    The test's permit is newer than those that going live marks: marked first, it would be held while theirs are waited for.
    """
    permit = Permit.objects.select_for_update(no_key=True).get(pk=test.permit_id)
    lock_locations([permit.location_id])
    mapped = Permit.objects.not_ended(now).filter(location__zone_mapping__zone__connection=test.connection_id)
    PermitSync.objects.filter(Q(permit=permit) | Q(permit__in=mapped)).hold()


def _note(test: TestPlate, kind: str, actor: User | None, **params: Any) -> None:
    connection = test.connection
    audit_log.record(
        company=connection.company, kind=kind, actor=actor, thing=test.location, test=test.pk,
        zone=test.zone.number, **params,
    )  # fmt: skip


def _verify(test: TestPlate, actor: User | None, now: datetime, doubts: Sequence[TestPlate]) -> None:
    connection = Connection.objects.get(pk=test.connection_id)  # locked by whoever takes the answer
    if doubts and connection.status in _BEFORE_LIVE:
        # What one officer sees says nothing of the zone in which another one saw nothing.
        text = _("Not live yet: the test plate was not seen at %(locations)s.") % {"locations": named(doubts)}
        ticket_log.record(connection, "test_doubt", text)
    if connection.status in _BEFORE_LIVE and not doubts:
        connections.go_live(connection=connection, actor=actor, verified=True)
    elif connection.verified_at is None:
        connection.verified_at = now
        connection._history_user = actor  # type: ignore[attr-defined]
        connection.save()


def _tell_answer(test: TestPlate, actor: User | None, doubts: Sequence[TestPlate]) -> None:
    connection, company = test.connection, test.connection.company
    seen = test.answer == TestPlate.Answer.YES
    key = f"test-no:{connection.pk}"
    if not doubts:
        notices.resolve(key)
    if seen:
        text = _("%(who)s sees the test plate in zone %(zone)s.")
    else:
        text = _("%(who)s doesn't see the test plate in zone %(zone)s as expected.")
    text = text % {"who": test.answered_by, "zone": test.zone.number}
    ticket_log.record(connection, "test_answered", f"{text} {test.note}".strip(), actor)
    path = test_path(test)
    if not seen:
        path = f"{reverse('diagnostics', args=[company.slug])}?symptom=plate&test={test.pk}"
        notices.tell(company, "test_no", Notice.Level.WARNING, text, path, key)
    email_queue.queue(
        kind="test_answered",
        # The answer counts whoever is told of it: where tests are answered all day, mails of them end.
        to=mail_limits.receivers_within(
            [
                *email_queue.people_of(company, Topic.RESULTS),
                *email_queue.contacts_of(company, Contact.Kind.OFFSTREET),
            ],
            kind="test_answered",
        ),
        context={
            "vendor": names_of(connection.vendor),
            "seen": seen,
            "who": test.answered_by,
            "note": test.note,
            "location": test.location.name,
            "zone": test.zone.number,
            "live": seen and (connection.is_live or (connection.status in _BEFORE_LIVE and not doubts)),
            "path": path,
        },
        company=company,
        dedupe_key=f"test-answered:{test.pk}",
        asked_by=None,
    )


def issue_link(test: TestPlate, addresses: list[str]) -> None:
    """Make a new link for a locked test and mail it; earlier ones end with it."""
    now = timezone.now()
    expires = now + signed_links.TEST_LINK_LIFETIME
    issue = signed_links.issue_of(expires)
    test.link_hash = signed_links.fingerprint(test.pk, issue)
    test.link_sent_to, test.link_expires_at = ", ".join(addresses), expires
    test.save(update_fields=["link_hash", "link_sent_to", "link_expires_at"])
    company, tz = test.connection.company, test.location.tz
    vendor = get_vendor(test.connection.vendor)
    for place, address in enumerate(addresses):
        email_queue.queue(
            kind="test_plate",
            to=address,
            context={
                "vendor": vendor.names,
                "officer_hint": vendor.texts.officer_hint,
                "plate": test.permit.plate,
                "region": region_label(*test.permit.region),
                "zone_number": test.zone.number,
                "zone_name": test.zone.name,
                "until": f"{test.permit.end.astimezone(tz):%H:%M %Z}",
                "ends": f"{expires.astimezone(tz):%A, %H:%M %Z}",
                "link": signed_links.PLACEHOLDER,
            },
            company=company,
            dedupe_key=signed_links.mail_key(signed_links.TestLink(test.pk, issue, place)),
            # Counted when they were named.
            asked_by=None,
        )


def _is_registered(plate: str, location: Location, now: datetime) -> bool:
    permits = Permit.objects.real().not_ended(now).filter(company=location.company_id, plate=plate)
    return permits.filter(location__zone_mapping__zone__mappings__location=location).exists()


def permit_sync_of(test: TestPlate) -> PermitSync | None:
    """Return the state of the test's delivery, or None where nothing was noted."""
    return PermitSync.objects.filter(permit=test.permit_id, connection=test.connection_id).first()


def locked(test: TestPlate) -> TestPlate:
    """Return the test as it is now, locked until the transaction ends."""
    related = ("connection__company", "permit", "zone", "location")
    return (
        TestPlate.objects.select_for_update(of=("self",), no_key=True)
        .select_related(*related)
        .get(pk=test.pk)
    )


def _keyed(field: str, call: Any, value: str) -> Any:
    try:
        return call(value)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


def split(text: str) -> list[str]:
    """Return the addresses in a text; commas, semicolons and line breaks part them."""
    return [part.strip() for part in text.replace(";", ",").replace("\n", ",").split(",") if part.strip()]


def _clean_addresses(addresses: Iterable[str]) -> list[str]:
    """Return the addresses without doubles, or raise `ValidationError` keyed by `addresses`."""
    found = list(dict.fromkeys(address.strip() for address in addresses if address.strip()))
    if len(found) > MOST_ADDRESSES or len(", ".join(found)) > MOST_ADDRESS_CHARS:
        raise ValidationError({"addresses": [_("At most %(most)d addresses.") % {"most": MOST_ADDRESSES}]})
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            text = _("“%(text)s” is not an email address.") % {"text": address[:60]}
            raise ValidationError({"addresses": [text]}) from error
    return found
