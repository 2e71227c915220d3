"""`passport test-plate`: send a test plate and wait until Passport lists it in the parking rights."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery import wakeup
from integrations.management.scripting import Say, find_company, find_location, option_named
from integrations.models import PermitSync, TestPlate, ZoneMapping
from integrations.onboarding import test_plate_poller, test_plates
from integrations.onboarding.test_plate_page import headline
from locations.regions import parse_region

HELP = "send a test plate for a mapped location; exits with 0 once Passport lists it"
LOOK_EVERY_S = 0.3
WAIT_S = 60.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--location", required=True, metavar="NAME")
    parser.add_argument("--plate", default=test_plates.DEFAULT_PLATE)
    parser.add_argument("--state", default=test_plates.DEFAULT_REGION.key, metavar="US-NC")
    parser.add_argument("--space", default="", metavar="NUMBER", help="if the zone requires a space number")
    parser.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="EMAIL",
        help="email someone a link to confirm it; may be repeated",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_S,
        metavar="SECONDS",
        help="how long to wait for Passport (default: %(default)s)",
    )


def run(options: dict[str, Any], say: Say) -> None:
    """Register, wait, and say what was seen; raise `CommandError` if Passport does not list it in time."""
    location = find_location(find_company(options["company"]), options["location"])
    mapping = (
        ZoneMapping.objects.select_related("zone__connection__company").filter(location=location).first()
    )
    if mapping is None:
        raise CommandError(_("%(location)s is not mapped to a zone yet.") % {"location": location})
    with option_named("--state"):
        region = parse_region(options["state"])
    test = test_plates.start_test(
        connection=mapping.zone.connection,
        location=location,
        plate=options["plate"],
        region=region,
        space_number=options["space"],
        ask=options["ask"],
    )
    # Tell the worker before waiting, not when the command ends.
    wakeup.flush()
    say(
        _("%(plate)s is registered at %(location)s, zone %(zone)s, until %(end)s.")
        % {
            "plate": test.permit.plate,
            "location": location,
            "zone": mapping.zone,
            "end": test.permit.end.isoformat("T", "seconds"),
        }
    )
    test = _wait(test, options["wait"])
    if test.seen_at is None:
        permit_sync = PermitSync.objects.filter(permit=test.permit_id, connection=test.connection_id).first()
        _tone, sentence, detail = headline(test, permit_sync, timezone.now())
        raise CommandError(
            _("Not seen within %(wait)g s. %(sentence)s %(detail)s")
            % {"wait": options["wait"], "sentence": sentence, "detail": detail}
        )
    took = (test.seen_at - test.saved_at).total_seconds()
    say(
        _("Passport lists it in zone %(zone)s, %(took).1f s after it was saved.")
        % {"zone": mapping.zone.number, "took": took}
    )


def _wait(test: TestPlate, wait_s: float) -> TestPlate:
    deadline = time.monotonic() + wait_s
    while True:
        related = ("connection__company", "permit", "zone", "location")
        test = TestPlate.objects.select_related(*related).get(pk=test.pk)
        if test.seen_at is None:
            test_plate_poller.follow(test, timezone.now())
            test.refresh_from_db()
        if test.seen_at is not None or time.monotonic() >= deadline:
            return test
        time.sleep(LOOK_EVERY_S)
