"""Python is in modules, where it is checked: no string holds a program, and no process is given one on its command line.

What runs inside the product, in a process of its own, is a function (`Stack.run`, `tests/run_function.py`).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmarks", "integrations", "locations", "offstreet", "passport", "tests")
# Samples that a check must find; they are never run.
SAMPLES = ("tests/offstreet/test_markup.py", "tests/offstreet/test_no_code_in_strings.py")
RUNS_CODE = {"-c", "--command"}


def text_of(node: ast.AST) -> str | None:
    """The text of a string, with a name in place of an f-string's expressions; None for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "x" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_program(text: str) -> bool:
    """Whether a text is Python that imports something, as every useful program does."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree))


def is_given_code(words: list[ast.expr]) -> bool:
    """Whether these words start Python, or Django's shell, with code on the command line (an empty one only tries it)."""
    for place, word in enumerate(words):
        if text_of(word) in RUNS_CODE and not (words[place + 1 :] and text_of(words[place + 1]) == ""):
            before = words[:place]
            if any(text_of(one) == "shell" for one in before):
                return True
            if before and isinstance(before[-1], ast.Name | ast.Attribute):
                return True
    return False


def code_in_strings(source: str) -> Iterator[int]:
    """Yield the lines of a module's strings that are programs, and of commands that run some."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        text = text_of(node)
        if text is not None and is_program(text):
            yield getattr(node, "lineno", 0)
        words = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
        if is_given_code(words):
            yield getattr(node, "lineno", 0)


def test_no_string_holds_a_program_and_no_process_is_given_one() -> None:
    modules = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(modules) > 400
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules
        if str(path.relative_to(ROOT)) not in SAMPLES
        for line in code_in_strings(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "sample",
    [
        'CODE = """\nimport json\nprint(json.dumps({}))\n"""',
        'stack.shell("from a import b; b.c()")',
        'stack.shell("from a import b; " "b.c()")',
        'code = f"from a import {name}; {name}({value!r})"',
        'CODE = f"""\nfrom a import b\nb(pk={pk}, rows={{}})\n"""',
        'run([sys.executable, "-c", code])',
        'run([python, "-c", "print(1)"])',
        'manage("shell", "--no-imports", "--command", code)',
        'command = ["manage.py", "shell", "-c", code]',
    ],
)
def test_a_program_in_a_string_is_found(sample: str) -> None:
    assert list(code_in_strings(sample))


@pytest.mark.parametrize(
    "sample",
    [
        '"""How to import permits from a file."""',
        'say("import")',
        'run([python, "-c", ""])',
        'run(["postgres", "-c", "fsync=off"])',
        'run([sys.executable, "-m", "gunicorn", "-c", "gunicorn_conf.py"])',
        'manage("permit", "import", path)',
    ],
)
def test_what_is_no_program_is_left_alone(sample: str) -> None:
    assert not list(code_in_strings(sample))
