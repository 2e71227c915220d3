"""Components say what they mean, escape their input, and refuse unknown values."""

import re
from pathlib import Path

import pytest
from django import forms
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory

from offstreet.templatetags.ui import STATES, TONE_ICONS, browser, icon_names

ROOT = Path(__file__).resolve().parent.parent.parent
EVIL = '<script>alert("x")</script>'


def render(source: str, **context: object) -> str:
    return Template("{% load ui tables forms %}" + source).render(Context(context))


def test_every_state_has_a_word_an_icon_of_the_sprite_and_a_tone() -> None:
    for state in STATES.values():
        assert str(state.word)
        assert state.icon in icon_names()
        assert state.tone in TONE_ICONS
    assert set(TONE_ICONS.values()) <= icon_names()


@pytest.mark.parametrize(
    "source",
    [
        "{% badge 'green' 'yes' %}",
        "{% state 'no-such' %}",
        "{% icon 'no-such' %}",
        "{% answer 'x' 'y' %}{% endanswer %}",
    ],
)
def test_an_unknown_tone_state_or_icon_is_a_mistake_that_shows(source: str) -> None:
    with pytest.raises(ValueError, match=r"no tone|no known state|no icon"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% badge 'info' evil %}",
        "{% page_header evil subtitle=evil %}{{ evil }}{% endpage_header %}",
        "{% answer 'info' evil detail=evil %}{{ evil }}{% endanswer %}",
        "{% card evil hint=evil tools=evil foot=evil %}{{ evil }}{% endcard %}",
        "{% stat evil evil note=evil href=evil %}",
        "{% empty_state evil text=evil %}{{ evil }}{% endempty_state %}",
        "{% timeline_item evil when=evil %}{{ evil }}{% endtimeline_item %}",
        "{% definition evil %}{{ evil }}{% enddefinition %}",
        "{% dialog 'd' evil foot=evil %}{{ evil }}{% enddialog %}",
        "{% toast 'info' text=evil %}{{ evil }}{% endtoast %}",
        "{% help_panel title=evil %}{{ evil }}{% endhelp_panel %}",
        "{% plate evil state=evil %}",
        "{% copy_button evil label=evil %}",
        "{% progress 1 2 evil note=evil %}",
        "{% html as kept %}{{ evil }}{% endhtml %}{{ kept }}",
    ],
)
def test_what_people_wrote_is_never_taken_for_markup(source: str) -> None:
    page = render(source, evil=EVIL)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_block_without_content_leaves_its_place_out() -> None:
    assert "os-answer__actions" not in render("{% answer 'info' 'Fine.' %}  {% endanswer %}")
    assert "os-page-header__actions" not in render("{% page_header 'Fine' %}\n{% endpage_header %}")


def test_a_step_in_progress_is_announced() -> None:
    page = render(
        "{% stepper steps %}",
        steps=[{"title": "A", "state": "done"}, {"title": "B", "state": "current", "href": "/b/"}],
    )
    assert page.count('aria-current="step"') == 1
    assert '<a href="/b/">B</a>' in page
    with pytest.raises(ValueError, match="no state of a step"):
        render("{% stepper steps %}", steps=[{"title": "A", "state": "half"}])


@pytest.mark.parametrize(
    ("done", "total", "text"), [(0, 0, "0 %"), (1, 3, "33 %"), (5, 3, "100 %"), (61_200, 100_000, "61 %")]
)
def test_progress_stays_between_nothing_and_all(done: int, total: int, text: str) -> None:
    page = render("{% progress done total 'Registering' %}", done=done, total=total)
    assert f">{text}</progress>" in page


def test_messages_become_toasts_and_only_good_news_disappear_automatically() -> None:
    messages = [Message(constants.SUCCESS, "Saved."), Message(constants.ERROR, EVIL)]
    page = render("{% toasts %}", messages=messages)
    assert page.count("data-toast ") + page.count("data-toast>") == 2
    assert page.count("data-toast-seconds") == 1
    assert "os-tone-danger" in page
    assert "<script>" not in page
    assert 'role="status"' in page


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0 Safari/537.36", "Chrome on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown"),
    ],
)
def test_a_browser_is_named_as_people_do(agent: str, name: str) -> None:
    assert browser(agent) == name


def page_with_query(source: str, query: str, **context: object) -> str:
    return render(source, request=RequestFactory().get(f"/permits/{query}"), **context)


def test_a_sort_header_turns_round_and_keeps_the_filters_but_not_the_page() -> None:
    header = "{% sort_header 'Plate' 'plate' %}"
    assert 'href="?q=AB&amp;sort=plate"' in page_with_query(header, "?q=AB&page=7")
    ascending = page_with_query(header, "?q=AB&sort=plate")
    assert 'aria-sort="ascending"' in ascending
    assert "sort=-plate" in ascending
    assert 'aria-sort="descending"' in page_with_query(header, "?sort=-plate")
    assert 'aria-sort="ascending"' in page_with_query("{% sort_header 'Plate' 'plate' default='plate' %}", "")
    numbers = page_with_query("{% sort_header 'Current permits' 'current' numeric=True %}", "")
    assert "sort=-current" in numbers


def test_paging_says_where_we_are_and_keeps_the_filters() -> None:
    page = page_with_query(
        "{% paging page noun='permits' %}", "?q=AB&page=2", page=Paginator(range(4812), 50).get_page(2)
    )
    assert "51–100 of 4,812 permits" in " ".join(page.split())
    assert 'href="?q=AB&amp;page=1"' in page
    assert 'href="?q=AB&amp;page=3"' in page


def test_a_filter_bar_works_as_a_plain_form_and_offers_to_clear_what_narrows_the_list() -> None:
    bar = "{% filter_bar target='list' label='Permits' %}<input name=q>{% endfilter_bar %}"
    narrowed = page_with_query(bar, "?q=AB&sort=-start&page=3")
    assert 'method="get"' in narrowed
    assert 'action="/permits/"' in narrowed
    assert '<input type="hidden" name="sort" value="-start">' in narrowed
    assert "Clear" in narrowed
    assert "Clear" not in page_with_query(bar, "?sort=-start&page=3")


class PlateForm(forms.Form):
    """One field with help, and a form-wide rule."""

    plate = forms.CharField(
        label="Plate", help_text="As on the car.", widget=forms.TextInput(attrs={"placeholder": "Plate"})
    )
    kind = forms.ChoiceField(label="Type", choices=[("a", "A")], widget=forms.RadioSelect, required=False)


def test_a_field_names_its_help_and_its_error() -> None:
    page = render("{% field form.plate live=True %}", form=PlateForm({}))
    control = re.search(r"<input[^>]*>", page)
    assert control is not None
    assert 'aria-describedby="id_plate_error id_plate_help id_plate_live"' in control[0]
    assert 'aria-invalid="true"' in control[0]
    assert "placeholder" not in control[0]
    for part in ("id_plate_error", "id_plate_help", "id_plate_live"):
        assert f'id="{part}"' in page


def test_a_choice_of_several_is_a_fieldset_with_a_legend() -> None:
    page = render("{% field form.kind %}", form=PlateForm())
    assert "<legend>Type" in page
    assert "(optional)" in page


def test_a_form_with_errors_says_how_many_and_leads_to_them() -> None:
    page = render("{% form_fields form %}", form=PlateForm({}))
    assert 'role="alert"' in page
    assert '<a href="#id_plate">Plate</a>' in page
    assert 'role="alert"' not in render("{% form_fields form %}", form=PlateForm())


INLINE = re.compile(
    r"""\sstyle\s*=|<style\b|\son[a-z]+\s*=\s*["']|javascript:|hx-on|<script(?![^>]*(\bsrc=|application/json))""",
    re.IGNORECASE,
)


def test_no_template_carries_a_style_a_script_or_a_handler_in_the_page() -> None:
    """The policy would block it; this finds it without a browser. Data for scripts (JSON) is allowed, and mails are:
    they have no policy, and mail readers know no style sheets."""
    found = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        if {"mail", "mails", "email"} & set(path.parts):
            continue
        source = re.sub(
            r"{%\s*comment.*?endcomment\s*%}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        page = re.sub(r"src=\"{%[^}]*%}\"", 'src="x"', source)
        page = re.sub(r"{[%{].*?[%}]}", "", page, flags=re.DOTALL)
        found += [f"{path.relative_to(ROOT)}: {match[0].strip()}" for match in INLINE.finditer(page)]
    assert found == []
