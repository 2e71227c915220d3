"""Each field of each form in the admin, set in turn to each kind of nonsense: refused or accepted, never a 500.

The rest of the form is as the page shows it, so that the nonsense gets as far as possible: to the field, to the model's
rules and to the database.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.sites import site
from django.contrib.admin.widgets import AdminSplitDateTime
from django.test import Client
from django.urls import reverse

from tests.fakes import fake_vendor
from tests.offstreet.access_table import Side, build_side
from tests.offstreet.test_hostile_requests import NONSENSE
from tests.pages import reauthenticate, take_refreshes

pytestmark = [pytest.mark.django_db, pytest.mark.pages]
MODELS = sorted(site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    take_refreshes(monkeypatch, lambda _pk: None)
    with fake_vendor():
        yield build_side()


def pages_of(model: Any) -> list[str]:
    """The addresses of a model's forms: a new row, and the first that there is."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    first = model._default_manager.order_by("pk").first()
    return [reverse(f"{name}_add"), *([reverse(f"{name}_change", args=[first.pk])] if first else [])]


def as_shown(client: Client, url: str) -> dict[str, Any]:
    """What the form on a page would send if nothing were changed; empty where there is no form to send."""
    response = client.get(url)
    if response.status_code != 200 or not isinstance(response.context.get("adminform"), AdminForm):
        return {}
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    data: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            value = bound.value()
            widget = bound.field.widget
            if isinstance(widget, AdminSplitDateTime):
                parts = value if isinstance(value, list) else widget.decompress(value)
                data |= {f"{bound.html_name}_{at}": part or "" for at, part in enumerate(parts)}
            else:
                data[bound.html_name] = "" if value is None else value
    return data


def test_a_form_as_it_is_shown_is_taken(own: Side) -> None:
    client = own.world.support
    reauthenticate(client)
    shown = {url: as_shown(client, url) for model in MODELS for url in pages_of(model)}
    changes = {url: data for url, data in shown.items() if data and url.endswith("/change/")}
    assert {
        url: status for url, data in changes.items() if (status := client.post(url, data).status_code) != 302
    } == {}
    assert {url.split("/")[3] for url in changes} >= {"company", "location", "permit", "user"}


@pytest.mark.parametrize("model", MODELS, ids=[model.__name__ for model in MODELS])
def test_nonsense_in_one_field_is_never_a_500(model: Any, own: Side) -> None:
    client = own.world.support
    client.raise_request_exception = False
    reauthenticate(client)
    found: dict[tuple[str, str, str], int] = {}
    for url in pages_of(model):
        data = as_shown(client, url)
        for field in data:
            for kind, nonsense in NONSENSE.items():
                answer = client.post(url, {**data, field: nonsense})
                found[url, field, kind] = answer.status_code
    assert {what: status for what, status in found.items() if status >= 500} == {}
