"""`manage.py passport`: what support does with a company's connection, by script. See `passport.management.subcommands`."""

from argparse import ArgumentParser
from typing import Any

from integrations.management.scripting import ScriptCommand
from passport.management.subcommands import subcommands


class Command(ScriptCommand):
    """See the module's text."""

    help = "Connect companies to Passport, map their locations, and see how they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare all subcommands; each is for one company."""
        choices = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        for name, module in subcommands().items():
            part = choices.add_parser(name, help=module.HELP, description=module.HELP)
            part.add_argument("--company", required=True, metavar="SLUG")
            part.add_argument(
                "--site", default="", metavar="NAME", help="where a company has several connections"
            )
            module.add_arguments(part)

    def script(self, options: dict[str, Any]) -> None:
        """Run one subcommand."""
        subcommands()[options["subcommand"]].run(options, self.stdout.write)
