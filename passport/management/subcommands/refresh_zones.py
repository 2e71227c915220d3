"""`passport refresh-zones`: pull the zones now, or decide about a pull that is held."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.models import Connection, ZoneRefresh
from integrations.zones import refresh as zone_refresh

HELP = "pull the zones and bring the table in line"
# How long a refresh that somebody else has begun is waited for.
WAIT_S = 60
LOOK_AGAIN_S = 0.25
# So many zones of each kind are named; the page shows all.
NAMED = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument(
        "--release", action="store_true", help="a pull is held: it is true, let the zones go"
    )
    decision.add_argument("--discard", action="store_true", help="a pull is held: it is not true, forget it")


def run(options: dict[str, Any], say: Say) -> None:
    """Pull, release or discard."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if not options["release"] and not options["discard"]:
        pull(connection, say, trigger="command")
        return
    held = connection.refreshes.filter(outcome=ZoneRefresh.Outcome.HELD).first()
    if held is None:
        raise CommandError(_("No pull of %(name)s is held.") % {"name": connection})
    if options["discard"]:
        zone_refresh.discard_refresh(refresh=held)
        say(_("Discarded; the zones stay as they are."))
    else:
        tell(zone_refresh.release_refresh(refresh=held), say)


def pull(connection: Connection, say: Say, *, trigger: str) -> None:
    """Refresh the zones and say what was found; raise `CommandError` where that failed or is held."""
    refresh = zone_refresh.refresh_zones(connection=connection, trigger=trigger)
    give_up_at = time.monotonic() + WAIT_S
    while refresh.outcome == ZoneRefresh.Outcome.RUNNING:
        if time.monotonic() > give_up_at:
            raise CommandError(_("Another refresh of %(name)s is still under way.") % {"name": connection})
        time.sleep(LOOK_AGAIN_S)
        refresh.refresh_from_db()
    tell(refresh, say)


def tell(refresh: ZoneRefresh, say: Say) -> None:
    """Say what a finished refresh found."""
    if refresh.outcome != ZoneRefresh.Outcome.DONE:
        raise CommandError(_("Zones: %(text)s") % {"text": f"{refresh.error} {refresh.remedy}".strip()})
    say(_("Zones: %(text)s") % {"text": zone_refresh.summary(refresh)})
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
