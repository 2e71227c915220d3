"""What keeps htmx from obeying markup that no template of ours wrote.

The policy forbids inline scripts, but htmx acts on attributes: a text that reached a page unescaped could carry `hx-post`,
take the token of the page's own forms along (`hx-include`), and act as the reader. So escaping must not be the only thing
that stands between a vendor's text and the reader's rights.

Decision: htmx acts only on elements that carry the page's *mark*, a random value that is new for each page and that no
stored text can know. `{% page_mark %}` writes it on an element; the configuration in the page's head (`{% htmx_config %}`)
disables every element that has an attribute of htmx's and no mark, with all that is in it. The configuration is read once,
from the first such element of the head, so markup further down cannot change it; without it htmx is not started by any page.
A part of a page that htmx asks for gets the mark of the page it goes to, which `static/js/app.js` sends along. Nobody else
can send it: a header of our own does not leave another site without our consent.

What was weighed instead: `hx-disable` around foreign text protects what somebody remembered to wrap; a fixed list of
addresses or elements can be copied by whoever writes the markup. The forgery token stands in forms alone and never on the
body, where every element would inherit it. Swaps out of band are taken from the top of an answer only
(`allowNestedOobSwaps`), not from within a text.
"""

import json
import re
import secrets
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

HEADER = "X-Page-Mark"
_MARK = re.compile(r"[0-9a-f]{32}")
# All that makes a request, or has a say in one, of htmx 2.0 (htmx.org/reference). What only receives a swap is left out.
ATTRIBUTES = (
    "boost", "confirm", "delete", "disabled-elt", "disinherit", "encoding", "ext", "get", "headers", "include", "indicator",
    "inherit", "params", "patch", "post", "prompt", "push-url", "put", "replace-url", "request", "select", "select-oob",
    "swap", "sync", "target", "trigger", "validate", "vals", "vars",
)  # fmt: skip
_CONFIG: dict[str, Any] = {
    "allowEval": False,
    "allowNestedOobSwaps": False,
    "allowScriptTags": False,
    "selfRequestsOnly": True,
    "includeIndicatorStyles": False,
    # Plates are personal data: no page is kept in the browser's storage.
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    # Swaps settle at once: for 20 ms a dropdown would be there that is none yet.
    "defaultSettleDelay": 0,
    "scrollIntoViewOnBoost": False,
    "timeout": 15_000,
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        {"code": "422", "swap": True},
        {"code": "[45]..", "swap": False, "error": True},
    ],
}
_FOREIGN = ",".join(f"[{prefix}hx-{name}]" for name in ATTRIBUTES for prefix in ("", "data-"))


def _new_mark() -> str:
    return secrets.token_hex(16)


def mark_of(request: HttpRequest) -> str:
    """Return the page's mark (32 hexadecimal digits): that of the page which asked for a part, else a new one."""
    mark: str | None = getattr(request, "_page_mark", None)
    if mark is None:
        given = request.headers.get(HEADER, "")
        mark = given if _MARK.fullmatch(given) else _new_mark()
        request._page_mark = mark  # type: ignore[attr-defined]
    return mark


@register.simple_tag(takes_context=True)
def page_mark(context: template.Context) -> SafeString:
    """Mark an element as ours; each one with an attribute of htmx's needs it."""
    return format_html('data-page-mark="{}"', mark_of(context["request"]))


@register.simple_tag(takes_context=True)
def htmx_config(context: template.Context) -> SafeString:
    """Render htmx's configuration for the page's head. An error page that knows of no request has no element that asks."""
    request = context.get("request")
    mark = mark_of(request) if request is not None else _new_mark()
    disabled = f'[hx-disable],[data-hx-disable],:is({_FOREIGN}):not([data-page-mark="{mark}"])'
    config = {**_CONFIG, "disableSelector": disabled, "pageMark": mark}
    return format_html('<meta name="htmx-config" content="{}">', json.dumps(config))
