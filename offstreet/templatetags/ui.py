"""The face's components as template tags; `templates/components/README.md` shows each with its call.

What it decides: a page says *what* it shows (a tone, a sentence, rows), never which classes; the markup of each
component is one file under `templates/components/`. Tags that wrap content are block tags, the others render at once.
Invariant: every state has a word, an icon and a tone, and a tone never stands alone; an unknown tone, icon or state
is a mistake of the page and raises `ValueError`, so that a test meets it and no reader does.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from offstreet.markup import trimmed

register = template.Library()

SPRITE = "vendor/tabler-icons.svg"
TONE_ICONS = {
    "success": "check",
    "warning": "alert-triangle",
    "danger": "x",
    "info": "info-circle",
    "neutral": "circle-dashed",
}


class State(NamedTuple):
    """How one state of a thing looks: its tone, its icon and its word."""

    tone: str
    icon: str
    word: Any


# The states that several pages show, so that each looks the same everywhere.
STATES: dict[str, State] = {
    # a registration
    "accepted": State("success", "check", _("accepted")),
    "waiting": State("warning", "clock", _("waiting")),
    "due": State("warning", "clock", _("waiting")),
    "sending": State("warning", "clock", _("sending")),
    "refused": State("danger", "x", _("refused")),
    "parked": State("danger", "x", _("refused")),
    "paused": State("warning", "player-pause", _("paused")),
    "not_sent": State("neutral", "circle-dashed", _("not sent")),
    "seen": State("success", "eye", _("seen")),
    "drift": State("danger", "alert-triangle", _("drift")),
    # a location or a zone
    "mapped": State("success", "check", _("mapped")),
    "unmapped": State("warning", "alert-triangle", _("unmapped")),
    "zone_missing": State("danger", "alert-triangle", _("zone missing")),
    "present": State("success", "check", _("present")),
    "missing": State("danger", "alert-triangle", _("missing")),
    # a permit
    "current": State("success", "circle-check", _("current")),
    "coming": State("info", "calendar", _("upcoming")),
    "ended": State("neutral", "circle", _("ended")),
    "cancelled": State("neutral", "ban", _("cancelled")),
    # a connection, a set-up step, a test plate
    "live": State("success", "plug-connected", _("live")),
    "done": State("success", "check", _("done")),
    "todo": State("neutral", "circle-dashed", _("to do")),
    "confirmed": State("success", "check", _("confirmed")),
    "failed": State("danger", "x", _("failed")),
    "running": State("info", "loader-2", _("running")),
}


@cache
def icon_names() -> frozenset[str]:
    """Return the names of the icons in the sprite."""
    sprite = Path(settings.BASE_DIR) / "static" / SPRITE
    return frozenset(re.findall(r'<symbol id="([^"]+)"', sprite.read_text(encoding="utf-8")))


def check_tone(tone: str) -> str:
    """Return `tone`; raise `ValueError` where it is none of ours."""
    if tone not in TONE_ICONS:
        raise ValueError(f"“{tone}” is no tone; choose one of {', '.join(TONE_ICONS)}.")
    return tone


@register.simple_tag
def icon(name: str, size: str = "", label: str = "", spin: bool = False) -> SafeString:
    """Render one icon of the sprite.

    Without `label` it is decoration and hidden from screen readers: the word beside it says the same. `size` is
    "small", "large" or empty. Raise `ValueError` for a name that the sprite does not have.
    """
    if name not in icon_names():
        raise ValueError(
            f"The sprite has no icon “{name}”; see templates/components/README.md for adding one."
        )
    return _labelled(name, size, label, spin) if label else _decoration(name, size, spin)


def _labelled(name: str, size: str, label: str, spin: bool) -> SafeString:
    return _drawn(name, size, format_html('role="img" aria-label="{}"', label), spin)


@lru_cache(maxsize=512)
def _decoration(name: str, size: str, spin: bool) -> SafeString:
    """A list of fifty rows has a hundred and fifty of these, and few that differ."""
    return _drawn(name, size, format_html('aria-hidden="{}"', "true"), spin)


def _drawn(name: str, size: str, hint: SafeString, spin: bool) -> SafeString:
    classes = "os-icon" + (f" os-icon--{size}" if size else "") + (" os-spin" if spin else "")
    return format_html(
        '<svg class="{}" {}><use href="{}#{}"></use></svg>', classes, hint, static(SPRITE), name
    )


def _stripped(content: SafeString) -> SafeString:
    """Return a block's rendered content without the space around it, so that an empty block counts as none."""
    return trimmed(content)


def _component(name: str, **context: Any) -> SafeString:
    return render_to_string(f"components/{name}.html", context)


@register.simple_tag
def badge(tone: str, word: str, icon: str = "") -> SafeString:
    """Render a state as word, icon and colour. `icon` defaults to the tone's own."""
    return _badge(
        check_tone(tone), word if isinstance(word, SafeString) else str(word), icon or TONE_ICONS[tone]
    )


# By type as well: what is safe as it stands and what has to be escaped must never be taken for one another.
@lru_cache(maxsize=2_048, typed=True)
def _badge(tone: str, word: str, icon: str) -> SafeString:
    return _component("badge", tone=tone, word=word, icon=icon)


@register.simple_tag
def state(key: str, word: str = "") -> SafeString:
    """Render the badge of a known state (`STATES`); `word` replaces its word, as in “accepted 12:03”."""
    try:
        shown = STATES[str(key)]
    except KeyError:
        raise ValueError(f"“{key}” is no known state; add it to STATES or use the badge tag.") from None
    return badge(shown.tone, word or str(shown.word), shown.icon)


@register.simple_block_tag
def page_header(
    content: SafeString, title: str, subtitle: str = "", back_url: str = "", back: str = ""
) -> SafeString:
    """Render the page's heading; the content holds the actions (buttons), at most one of them primary."""
    return _component(
        "page_header",
        title=title,
        subtitle=subtitle,
        back_url=back_url,
        back=back,
        actions=_stripped(content),
    )


@register.simple_block_tag
def answer(
    content: SafeString,
    tone: str,
    sentence: str,
    detail: str = "",
    icon: str = "",
    small: bool = False,
    live: bool = False,
) -> SafeString:
    """Render the answer to the page's question: one sentence, a detail, and in the content what to do about it.

    `live` makes screen readers announce a change, for an answer that updates itself.
    """
    default = {"success": "check", "danger": "alert-circle", "neutral": "info-circle"}.get(
        tone, TONE_ICONS.get(tone, "")
    )
    return _component(
        "answer",
        tone=check_tone(tone),
        sentence=sentence,
        detail=detail,
        icon=icon or default,
        small=small,
        live=live,
        actions=_stripped(content),
    )


@register.simple_block_tag
def card(
    content: SafeString,
    title: str = "",
    hint: str = "",
    id: str = "",
    flush: bool = False,
    tools: str = "",
    foot: str = "",
) -> SafeString:
    """Render a card. `flush` leaves out the inner space (tables, lists); `tools` and `foot` are ready HTML."""
    return _component(
        "card", title=title, hint=hint, id=id, flush=flush, tools=tools, foot=foot, body=content
    )


@register.simple_tag
def stat(label: str, value: Any, note: Any = "", href: str = "", tone: str = "") -> SafeString:
    """Render one figure with its name and a note. Wrap several in `<div class="os-stats">`."""
    return _component("stat", label=label, value=value, note=note, href=href, tone=tone and check_tone(tone))


@register.simple_block_tag
def empty_state(content: SafeString, title: str, text: str = "", icon: str = "info-circle") -> SafeString:
    """Render what stands in place of an empty list: what would be here, and in the content what to do first."""
    return _component("empty_state", title=title, text=text, icon=icon, actions=_stripped(content))


@register.simple_block_tag
def timeline_item(
    content: SafeString, title: str, tone: str = "neutral", icon: str = "", when: Any = ""
) -> SafeString:
    """Render one thing that happened; wrap them in `<ol class="os-timeline">`. `when` is a time tag's result."""
    return _component(
        "timeline_item",
        title=title,
        tone=check_tone(tone),
        icon=icon or TONE_ICONS[tone],
        when=when,
        body=content,
    )


STEP_STATES = {
    "done": ("check", _("done")),
    "current": ("", _("to do now")),
    "waiting": ("clock", _("waiting")),
    "blocked": ("x", _("stopped")),
    "todo": ("", _("later")),
}


@register.simple_tag
def stepper(steps: Iterable[Mapping[str, Any]]) -> SafeString:
    """Render the steps of a workflow.

    Each step is a mapping: `title`, `state` (a key of `STEP_STATES`), and where there is one `note`, `href`, `hint`
    (replaces the state's word, for example who it waits for). Exactly the steps with state "current" are announced so.
    """
    shown = []
    for number, step in enumerate(steps, 1):
        if step["state"] not in STEP_STATES:
            raise ValueError(
                f"“{step['state']}” is no state of a step; choose one of {', '.join(STEP_STATES)}."
            )
        mark, word = STEP_STATES[step["state"]]
        shown.append({**step, "number": number, "icon": mark, "word": step.get("hint") or word})
    return _component("stepper", steps=shown)


@register.simple_block_tag
def definition(content: SafeString, term: str) -> SafeString:
    """Render one row of a definition list; wrap them in `<dl class="os-dl">`."""
    return format_html('<div class="os-dl__row"><dt>{}</dt><dd>{}</dd></div>', term, content)


@register.simple_block_tag
def dialog(content: SafeString, id: str, title: str, foot: str = "") -> SafeString:
    """Render a native dialog, opened by a link with `data-dialog="<id>"`; without JavaScript that goes to its href."""
    return _component("dialog", id=id, title=title, foot=foot, body=content)


@register.simple_block_tag
def toast(content: SafeString, tone: str = "success", text: str = "", seconds: int = 0) -> SafeString:
    """Render one toast; the content may hold an action such as “Undo”. It stays until closed, or `seconds` seconds."""
    return _component(
        "toast",
        tone=check_tone(tone),
        icon=TONE_ICONS[tone],
        text=text,
        seconds=seconds,
        action=_stripped(content),
    )


MESSAGE_TONES = {
    "debug": "neutral",
    "info": "info",
    "success": "success",
    "warning": "warning",
    "error": "danger",
}


@register.inclusion_tag("components/toasts.html", takes_context=True)
def toasts(context: template.Context, oob: bool = False) -> dict[str, Any]:
    """Render the messages framework's messages as toasts; `oob` for a fragment that htmx swaps in beside its own."""
    shown = []
    for message in context.get("messages") or ():
        tone = MESSAGE_TONES.get(message.level_tag, "info")
        # What went wrong stays until it is closed; what went well may disappear automatically.
        shown.append(
            {
                "text": message,
                "tone": tone,
                "icon": TONE_ICONS[tone],
                "seconds": 8 if tone == "success" else 0,
            }
        )
    return {"toasts": shown, "oob": oob}


@register.simple_tag
def progress(value: int, total: int, label: str, note: str = "", id: str = "progress") -> SafeString:
    """Render how far a long piece of work is: `value` of `total`."""
    percent = 0 if total <= 0 else min(100, int(100 * value / total))
    return _component(
        "progress",
        value=min(value, total),
        total=max(total, 1),
        percent=percent,
        label=label,
        note=note,
        id=id,
    )


@register.simple_tag
def copy_button(text: str, label: str = "") -> SafeString:
    """Render a button that copies `text`; hidden where there is no JavaScript to do it."""
    return _component("copy_button", text=text, label=label or _("Copy"))


@register.simple_block_tag
def help_panel(content: SafeString, title: Any = "", open: bool = False) -> SafeString:
    """Render the page's help: the guide's steps and tips as they apply here, folded until asked for."""
    return _component("help_panel", title=title or _("Help"), open=open, body=content)


@register.simple_tag
def plate(value: str, state: str = "", sign: bool = False) -> SafeString:
    """Render a plate as it was typed, in a typeface that tells O from 0; `sign` makes it as big as on a car."""
    classes = "os-plate os-plate--sign" if sign else "os-plate"
    if state:
        return format_html(
            '<span class="{}">{}<span class="os-plate__state">{}</span></span>', classes, value, state
        )
    return format_html('<span class="{}">{}</span>', classes, value)


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(user_agent: str) -> str:
    """Name a browser as people do (“Chrome on Windows”); what it does not know is shown as it came, shortened.

    The order matters: Edge and Opera say that they are Chrome, and Chrome says that it is Safari.
    """
    name = next((name for sign, name in _BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    if name and system:
        return gettext("%(browser)s on %(system)s") % {"browser": name, "system": system}
    return name or user_agent[:60] or gettext("unknown")


@register.simple_block_tag
def html(content: SafeString) -> SafeString:
    """Keep a piece of the template for a component's argument: `{% html as foot %}…{% endhtml %}`."""
    return _stripped(content)
