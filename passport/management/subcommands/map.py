"""`passport map`: send a location's permits to a zone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.management.scripting import Say, find_company, find_connection, find_location, find_zone
from integrations.models import Zone
from integrations.onboarding.connections import current_connections
from integrations.zones import mapping
from locations.models import Permit

HELP = "send a location's permits to a zone; both names must match character by character"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--location", required=True, metavar="NAME")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--zone", metavar="NUMBER")
    target.add_argument("--unmap", action="store_true", help="send them nowhere, and remove what was sent")
    parser.add_argument(
        "--yes", action="store_true", help="also if that ends or replaces many parking rights"
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Map, and point out zones that are easily mistaken for this one.

    What would end or replace too many rights is only shown, unless `--yes` says that it is meant.
    """
    company = find_company(options["company"])
    location = find_location(company, options["location"])
    zone = None
    if not options["unmap"]:
        connection = find_connection(company, options["site"]) if options["site"] else None
        zone = find_zone(company, options["zone"], connection)
    try:
        changed = mapping.map_location(
            location=location, zone=zone, confirmed=mapping.ANY_NUMBER if options["yes"] else None
        )
    except mapping.NeedsConfirmation as error:
        for move in error.preview.moves:
            say(move.words)
        say(error.preview.impact.words)
        raise CommandError(
            _("%(sentence)s Nothing was changed. To go ahead, run the command again with --yes.")
            % {"sentence": error.preview.sentence}
        ) from error
    if zone is None:
        say(_("%(location)s no longer has a zone.") % {"location": location})
        return
    words = _("%(location)s → %(zone)s") if changed else _("%(location)s → %(zone)s (unchanged)")
    say(words % {"location": location, "zone": zone})
    if changed:
        count = Permit.objects.real().filter(location=location, permit_syncs__state="due").distinct().count()
        if count:
            say(ngettext("%(count)d permit moves.", "%(count)d permits move.", count) % {"count": count})
    for twins in mapping.case_twins(Zone.objects.filter(connection__in=current_connections(company))):
        if zone in twins.zones:
            say(twins.words(zone))
