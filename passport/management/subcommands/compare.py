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
    parser.add_argument(
        "--list",
        action="store_true",
        help="only list what differs, as after a restored backup; nothing is changed",
    )


def list_differences(review: restored.Review, say: Say) -> None:
    """Say what each side has that the other one lacks, one line for each, and what to do about it."""
    say(_("Parking rights listed: %(n)d") % {"n": review.rights})
    say(_("In Passport, and unknown here: %(n)d") % {"n": len(review.unknown)})
    for right in review.unknown:
        end = right.end.isoformat(timespec="minutes") if right.end else "–"
        say(f"  {right.plate} {right.subdivision} · {right.zone_id} · {end} · {right.reference}")
    if review.unknown:
        say(_("  Register again those that are right; then end the rest with --end-unknown."))
    say(_("Accepted, and missing in Passport: %(n)d") % {"n": len(review.missing)})
    for row in review.missing:
        say(f"  {row.permit.plate} · {row.permit.location} · {row.permit.end.isoformat(timespec='minutes')}")
    if review.missing:
        say(_("  They are sent again automatically; to send all of them now, use --send-missing."))


def run(options: dict[str, Any], say: Say) -> None:
    """Compare and say what was found."""
    connection = find_connection(find_company(options["company"]), options["site"])
    if options["list"]:
        list_differences(restored.review(connection), say)
        return
    if options["end_unknown"]:
        ended, refused = restored.end_unknown(connection)
        say(_("unknown parking rights ended: %(n)d") % {"n": ended})
        if refused:
            words = {"n": len(refused), "sentence": refused[0].sentence}
            say(_("not ended: %(n)d. Passport says of the first: %(sentence)s") % words)
    found = comparison.reconcile(connection, is_certain=options["send_missing"])
    say(
        _(
            "seen: %(seen)d, missing: %(missing)d, different: %(differing)d, surplus: %(surplus)d, unknown: %(unknown)d"
        )
        % found
    )
    if found["unreadable"]:
        say(_("not compared, since a time can't be read: %(unreadable)d") % found)
    if found["held"]:
        say(
            _("So much is otherwise that nothing was changed. If it is so in OpsMan too, use --send-missing.")
        )
