"""`passport connect`: make or update a company's connection and pull its zones."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations import connections
from integrations.management.scripting import Say, find_company
from passport.management.subcommands.refresh_zones import pull

HELP = "make or update the connection and pull its zones"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--operator-id", required=True, metavar="UUID")


def run(options: dict[str, Any], say: Say) -> None:
    """Connect, then pull; the connection stays where the pull fails."""
    company = find_company(options["company"])
    connection = connections.connect(
        company=company, operator_id=options["operator_id"], label=options["site"].strip()
    )
    say(
        _("%(name)s has the operator ID %(id)s and is %(status)s.")
        % {"name": connection, "id": connection.operator_id, "status": connection.get_status_display()}
    )
    pull(connection, say, trigger="connected")
