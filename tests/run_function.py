"""Runs one function in a process of its own with the product's settings: `python -m tests.run_function MODULE:FUNCTION JSON`.

The JSON array holds its positional and its keyword arguments. Its return value is the only thing on the standard output, as
JSON; anything else that is printed goes to the standard error. `Stack.run` (`tests/servers/stack.py`) is how tests call it.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec

import django

P = ParamSpec("P")


def command(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> list[str]:
    """Return the command line that calls `function`, which a module defines, with arguments that fit into JSON."""
    target = f"{function.__module__}:{function.__qualname__}"
    return [sys.executable, "-m", "tests.run_function", target, json.dumps([args, kwargs])]


def main(arguments: Sequence[str]) -> int:
    """Call the function and print what it returned. Raises `TypeError` if that would not survive JSON."""
    target, given = arguments
    module, _, name = target.partition(":")
    args, kwargs = json.loads(given)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    with contextlib.redirect_stdout(sys.stderr):
        django.setup()
        answer = getattr(importlib.import_module(module), name)(*args, **kwargs)
    text = json.dumps(answer)
    if json.loads(text) != answer:
        raise TypeError(
            f"{target} returned {answer!r}, which is {text} in JSON: a tuple is a list there, a key a text."
        )
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
