"""Every text that people read is marked for translation: no bare words in templates, views or forms.

A heuristic that catches what was missed: without its tags, its translated blocks and its markup, a template contains no word,
and neither does an attribute that is shown or read aloud.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# The style guide shows components with made-up texts, for people who build pages.
NOT_FOR_PEOPLE = {"styleguide.html", "styleguide_dialog.html"}
TEMPLATES = sorted(
    path
    for path in (ROOT / "templates").rglob("*")
    if path.suffix in {".html", ".txt"} and path.name not in NOT_FOR_PEOPLE
)
# Names and signs that are the same in every language.
SAME_EVERYWHERE = {"UTC", "Offstreet", "Passport", "OpsMan", "ms", "id", "OK", "Django", "http"}
SHOWN_ATTRIBUTES = r"(?:aria-label|placeholder|title|alt|data-placeholder|data-copied)"
_BLOCK = re.compile(r"{%-?\s*blocktranslate\b.*?{%\s*endblocktranslate\s*%}", re.DOTALL)
_COMMENT = re.compile(
    r"{%\s*comment\b.*?{%\s*endcomment\s*%}|{#.*?#}|<!--.*?-->|<style.*?</style>|<script.*?</script>",
    re.DOTALL,
)
# A block that contains a name for the style sheet.
_CLASS_BLOCK = re.compile(r"{%\s*block \w*_class\s*%}.*?{%\s*endblock\s*%}", re.DOTALL)
_TAG = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
_MARKUP = re.compile(r"<[^<>]*>", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{2,}")


def bare_words(template: str) -> list[str]:
    """Return the words of a template that no translation reaches."""
    text = _TAG.sub(" ", _CLASS_BLOCK.sub(" ", _BLOCK.sub(" ", _COMMENT.sub(" ", template))))
    shown = re.findall(rf'\s{SHOWN_ATTRIBUTES}="([^"]*)"', text)
    rest = re.sub(r"&[a-z]+;", " ", _MARKUP.sub(" ", text))
    return [word for part in [rest, *shown] for word in _WORD.findall(part) if word not in SAME_EVERYWHERE]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_text_of_a_template_is_unmarked(path: Path) -> None:
    assert bare_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>{% translate 'Marked' %}</p>", []),
        ("<p>Left out</p>", ["Left", "out"]),
        ('<a aria-label="Close it" href="/x/">×</a>', ["Close", "it"]),
        ("{% blocktranslate %}Marked{% endblocktranslate %} {# a comment #} {{ value }} UTC", []),
    ],
)
def test_the_heuristic_sees_what_is_forgotten(template: str, found: list[str]) -> None:
    assert bare_words(template) == found


# --- Python -----------------------------------------------------------------------------------------------------------

# Calls whose text is shown as it is, and which argument holds it.
SAID_BY = {"success": 1, "info": 1, "warning": 1, "error": 1, "add_error": 1, "ValidationError": 0}
PYTHON = sorted(
    path
    for app in ("integrations", "locations", "passport", "offstreet")
    for path in (ROOT / app).rglob("*.py")
    if not {"migrations", "management", "sandbox", "runtime"} & set(path.parts)
)


def bare_sayings(source: str) -> Iterator[str]:
    """Yield texts shown to people as bare literals: messages, errors of forms."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if called in {"success", "info", "warning", "error"} and getattr(owner, "id", "") != "messages":
            continue
        place = SAID_BY.get(called)
        if place is None or len(node.args) <= place:
            continue
        said = node.args[place]
        if isinstance(said, ast.Constant) and isinstance(said.value, str) and " " in said.value:
            yield said.value
        if isinstance(said, ast.JoinedStr) and any(
            isinstance(part, ast.Constant) and _WORD.search(str(part.value)) for part in said.values
        ):
            yield ast.unparse(said)


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_shown_to_people_as_a_bare_text(path: Path) -> None:
    assert list(bare_sayings(path.read_text(encoding="utf-8"))) == []
