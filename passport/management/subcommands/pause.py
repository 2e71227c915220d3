"""`passport pause`: stop sending without losing anything."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.onboarding import connections

HELP = "stop sending without losing anything; the reason is kept and shown"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", required=True, metavar="TEXT")


def run(options: dict[str, Any], say: Say) -> None:
    """Pause; a paused connection is unchanged."""
    connection = find_connection(find_company(options["company"]), options["site"])
    connection = connections.pause(connection=connection, reason=options["reason"])
    say(_("%(name)s is paused: %(reason)s") % {"name": connection, "reason": connection.status_reason})
