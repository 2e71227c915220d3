"""`passport live`: take a connection live without a test; the reason is kept."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.management.scripting import Say, find_company, find_connection
from integrations.onboarding import connections

HELP = "take the connection live without a test; the reason is kept"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", required=True, metavar="TEXT")


def run(options: dict[str, Any], say: Say) -> None:
    """Go live; a live connection is unchanged."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if connection.is_live:
        say(_("%(name)s is already live.") % {"name": connection})
        return
    connection = connections.go_live(connection=connection, reason=options["reason"])
    total = connection.backfill_total or 0
    words = ngettext("%(count)d permit is being sent.", "%(count)d permits are being sent.", total) % {
        "count": total
    }
    say(_("%(name)s is live. %(words)s") % {"name": connection, "words": words})
