"""`passport resume`: start sending again, first what was held back."""

from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _

from integrations.management.scripting import Say, find_company, find_connection
from integrations.onboarding import connections

HELP = "start sending again, first what was held back"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments beyond the company's."""


def run(options: dict[str, Any], say: Say) -> None:
    """Resume; a live connection is unchanged."""
    connection = find_connection(find_company(options["company"]), options["site"])
    connections.resume(connection=connection)
    say(_("%(name)s is live.") % {"name": connection})
