"""What is searched for never appears in a URL, and a search that has expired doesn't silently narrow anything."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from locations.models import Permit, User
from locations.searches import from_id, to_id
from tests.factories import PermitFactory, UserFactory
from tests.pages import HTMX, World, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.pages]


@pytest.fixture
def world(world: World) -> World:
    """The company, with two permits."""
    place = world.location("Lot")
    for plate in ("ABC1234", "ZZZ0009"):
        PermitFactory(location=place, plate=plate)
    return world


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
def test_a_search_leads_to_an_address_that_does_not_tell_the_plate(
    world: World, headers: dict[str, str]
) -> None:
    sent = {"q": "abc 12", "when": "current", "push": "", "csrfmiddlewaretoken": "x"}
    answer = world.operator.post(world.url("permits_search"), sent, headers=headers)
    assert answer.status_code == 302
    assert urlsplit(answer["Location"]).path == world.url("permits")
    query = query_of(answer["Location"])
    assert set(query) == {"q", "when"}
    assert "abc" not in query["q"][0].lower()
    page = world.operator.get(answer["Location"], headers=headers)
    assert "ABC1234" in text_of(page)
    assert "ZZZ0009" not in text_of(page)
    # The box shows what was searched for, and no link on the page contains it.
    assert 'value="abc 12"' in page.content.decode()
    assert "q=abc" not in page.content.decode()


def test_filters_alone_need_no_search_id(world: World) -> None:
    answer = world.operator.post(world.url("permits_search"), {"q": "", "when": "current"})
    assert answer["Location"] == world.url("permits") + "?when=current"
    assert world.operator.post(world.url("permits_search"), {"q": ""})["Location"] == world.url("permits")


def test_the_form_sends_nothing_by_get(world: World) -> None:
    page = world.operator.get(world.url("permits")).content.decode()
    form = page.split('class="os-filters"')[1].split(">")[0]
    assert f'method="post" action="{world.url("permits_search")}"' in form
    assert f'hx-post="{world.url("permits_search")}"' in form
    assert "hx-get" not in form


def test_a_plate_that_was_typed_into_the_address_does_not_stay_there(world: World) -> None:
    answer = world.operator.get(world.url("permits"), {"q": "ABC1234", "when": "current"})
    assert answer.status_code == 302
    assert "ABC1234" not in answer["Location"]
    assert query_of(answer["Location"])["when"] == ["current"]


@pytest.mark.parametrize("whose", ["another person's", "none"])
def test_a_search_that_has_ended_says_so_and_shows_the_list(world: World, whose: str) -> None:
    search_id = to_id("ABC1234", UserFactory()) if whose == "another person's" else "~" + "A" * 60
    answer = world.operator.get(world.url("permits"), {"q": search_id, "when": "current"}, follow=True)
    assert answer.redirect_chain == [(world.url("permits") + "?when=current", 302)]
    assert "This search has expired" in text_of(answer)


@pytest.mark.parametrize("ended", ["~" + "A" * 60, "ABC1234"], ids=["ended", "no id"])
@pytest.mark.parametrize("more", [{}, {"confirm": "yes", "ids": ""}], ids=["look", "confirmed"])
def test_all_that_match_an_ended_search_are_never_all(world: World, ended: str, more: dict[str, str]) -> None:
    answer = world.operator.post(
        f"{world.url('permits_cancel')}?q={ended}&when=current", {"matching": "yes", **more}
    )
    assert (answer.status_code, answer["Location"]) == (302, world.url("permits") + "?when=current")
    assert not Permit.objects.filter(status=Permit.Status.CANCELLED).exists()


@pytest.mark.parametrize("model", ["locations_permit", "integrations_permitsync", "locations_user"])
def test_supports_searches_stay_out_of_the_address_too(world: World, model: str) -> None:
    listed = reverse(f"admin:{model}_changelist")
    page = world.support.get(listed).content.decode()
    assert '<form id="changelist-search" method="post"' in page
    answer: Any = world.support.post(listed, {"q": "ABC1234", "_search": "yes", "o": "1"})
    assert answer.status_code == 302
    query = query_of(answer["Location"])
    assert query["o"] == ["1"]
    assert "ABC1234" not in answer["Location"]
    shown = world.support.get(answer["Location"])
    assert shown.context["cl"].query == "ABC1234"
    assert query["q"][0] in shown.context["cl"].get_query_string({"p": 2}).replace("%7E", "~")
    assert "q=ABC1234" not in shown.content.decode()
    person = shown.wsgi_request.user
    assert isinstance(person, User)
    assert from_id(query["q"][0], person) == "ABC1234"
    assert "ABC1234" not in world.support.get(listed, {"q": "ABC1234"})["Location"]
    ended = world.support.get(listed, {"q": "~" + "A" * 60}, follow=True)
    assert ended.redirect_chain == [(listed, 302)]
    assert "This search has expired" in text_of(ended)


def test_an_action_that_calls_itself_a_search_is_not_carried_out(world: World) -> None:
    """A search doesn't ask for the password again, so no other form may use its address."""
    permit = Permit.objects.latest("pk")
    sent = {"_search": "yes", "action": "cancel", "_selected_action": [permit.pk], "q": ""}
    answer = world.support.post(reverse("admin:locations_permit_changelist"), sent)
    assert answer.status_code == 302
    assert Permit.objects.get(pk=permit.pk).status == Permit.Status.ACTIVE
