"""`passport refresh-zones`: refresh the zones now, or decide on a refresh that is held."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.models import Connection, ZoneRefresh
from integrations.zones import refresh as zone_refresh
from integrations.zones.refresh_summary import summary

HELP = "fetch the list of zones and update ours"
# How long to wait for a refresh that someone else started.
WAIT_S = 60
LOOK_AGAIN_S = 0.25
# How many zones of each kind are printed; the page shows all.
NAMED = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("--release", action="store_true", help="accept the changes of a held refresh")
    decision.add_argument(
        "--discard", action="store_true", help="discard a held refresh and keep the current zones"
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Refresh the zones, or accept or discard a held refresh."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if not options["release"] and not options["discard"]:
        pull(connection, say, trigger="command")
        return
    held = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.HELD).first()
    if held is None:
        raise CommandError(_("%(name)s has no held refresh.") % {"name": connection})
    if options["discard"]:
        zone_refresh.discard_refresh(refresh=held)
        say(_("Discarded; the current zones are kept."))
    else:
        tell(zone_refresh.release_refresh(refresh=held), say)


def pull(connection: Connection, say: Say, *, trigger: str) -> None:
    """Refresh the zones and say what was found; raise `CommandError` if that failed or is held."""
    refresh = zone_refresh.refresh_zones(connection=connection, trigger=trigger)
    give_up_at = time.monotonic() + WAIT_S
    while refresh.outcome == ZoneRefresh.Outcome.RUNNING:
        if time.monotonic() > give_up_at:
            raise CommandError(_("Another refresh of %(name)s is still running.") % {"name": connection})
        time.sleep(LOOK_AGAIN_S)
        refresh.refresh_from_db()
    tell(refresh, say)


def tell(refresh: ZoneRefresh, say: Say) -> None:
    """Say what a finished refresh found."""
    if refresh.outcome != ZoneRefresh.Outcome.DONE:
        raise CommandError(_("Zones: %(text)s") % {"text": f"{refresh.error} {refresh.remedy}".strip()})
    say(_("Zones: %(text)s") % {"text": summary(refresh)})
    if refresh.error:
        say(f"{refresh.error} {refresh.remedy}")
    for kind in ("renamed", "case_changed", "gone", "back"):
        for entry in refresh.found.get(kind, [])[:NAMED]:
            was = entry.get("was")
            before = (
                f" (was {was['number']} · {was['name']})"
                if was and kind in ("renamed", "case_changed")
                else ""
            )
            places = ", ".join(
                f"{place['name']}: {place['permits']} permits" for place in entry.get("locations", [])
            )
            say(
                f"  {kind.replace('_', ' ')}: {entry['number']} · {entry['name']}{before}{f' [{places}]' if places else ''}"
            )
