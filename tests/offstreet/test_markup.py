"""Text from people, files and vendors is never markup: every template, module and script of the project is checked.

Django's own admin templates print a field's help as markup; the help of our admin's fields is written in the source.
"""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.html import format_html
from django.utils.safestring import SafeString

from offstreet.markup import filled, joined, trimmed
from offstreet.templatetags.htmx import ATTRIBUTES, HEADER, mark_of
from passport.sandbox import pages

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("locations", "integrations", "passport", "offstreet")
EVIL = "<i hx-trigger=load hx-post=/>"
FOLDERS = (ROOT / "templates", *(ROOT / app for app in APPS))
TEMPLATES = sorted(
    path for folder in FOLDERS for path in folder.rglob("*") if path.suffix in (".html", ".txt")
)
MODULES = sorted(path for app in APPS for path in (ROOT / app).rglob("*.py"))
SCRIPTS = sorted((ROOT / "static/js").glob("*.js"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_comments(path: Path) -> str:
    return re.sub(
        r"{%\s*comment.*?endcomment\s*%}|{#.*?#}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )


# --- Templates ------------------------------------------------------------------------------------------------------

# Our own emails, and those that allauth sends.
MAILS = ("mail", "email")
UNESCAPED = re.compile(
    r"\|\s*(safe|safeseq)\b|{%-?\s*(autoescape\s+off|filter\s+safe|debug\b|htmx_script\s+\w)|\bhx-(headers|vars|on)\b"
)


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_no_template_takes_a_text_for_markup(path: Path) -> None:
    source = without_comments(path)
    if path.suffix == ".txt" and path.parent.name in MAILS:
        # An email's plain part is not markup; its HTML part is made from it, escaping each line.
        source = source.replace("{% autoescape off %}", "", 1)
    assert [match[0] for match in UNESCAPED.finditer(source)] == []


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix == ".html"], ids=name_of)
def test_what_a_template_writes_into_an_attribute_is_quoted_and_never_in_json(path: Path) -> None:
    source = without_comments(path)
    assert re.findall(r"\s[a-z-]+=\{[{%][^}]*\}", source) == []
    assert re.findall(r"\bhx-(?:vals|request)=(?:'[^']*\{\{|\"[^\"]*\{\{)", source) == []


ASKING = {f"{prefix}hx-{name}" for name in ATTRIBUTES for prefix in ("", "data-")}


class Asking(HTMLParser):
    """Collects the attributes of each element that htmx would act on."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[set[str]] = []
        marked = without_comments(path).replace("{% page_mark %}", "data-page-mark")
        self.feed(re.sub(r"{%.*?%}|{{.*?}}", "", marked))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _value in attrs}
        if names & ASKING:
            self.found.append(names)


def test_every_element_that_asks_for_something_carries_the_pages_mark() -> None:
    """Without it htmx ignores the element, so this test finds what would be a dead part in a browser."""
    asking = [(name_of(path), names) for path in TEMPLATES for names in Asking(path).found]
    assert len(asking) >= 15
    assert [one for one in asking if "data-page-mark" not in one[1]] == []


def test_the_sandboxs_templates_are_checked_too_and_escape_automatically() -> None:
    assert ROOT / "passport/sandbox/templates/officer.html" in TEMPLATES
    assert pages._templates.autoescape is True


def test_htmx_is_started_by_one_template_which_configures_it_before_it_shows_anything() -> None:
    starts = [name_of(path) for path in TEMPLATES if "htmx_script" in without_comments(path)]
    assert starts == ["templates/base.html"]
    head, _, _rest = without_comments(ROOT / "templates/base.html").partition("<title>")
    assert "{% htmx_config %}" in head
    assert [name_of(path) for path in TEMPLATES if 'name="htmx-config"' in path.read_text("utf-8")] == []


TOKEN_FIELD = '<input type="hidden" name="csrfmiddlewaretoken" value="{{ csrf_token }}">'


def test_the_forgery_token_is_in_forms_alone() -> None:
    """On any other element, everything within would inherit it or could read it."""
    sources = {name_of(path): without_comments(path).replace(TOKEN_FIELD, "") for path in TEMPLATES}
    assert [name for name, source in sources.items() if re.search(r"{{[^}]*csrf_token", source)] == []


# --- Python -----------------------------------------------------------------------------------------------------------

SHAPED = {"format_html", "format_html_join", "filled"}
# Only the module that checks its input may mark a text as safe.
TRUSTED = ROOT / "offstreet/markup.py"


def called(node: ast.Call) -> str:
    """Return the last part of what is called: `mark_safe` for `safestring.mark_safe(…)`."""
    return str(getattr(node.func, "attr", "") or getattr(node.func, "id", ""))


def findings(source: str) -> Iterator[str]:
    """Yield a module's calls that mark a text as markup, other than with a literal format string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = {alias.name.rpartition(".")[2] for alias in node.names}
            renamed = [
                alias.name for alias in node.names if alias.asname and alias.name in SHAPED | {"SafeString"}
            ]
            yield from sorted(names & {"mark_safe", "SafeText", "SafeData", "html_safe"})
            yield from renamed
        elif isinstance(node, ast.FunctionDef | ast.Assign) and "__html__" in ast.dump(node):
            yield "__html__"
        elif isinstance(node, ast.Call) and called(node) in {
            "SafeString",
            "mark_safe",
            "SafeText",
            "cast_safe",
        }:
            yield called(node)
        elif isinstance(node, ast.Call) and called(node) in SHAPED:
            at = 1 if called(node) == "format_html_join" else 0
            if len(node.args) <= at or not isinstance(node.args[at], ast.Constant):
                yield f"{called(node)} of a shape that is computed"


@pytest.mark.parametrize("path", [path for path in MODULES if path != TRUSTED], ids=name_of)
def test_no_module_takes_a_text_for_markup(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from django.utils.safestring import mark_safe",
        "from django.utils import safestring\nsafestring.mark_safe(text)",
        "SafeString(text)",
        "format_html(text)",
        "format_html(f'<b>{text}</b>')",
        "format_html('<b>' + text)",
        "from django.utils.html import format_html as shape",
        "class Text(str):\n    def __html__(self): return self",
    ],
)
def test_each_way_round_the_escaping_is_found(source: str) -> None:
    assert list(findings(source)) != []


def test_markup_is_made_of_markup_alone() -> None:
    whole = joined([format_html("<b>{}</b>", EVIL), SafeString("<i></i>")])
    assert isinstance(whole, SafeString)
    assert whole == "<b>&lt;i hx-trigger=load hx-post=/&gt;</b><i></i>"
    assert trimmed(SafeString(" <b></b>\n")) == "<b></b>"
    with pytest.raises(TypeError):
        joined([SafeString("<b>"), EVIL])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        trimmed(EVIL)  # type: ignore[arg-type]


def test_a_shape_that_is_filled_in_says_what_format_html_says() -> None:
    for value in (EVIL, "\"'&", 7, None, format_html("<b>{}</b>", "x")):
        assert filled('<p title="{}">{}</p>', value, value) == format_html(
            '<p title="{}">{}</p>', value, value
        )


class Helped(forms.Form):
    """Help that contains a vendor's zone number, and Django's own list of password rules."""

    space = forms.CharField(help_text=f"Zone {EVIL} goes by space.")
    password = forms.CharField(help_text=password_validators_help_text_html())


def test_a_fields_help_is_text_unless_django_made_it_markup() -> None:
    page = Template("{% load forms %}{% field form.space %}{% field form.password %}").render(
        Context({"form": Helped()})
    )
    assert EVIL not in page
    assert "Zone &lt;i hx-trigger=load hx-post=/&gt; goes by space." in page
    assert "<ul><li>" in page


# --- Scripts ----------------------------------------------------------------------------------------------------------

PARSED = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|eval|setHTMLUnsafe)\b"
)


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_no_script_takes_a_text_for_markup(path: Path) -> None:
    source = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert PARSED.findall(source) == []
    # Tom Select parses what its `render` functions return.
    literals = [one for one in re.findall(r"`[^`]*`", source) if "<" in one]
    filled_in = [inside for one in literals for inside in re.findall(r"\$\{([^}]*)\}", one)]
    assert [inside for inside in filled_in if not inside.startswith("escape(") and inside != "note"] == []


# --- The mark ---------------------------------------------------------------------------------------------------------


def test_a_page_has_a_mark_of_its_own_and_a_part_of_it_the_pages() -> None:
    factory = RequestFactory()
    first, second = factory.get("/"), factory.get("/")
    assert re.fullmatch(r"[0-9a-f]{32}", mark_of(first))
    assert mark_of(first) == mark_of(first) != mark_of(second)
    assert mark_of(factory.get("/", headers={HEADER: mark_of(first)})) == mark_of(first)


@pytest.mark.parametrize("given", ["", "x", "A" * 32, "a" * 31, "a" * 33, '"] , [hx-get', "a" * 32 + "\n"])
def test_what_cannot_be_a_mark_is_not_taken_for_one(given: str) -> None:
    assert mark_of(RequestFactory().get("/", headers={HEADER: given})) != given


def test_an_element_with_any_attribute_of_htmxs_is_disabled_unless_it_is_marked() -> None:
    request = RequestFactory().get("/")
    page = Template("{% load htmx %}{% htmx_config %}<p {% page_mark %}>").render(
        Context({"request": request})
    )
    assert f'<p data-page-mark="{mark_of(request)}">' in page
    for name in ATTRIBUTES:
        assert f"[hx-{name}]" in page
        assert f"[data-hx-{name}]" in page
    assert f":not([data-page-mark=\\&quot;{mark_of(request)}\\&quot;])" in page
