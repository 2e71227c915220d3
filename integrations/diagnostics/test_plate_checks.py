"""The check of the last test plate: how far it came, and what that says."""

from dataclasses import replace
from datetime import timedelta

from django.utils.translation import gettext as _

from integrations.diagnostics.context import DANGER, NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.models import PermitSync, TestPlate, Zone
from integrations.onboarding.test_plate_page import others_sentence
from integrations.vendors.naming import zone_label
from locations.times import duration_text

# A vendor lists what it has accepted within seconds; beyond this it is worth a look.
LISTED_LATE = timedelta(minutes=1)
# Test plates that are asked for the form of their state.
STATE_TESTS = 10


def last_test(context: DiagnosticContext) -> Check:
    """How far did the last test plate come, and what does that say?"""
    check = _last_test(context)
    said = others_sentence(context.test) if context.test is not None else ""
    if not said:
        return check
    tone = WARNING if check.tone in (SUCCESS, NEUTRAL) else check.tone
    return replace(check, tone=tone, finding=f"{check.finding} {said}")


def state_form(context: DiagnosticContext) -> Check:
    """Does the vendor write states as they are sent to it?"""
    title, sent = _("Form of states"), context.vendor.state_form
    tests = TestPlate.objects.filter(connection=context.connection, seen_at__isnull=False)
    seen = next(
        (
            right["state_form"]
            for right in tests.order_by("-seen_at").values_list("seen_right", flat=True)[:STATE_TESTS]
            if right and right.get("state_form")
        ),
        "",
    )
    if not sent or not seen:
        return Check("state_form", title, NEUTRAL, _("Not known yet: the right of a test plate shows it."))
    forms = {"iso": "US-NC", "short": "NC"}
    words = {**context.names.words, "sent": forms[sent], "seen": forms[seen]}
    if sent == seen:
        text = _("%(vendor)s lists states as they are sent: %(sent)s.")
        return Check("state_form", title, SUCCESS, text % words)
    return Check(
        "state_form",
        title,
        WARNING,
        _("States are sent as %(sent)s, and %(vendor)s lists them as %(seen)s.") % words,
        _("Officers may not find a plate by its state."),
        _(
            "Support: have an officer look up a test plate by its state. If it is not found, change the form of states in "
            "the settings."
        ),
    )


def _last_test(context: DiagnosticContext) -> Check:
    title, test = _("Test plate"), context.test
    if test is None:
        return Check(
            "test",
            title,
            NEUTRAL,
            _("No test plate has been sent yet."),
            "",
            _("Send a test plate."),
            context.setup_path,
        )
    page = context.page("test_plate", test.pk)
    if test.answer == TestPlate.Answer.YES:
        text = _("Seen by %(who)s in zone %(zone)s, %(age)s ago.") % {
            "who": test.answered_by,
            "zone": test.zone.number,
            "age": duration_text(context.now - test.answered_at) if test.answered_at else "?",
        }
        return Check("test", title, SUCCESS, text, path=page)
    said = ""
    if test.answer == TestPlate.Answer.NO:
        said = _("%(who)s said no. ") % {"who": test.answered_by}
        if test.note:
            said = _("%(who)s said no: “%(note)s”. ") % {"who": test.answered_by, "note": test.note}
    if test.accepted_at is None:
        return _not_accepted(context, test, said, title, page)
    if test.seen_at is None:
        return _not_listed(context, test, said, title, page)
    text = said + _("%(vendor)s accepted it and listed it in zone %(zone)s.") % {
        **context.names.words,
        "zone": f"{test.zone.number} · {test.zone.name}",
    }
    if said:
        looked_elsewhere = _(
            "%(vendor)s has it right, so the officer's device was looking elsewhere: at another "
            "operator, zone or plate."
        )
        return Check(
            "test",
            title,
            DANGER,
            text,
            " ".join(
                [looked_elsewhere % context.names.words, str(context.vendor.texts.officer_hint)]
            ).strip(),
            _(
                "Ask the officer to sign in to %(officer_app)s again, choose zone %(zone)s and type "
                "the plate. Then repeat the test. If the note names another zone, map the location to "
                "that one."
            )
            % {**context.names.words, "zone": test.zone.number},
            page,
        )
    return Check(
        "test",
        title,
        SUCCESS if not test.withdrawn_at else NEUTRAL,
        text + " " + _("No one has answered yet."),
        path=page,
    )


def _not_accepted(context: DiagnosticContext, test: TestPlate, said: str, title: str, page: str) -> Check:
    permit_sync = PermitSync.objects.filter(permit=test.permit_id, connection=test.connection_id).first()
    if permit_sync is None:
        return Check(
            "test",
            title,
            DANGER,
            said + _("It was never queued for delivery."),
            _("The location wasn't mapped when it was saved."),
            _("Map the location, then test again."),
            page,
        )
    if permit_sync.state == PermitSync.State.REFUSED:
        return Check(
            "test",
            title,
            DANGER,
            said + _("%(vendor)s refused it: %(why)s") % {**context.names.words, "why": permit_sync.error},
            _("A real permit here would be refused as well."),
            permit_sync.remedy or _("Fix this, then test again."),
            page,
        )
    why = permit_sync.error or _("no answer yet")
    return Check(
        "test",
        title,
        WARNING,
        said + _("It has not been accepted yet (%(why)s).") % {"why": why},
        _("It is waiting to be sent. See the workers, the backlog and the access to %(vendor)s below.")
        % context.names.words,
        permit_sync.remedy or _("Run the checks again in a minute."),
        page,
    )


def _not_listed(context: DiagnosticContext, test: TestPlate, said: str, title: str, page: str) -> Check:
    found = test.seen_right or {}
    if elsewhere := found.get("elsewhere"):
        numbers = dict(Zone.objects.filter(connection=test.connection_id).values_list("remote_id", "number"))
        where = ", ".join(zone_label(numbers, zone) for zone in elsewhere)
        return Check(
            "test",
            title,
            DANGER,
            said
            + _("%(vendor)s shows it in zone %(there)s instead of %(here)s.")
            % {**context.names.words, "there": where, "here": test.zone.number},
            _("The location is mapped to a zone that %(vendor)s has renumbered or merged with another.")
            % context.names.words,
            _("Refresh the zones, remap the location, then test again."),
            page,
        )
    if error := found.get("error"):
        return Check(
            "test",
            title,
            WARNING,
            said + _("Accepted, but the parking rights can't be read: %(why)s") % {"why": error},
            _("So it is unknown whether officers see it."),
            found.get("remedy") or _("Run the checks again in a minute."),
            page,
        )
    age = context.now - (test.accepted_at or context.now)
    text = said + _(
        "%(vendor)s accepted it, but doesn't list it among the parking rights of zone %(zone)s (%(age)s)."
    ) % {
        **context.names.words,
        "zone": test.zone.number,
        "age": duration_text(age),
    }
    if found.get("others"):
        text += " " + _("It lists a different session with this plate.")
    return Check(
        "test",
        title,
        WARNING if age < LISTED_LATE else DANGER,
        text,
        _(
            "%(vendor)s usually processes it within seconds. If it takes longer, it went to "
            "another operator, or %(vendor)s has a problem."
        )
        % context.names.words,
        _(
            "Compare the operator ID with the one in the officers' %(enforcement)s. Then give "
            "%(vendor)s the push's trace ID."
        )
        % context.names.words,
        page,
    )
