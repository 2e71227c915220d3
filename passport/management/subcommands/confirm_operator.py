"""`passport confirm-operator`: confirm that an operator ID is the company's, or decline it."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.zones import operator_claims

HELP = "confirm that the operator ID is the company's, or decline it; until then nothing is read or sent"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    word = parser.add_mutually_exclusive_group(required=True)
    word.add_argument("--how", metavar="TEXT", help="how you know that it is the company's (kept in the log)")
    word.add_argument("--turn-down", metavar="TEXT", help="decline it, and why (the company is told)")


def run(options: dict[str, Any], say: Say) -> None:
    """Confirm or decline; a confirmed operator ID is unchanged."""
    connection = find_connection(find_company(options["company"]), options["site"])
    operator_id = connection.operator_id_held or connection.operator_id
    if not operator_id:
        raise ValidationError(_("The operator ID is not set yet."), code="no_operator")
    words = {"name": connection, "id": operator_id}
    if options["turn_down"] is not None:
        operator_claims.turn_down(connection=connection, operator_id=operator_id, reason=options["turn_down"])
        say(_("The operator ID %(id)s of %(name)s has been declined.") % words)
    elif not connection.is_claimed:
        say(_("The operator ID %(id)s of %(name)s is already confirmed.") % words)
    else:
        operator_claims.confirm(connection=connection, operator_id=operator_id, how=options["how"])
        say(_("The operator ID %(id)s of %(name)s is now confirmed.") % words)
