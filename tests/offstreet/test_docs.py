"""The documentation is up to date: each link, each file and each name of the code that a page mentions exists.

The same goes for what comments and docstrings cite in backticks, so that a move leaves no dead names behind.
"""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What is installed, built, vendored or left by a run needn't be described.
NOT_OURS = {".venv", "build", "node_modules", "staticfiles", "var", "vendor"}
PACKAGES = ("benchmarks", "integrations", "locations", "offstreet", "passport", "tests")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./-]*\w\.(?:css|html|js|json|md|py|svg|toml|txt|yml)")
NAME = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
# A name that can only be code's: `map_locations`, `PermitSync`, `Engine.run`.
BARE_NAME = re.compile(r"(?:\w+\.)*(?:[A-Za-z]\w*_\w+|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|(?<=\.)\w+)")
# PostgreSQL's and glibc's, and variables that the sandbox makes from the names of its options.
NAMES_FROM_ELSEWHERE = {
    "auto_explain",
    "pg_stat_statements",
    "MALLOC_ARENA_MAX",
    "SANDBOX_HOST",
    "SANDBOX_STATE",
}


def ours(pattern: str) -> list[Path]:
    """Return the repository's own files of a pattern."""
    found = (path for path in ROOT.rglob(pattern) if path.is_file())
    return sorted(
        path
        for path in found
        if not NOT_OURS.intersection(path.relative_to(ROOT).parts)
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
    )


PAGES = ours("*.md")
FILES = [f"/{path.relative_to(ROOT)}" for path in ours("*")]
each_document = pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def is_dead_file(name: str) -> bool:
    """Whether no file of the repository has this path, or a path that ends with it. What a command writes may be missing."""
    path = name.removeprefix("./")
    return not NOT_OURS.intersection(Path(path).parts) and not any(
        file.endswith(f"/{path}") for file in FILES
    )


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_of(page: Path) -> list[str]:
    """Return what a page marks up as code within its sentences and tables; blocks of code are examples."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return CODE.findall(text)


def resolves(name: str) -> bool:
    """Whether a dotted name is a module of the project or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@each_document
def test_each_link_of_a_page_leads_to_a_file_and_a_heading(document: Path) -> None:
    dead = []
    for link, anchor in LINK.findall(document.read_text()):
        target = document.parent / link if link else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(f"{link}#{anchor}")
    assert dead == []


@each_document
def test_each_file_that_a_page_names_exists(document: Path) -> None:
    named = [code for code in code_of(document) if FILE.fullmatch(code)]
    assert [name for name in named if is_dead_file(name)] == []


@each_document
def test_each_name_of_the_code_that_a_page_mentions_exists(document: Path) -> None:
    named = [code.removesuffix("()") for code in code_of(document)]
    assert [name for name in named if NAME.fullmatch(name) and not resolves(name)] == []


@pytest.fixture(scope="module")
def words() -> set[str]:
    """All words of the repository's files, without its Markdown pages."""
    texts = (ROOT / file[1:] for file in FILES if not file.endswith((".md", ".png", ".woff2", ".ico")))
    return {word for path in texts for word in re.findall(r"\w+", path.read_text(errors="replace"))}


@each_document
def test_each_bare_name_that_a_page_mentions_is_somewhere_in_the_source(
    document: Path, words: set[str]
) -> None:
    if document.name == "CHANGELOG.md":
        return  # It names what was removed.
    named = [code.removesuffix("()") for code in code_of(document)]
    named = [name for name in named if BARE_NAME.fullmatch(name) and name not in NAMES_FROM_ELSEWHERE]
    assert [name for name in named if name.rpartition(".")[2] not in words] == []


def test_a_bare_name_is_distinguished_from_a_word_and_a_dead_one_is_found(words: set[str]) -> None:
    assert "map_locations" in words
    assert "_".join(("no", "such", "name")) not in words
    for name in ("map_locations", "PermitSync", "Engine.run", "HELD_CHANGE_RIGHTS", "hidden_by.nothing"):
        assert BARE_NAME.fullmatch(name), name
    for word in ("plan", "docker-compose.yml", "Retry-After", "make test", "grant_type=x", "UPDATE"):
        assert not BARE_NAME.fullmatch(word), word


def test_each_name_and_file_that_the_source_cites_exists() -> None:
    cited, dead = 0, []
    for path in (ROOT / file[1:] for file in FILES if file.endswith((".py", ".html", ".css", ".js"))):
        if path == Path(__file__):
            continue
        for code in CODE.findall(path.read_text()):
            name = code.removesuffix("()")
            is_file = "/" in code and FILE.fullmatch(code)
            cited += bool(is_file or NAME.fullmatch(name))
            if (is_file and is_dead_file(code)) or (NAME.fullmatch(name) and not resolves(name)):
                dead.append(f"{path.relative_to(ROOT)}: {code}")
    assert dead == []
    assert cited > 100


def test_the_checks_of_pages_see_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading, here\n`integrations.nowhere.at_all()`\n```\n`integrations.example`\n```\n")
    assert anchors(page) == {"a-heading-here"}
    assert code_of(page) == ["integrations.nowhere.at_all()"]
    assert not resolves("integrations.nowhere.at_all")
    assert resolves("locations.services.register_permit")
    assert is_dead_file("views/nowhere.py")
    assert not is_dead_file("locations/services.py")
    assert len(PAGES) > 30


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


def test_each_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    names = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name for name in names if f"({name})" not in index] == []
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
