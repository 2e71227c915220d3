"""What a test plate's page says, as pure functions over the test (with its connection) and the state of its delivery."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from integrations.models import PermitSync, TestPlate
from integrations.onboarding import test_plates
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from locations.times import duration_text

# A vendor works on an event later, in seconds as a rule; beyond this a person should look.
USUAL_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the test: `state` is done, now, stuck or later."""

    title: str
    state: str
    at: datetime | None = None
    text: str = ""

    @property
    def tone(self) -> str:
        """The tone of the stage."""
        return {"done": "success", "now": "warning", "stuck": "danger"}.get(self.state, "neutral")

    @property
    def icon(self) -> str:
        """The icon of the stage."""
        return {"done": "check", "now": "clock", "stuck": "x"}.get(self.state, "circle-dashed")


def stages(test: TestPlate, permit_sync: PermitSync | None, now: datetime) -> list[Stage]:
    """Return the stages in order; at most one of them is *now* or *stuck*."""
    names = names_of(test.connection.vendor)
    shown = [Stage(_("Saved"), "done", test.saved_at)]
    shown.append(_accepted(test, permit_sync, names))
    shown.append(_seen(test, names, now))
    shown.append(_answered(test, names, now))
    if test.withdrawn_at:
        shown.append(Stage(_("Withdrawn"), "done", test.withdrawn_at))
        text = (
            _("No longer listed in the parking rights.") if test.gone_at else _("Checking until it is gone…")
        )
        shown.append(
            Stage(_("Removed from the parking rights"), "done" if test.gone_at else "now", test.gone_at, text)
        )
    else:
        shown += [Stage(_("Withdrawn"), "later"), Stage(_("Removed from the parking rights"), "later")]
    return shown


def headline(test: TestPlate, permit_sync: PermitSync | None, now: datetime) -> tuple[str, str, str]:
    """Return tone, sentence and detail: where the test stands, and whether it can prove anything."""
    tone, sentence, detail = _where_it_stands(test, permit_sync, now)
    if said := others_sentence(test):
        return "danger" if tone == "danger" else "warning", sentence, f"{said} {detail}".strip()
    return tone, sentence, detail


def others_sentence(test: TestPlate) -> str:
    """Say that the vendor shows the plate without our doing, so that the test proves nothing; empty where it does not."""
    others = (test.seen_right or {}).get("others_seen") or []
    if not others:
        return ""
    words = names_of(test.connection.vendor).words | {"plate": test.permit.plate}
    kinds = ", ".join(sorted({other["kind"].replace("_", " ") for other in others if other["kind"]}))
    if kinds:
        said = _("%(vendor)s lists %(plate)s anyway, as %(kinds)s.") % {**words, "kinds": kinds}
    else:
        said = _("%(vendor)s lists %(plate)s anyway, without this test.") % words
    nothing = _("So an officer who sees it proves nothing: repeat the test with a plate that is on no list.")
    return f"{said} {nothing}"


def _where_it_stands(test: TestPlate, permit_sync: PermitSync | None, now: datetime) -> tuple[str, str, str]:
    zone, names = test.zone.number, names_of(test.connection.vendor)
    if test.answer == TestPlate.Answer.YES:
        return (
            "success",
            _("Confirmed: an officer sees the test plate in zone %(zone)s.") % {"zone": zone},
            "",
        )
    if test.answer == TestPlate.Answer.NO:
        said = _("What the officer saw: %(note)s") % {"note": test.note} if test.note else ""
        return "danger", _("The officer doesn't see the test plate as expected."), said
    if test.accepted_at is None and permit_sync is not None and permit_sync.state == PermitSync.State.REFUSED:
        return (
            "danger",
            _("%(vendor)s refuses the test plate: %(why)s") % {**names.words, "why": permit_sync.error},
            permit_sync.remedy,
        )
    if test_plates.is_over(test, now):
        return (
            "neutral",
            _("The test ended without an answer."),
            _("Send another test plate when someone can look for it."),
        )
    if test.accepted_at is None:
        error = permit_sync.error if permit_sync else ""
        if error:
            return (
                "warning",
                _("Not yet in %(vendor)s: %(why)s") % {**names.words, "why": error},
                _("It is tried again automatically."),
            )
        return "info", _("The test plate is on its way to %(vendor)s.") % names.words, ""
    if test.seen_at is None:
        return _not_seen(test, names, now)
    if test.link_hash:
        return (
            "warning",
            _("Waiting for an officer to confirm zone %(zone)s.") % {"zone": zone},
            (_("Asked by email: %(to)s.") % {"to": test.link_sent_to}),
        )
    return (
        "info",
        _("%(vendor)s lists it. Does an officer's device show it, too?") % names.words,
        (
            _("Look it up in %(officer_app)s, in zone %(zone)s, and answer here, or ask someone by email.")
            % {**names.words, "zone": zone}
        ),
    )


def _not_seen(test: TestPlate, names: VendorNames, now: datetime) -> tuple[str, str, str]:
    found = test.seen_right or {}
    if found.get("elsewhere"):
        return (
            "danger",
            _("%(vendor)s lists the test plate in another zone.") % names.words,
            _("Diagnostics shows which one, and what to do."),
        )
    if found.get("error"):
        return (
            "warning",
            _("The parking rights can't be read: %(why)s") % {"why": found["error"]},
            (found.get("remedy") or _("It is tried again automatically.")),
        )
    if test.accepted_at and now - test.accepted_at > USUAL_WAIT:
        return (
            "warning",
            _("%(vendor)s has accepted the test plate, but still doesn't list it.") % names.words,
            (_("This usually takes seconds. Open diagnostics to find out why.")),
        )
    return "info", _("%(vendor)s has accepted it; looking for it in the parking rights…") % names.words, ""


def _after(at: datetime, saved_at: datetime) -> str:
    return _("%(span)s after it was saved") % {"span": duration_text(at - saved_at, tenths=True)}


def _accepted(test: TestPlate, permit_sync: PermitSync | None, names: VendorNames) -> Stage:
    title = _("Accepted by %(vendor)s") % names.words
    if test.accepted_at:
        return Stage(title, "done", test.accepted_at, _after(test.accepted_at, test.saved_at))
    if permit_sync is not None and permit_sync.state == PermitSync.State.REFUSED:
        return Stage(
            title, "stuck", permit_sync.error_since, f"{permit_sync.error} {permit_sync.remedy}".strip()
        )
    if test.withdrawn_at:
        return Stage(title, "later")
    return Stage(title, "now", None, permit_sync.error if permit_sync else "")


def _seen(test: TestPlate, names: VendorNames, now: datetime) -> Stage:
    title = _("Listed in the parking rights at %(vendor)s") % names.words
    if test.seen_at:
        return Stage(title, "done", test.seen_at, _after(test.seen_at, test.saved_at))
    if test.accepted_at is None or test.withdrawn_at:
        return Stage(title, "later")
    found = test.seen_right or {}
    if found.get("elsewhere"):
        return Stage(title, "stuck", None, _("It is in another zone."))
    late = now - test.accepted_at > USUAL_WAIT
    return Stage(title, "stuck" if late else "now", None, str(found.get("error", "")))


def _answered(test: TestPlate, names: VendorNames, now: datetime) -> Stage:
    title = _("Seen by a person in %(enforcement)s") % names.words
    if test.answer:
        via = {"link": _("by the emailed link"), "page": _("on the page"), "command": _("by command")}
        said = _("%(who)s, %(via)s") % {
            "who": test.answered_by,
            "via": via.get(test.answered_via, test.answered_via),
        }
        if test.note:
            said = f"{said}: “{test.note}”"
        return Stage(
            title, "done" if test.answer == TestPlate.Answer.YES else "stuck", test.answered_at, said
        )
    if test.seen_at is None:
        return Stage(title, "later")
    if test_plates.is_over(test, now):
        return Stage(title, "stuck", None, _("No one answered in time."))
    asked = _("Asked by email: %(to)s") % {"to": test.link_sent_to} if test.link_hash else ""
    return Stage(title, "now", None, asked)
