"""`passport connect`: create or update a company's connection, and import its zones once the operator ID is confirmed."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company
from integrations.onboarding import connections
from integrations.zones import operator_claims
from passport.management.subcommands.refresh_zones import pull

HELP = "create or update the connection; with --confirmed, confirm its operator ID and import its zones"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--operator-id", required=True, metavar="UUID")
    parser.add_argument(
        "--confirmed", default="", metavar="HOW", help="how you know that the operator ID is the company's"
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Connect, confirm if asked to, then refresh the zones; the connection stays if the refresh fails."""
    company = find_company(options["company"])
    connection = connections.connect(
        company=company, operator_id=options["operator_id"], label=options["site"].strip()
    )
    say(
        _("%(name)s has the operator ID %(id)s and is %(status)s.")
        % {"name": connection, "id": connection.operator_id, "status": connection.get_status_display()}
    )
    if options["confirmed"] and not connection.is_confirmed:
        connection = operator_claims.confirm(
            connection=connection, operator_id=connection.operator_id, how=options["confirmed"]
        )
    if not connection.is_confirmed:
        say(_("The operator ID has to be confirmed first: passport confirm-operator."))
        return
    pull(connection, say, trigger="connected")
