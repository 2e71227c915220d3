"""The check of names: is each mapped zone the one that people mean?"""

from django.utils.translation import gettext as _

from integrations.diagnostics.context import NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.diagnostics.setup_checks import NAMED
from integrations.models import Zone
from integrations.vendors.protocol import get_vendor
from integrations.zones.mapping import case_twins, near_miss_words
from locations.models import Location


def names(context: DiagnosticContext) -> Check:
    """Are zones compared letter for letter, or was a near miss taken for the right one?"""
    title, page = _("Zone numbers, character by character"), context.page("locations")
    if not context.mappings:
        return Check("names", title, NEUTRAL, _("Nothing is mapped yet."))
    remarks = [text for mapping in context.mappings if (text := _near(mapping.location, mapping.zone))]
    remarks += _renamed(context)
    if not remarks:
        remarks_of_twins = _twins(context)
        if not remarks_of_twins:
            text = _("Every mapped zone number is exactly as %(vendor)s has it.") % context.names.words
            return Check("names", title, SUCCESS, text)
        return Check(
            "names",
            title,
            NEUTRAL,
            " ".join(remarks_of_twins[:NAMED]),
            _("Both exist, so they are easy to mix up."),
            _("Check that the right one is mapped."),
            page,
        )
    return Check(
        "names",
        title,
        WARNING,
        " ".join(remarks[:NAMED]),
        _(
            "Zone numbers are case-sensitive and must match exactly. The officer's device may be "
            "in the other zone."
        ),
        _("Compare the number on the sign with the mapped zone."),
        page,
    )


def _near(location: Location, zone: Zone) -> str:
    """Return in what a location's name or id differs from its zone's number, where that is little."""
    has_case = get_vendor(zone.connection.vendor).zones_have_case
    for own in (location.external_id, location.name):
        if not has_case and own.casefold() == zone.number.casefold():
            continue
        if own and (words := near_miss_words(own, zone.number)):
            return f"{location}: {words}"
    return ""


def _renamed(context: DiagnosticContext) -> list[str]:
    """Return what the vendor calls otherwise by now than the zone that is mapped here."""
    if not isinstance(context.listing, list):
        return []
    now = {seen.remote_id: seen.number for seen in context.listing}
    return [
        _("%(vendor)s now calls %(here)s %(there)s.")
        % {**context.names.words, "here": mapping.zone.number, "there": now[mapping.zone.remote_id]}
        for mapping in context.mappings
        if mapping.zone.connection == context.connection
        and now.get(mapping.zone.remote_id, mapping.zone.number) != mapping.zone.number
    ]


def _twins(context: DiagnosticContext) -> list[str]:
    used = {
        mapping.zone_id: mapping.zone
        for mapping in context.mappings
        if mapping.zone.connection == context.connection
    }
    if not used:
        return []
    listed = (
        Zone.objects.listed().filter(connection=context.connection).only("number", "name", "missing_since")
    )
    return [
        twins.words(used[zone.pk]) for twins in case_twins(listed) for zone in twins.zones if zone.pk in used
    ]
