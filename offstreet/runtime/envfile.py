"""Files of environment variables, read and written without Django (the process manager must stay small)."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$")
_EXAMPLE_LINE = re.compile(r"^#?\s?([A-Z][A-Z0-9_]*)=")


def read(path: Path) -> dict[str, str]:
    """Return the variables of a file, none if it doesn't exist; quotes around a value are taken off."""
    if not path.is_file():
        return {}
    variables = {}
    for line in path.read_text().splitlines():
        match = _LINE.match(line)
        if match:
            name, value = match.groups()
            if len(value) >= 2 and value[0] == value[-1] == "'":
                value = value[1:-1]
            elif len(value) >= 2 and value[0] == value[-1] == '"':
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            variables[name] = value
    return variables


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables to a file that only its owner can read; an older one is replaced whole."""
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        for name, value in sorted(variables.items()):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            file.write(f'{name}="{escaped}"\n')
    draft.replace(path)


def names(example: Path) -> list[str]:
    """Return the names of the variables that an example file lists, whether they are commented out or not."""
    return [
        match.group(1) for line in example.read_text().splitlines() if (match := _EXAMPLE_LINE.match(line))
    ]
