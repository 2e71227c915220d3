"""Code that tests and benchmarks keep as text, to run it in a process of its own: what it imports exists.

No type check and no import reads these texts, and most of them run in flows alone, which take minutes.
"""

import ast
import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "benchmarks|integrations|locations|offstreet|passport|tests"
IMPORT = re.compile(rf"^\s*from ((?:{PACKAGES})[.\w]*) import ([\w, ]+)", re.MULTILINE)
SCRIPTS = [
    pytest.param(found, id=f"{path.relative_to(ROOT)}:{node.lineno}")
    for package in ("tests", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.Constant)
    and isinstance(node.value, str)
    and (found := IMPORT.findall(node.value))
]


def exists(module: str, name: str) -> bool:
    """Whether a module that there is has this name, or a module of this name in it."""
    found = importlib.import_module(module)
    return hasattr(found, name) or (hasattr(found, "__path__") and find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize("imports", SCRIPTS)
def test_what_a_script_imports_exists(imports: list[tuple[str, str]]) -> None:
    named = [
        (module, part.split(" as ")[0].strip()) for module, names in imports for part in names.split(",")
    ]
    assert [(module, name) for module, name in named if not exists(module, name)] == []
