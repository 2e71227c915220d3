"""Files that a person can read in one go: how long a module may be, and a line of a template."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What git ignores: the environment, and what is built or run here.
NOT_OURS = {"build", "staticfiles", "var"}
FOLDERS = [
    path
    for path in ROOT.iterdir()
    if path.is_dir() and not path.name.startswith(".") and path.name not in NOT_OURS
]
MAX_MODULE_LINES = 400
MAX_TEMPLATE_COLUMNS = 160


def files(ending: str) -> dict[str, list[str]]:
    """Return the lines of all files with this ending, by path."""
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8").splitlines()
        for folder in FOLDERS
        for path in folder.rglob(f"*{ending}")
    }


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    modules = files(".py")
    assert {name: len(lines) for name, lines in modules.items() if len(lines) > MAX_MODULE_LINES} == {}
    assert len(modules) > 500


def test_no_line_of_a_template_is_longer_than_a_hundred_and_sixty_characters() -> None:
    """Only HTML: in an email's plain part, each line is a paragraph."""
    templates = files(".html")
    long = [
        f"{name}:{number}"
        for name, lines in templates.items()
        for number, line in enumerate(lines, 1)
        if len(line) > MAX_TEMPLATE_COLUMNS
    ]
    assert long == []
    assert len(templates) > 100
