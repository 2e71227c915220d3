"""`passport compare`: compare what was accepted with what enforcement sees, and settle what a person must decide."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.reconciliation import comparison, restored

HELP = "compare what was accepted with what enforcement sees"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--send-missing",
        action="store_true",
        help="the list is right: send whatever is missing from it again, however much",
    )
    parser.add_argument(
        "--end-unknown", action="store_true", help="end the parking rights that belong to no permit"
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Compare and say what was found."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if options["end_unknown"]:
        say(_("unknown parking rights ended: %(n)d") % {"n": restored.end_unknown(connection)})
    found = comparison.reconcile(connection, is_certain=options["send_missing"])
    say(
        _(
            "seen: %(seen)d, missing: %(missing)d, different: %(differing)d, surplus: %(surplus)d, unknown: %(unknown)d"
        )
        % found
    )
    if found["held"]:
        say(
            _("So much is otherwise that nothing was changed. If it is so in OpsMan too, use --send-missing.")
        )
