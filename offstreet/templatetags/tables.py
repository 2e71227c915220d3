"""Lists: sort headers, filter bars and paging that keep their whole state in the address.

What it decides: the query string is the list's state, so that a filtered list can be bookmarked, mailed and reloaded;
htmx only saves the reload. A search for a plate is the exception: it stands there as a search id that ends
(`locations.searches`). `sort=plate` is ascending, `sort=-plate` descending; a change of sort or filter drops the page.
"""

from typing import Any

from django import template
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from offstreet.templatetags.htmx import page_mark
from offstreet.templatetags.ui import icon

register = template.Library()

PAGE_KEYS = ("page", "after", "before")


def query_with(query: QueryDict, drop: tuple[str, ...] = (), **changes: Any) -> str:
    """Return `query` as “?…” with `changes` made and `drop` left out; empty values leave too.

    It is “?” where nothing is left, which as an address means this page without a query.
    """
    changed = query.copy()
    for key in (*drop, *changes):
        changed.pop(key, None)
    for key, value in changes.items():
        if value not in (None, ""):
            changed[key] = str(value)
    return "?" + changed.urlencode()


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Return the page's query string with some values changed; the page number is dropped unless it is given."""
    request: HttpRequest = context["request"]
    return query_with(request.GET, drop=PAGE_KEYS, **changes)


@register.simple_tag(takes_context=True)
def sort_header(
    context: template.Context,
    label: str,
    key: str,
    default: str = "",
    target: str = "",
    numeric: bool = False,
) -> SafeString:
    """Render a column's head as a link that sorts by it and turns round when it already does.

    A column of numbers shows the greatest first, any other begins with A. `default` is the sort that holds when the
    address names none; `target` is the id of what htmx replaces.
    """
    request: HttpRequest = context["request"]
    current = request.GET.get("sort") or default
    if current == key:
        order, mark, following = "ascending", "chevron-up", f"-{key}"
    elif current == f"-{key}":
        order, mark, following = "descending", "chevron-down", key
    else:
        order, mark, following = "", "selector", f"-{key}" if numeric else key
    href = query_with(request.GET, drop=PAGE_KEYS, sort=following)
    swap = (
        format_html(
            ' {} hx-get="{}" hx-target="#{}" hx-select="#{}" hx-swap="outerHTML" hx-push-url="true"',
            page_mark(context),
            href,
            target,
            target,
        )
        if target
        else ""
    )
    return format_html(
        '<th scope="col"{}{}><a class="os-sort" href="{}"{}>{}{}</a></th>',
        format_html(' class="{}"', "os-num") if numeric else "",
        format_html(' aria-sort="{}"', order) if order else "",
        href,
        swap,
        label,
        icon(mark),
    )


@register.simple_block_tag(takes_context=True)
def filter_bar(
    context: template.Context,
    content: SafeString,
    target: str = "",
    label: str = "",
    keep: str = "sort",
    send: str = "",
) -> SafeString:
    """Render a list's filters as a GET form; the content holds the fields.

    With `send` (an address) the form is sent there by POST, for a search that must not stand in an address; it answers
    with a redirect to the list (`locations.searches`).

    With `target` (an element's id) htmx replaces that part while typing; without JavaScript there is a button. `keep`
    names the query keys, separated by spaces, that stay although they are no field here.
    """
    request: HttpRequest = context["request"]
    kept = [(key, value) for key in keep.split() for value in request.GET.getlist(key)]
    narrowed = any(value and key not in (*keep.split(), *PAGE_KEYS) for key, value in request.GET.items())
    return render_to_string(
        "components/filter_bar.html",
        {
            "body": content,
            "target": target,
            "label": label,
            "kept": kept,
            "narrowed": narrowed,
            "path": request.path,
            "request": request,
            "send": send,
            "csrf_token": context.get("csrf_token"),
        },
    )


@register.simple_tag(takes_context=True)
def paging(context: template.Context, page: Any, target: str = "", noun: str = "") -> SafeString:
    """Render the paging of a Django `Page`: “1–50 of 4,812 permits” and the links.

    `page` may be anything with `number`, `has_next()` and `has_previous()`; a total is shown where it has a paginator.
    """
    request: HttpRequest = context["request"]
    number = int(page.number)
    return render_to_string(
        "components/paging.html",
        {
            "page": page,
            "noun": noun,
            "target": target,
            "previous": query_with(request.GET, page=number - 1) if page.has_previous() else "",
            "following": query_with(request.GET, page=number + 1) if page.has_next() else "",
            "request": request,
        },
    )


@register.simple_tag(takes_context=True)
def pager(
    context: template.Context,
    previous: str = "",
    following: str = "",
    summary: str = "",
    target: str = "",
    label: str = "",
) -> SafeString:
    """Render paging for lists too long to count: ready addresses (`?after=…`) and a summary in words."""
    return render_to_string(
        "components/paging.html",
        {
            "previous": previous,
            "following": following,
            "summary": summary,
            "target": target,
            "label": label,
            "request": context["request"],
        },
    )
