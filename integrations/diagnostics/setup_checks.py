"""The checks of how a connection is set up: operator ID, credentials, zones, mappings, names, status."""

from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.diagnostics.context import DANGER, NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.models import Connection, Zone, ZoneRefresh
from integrations.onboarding.snapshot import Finding
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from integrations.vendors.protocol import VendorNames
from locations.times import duration_text

ZONES_OLD = timedelta(hours=36)
NAMED = 5


def operator_id(patient: DiagnosticContext) -> Check:
    """Is there an operator ID?"""
    title = _("Operator ID")
    connection = patient.connection
    if connection is not None and connection.operator_id and not connection.is_confirmed:
        return Check(
            "operator_id",
            title,
            WARNING,
            _("Set, but not confirmed: %(id)s.") % {"id": connection.operator_id},
            _("Until it is known to be yours no zone is read and nothing is sent, no test plate either."),
            _("Support confirms it; the set-up page says how you can prove it yourselves."),
            patient.setup_path,
        )
    if connection is not None and connection.operator_id:
        return Check("operator_id", title, SUCCESS, _("Set: %(id)s.") % {"id": connection.operator_id})
    finding = _("Not set.")
    if connection is not None and connection.operator_id_finding == Finding.UNKNOWN:
        finding = _("Not set: %(vendor)s does not know the one that was tried.") % patient.names.words
    return Check(
        "operator_id",
        title,
        DANGER,
        finding,
        _("Without it %(vendor)s can't be asked for zones, and nothing can be sent.") % patient.names.words,
        _("Ask the %(vendor)s account manager for it and enter it on the set-up page.") % patient.names.words,
        patient.setup_path,
    )


def token(patient: DiagnosticContext) -> Check:
    """Does the vendor accept Offstreet's own credentials?"""
    title, error = _("Access to %(vendor)s") % patient.names.words, patient.token_error
    if not patient.asks_vendor:
        return Check("token", title, NEUTRAL, _not_asked(patient.names))
    if error is None:
        return Check(
            "token", title, SUCCESS, _("%(vendor)s accepts Offstreet's credentials.") % patient.names.words
        )
    if isinstance(error, TryLater):
        return Check(
            "token",
            title,
            DANGER,
            error.sentence,
            _("Nothing can be asked or sent until it answers; what is due waits and is not lost."),
            _("Wait a few minutes and run the checks again. If it persists, ask %(vendor)s about an outage.")
            % patient.names.words,
        )
    return Check(
        "token",
        title,
        DANGER,
        error.sentence,
        _("The credentials belong to Offstreet, not to the company: no company can send."),
        error.remedy or _("Support renews the credentials."),
    )


def authorised(patient: DiagnosticContext) -> Check:
    """Does the vendor list this operator's zones to us?"""
    title, listing = _("Operator authorised"), patient.listing
    if not patient.asks_vendor:
        return Check("authorised", title, NEUTRAL, _not_asked(patient.names))
    if listing is None:
        if (
            patient.connection is not None
            and patient.connection.operator_id_finding == Finding.NOT_AUTHORISED
        ):
            # What the vendor said when the ID was entered; nothing more is asked of it before it is confirmed.
            return _not_authorised(patient)
        return Check("authorised", title, NEUTRAL, _("Not asked: there is no confirmed operator ID yet."))
    if not isinstance(listing, DeliveryError):
        count = len(listing)
        text = ngettext(
            "%(vendor)s lists %(n)d zone for this operator.",
            "%(vendor)s lists %(n)d zones for this operator.",
            count,
        )
        return Check("authorised", title, SUCCESS, text % {**patient.names.words, "n": count})
    if isinstance(listing, TryLater):
        return Check(
            "authorised",
            title,
            WARNING,
            _("Not known: %(why)s") % {"why": listing.sentence},
            _("%(vendor)s could not be asked.") % patient.names.words,
            _("Run the checks again in a few minutes."),
        )
    if isinstance(listing, FixConnection) and listing.scope == "host":
        text = _("Not asked: %(vendor)s refuses Offstreet's credentials.") % patient.names.words
        return Check("authorised", title, NEUTRAL, text)
    if listing.status in (401, 403):
        return _not_authorised(patient)
    return Check(
        "authorised",
        title,
        DANGER,
        _("%(vendor)s does not know this operator ID.") % patient.names.words,
        _("It may have been copied wrongly, or belong to another environment of %(vendor)s.")
        % patient.names.words,
        _("Compare it with the account manager's mail, character by character."),
        patient.setup_path,
    )


def _not_authorised(patient: DiagnosticContext) -> Check:
    return Check(
        "authorised",
        _("Operator authorised"),
        DANGER,
        _("%(vendor)s knows the operator, but it hasn't authorised Offstreet.") % patient.names.words,
        _("Neither zones nor registrations get through."),
        _("Ask the %(vendor)s account manager to authorise Offstreet for this operator ID.")
        % patient.names.words,
        patient.setup_path,
    )


def _not_asked(names: VendorNames) -> str:
    return _("%(vendor)s was not asked: no worker has taken up the checks.") % names.words


def zones(patient: DiagnosticContext) -> Check:
    """Are zones here, and how old are they?"""
    title, connection, pull = _("Zones"), patient.connection, patient.last_refresh
    if connection is None or not connection.operator_id:
        return Check("zones", title, NEUTRAL, _("None: there is no operator ID yet."))
    count = Zone.objects.listed().filter(connection=connection).count()
    page = patient.page("zones")
    if pull is not None and pull.outcome == ZoneRefresh.Outcome.HELD:
        return Check(
            "zones",
            title,
            DANGER,
            pull.error,
            _("Until somebody decides, the zones stay as they were."),
            pull.remedy,
            page,
        )
    if not count:
        return _no_zones(patient, pull, title, page)
    age = patient.now - connection.zones_pulled_at if connection.zones_pulled_at else None
    text = ngettext("%(n)d zone, pulled %(age)s ago.", "%(n)d zones, pulled %(age)s ago.", count) % {
        "n": count,
        "age": duration_text(age) if age else "?",
    }
    if pull is not None and pull.outcome == ZoneRefresh.Outcome.FAILED:
        return Check(
            "zones",
            title,
            WARNING,
            f"{text} " + _("The last pull failed: %(why)s") % {"why": pull.error},
            _("The zones here may be out of date."),
            pull.remedy or _("Refresh the zones."),
            page,
        )
    if age is None or age > ZONES_OLD:
        return Check(
            "zones",
            title,
            WARNING,
            text,
            _("They are pulled daily; this is older."),
            _("Refresh the zones."),
            page,
        )
    return Check("zones", title, SUCCESS, text, path=page)


def _no_zones(patient: DiagnosticContext, pull: ZoneRefresh | None, title: str, page: str) -> Check:
    if pull is None:
        return Check(
            "zones",
            title,
            DANGER,
            _("They were never pulled."),
            _("No location can be mapped."),
            _("Set the connection up; this pulls the zones."),
            patient.setup_path,
        )
    if pull.outcome == ZoneRefresh.Outcome.RUNNING:
        return Check(
            "zones",
            title,
            WARNING,
            _("They are being pulled."),
            "",
            _("Wait a minute; if it goes on, look at the worker below."),
            page,
        )
    if pull.outcome == ZoneRefresh.Outcome.FAILED:
        return Check(
            "zones",
            title,
            DANGER,
            _("The pull failed: %(why)s") % {"why": pull.error},
            _("No location can be mapped."),
            pull.remedy or _("Refresh the zones."),
            page,
        )
    return Check(
        "zones",
        title,
        DANGER,
        _("%(vendor)s lists no zone for this operator.") % patient.names.words,
        _("The operator has no zones in %(place)s, or this is another operator's ID.")
        % {"place": patient.vendor.texts.zone_settings},
        _("Ask the %(vendor)s account manager which operator ID has the zones.") % patient.names.words,
        patient.setup_path,
    )


def mapped(patient: DiagnosticContext) -> Check:
    """Is every active location mapped to a zone that the vendor still lists?"""
    title, page = _("Locations mapped"), patient.page("locations")
    if not patient.locations:
        return Check(
            "mapped",
            title,
            WARNING,
            _("There is no location yet."),
            _("Permits belong to locations; without one nothing can be sent."),
            _("Add a location."),
            page,
        )
    missing = [mapping for mapping in patient.mappings if mapping.zone.missing_since is not None]
    if missing:
        names = _names([f"{mapping.location} → {mapping.zone.number}" for mapping in missing])
        return Check(
            "mapped",
            title,
            DANGER,
            _("Mapped to a zone that %(vendor)s no longer lists: %(names)s.")
            % {**patient.names.words, "names": names},
            _("%(vendor)s refuses their registrations.") % patient.names.words,
            _("Choose a zone that is listed."),
            page,
        )
    done = {mapping.location_id for mapping in patient.mappings}
    open_ones = [location for location in patient.locations if location.pk not in done]
    if open_ones:
        text = _("%(open)d of %(all)d locations have no zone: %(names)s.") % {
            "open": len(open_ones),
            "all": len(patient.locations),
            "names": _names([one.name for one in open_ones]),
        }
        tone = DANGER if len(open_ones) == len(patient.locations) else WARNING
        return Check(
            "mapped",
            title,
            tone,
            text,
            _("Their registrations wait; enforcement does not see them."),
            _("Choose their zones."),
            page,
        )
    text = ngettext(
        "The one location has a zone that %(vendor)s lists.",
        "All %(n)d locations have a zone that %(vendor)s lists.",
        len(patient.locations),
    )
    return Check(
        "mapped", title, SUCCESS, text % {**patient.names.words, "n": len(patient.locations)}, path=page
    )


def status(patient: DiagnosticContext) -> Check:
    """Is the connection live?"""
    title, connection = _("State of the connection"), patient.connection
    if connection is None:
        return Check(
            "status",
            title,
            WARNING,
            _("There is no connection yet."),
            "",
            _("Begin on the set-up page."),
            patient.setup_path,
        )
    if connection.status == Connection.Status.LIVE:
        return Check("status", title, SUCCESS, _("Live: each save is sent."))
    if connection.status == Connection.Status.PAUSED:
        return Check(
            "status",
            title,
            WARNING,
            _("Paused: %(reason)s") % {"reason": connection.status_reason},
            _("Registrations wait and are not lost; test plates go out all the same."),
            _("Resume it."),
            patient.setup_path,
        )
    if connection.status == Connection.Status.ENDED:
        return Check(
            "status",
            title,
            DANGER,
            _("Ended."),
            _("Nothing is sent any more."),
            _("Begin another connection."),
            patient.setup_path,
        )
    return Check(
        "status",
        title,
        NEUTRAL,
        _("Not live yet: test plates are sent, real registrations wait."),
        path=patient.setup_path,
    )


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (_(" and %(n)d more") % {"n": more} if more > 0 else "")
