"""`manage.py permit`: register, change, cancel and show permits from a script, through the same services as the pages."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import orjson
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.management.scripting import ScriptCommand, find_company, find_location, option_named
from integrations.models import PermitSync, PushEvent
from integrations.permits import proof
from integrations.permits.queries import Delivery, delivery_of
from locations.models import Location, Permit
from locations.plates import normalise_plate
from locations.regions import Region, parse_region
from locations.services import PermitDraft, cancel_permit, change_permit, register_permit
from locations.text import tidy
from locations.times import clean_local

_SOURCE = Permit.Source.COMMAND


class Command(ScriptCommand):
    """The command; the module says what it does."""

    help = "Register, change, cancel and show permits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the four subcommands."""
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        time_help = "2026-12-05T18:00-05:00, or without an offset in the location's time zone; also 1 Nov 2026 6:00 PM"

        add = subcommands.add_parser("add", help="register a plate; prints the permit's id alone on a line")
        add.add_argument("--company", required=True, metavar="SLUG")
        add.add_argument("--location", required=True, metavar="NAME", help="compared character by character")
        add.add_argument("--plate", required=True)
        add.add_argument("--state", required=True, metavar="US-NC")
        add.add_argument("--start", required=True, metavar="ISO", help=time_help)
        add.add_argument("--end", required=True, metavar="ISO", help=time_help)
        add.add_argument(
            "--external-id",
            default="",
            metavar="X",
            help="your reference; adding the same permit again does not create a second one",
        )
        add.add_argument(
            "--space", default="", metavar="NUMBER", help="space number, if the zone requires one"
        )
        add.add_argument("--type", default="")
        add.add_argument("--unit", default="")

        change = subcommands.add_parser("change", help="change a permit; an end in the past ends it early")
        change.add_argument("id", type=int, metavar="ID")
        change.add_argument("--plate")
        change.add_argument("--state", metavar="US-NC")
        change.add_argument("--start", metavar="ISO", help=time_help)
        change.add_argument("--end", metavar="ISO", help=time_help)
        change.add_argument("--location", metavar="NAME", help="compared character by character")
        change.add_argument("--space", metavar="NUMBER")
        change.add_argument("--type")
        change.add_argument("--unit")

        cancel = subcommands.add_parser("cancel", help="cancel a permit")
        cancel.add_argument("id", type=int, metavar="ID")

        show = subcommands.add_parser("show", help="show a permit with the state of its push")
        show.add_argument("id", type=int, metavar="ID")
        show.add_argument("--json", action="store_true")

    def script(self, options: dict[str, Any]) -> None:
        """Run one subcommand."""
        {"add": self.add, "change": self.change, "cancel": self.cancel, "show": self.show}[
            options["subcommand"]
        ](options)

    def add(self, options: dict[str, Any]) -> None:
        """Register a plate, or find the permit with the same reference and content."""
        company = find_company(options["company"])
        location = find_location(company, options["location"])
        region = _region(options["state"])
        draft = PermitDraft(
            location=location,
            plate=options["plate"],
            **region._asdict(),
            start=_time(location, "--start", options["start"]),
            end=_time(location, "--end", options["end"]),
            space_number=options["space"],
            type=options["type"],
            unit=options["unit"],
            external_id=tidy(options["external_id"]),
        )
        permit = _same_as(draft) if draft.external_id else None
        if permit is None:
            permit = register_permit(draft=draft, source=_SOURCE)
            self.stderr.write(_("Registered at %(location)s.") % {"location": location}, self.style.SUCCESS)
        else:
            self.stderr.write(_("Already registered."), self.style.SUCCESS)
        self.stdout.write(str(permit.pk))

    def change(self, options: dict[str, Any]) -> None:
        """Change what the options name."""
        permit = _permit(options["id"])
        location = permit.location
        changes: dict[str, Any] = {}
        if options["location"] is not None:
            location = changes["location"] = find_location(permit.company, options["location"])
        for name in ("start", "end"):
            if options[name] is not None:
                changes[name] = _time(location, f"--{name}", options[name])
        if options["state"] is not None:
            changes |= _region(options["state"])._asdict()
        for option, name in (
            ("plate", "plate"),
            ("space", "space_number"),
            ("type", "type"),
            ("unit", "unit"),
        ):
            if options[option] is not None:
                changes[name] = options[option]
        if not changes:
            raise CommandError(
                _("Say what to change: --plate, --state, --start, --end, --location, --space.")
            )
        changed = change_permit(permit=permit, source=_SOURCE, **changes)
        words = (
            _("Permit %(id)d changed: %(what)s.")
            if changed.revision > permit.revision
            else _("Permit %(id)d already has these values.")
        )
        self.stdout.write(
            words % {"id": permit.pk, "what": ", ".join(name.replace("_", " ") for name in changes)}
        )

    def cancel(self, options: dict[str, Any]) -> None:
        """Cancel, or say that it is cancelled already."""
        permit = _permit(options["id"])
        was = permit.status == Permit.Status.CANCELLED
        cancel_permit(permit=permit)
        words = _("Permit %(id)d was already cancelled.") if was else _("Permit %(id)d cancelled.")
        self.stdout.write(words % {"id": permit.pk})

    def show(self, options: dict[str, Any]) -> None:
        """Print everything known about a permit."""
        delivery = delivery_of(_permit(options["id"]), timezone.now())
        document = permit_document(delivery)
        if options["json"]:
            self.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
            return
        for name, value in document.items():
            if name == "push":
                self.stdout.write(f"{'push':<13}{value['word']}")
                if value["remedy"]:
                    self.stdout.write(f"{'':<13}{value['remedy']}")
            elif name != "evidence":
                self.stdout.write(f"{name.replace('_', ' '):<13}{'' if value is None else value}")
        for line in document["evidence"]:
            text = f": {line['text']}" if line["text"] else ""
            self.stdout.write(f"  {line['at']}  {line['title']}{text}")


def permit_document(delivery: Delivery) -> dict[str, Any]:
    """Return a permit with its delivery state and proof of delivery, as `permit show --json` prints it."""
    permit, permit_sync = delivery.permit, delivery.permit_sync
    zone = delivery.mapping.zone if delivery.mapping else None
    return {
        "id": permit.pk,
        "company": permit.company.slug,
        "plate": permit.plate,
        "plate_typed": permit.plate_typed,
        "country": permit.country,
        "subdivision": permit.subdivision,
        "location": permit.location.name,
        "zone": zone.number if zone else None,
        "start": _iso(permit.start),
        "end": _iso(permit.end),
        "space_number": permit.space_number,
        "type": permit.type,
        "unit": permit.unit,
        "status": permit.status,
        "revision": permit.revision,
        "external_id": permit.external_id,
        "is_test": permit.is_test,
        "push": {
            "state": delivery.state.key,
            "word": delivery.state.line,
            "accepted_at": _iso(permit_sync.accepted_at) if permit_sync else None,
            "accepted_revision": permit_sync.accepted_revision if permit_sync else None,
            "session_id": _session(permit_sync),
            "error": permit_sync.error if permit_sync else "",
            "remedy": delivery.state.remedy,
        },
        "evidence": [
            {
                "at": _iso(line.at),
                "title": line.title,
                "text": line.text,
                "by": line.by,
                "trace_id": line.trace_id,
                "session_id": line.session_id,
            }
            for line in proof.timeline(permit, proof.gather(permit))
        ],
    }


def _session(permit_sync: PermitSync | None) -> str | None:
    """Return the vendor's current session, or the last one."""
    if permit_sync is None:
        return None
    if permit_sync.remote_state:
        return str(permit_sync.remote_state["session_id"])
    accepted = PushEvent.objects.filter(permit_sync=permit_sync, result=PushEvent.Result.ACCEPTED)
    return accepted.order_by("-id").values_list("session_id", flat=True).first()


def _permit(pk: int) -> Permit:
    permit = Permit.objects.select_related("company", "location").filter(pk=pk).first()
    if permit is None:
        raise CommandError(_("There is no permit %(id)d.") % {"id": pk})
    return permit


def _time(location: Location, option: str, text: str) -> datetime:
    with option_named(option):
        return clean_local(text, location.tz, order=location.company.date_order, is_end=option == "--end")


def _region(text: str) -> Region:
    with option_named("--state"):
        return parse_region(text)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _same_as(draft: PermitDraft) -> Permit | None:
    """Return the permit with the draft's reference, or None; refuse if its content differs."""
    permit = Permit.objects.filter(company=draft.location.company_id, external_id=draft.external_id).first()
    if permit is None:
        return None
    wanted = {
        "location": draft.location,
        "plate": normalise_plate(draft.plate),
        "country": draft.country,
        "subdivision": draft.subdivision,
        "start": draft.start,
        "end": draft.end,
        "space_number": tidy(draft.space_number),
        "type": tidy(draft.type),
        "unit": tidy(draft.unit),
        "status": Permit.Status.ACTIVE,
    }
    other = [name.replace("_", " ") for name, value in wanted.items() if getattr(permit, name) != value]
    if other:
        raise CommandError(
            _("The reference %(external)s belongs to permit %(id)d, which has a different %(what)s.")
            % {"external": draft.external_id, "id": permit.pk, "what": ", ".join(other)}
        )
    return permit
