"""The pages of the documentation lead somewhere: each link to a file, and each test that a promise names, exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")],
    key=str,
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_page_leads_to_a_file(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert dead == []


def test_each_promise_names_a_test_that_exists() -> None:
    named, missing = 0, []
    for row in (ROOT / "docs/promises.md").read_text().splitlines():
        for part in re.split(r"(?=\[`)", row):
            files = re.findall(r"\]\(([^)]*\.py)\)", part)
            for test in re.findall(r"`(test_\w+)`", part):
                named += 1
                source = "".join((ROOT / "docs" / file).read_text() for file in files)
                if f"def {test}(" not in source:
                    missing.append(test)
    assert missing == []
    assert named > 30


def test_each_decision_stands_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    names = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name for name in names if f"({name})" not in index] == []
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
