"""Django forms in our look: label, control, help and error of a field stand together and know of each other.

What it decides: the control gets its class, `aria-describedby` (help, live hint and error) and `aria-invalid` here, so
that a form class holds no markup. Django 5.2 renders `aria-describedby` for its own help; ours replaces it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.forms import BaseForm, BoundField, widgets
from django.forms.utils import flatatt
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from offstreet.markup import filled, joined

register = template.Library()


def control_class(widget: widgets.Widget) -> str:
    """Return the class that a widget's control carries."""
    if isinstance(widget, widgets.CheckboxInput | widgets.CheckboxSelectMultiple | widgets.RadioSelect):
        return "form-check-input"
    if isinstance(widget, widgets.Select):
        return "form-select"
    return "form-control"


def described_by(field: BoundField, live: bool, wrong: str = "") -> str:
    """Return the ids of what describes a field's control, in reading order."""
    own = field.id_for_label or field.auto_id or field.html_name
    ids = [f"{own}_error"] if field.errors or wrong else []
    if field.help_text:
        ids.append(f"{own}_help")
    if live:
        ids.append(f"{own}_live")
    return " ".join(ids)


@register.simple_tag
def field(
    bound: BoundField,
    label: str = "",
    help: str | None = None,
    search: bool = False,
    live: bool = False,
    css: str = "",
    wrong: str = "",
    **attrs: Any,
) -> SafeString:
    """Render one field of a form.

    `search` turns a select into the searching dropdown (`data_url="…"` for long lists); `live` adds an empty element
    `<id>_live` that a page may fill while the reader types; `help=""` leaves the form's own help out;
    `wrong` says what is wrong with the value that is shown before anything was sent; other arguments become attributes of
    the control (`placeholder="…"`, `data_url="…"` as `data-url`, `hx_get="…"` as `hx-get`).
    """
    widget = bound.field.widget
    if help is not None:
        bound.help_text = help
    own = bound.id_for_label or bound.auto_id or bound.html_name
    is_group = isinstance(widget, widgets.RadioSelect | widgets.CheckboxSelectMultiple)
    classes = " ".join(part for part in (widget.attrs.get("class", ""), control_class(widget), css) if part)
    given: dict[str, Any] = {key.replace("_", "-"): value for key, value in attrs.items()}
    given["class"] = classes
    if widget.attrs.get("placeholder") == bound.label:
        given.setdefault(
            "placeholder", False
        )  # it would vanish on the first key, and the label says it already
    if described := described_by(bound, live, wrong):
        given["aria-describedby"] = described
    if bound.errors or wrong:
        given["aria-invalid"] = "true"
    if search:
        given["data-search"] = True
        if bound.field.required:
            # Whether or not the browser checks it: its empty option only says what to do, and is no choice.
            given["aria-required"] = "true"
    has_options = widget.template_name == widgets.Select.template_name
    control = _select(bound, given) if has_options else bound.as_widget(attrs=given)
    return render_to_string(
        "components/field.html",
        {
            "field": bound,
            "own_id": own,
            "label": label or bound.label,
            "control": control,
            "is_checkbox": isinstance(widget, widgets.CheckboxInput),
            "is_group": is_group,
            "live": live,
            "wrong": wrong,
            "optional": not bound.field.required and not isinstance(widget, widgets.CheckboxInput),
        },
    )


def _select(bound: BoundField, attrs: dict[str, Any]) -> SafeString:
    """Render a select as Django does, without two templates for each option: six hundred time zones took 150 ms with them."""
    widget = bound.field.widget
    attrs = bound.build_widget_attrs(attrs, widget)
    if bound.auto_id and "id" not in widget.attrs:
        attrs.setdefault("id", bound.auto_id)
    said = widget.get_context(bound.html_name, bound.value(), attrs)["widget"]
    groups = [_group(name, options) for name, options, _index in said["optgroups"]]
    return format_html(
        "<select{}>{}</select>",
        _attributes({"name": said["name"], **said["attrs"]}),
        joined(groups),
    )


def _group(name: str | None, options: Sequence[Mapping[str, Any]]) -> SafeString:
    """Render one group's options; a company with a thousand locations has them on every list."""
    rendered = joined(
        filled(
            '<option value="{}"{}>{}</option>',
            option["value"],
            _attributes(option["attrs"]) if option["attrs"] else "",
            option["label"],
        )
        for option in options
    )
    return format_html('<optgroup label="{}">{}</optgroup>', name, rendered) if name else rendered


def _attributes(attrs: Mapping[str, Any]) -> SafeString:
    """Render attributes as Django's widgets do: none for False or None, the bare name for True."""
    return flatatt({name: value for name, value in attrs.items() if value is not None})


@register.simple_tag
def form_errors(form: BaseForm) -> SafeString:
    """Render what is wrong with the form as a whole, with a link to each field that has an error."""
    wrong = [bound for bound in form if bound.errors and not bound.is_hidden]
    general = list(form.non_field_errors())
    for bound in form.hidden_fields():
        general.extend(bound.errors)
    return render_to_string("components/form_errors.html", {"form": form, "general": general, "wrong": wrong})


@register.simple_tag
def form_fields(form: BaseForm) -> SafeString:
    """Render a whole form: the summary of errors, each visible field in order, and the hidden ones."""
    parts = [form_errors(form), *(field(bound) for bound in form.visible_fields())]
    return joined([*parts, *(hidden.as_widget() for hidden in form.hidden_fields())])
