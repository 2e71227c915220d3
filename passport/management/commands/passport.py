"""`manage.py passport`: manage a company's connection from a script. See `passport.management.subcommands`."""

from argparse import ArgumentParser
from typing import Any

from integrations.management.scripting import ScriptCommand
from passport.management.subcommands import subcommands


class Command(ScriptCommand):
    """The command; the module says what it does."""

    help = "Connect companies to Passport, map their locations, and check on them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare all subcommands; each is for one company."""
        choices = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
        for name, module in subcommands().items():
            part = choices.add_parser(name, help=module.HELP, description=module.HELP)
            part.add_argument("--company", required=True, metavar="SLUG")
            part.add_argument(
                "--site", default="", metavar="NAME", help="which connection, if the company has several"
            )
            module.add_arguments(part)

    def script(self, options: dict[str, Any]) -> None:
        """Run one subcommand."""
        subcommands()[options["subcommand"]].run(options, self.stdout.write)
