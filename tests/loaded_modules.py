"""Prints which modules a program loads: `python -m tests.loaded_modules MODULE[:FUNCTION] …` imports the modules, calls the
functions and prints the top-level names of all that is loaded then as a JSON array.

It loads nothing of the project itself. If a function returns a false value, it ends with status 1, since nothing was proved.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def loaded_by(*targets: str) -> set[str]:
    """Return the top-level names of what a process has loaded after it imported the modules and called the functions."""
    command = [sys.executable, "-m", "tests.loaded_modules", *targets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def main(targets: Sequence[str]) -> int:
    for target in targets:
        module, _, function = target.partition(":")
        loaded = importlib.import_module(module)
        if function and not getattr(loaded, function)():
            return 1
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
