"""Whose operator ID it is: claimed by a company, confirmed by support or by a proof, and only then used.

The vendor's credentials belong to the partner (Offstreet), not to the company that types an operator ID, so the vendor's
"yes" proves that some operator has authorised us and nothing about who asks. Whoever enters a foreign operator ID could
otherwise make his own plates show on that operator's streets. So a connection's operator ID is a *claim* until

- support confirms it and says how it is known (a call with the account manager, the operator's mail), or
- a zone of that operator carries the connection's code in its name. Only the operator's own people can rename a zone,
  and each connection has a code of its own, so a code that is there proves that they mean this very connection.

Until then one question alone is put to the vendor: whether it knows the operator ID. No zone is shown or stored, no
parking right is read, and no event is sent, not even for a test plate (`integrations.delivery.claim` reads confirmed
connections only; the database refuses a live connection without a confirmation). Another operator ID is another claim: a
change drops the confirmation.

A second company that enters an operator ID which another one has is *held*: the ID is kept beside the connection, nobody
is asked about it, and support decides.
"""

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Connection, Notice, Topic
from integrations.notifications import email_queue, mail_limits, notices, ticket_log
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import ZoneSeen
from locations.models import User

HOW_MAX_CHARS = 200
CODE_PREFIX = "OFFSTREET-"
TURNED_DOWN = "turned_down"


# --- Asking -------------------------------------------------------------------------------------------------------


def ask_support(connection: Connection, actor: User | None) -> None:
    """Tell support that an operator ID was entered and waits for its word; call it in the transaction that keeps it.

    The mail counts against the person's limit and the company's: raises `ValidationError`
    (`integrations.notifications.mail_limits`).
    """
    text = _("%(company)s entered the operator ID %(id)s. Confirm that it is theirs.")
    _tell_support(connection, text % {"company": connection.company, "id": connection.operator_id}, actor)


def hold(*, connection: Connection, operator_id: str, actor: User | None = None) -> Connection:
    """Keep an operator ID that another company has beside the connection, and ask support to decide."""
    with transaction.atomic():
        connection = _locked(connection)
        if connection.operator_id_held == operator_id:
            return connection
        connection.operator_id_held, connection.operator_id_held_at = operator_id, timezone.now()
        connection.operator_id_by = actor
        _save(connection, actor)
        other = holder_of(connection)
        text = _(
            "%(company)s entered the operator ID %(id)s, which %(other)s already has. Decide whose it is."
        )
        words = {"company": connection.company, "id": operator_id, "other": other.company if other else "–"}
        _tell_support(connection, text % words, actor)
        # The other company's name is not this company's business, and its people read the ticket.
        ticket_log.record(
            connection,
            "operator_id",
            _("The operator ID %(id)s is in use by another company. Support will decide.")
            % {"id": operator_id},
            actor,
        )
    return connection


def holder_of(connection: Connection) -> Connection | None:
    """Return the connection that has the operator ID for which this one is held, or None."""
    if not connection.operator_id_held:
        return None
    taken = Connection.objects.filter(vendor=connection.vendor, operator_id=connection.operator_id_held)
    return taken.exclude(status=Connection.Status.ENDED).exclude(pk=connection.pk).first()


# --- Deciding -----------------------------------------------------------------------------------------------------


def confirm(*, connection: Connection, operator_id: str, how: str, actor: User | None = None) -> Connection:
    """Say that the operator ID is this company's; only support (or a script, `actor` None) may.

    `operator_id` is the one that was looked at: where the company has entered another one meanwhile, nothing is confirmed.
    `how` says how support knows and is kept. One that is held moves here, unless it is confirmed for its present holder.
    """
    _require_support(actor)
    how = " ".join(how.split())
    if not how:
        raise ValidationError({"how": [_("Say how you know. Your answer is kept.")]})
    if len(how) > HOW_MAX_CHARS:
        raise ValidationError({"how": [_("At most %(most)d characters.") % {"most": HOW_MAX_CHARS}]})
    with transaction.atomic():
        connection = _locked(connection)
        _require_same(connection, operator_id)
        if operator_id == connection.operator_id_held:
            connection = _move_here(connection, actor)
        if connection.operator_confirmed_at is None:
            _confirm(connection, how, actor)
    return connection


def confirm_by_zone(*, connection: Connection) -> bool:
    """Confirm an operator ID in whose zones the connection's code was found just now; return whether it was open."""
    with transaction.atomic():
        fresh = _locked(connection)
        if fresh.operator_confirmed_at is not None or fresh.operator_id != connection.operator_id:
            return False
        _confirm(
            fresh, _("A zone of the operator carries the code %(code)s.") % {"code": code_of(fresh)}, None
        )
    return True


def turn_down(
    *, connection: Connection, operator_id: str, reason: str, actor: User | None = None
) -> Connection:
    """Say that the operator ID is not this company's: it is taken off, and the company is told why."""
    _require_support(actor)
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": [_("Say why. The company is told.")]})
    with transaction.atomic():
        connection = _locked(connection)
        _require_same(connection, operator_id)
        if operator_id == connection.operator_id_held:
            connection.operator_id_held, connection.operator_id_held_at = "", None
        elif connection.operator_confirmed_at is not None:
            raise ValidationError(_("It is confirmed. End the integration instead."), code="confirmed")
        else:
            take_off(connection, timezone.now())
        connection.operator_id_finding, connection.operator_id_checked_at = TURNED_DOWN, timezone.now()
        _save(connection, actor)
        notices.resolve(_support_key(connection))
        text = _("Support could not confirm the operator ID %(id)s: %(reason)s")
        text = text % {"id": operator_id, "reason": reason}
        notices.tell(
            connection.company, "operator_id", Notice.Level.WARNING, text, _path(connection), _key(connection)
        )
        ticket_log.record(connection, "operator_id", text, actor)
    return connection


# --- Proving ------------------------------------------------------------------------------------------------------


def code_of(connection: Connection) -> str:
    """Return the code that the operator puts into a zone's name to prove that it means this connection."""
    return f"{CODE_PREFIX}{connection.key}"


def is_proved(connection: Connection, zones: Iterable[ZoneSeen]) -> bool:
    """Whether one of the zones that the vendor lists for the operator carries the connection's code; pure."""
    code = code_of(connection)
    return any(code in zone.name.upper() or code in zone.number.upper() for zone in zones)


# --- Used by the connection's own steps -----------------------------------------------------------------------------


def require_confirmed(connection: Connection) -> None:
    """Raise `ValidationError` unless the connection's operator ID is confirmed."""
    if connection.operator_confirmed_at is None:
        raise ValidationError(
            _("Support has to confirm first that this operator ID is yours."), code="unconfirmed"
        )


def forget(connection: Connection) -> None:
    """Drop a connection's confirmation, unsaved: another operator ID is another claim."""
    connection.operator_confirmed_at = connection.operator_confirmed_by = None
    connection.operator_confirmed_how = ""
    connection.operator_id_held, connection.operator_id_held_at = "", None


def take_off(connection: Connection, now: datetime) -> None:
    """Take the operator ID off a connection, unsaved. Its zones stay, as missing, with what was mapped to them."""
    connection.zones.listed().update(missing_since=now)
    forget(connection)
    connection.operator_id, connection.operator_id_at = "", None
    connection.operator_id_checked_at, connection.operator_id_finding = None, ""
    connection.zones_pulled_at = connection.verified_at = connection.ready_for_test_at = None


# --- Inside -------------------------------------------------------------------------------------------------------


def _confirm(connection: Connection, how: str, actor: User | None) -> None:
    connection.operator_confirmed_at, connection.operator_confirmed_by = timezone.now(), actor
    connection.operator_confirmed_how = how
    _save(connection, actor)
    notices.resolve(_support_key(connection))
    text = _("The operator ID is confirmed. The integration can be set up.")
    notices.tell(
        connection.company, "operator_id", Notice.Level.SUCCESS, text, _path(connection), _key(connection)
    )
    email_queue.queue(
        kind="operator_confirmed",
        to=email_queue.people_of(connection.company, Topic.STEPS),
        context={
            "vendor": names_of(connection.vendor),
            "operator_id": connection.operator_id,
            "path": _path(connection),
        },
        company=connection.company,
        dedupe_key=f"operator-confirmed:{connection.pk}:{connection.operator_id}",
        asked_by=None,
    )
    words = _("Operator ID confirmed: %(how)s") % {"how": how}
    ticket_log.record(connection, "operator_id", words, actor)


def _move_here(connection: Connection, actor: User | None) -> Connection:
    """Give a connection the operator ID for which it is held, and take it off the one that only claimed it."""
    other = holder_of(connection)
    if other is not None:
        other = _locked(other)
        if other.operator_confirmed_at is not None:
            raise ValidationError(
                _("It is confirmed for %(other)s. End that integration first."),
                code="confirmed_elsewhere",
                params={"other": other.company},
            )
        turn_down(
            connection=other,
            operator_id=other.operator_id,
            reason=_("it belongs to another company."),
            actor=actor,
        )
    if connection.operator_confirmed_at is not None:
        raise ValidationError(
            _("This integration has a confirmed operator ID. End it and start another one."),
            code="confirmed",
        )
    wanted, who = connection.operator_id_held, connection.operator_id_by
    take_off(connection, timezone.now())
    connection.operator_id, connection.operator_id_at, connection.operator_id_by = wanted, timezone.now(), who
    _save(connection, actor)
    return connection


def _tell_support(connection: Connection, text: str, actor: User | None) -> None:
    path, key = _path(connection), _support_key(connection)
    notices.tell(None, "operator_claim", Notice.Level.WARNING, text, path, key)
    if actor is None:
        return  # A script: who runs it is support, and confirms in the same breath.
    # Support's own address is not charged: one company could otherwise keep the others' mails from it.
    mail_limits.charge(asked_by=actor, company=connection.company, to=(), kind="operator_claim")
    email_queue.queue(
        kind="operator_claim",
        to=email_queue.people_of(None, Topic.STEPS),
        context={
            "vendor": names_of(connection.vendor),
            "text": text,
            "entered_by": actor.email,
            "path": path,
        },
        company=connection.company,
        dedupe_key=f"{key}:{connection.operator_id_held or connection.operator_id}",
        asked_by=None,
    )


def _require_support(actor: User | None) -> None:
    if actor is not None and not actor.is_support:
        raise ValidationError(_("Only support can confirm an operator ID."), code="support_only")


def _require_same(connection: Connection, operator_id: str) -> None:
    open_ones = {connection.operator_id, connection.operator_id_held} - {""}
    if connection.status == Connection.Status.ENDED or operator_id not in open_ones:
        raise ValidationError(
            _("The operator ID has been changed in the meantime. Look at it again, then decide."),
            code="changed",
        )


def _path(connection: Connection) -> str:
    return reverse("setup_connection", args=[connection.company.slug, connection.pk])


def _support_key(connection: Connection) -> str:
    return f"operator-claim:{connection.pk}"


def _key(connection: Connection) -> str:
    # The notice that the operator ID works says the same with fewer words: one open notice for both.
    return f"operator-id-ok:{connection.pk}"


def _locked(connection: Connection) -> Connection:
    return (
        Connection.objects.select_for_update(of=("self",), no_key=True)
        .select_related("company")
        .get(pk=connection.pk)
    )


def _save(connection: Connection, actor: User | None) -> None:
    connection._history_user = actor  # type: ignore[attr-defined]
    connection.save()
