"""`passport compare`: compare with what enforcement sees, and what a person must decide of it."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.reconciliation import audit

HELP = "compare what was accepted with what enforcement sees"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--send-missing",
        action="store_true",
        help="the list is true: send anew whatever it lacks, however much",
    )
    parser.add_argument(
        "--end-unknown", action="store_true", help="end the parking rights that no registration stands for"
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Compare and say what was found."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if options["end_unknown"]:
        say(_("unknown parking rights ended: %(n)d") % {"n": audit.end_unknown(connection)})
    found = audit.reconcile(connection, is_certain=options["send_missing"])
    say(_("seen: %(seen)d, missing: %(missing)d, too much: %(surplus)d, unknown: %(unknown)d") % found)
    if found["held"]:
        say(_("So much is missing that nothing was changed. Where OpsMan lacks it as well: --send-missing"))
