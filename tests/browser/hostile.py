"""Puts hostile markup wherever the database stores text from a vendor, a file or a person.

`plant` runs inside the product under test (`Stack.run`) and goes by the models, so a column that is added tomorrow is
planted without further work; what is left as it is is listed in `KEPT`, each with its reason. Empty values stay empty,
since a page with an error is another page than one without. It returns the columns that it planted.

The text closes whatever it may be placed in, and contains what a browser or htmx would act on. Each of its elements has
the attribute `data-zz`, and each of its addresses begins with `/zz/`, so that no part of it can go unnoticed.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.models import Value
from django.db.models.functions import Cast, Concat

APPS = {"locations", "integrations", "passport", "account", "admin", "usersessions"}
# Columns that code compares or uses for lookups: no text from outside gets into them.
KEPT = frozenset({
    # Addresses, keys and secrets
    "slug", "vendor", "key", "lease", "password", "secret_hash", "link_hash", "dedupe_key", "session_key", "object_id", "url",
    # The product's own words, without a list of choices
    "kind", "error_kind", "trigger", "answered_via", "change_message", "operator_id_finding", "refused_key",
    # What the database or a library refuses: time zones, a plate's normalised form, ISO 3166, a UUID
    "timezone", "plate", "country", "subdivision", "operator_id",
})  # fmt: skip
# The same within a JSON document: which check it was, how serious it is, where its button leads.
KEPT_INSIDE = frozenset({"key", "tone", "path"})
# Texts whose presence changes nothing else, so they are put into empty rows as well.
FREE = frozenset({"label", "last_error", "history_change_reason"})
# What htmx would act on.
HTMX = (
    '<i data-zz hx-trigger=load hx-swap=none hx-include=form hx-vals=\'{"role": "manager"}\' hx-post=/zz/post></i>'
    "<i data-zz hx-trigger=load hx-swap=none hx-get=/zz/get></i>"
    "<i data-zz data-hx-trigger=load data-hx-swap=none data-hx-get=/zz/data-get></i>"
    '<div data-zz hx-ext=x hx-boost=true hx-headers=\'{"X": "1"}\'><a data-zz href=/zz/boost>x</a></div>'
)
# What closes whatever surrounds the text, and what a browser would act on.
HOSTILE = (
    "\" data-zz hx-get=/zz/attribute hx-trigger=load ' data-zz hx-get=/zz/attribute hx-trigger=load "
    f"--></textarea></title></option></select></button></template></noscript></script></style>{HTMX}"
    "<b data-zz hx-swap-oob=true id=main>x</b><template><b data-zz hx-swap-oob=true id=toasts>x</b></template>"
    "<img data-zz src=/zz/img onerror=fetch('/zz/onerror')>"
    "<svg data-zz onload=fetch('/zz/onload')><use href=/zz/svg#x /></svg>"
    "<form data-zz action=/zz/form method=post><button data-zz autofocus onfocus=this.form.submit()>x</button></form>"
    "<a data-zz href=/zz/link ping=/zz/ping>x</a><a data-zz href=javascript:fetch('/zz/js')>x</a>"
    "<meta data-zz http-equiv=refresh content='0;url=/zz/meta'><base data-zz href=/zz/base/>"
    "<link data-zz rel=stylesheet href=/zz/css><link data-zz rel=prefetch href=/zz/prefetch>"
    "<style data-zz>@import '/zz/style'</style>"
    "<script data-zz src=/zz/script></script><script data-zz>fetch('/zz/inline')</script>"
    "<iframe data-zz src=/zz/frame srcdoc='<script src=/zz/srcdoc></script>'></iframe>"
    "<object data-zz data=/zz/object></object>"
    "<video data-zz src=/zz/video poster=/zz/poster></video><input data-zz type=image src=/zz/image>"
    "<dialog data-zz open data-open>x</dialog>"
)


def hostile_text(name: str) -> str:
    """Return the hostile text with a name in it by which it can be recognised on a page."""
    return f"Zz {name} {HOSTILE}"


def plant() -> list[str]:
    """Put the hostile text into every text from outside; return the columns (`app.Model.field`) that hold it now."""
    mine = [model for model in apps.get_models() if model._meta.app_label in APPS]
    with connection.cursor() as cursor:
        # The audit log refuses UPDATE; what was written to it at the time would have been just as hostile.
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        planted = [column for model in mine for column in _plant(model)]
        for _name, sql in triggers:
            cursor.execute(sql)
    return planted


def _plant(model: type[models.Model]) -> Iterator[str]:
    rows: models.QuerySet[Any] = model._base_manager.all()
    for field in model._meta.concrete_fields:
        column = f"{model._meta.label}.{field.name}"
        text = hostile_text(column)
        if field.name in KEPT or getattr(field, "choices", None):
            continue
        if isinstance(field, models.JSONField):
            values = {row.pk: _planted(getattr(row, field.name), text) for row in rows.only("pk", field.name)}
            for pk, value in values.items():
                rows.filter(pk=pk).update(**{field.name: value})
            if any(column in json.dumps(value) for value in values.values()):
                yield column
        elif isinstance(field, models.CharField | models.TextField):
            # Many texts must be unique, so each ends with its row's key.
            whole = Concat(Value(text + " "), Cast("pk", models.TextField()))
            written = rows if field.name in FREE else rows.exclude(**{field.name: ""})
            if written.update(**{field.name: whole}):
                yield column


def _planted(value: Any, text: str) -> Any:
    """Return a JSON value with every text in it replaced; times stay, since code reads them."""
    if isinstance(value, dict):
        return {
            key: inside if key in KEPT_INSIDE else _planted(inside, text) for key, inside in value.items()
        }
    if isinstance(value, list):
        return [_planted(inside, text) for inside in value]
    if not isinstance(value, str):
        return value
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return text
    return value
