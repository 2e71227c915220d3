"""Redirects to sign-in and back, and a page for those who open an address that only takes forms."""

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.decorators import reauthentication_required
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path, reverse

from tests.factories import PermitFactory
from tests.pages import HTMX, World, text_of

pytestmark = pytest.mark.django_db
SITE = "http://testserver"


@reauthentication_required
def _sensitive(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("sensitive/", _sensitive), path("", include("offstreet.urls"))]


def next_of(url: str) -> str:
    """Return where someone is redirected after signing in."""
    return parse_qs(urlsplit(url).query)["next"][0]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_part_of_a_page_leads_the_window_to_sign_in_and_then_back_to_the_page(
    world: World, method: str
) -> None:
    part, page = world.url("validity"), world.url("permits") + "?state=current&q=a%26b"
    answer = getattr(Client(), method)(part, headers={**HTMX, "HX-Current-URL": SITE + page})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["HX-Redirect"].startswith(reverse("account_login") + "?")
    assert next_of(answer["HX-Redirect"]) == page


@pytest.mark.parametrize(
    "foreign",
    ["https://evil.example/c/", "//evil.example/", f"{SITE}//evil.example/", "javascript:alert(1)", ""],
)
def test_a_page_that_is_not_ours_is_no_way_back(world: World, foreign: str) -> None:
    answer = Client().get(world.url("permits"), headers={**HTMX, "HX-Current-URL": foreign})
    assert next_of(answer["HX-Redirect"]) == "/"


def test_a_reader_is_redirected_to_sign_in(world: World) -> None:
    answer = Client().get(world.url("permits"))
    assert (answer.status_code, next_of(answer["Location"])) == (302, world.url("permits"))


def test_a_redirect_to_another_page_stays_one(world: World) -> None:
    answer = world.support.get("/", headers=HTMX)
    assert (answer.status_code, answer["Location"]) == (302, reverse("companies"))


def test_a_form_that_came_too_late_leads_back_to_its_page(world: World) -> None:
    page = world.url("settings")
    late = world.url("invite")
    answer = Client().post(late, headers={"Referer": SITE + page})
    assert (answer.status_code, next_of(answer["Location"])) == (302, page)
    answer = Client().post(late, headers={"Referer": "https://evil.example/"})
    assert next_of(answer["Location"]) == "/"


@pytest.mark.urls("tests.offstreet.test_middleware")
def test_someone_who_must_reauthenticate_is_redirected_there_and_back(world: World) -> None:
    page = world.url("permits")
    answer = world.operator.get("/sensitive/", headers={**HTMX, "HX-Current-URL": SITE + page})
    assert answer.status_code == 204
    assert answer["HX-Redirect"].startswith(reverse("account_reauthenticate"))
    assert next_of(answer["HX-Redirect"]) == page


@pytest.mark.urls("tests.offstreet.test_middleware")
def test_what_a_form_sent_is_resumed_after_reauthentication(world: World) -> None:
    answer = world.operator.post("/sensitive/", headers={"Referer": SITE + world.url("permits")})
    assert next_of(answer["Location"]) == "/sensitive/"


def test_opening_what_only_forms_are_sent_to_shows_a_way_on(world: World) -> None:
    permit = PermitFactory(location=world.location("Lot"))
    answer = world.operator.get(world.url("permit_check", permit.pk))
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    page = text_of(answer)
    assert "Nothing was changed" in page
    assert f'href="{world.url("overview")}"' in page


def test_other_methods_and_parts_get_the_bare_answer(world: World) -> None:
    assert world.operator.post(world.url("activity")).content == b""
    assert world.operator.get(world.url("invite"), headers=HTMX).status_code == 403
    assert world.manager.get(world.url("invite"), headers=HTMX).content == b""


def test_a_form_without_its_token_gets_a_page_in_our_look(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(reverse("account_login"), {"login": "a@b.example", "password": "x"})
    assert answer.status_code == 403
    page = text_of(answer)
    assert "This page has expired" in page
    assert "os-plain" in page


def test_no_page_is_cached_no_matter_who_it_is_for(world: World) -> None:
    """Also errors, parts, JSON, the admin and redirects: pages that show plates aren't marked as such."""
    permit = PermitFactory(location=world.location("Lot"))
    answers = [
        *(
            world.operator.get(world.url(name))
            for name in ("overview", "permits", "zone_options", "permits_cancel")
        ),
        world.operator.get(world.url("permit", permit.pk), headers=HTMX),
        world.operator.get("/nowhere/"),
        world.support.get(reverse("admin:locations_permit_changelist")),
        Client().get(world.url("permits")),
        Client().get(reverse("account_login")),
    ]
    assert {answer.status_code for answer in answers} == {200, 302, 404, 405}
    assert [
        answer.request["PATH_INFO"] for answer in answers if "no-store" not in answer["Cache-Control"]
    ] == []
    # What isn't secret is still cached.
    static = Client().get("/static/css/app.css")
    assert "public" in static["Cache-Control"]
    static.close()


def test_signing_out_empties_what_the_browser_holds_and_nothing_else_does(world: World) -> None:
    assert "Clear-Site-Data" not in world.operator.get(world.url("permits"))
    answer = world.operator.post(reverse("account_logout"))
    assert answer["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in Client().get(reverse("account_login"))
