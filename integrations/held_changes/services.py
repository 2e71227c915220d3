"""Holding a change for a person, and taking the person's answer.

Whoever is about to change many rights on its own asks `may_proceed` first. A small change goes ahead. A large one is
held: the row keeps what it would do, the company is told and mailed, and nothing happens until someone answers on the
page. The change itself is not stored. It is found again the next time its cause is looked at, by then as it is; an
accepted one is let through if it is still about what the person saw.

| the answer | counts |
|---|---|
| accepted | once, within `ACCEPTED_FOR`, for a change that is hardly larger (`Impact.covers`) |
| discarded | for `DISCARDED_FOR`: a change that is hardly larger stays held, and nobody is asked again |

What a person does after seeing the same preview (mapping locations on a page) is the answer already: such code shows
`Impact.words`, asks once, and does not come here.
"""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.delivery.database_clock import database_now
from integrations.held_changes.impact import Impact
from integrations.models import Connection, HeldChange, Notice
from integrations.notifications import notices, ticket_log
from integrations.vendors.naming import names_of
from locations import audit_log
from locations.models import User

ACCEPTED_FOR = timedelta(hours=1)
DISCARDED_FOR = timedelta(days=1)

_State = HeldChange.State


def may_proceed(*, connection: Connection, kind: str, impact: Impact, found: str = "") -> bool:
    """Return whether a change that nobody asked for may be made now; if not, it is held (see the module's docstring).

    `kind` is a `HeldChange.Kind`; `found` is one sentence on what was found, shown above the preview (`impact`). Call it
    each time with the whole change, small ones too: that ends what is held and no longer needed. Don't call it while
    holding locks on permits, locations or registrations: it locks the connection. Call `note_applied` once the change is
    made: until then an acceptance stands, so that a change which fails halfway goes on without being asked about again.
    """
    now = database_now()
    with transaction.atomic():
        connection = _locked(connection)
        changes = HeldChange.objects.filter(connection=connection, kind=kind)
        held = changes.filter(state=_State.HELD).first()
        if not impact.is_too_much:
            if held is not None:
                HeldChange.objects.filter(pk=held.pk).update(state=_State.OVER)
                notices.resolve(_key(held))
            changes.filter(state=_State.ACCEPTED).update(state=_State.OVER)
            return True
        accepted = changes.filter(state=_State.ACCEPTED, decided_at__gt=now - ACCEPTED_FOR).first()
        if accepted is not None and impact_of(accepted).covers(impact):
            return True
        discarded = changes.filter(state=_State.DISCARDED, decided_at__gt=now - DISCARDED_FOR).first()
        if held is None and discarded is not None and impact_of(discarded).covers(impact):
            return False
        values = {
            "removed": impact.removed,
            "replaced": impact.replaced,
            "total": impact.total,
            "examples": list(impact.examples),
            "found": found,
        }
        if held is None:
            held = HeldChange.objects.create(connection=connection, kind=kind, held_at=now, **values)
            ticket_log.record(connection, "held", _("Change held: %(what)s") % {"what": impact.words})
            _note(held, "change_held", None)
        else:
            HeldChange.objects.filter(pk=held.pk).update(**values)
        _tell(held, impact, found)
    return False


def note_applied(connection: Connection, kind: str) -> None:
    """Use up the acceptance under which a change was made, if there is one. Called when all of it is made."""
    with transaction.atomic():
        _locked(connection)
        accepted = HeldChange.objects.filter(connection=connection, kind=kind, state=_State.ACCEPTED)
        newest = accepted.first()
        if newest is not None:
            HeldChange.objects.filter(pk=newest.pk).update(state=_State.APPLIED)
            accepted.update(state=_State.OVER)


def is_waiting(connection: Connection, kind: str) -> bool:
    """Whether a change of this kind waits for a person on the connection."""
    return HeldChange.objects.filter(connection=connection, kind=kind, state=_State.HELD).exists()


def impact_of(held: HeldChange) -> Impact:
    """Return what a held change would do."""
    return Impact(held.removed, held.replaced, held.total, tuple(held.examples))


def accept(*, held: HeldChange, seen: Impact | None = None, actor: User | None = None) -> HeldChange:
    """Let a held change happen, the next time it is found; raise `ValidationError` if it no longer waits.

    `seen` is the preview that the person answered: a change that has grown since then is not accepted by it.
    """
    held = _decide(held, _State.ACCEPTED, actor, seen)
    if held.kind == HeldChange.Kind.COMPARISON:
        # Compare again at once, since that is what makes the change.
        Connection.objects.filter(pk=held.connection_id).update(reconciled_at=None)
    return held


def discard(*, held: HeldChange, actor: User | None = None) -> HeldChange:
    """Leave the rights as they are; raise `ValidationError` if the change no longer waits."""
    return _decide(held, _State.DISCARDED, actor)


def end(connection: Connection) -> None:
    """Close what waits on a connection, or was accepted and not made: the connection has ended."""
    waiting = HeldChange.objects.filter(connection=connection, state__in=[_State.HELD, _State.ACCEPTED])
    for held in waiting:
        notices.resolve(_key(held))
    waiting.update(state=_State.OVER)


# --- Inside ---------------------------------------------------------------------------------------------------------


def _decide(held: HeldChange, state: str, actor: User | None, seen: Impact | None = None) -> HeldChange:
    with transaction.atomic():
        _locked(held.connection)
        held = HeldChange.objects.select_related("connection__company").get(pk=held.pk)
        if held.state != _State.HELD:
            raise ValidationError(_("This change no longer waits for a decision."), code="not_held")
        if seen is not None and not seen.covers(impact_of(held)):
            raise ValidationError(
                _("The change has grown since you opened this page. Look at it again, then decide."),
                code="grown",
            )
        held.state, held.decided_at, held.decided_by = state, database_now(), actor
        held.save(update_fields=["state", "decided_at", "decided_by"])
        notices.resolve(_key(held))
        is_accepted = state == _State.ACCEPTED
        text = _("Held change accepted.") if is_accepted else _("Held change discarded; nothing was changed.")
        ticket_log.record(held.connection, "held", text, actor)
        _note(held, "change_accepted" if is_accepted else "change_discarded", actor)
    return held


def _locked(connection: Connection) -> Connection:
    rows = Connection.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("company").get(pk=connection.pk)


def _key(held: HeldChange) -> str:
    return f"change_held:{held.connection_id}:{held.kind}"


def _note(held: HeldChange, kind: str, actor: User | None) -> None:
    audit_log.record(
        company=held.connection.company,
        kind=kind,
        actor=actor,
        thing=held.connection,
        held_change=held.pk,
        removed=held.removed,
        replaced=held.replaced,
        total=held.total,
    )


def _tell(held: HeldChange, impact: Impact, found: str) -> None:
    connection = held.connection
    text = _(
        "%(name)s: a change is on hold until someone decides. %(found)s %(what)s Nothing is changed at %(vendor)s "
        "meanwhile."
    ) % {**names_of(connection.vendor).words, "name": connection, "found": found, "what": impact.words}
    url = reverse("held_change", args=[connection.company.slug, held.pk])
    notices.tell(
        connection.company, "change_held", Notice.Level.DANGER, " ".join(text.split()), url, _key(held)
    )
