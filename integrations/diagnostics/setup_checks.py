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


def operator_id(context: DiagnosticContext) -> Check:
    """Is there an operator ID?"""
    title = _("Operator ID")
    connection = context.connection
    if connection is not None and connection.operator_id and not connection.is_confirmed:
        return Check(
            "operator_id",
            title,
            WARNING,
            _("Set, but not confirmed: %(id)s.") % {"id": connection.operator_id},
            _("Until it is confirmed, no zones are read and nothing is sent, not even a test plate."),
            _("Support confirms it. The set-up page shows how to confirm it yourself."),
            context.setup_path,
        )
    if connection is not None and connection.operator_id:
        return Check("operator_id", title, SUCCESS, _("Set: %(id)s.") % {"id": connection.operator_id})
    finding = _("Not set.")
    if connection is not None and connection.operator_id_finding == Finding.UNKNOWN:
        finding = _("Not set: %(vendor)s doesn't know the one that was tried.") % context.names.words
    return Check(
        "operator_id",
        title,
        DANGER,
        finding,
        _("Without it, no zones can be fetched from %(vendor)s and nothing can be sent.")
        % context.names.words,
        _("Ask the %(vendor)s account manager for it and enter it on the set-up page.") % context.names.words,
        context.setup_path,
    )


def token(context: DiagnosticContext) -> Check:
    """Does the vendor accept Offstreet's own credentials?"""
    title, error = _("Access to %(vendor)s") % context.names.words, context.token_error
    if not context.asks_vendor:
        return Check("token", title, NEUTRAL, _not_asked(context.names))
    if error is None:
        return Check(
            "token", title, SUCCESS, _("%(vendor)s accepts Offstreet's credentials.") % context.names.words
        )
    if isinstance(error, TryLater):
        return Check(
            "token",
            title,
            DANGER,
            error.sentence,
            _("Nothing can be fetched or sent until it responds. Changes wait, and nothing is lost."),
            _("Wait a few minutes and run the checks again. If it persists, ask %(vendor)s about an outage.")
            % context.names.words,
        )
    return Check(
        "token",
        title,
        DANGER,
        error.sentence,
        _("The credentials are Offstreet's, not the company's: no company can send."),
        error.remedy or _("Support has to renew the credentials."),
    )


def authorised(context: DiagnosticContext) -> Check:
    """Does the vendor list this operator's zones to us?"""
    title, listing = _("Operator authorised"), context.listing
    if not context.asks_vendor:
        return Check("authorised", title, NEUTRAL, _not_asked(context.names))
    if listing is None:
        if (
            context.connection is not None
            and context.connection.operator_id_finding == Finding.NOT_AUTHORISED
        ):
            # What the vendor said when the ID was entered; nothing more is asked of it before it is confirmed.
            return _not_authorised(context)
        return Check("authorised", title, NEUTRAL, _("Not checked: there is no confirmed operator ID yet."))
    if not isinstance(listing, DeliveryError):
        count = len(listing)
        text = ngettext(
            "%(vendor)s lists %(n)d zone for this operator.",
            "%(vendor)s lists %(n)d zones for this operator.",
            count,
        )
        return Check("authorised", title, SUCCESS, text % {**context.names.words, "n": count})
    if isinstance(listing, TryLater):
        return Check(
            "authorised",
            title,
            WARNING,
            _("Unknown: %(why)s") % {"why": listing.sentence},
            _("%(vendor)s could not be asked.") % context.names.words,
            _("Run the checks again in a few minutes."),
        )
    if isinstance(listing, FixConnection) and listing.scope == "host":
        text = _("Not checked: %(vendor)s refuses Offstreet's credentials.") % context.names.words
        return Check("authorised", title, NEUTRAL, text)
    if listing.status in (401, 403):
        return _not_authorised(context)
    return Check(
        "authorised",
        title,
        DANGER,
        _("%(vendor)s doesn't know this operator ID.") % context.names.words,
        _("It may have been copied wrongly, or belong to another environment of %(vendor)s.")
        % context.names.words,
        _("Compare it with the account manager's email, character by character."),
        context.setup_path,
    )


def _not_authorised(context: DiagnosticContext) -> Check:
    return Check(
        "authorised",
        _("Operator authorised"),
        DANGER,
        _("%(vendor)s knows the operator, but it hasn't authorised Offstreet.") % context.names.words,
        _("No zones can be read, and no permits can be sent."),
        _("Ask the %(vendor)s account manager to authorise Offstreet for this operator ID.")
        % context.names.words,
        context.setup_path,
    )


def _not_asked(names: VendorNames) -> str:
    return _("%(vendor)s was not asked: no worker has picked up the checks.") % names.words


def zones(context: DiagnosticContext) -> Check:
    """Are zones here, and how old are they?"""
    title, connection, pull = _("Zones"), context.connection, context.last_refresh
    if connection is None or not connection.operator_id:
        return Check("zones", title, NEUTRAL, _("No zones: there is no operator ID yet."))
    count = Zone.objects.listed().filter(connection=connection).count()
    page = context.page("zones")
    if pull is not None and pull.outcome == ZoneRefresh.Outcome.HELD:
        return Check(
            "zones",
            title,
            DANGER,
            pull.error,
            _("Until someone decides, the current zones are kept."),
            pull.remedy,
            page,
        )
    if not count:
        return _no_zones(context, pull, title, page)
    age = context.now - connection.zones_pulled_at if connection.zones_pulled_at else None
    text = ngettext("%(n)d zone, refreshed %(age)s ago.", "%(n)d zones, refreshed %(age)s ago.", count) % {
        "n": count,
        "age": duration_text(age) if age else "?",
    }
    if pull is not None and pull.outcome == ZoneRefresh.Outcome.FAILED:
        return Check(
            "zones",
            title,
            WARNING,
            f"{text} " + _("The last refresh failed: %(why)s") % {"why": pull.error},
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
            _("They should be refreshed every day."),
            _("Refresh the zones."),
            page,
        )
    return Check("zones", title, SUCCESS, text, path=page)


def _no_zones(context: DiagnosticContext, pull: ZoneRefresh | None, title: str, page: str) -> Check:
    if pull is None:
        return Check(
            "zones",
            title,
            DANGER,
            _("They have not been imported yet."),
            _("No location can be mapped."),
            _("Set up the integration. This imports the zones."),
            context.setup_path,
        )
    if pull.outcome == ZoneRefresh.Outcome.RUNNING:
        return Check(
            "zones",
            title,
            WARNING,
            _("They are being refreshed."),
            "",
            _("Wait a minute. If it continues, see “Workers” below."),
            page,
        )
    if pull.outcome == ZoneRefresh.Outcome.FAILED:
        return Check(
            "zones",
            title,
            DANGER,
            _("The refresh failed: %(why)s") % {"why": pull.error},
            _("No location can be mapped."),
            pull.remedy or _("Refresh the zones."),
            page,
        )
    return Check(
        "zones",
        title,
        DANGER,
        _("%(vendor)s lists no zones for this operator.") % context.names.words,
        _("The operator has no zones in %(place)s, or this is another operator's ID.")
        % {"place": context.vendor.texts.zone_settings},
        _("Ask the %(vendor)s account manager which operator ID has the zones.") % context.names.words,
        context.setup_path,
    )


def mapped(context: DiagnosticContext) -> Check:
    """Is every active location mapped to a zone that the vendor still lists?"""
    title, page = _("Locations mapped"), context.page("locations")
    if not context.locations:
        return Check(
            "mapped",
            title,
            WARNING,
            _("There are no locations yet."),
            _("Every permit belongs to a location, so nothing can be sent without one."),
            _("Add a location."),
            page,
        )
    missing = [mapping for mapping in context.mappings if mapping.zone.missing_since is not None]
    if missing:
        names = _names([f"{mapping.location} → {mapping.zone.number}" for mapping in missing])
        return Check(
            "mapped",
            title,
            DANGER,
            _("Mapped to a zone that %(vendor)s no longer lists: %(names)s.")
            % {**context.names.words, "names": names},
            _("%(vendor)s refuses their permits.") % context.names.words,
            _("Choose zones that are listed."),
            page,
        )
    done = {mapping.location_id for mapping in context.mappings}
    open_ones = [location for location in context.locations if location.pk not in done]
    if open_ones:
        text = _("%(open)d of %(all)d locations have no zone: %(names)s.") % {
            "open": len(open_ones),
            "all": len(context.locations),
            "names": _names([one.name for one in open_ones]),
        }
        tone = DANGER if len(open_ones) == len(context.locations) else WARNING
        return Check(
            "mapped",
            title,
            tone,
            text,
            _("Their permits are waiting, so they are not visible to enforcement."),
            _("Choose their zones."),
            page,
        )
    text = ngettext(
        "The one location has a zone that %(vendor)s lists.",
        "All %(n)d locations have a zone that %(vendor)s lists.",
        len(context.locations),
    )
    return Check(
        "mapped", title, SUCCESS, text % {**context.names.words, "n": len(context.locations)}, path=page
    )


def status(context: DiagnosticContext) -> Check:
    """Is the connection live?"""
    title, connection = _("Status of the integration"), context.connection
    if connection is None:
        return Check(
            "status",
            title,
            WARNING,
            _("There is no integration yet."),
            "",
            _("Start on the set-up page."),
            context.setup_path,
        )
    if connection.status == Connection.Status.LIVE:
        return Check("status", title, SUCCESS, _("Live: every saved change is sent."))
    if connection.status == Connection.Status.PAUSED:
        return Check(
            "status",
            title,
            WARNING,
            _("Paused: %(reason)s") % {"reason": connection.status_reason},
            _("Permits wait, and nothing is lost. Test plates are still sent."),
            _("Resume it."),
            context.setup_path,
        )
    if connection.status == Connection.Status.ENDED:
        return Check(
            "status",
            title,
            DANGER,
            _("Ended."),
            _("Nothing is sent."),
            _("Start another integration."),
            context.setup_path,
        )
    return Check(
        "status",
        title,
        NEUTRAL,
        _("Not live yet: test plates are sent, real permits wait."),
        path=context.setup_path,
    )


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (_(" and %(n)d more") % {"n": more} if more > 0 else "")
