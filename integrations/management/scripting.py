"""What the product's commands share: finding things by exact name, and failing with one clear sentence.

A command prints what it did to standard output and other information to standard error. If it fails, it prints one
sentence and exits with 1. Names and numbers are compared character by character. An error suggests the nearest one,
which is never used instead.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import DatabaseError
from django.utils.translation import gettext as _

from integrations.delivery import wakeup
from integrations.models import Connection, Zone
from integrations.models.connections import default_vendor
from integrations.onboarding.connections import current_connections
from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import get_vendor
from integrations.zones.mapping import nearest
from locations.models import Company, Location
from locations.text import visible

Say = Callable[[str], object]


class VisibleOutput(OutputWrapper):
    """A terminal on which no text acts: escape sequences and direction marks are written out (`locations.text.visible`)."""

    def __init__(self, out: Any, style_func: Any) -> None:
        super().__init__(out)
        self.style_func = style_func

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Any = None, ending: str | None = None
    ) -> None:
        """Write a text; colours are put around it afterwards."""
        super().write(visible(msg), style_func, ending)


class ScriptCommand(BaseCommand):
    """A command that fails with one sentence and leaves no wake-up behind. Subclasses implement `script`."""

    requires_system_checks: list[str] = []

    def execute(self, *args: Any, **options: Any) -> Any:
        """Write to the terminal through `VisibleOutput`: what a vendor or a person wrote may be in any line."""
        given = (options.pop("stdout", None), options.pop("stderr", None))
        self.stdout, self.stderr = (
            VisibleOutput(stream or ready._out, ready.style_func)
            for stream, ready in zip(given, (self.stdout, self.stderr), strict=True)
        )
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run `script`, then wait until its wake-ups are sent; the sweeper finds any that the broker did not take."""
        try:
            with one_sentence():
                self.script(options)
        except BrokenPipeError:
            # The reader of our output has closed it (`… | head`); the work itself is done.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        finally:
            wakeup.flush()

    def script(self, options: dict[str, Any]) -> None:
        """Do the command's work."""
        raise NotImplementedError


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn errors that people can act on into a `CommandError` of one line."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(sentence_of(error)) from error
    except DeliveryError as error:
        raise CommandError(f"{error.sentence} {error.remedy}".strip()) from error
    except DatabaseError as error:
        text = str(error).strip().partition("\n")[0]
        raise CommandError(_("Database error: %(error)s") % {"error": text}) from error


@contextmanager
def option_named(option: str) -> Iterator[None]:
    """Say which option was wrong before the sentence that says what is wrong with it."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(f"{option}: {sentence_of(error)}") from error


def sentence_of(error: ValidationError) -> str:
    """Return a validation error's messages in one line, each with its field's name."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items())


def find_company(slug: str) -> Company:
    """Return the company with this slug."""
    company = Company.objects.filter(slug=slug).first()
    if company is None:
        slugs = list(Company.objects.order_by("slug").values_list("slug", flat=True)[:20])
        raise CommandError(
            _("There is no company “%(slug)s”. %(known)s")
            % {"slug": slug, "known": _known(_("Companies"), slugs)}
        )
    return company


def find_location(company: Company, name: str) -> Location:
    """Return the company's location with exactly this name."""
    location = company.locations.filter(name=name).first()
    if location is None:
        names = list(company.locations.order_by("name").values_list("name", flat=True))
        raise CommandError(
            _("%(company)s has no location “%(name)s”. %(hint)s")
            % {"company": company, "name": name, "hint": _hint(name, names, _("Locations"))}
        )
    return location


def find_connection(company: Company, site: str = "") -> Connection:
    """Return the company's connection, or the one for a site if it has several."""
    connections = list(current_connections(company))
    if not connections:
        raise CommandError(
            _("%(company)s has no integration yet: run “%(vendor)s connect” first.")
            # A vendor's command is called by its slug.
            % {"company": company, "vendor": default_vendor()}
        )
    found = [connection for connection in connections if connection.label == site]
    if found:
        return found[0]
    sites = [connection.label for connection in connections]
    if site:
        raise CommandError(
            _("%(company)s has no site “%(site)s”. %(hint)s")
            % {"company": company, "site": site, "hint": _hint(site, sites, _("Sites"))}
        )
    if len(connections) > 1:
        raise CommandError(_("Choose the site with --site. %(known)s") % {"known": _known(_("Sites"), sites)})
    return connections[0]


def _has_number(zone: Zone, number: str) -> bool:
    # Character by character unless the vendor says otherwise, whatever the database does.
    if get_vendor(zone.connection.vendor).zones_have_case:
        return zone.number == number
    return zone.number.casefold() == number.casefold()


def find_zone(company: Company, number: str, connection: Connection | None = None) -> Zone:
    """Return the one zone of this number, compared as its vendor does, among the listed ones of the company's connections."""
    zones = Zone.objects.filter(connection__in=current_connections(company)).select_related("connection")
    if connection is not None:
        zones = zones.filter(connection=connection)
    exact = [zone for zone in zones.filter(number__iexact=number) if _has_number(zone, number)]
    listed = [zone for zone in exact if zone.missing_since is None] or exact
    if len(listed) == 1:
        return listed[0]
    if listed:
        names = "; ".join(f"{zone} ({zone.connection})" for zone in listed)
        raise CommandError(
            _("Several zones have the number “%(number)s”: %(names)s. Choose the site with --site.")
            % {"number": number, "names": names}
        )
    numbers = list(zones.listed().values_list("number", flat=True))
    raise CommandError(
        _("%(company)s has no zone “%(number)s”. %(hint)s")
        % {"company": company, "number": number, "hint": _hint(number, numbers, _("Zones"))}
    )


def _hint(wanted: str, known: list[str], what: str) -> str:
    if near := nearest(wanted, known):
        names = _(" or ").join(f"“{text}”" for text in near)
        return _("Did you mean %(names)s? Names are compared character by character.") % {"names": names}
    return _known(what, known)


def _known(what: str, texts: list[str], most: int = 12) -> str:
    if not texts:
        return _("%(what)s: none yet.") % {"what": what}
    shown = ", ".join(f"“{text}”" if re.search(r"\s|^$", text) else text for text in texts[:most])
    return f"{what}: {shown}{', …' if len(texts) > most else ''}."
