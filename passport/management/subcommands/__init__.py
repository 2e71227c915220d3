"""The parts of `manage.py passport`, one module each; a new module here is a new subcommand.

A module has `HELP`, `add_arguments(parser)` and `run(options, say)`. The subcommand is named after the module, with
hyphens. `run` may raise any error that `integrations.management.scripting.one_sentence` turns into a sentence.
"""

import importlib
import pkgutil
from argparse import ArgumentParser
from typing import Any, Protocol, cast

from integrations.management.scripting import Say


class Subcommand(Protocol):
    """What each module here defines."""

    HELP: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        ...

    def run(self, options: dict[str, Any], say: Say) -> None:
        """Do the work and say what was done."""
        ...


def subcommands() -> dict[str, Subcommand]:
    """Return the subcommands by their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {
        name.replace("_", "-"): cast(Subcommand, importlib.import_module(f"{__name__}.{name}"))
        for name in names
    }
