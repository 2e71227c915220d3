"""Rules for every statement that waits for others (`integrations.delivery.outbox` has the order of locks)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

SOURCES = [
    path
    for app in ("locations", "integrations", "passport")
    for path in sorted((Path(settings.BASE_DIR) / app).rglob("*.py"))
    if "migrations" not in path.parts and "sandbox" not in path.relative_to(settings.BASE_DIR).parts
]


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def test_rows_are_locked_without_their_keys_since_rows_that_refer_to_them_lock_those_at_the_commit() -> None:
    found = {
        f"{path.name}:{call.lineno}": {word.arg for word in call.keywords}
        for path in SOURCES
        for call in _calls(ast.parse(path.read_text("utf-8")), "select_for_update")
    }
    assert len(found) > 10
    assert [place for place, words in found.items() if "no_key" not in words] == []


def test_no_statement_reads_a_clock_that_moves_on_while_it_runs() -> None:
    moving = ("clock_timestamp(", "timeofday(")
    texts = [
        (path.name, node.value)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = {name for name, text in texts if any(word in text for word in moving)}
    # Where the decision is made.
    assert found == {"database_clock.py"}
