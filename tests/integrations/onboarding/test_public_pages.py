"""The links for people without an account: one answer, no effect from opening, and nothing without a link."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection, Mail, StatusLink, TestPlate
from integrations.notifications import email_queue, signed_links
from integrations.onboarding import services, test_plate_poller, test_plates
from tests.integrations import on_passport
from tests.world import World

pytestmark = pytest.mark.django_db

world = on_passport.world_before_live


@pytest.fixture
def test_(world: World) -> TestPlate:
    """A test plate that Passport lists and that two people were asked about by email."""
    test = test_plates.start_test(
        connection=world.connection, location=world.here, ask=["robin@u.example", "kim@u.example"]
    )
    world.deliver()
    test_plate_poller.follow_tests(timezone.now())
    test.refresh_from_db()
    assert test.seen_at is not None
    return test


def mailed_link(to: str = "robin@u.example") -> str:
    """The path of a mailed link."""
    email_queue.send_due(timezone.now())
    body = str([message.body for message in outbox.outbox if message.to == [to]][-1])
    address = next(word for word in body.split() if "/t/" in word)
    return address.removeprefix("http://127.0.0.1:8000")


def snapshot(test: TestPlate) -> dict[str, object]:
    """Every column of the test and the connection's status."""
    row = TestPlate.objects.filter(pk=test.pk).values().get()
    return {**row, "status": Connection.objects.get(pk=test.connection_id).status}


def test_the_secret_is_in_the_mail_that_leaves_and_nowhere_in_the_database(test_: TestPlate) -> None:
    token = mailed_link().split("/")[2]
    kept = [str(row) for row in Mail.objects.values()] + [str(row) for row in TestPlate.objects.values()]
    assert not any(token in text for text in kept)
    assert all(signed_links.PLACEHOLDER not in str(message.body) for message in outbox.outbox)


def test_opening_it_changes_nothing_however_often_and_by_whom(test_: TestPlate, client: Client) -> None:
    path = mailed_link()
    before = snapshot(test_)
    for _ in range(3):
        response = client.get(path)
        assert response.status_code == 200
        assert test_.permit.plate in response.content.decode()
    client.head(path)
    assert snapshot(test_) == before


def test_a_yes_is_kept_with_who_when_and_from_which_link(test_: TestPlate, client: Client) -> None:
    response = client.post(mailed_link("kim@u.example"), {"answer": "yes"})

    test_.refresh_from_db()
    assert response.status_code == 200
    assert "Thank you." in response.content.decode()
    assert (test_.answer, test_.answered_by, test_.answered_via) == ("yes", "kim@u.example", "link")
    assert test_.answered_at is not None
    assert test_.link_used_at is not None
    assert Connection.objects.get().is_live


def test_a_no_keeps_the_note(test_: TestPlate, client: Client) -> None:
    client.post(mailed_link(), {"answer": "no", "note": "I see zone Z9"})
    test_.refresh_from_db()
    assert (test_.answer, test_.note) == ("no", "I see zone Z9")
    assert not Connection.objects.get().is_live


def test_used_twice_the_second_answer_changes_nothing(test_: TestPlate, client: Client) -> None:
    path, other = mailed_link(), mailed_link("kim@u.example")
    client.post(path, {"answer": "no"})
    before = snapshot(test_)
    for again in (path, other):
        response = client.post(again, {"answer": "yes"})
        assert "This test has already been answered." in response.content.decode()
    assert snapshot(test_) == before


def test_expired_it_says_so_and_takes_no_answer(test_: TestPlate, client: Client) -> None:
    path = mailed_link()
    with time_machine.travel(timezone.now() + signed_links.TEST_LINK_LIFETIME + timedelta(seconds=1)):
        assert client.get(path).status_code == 410
        assert client.post(path, {"answer": "yes"}).status_code == 410
    test_.refresh_from_db()
    assert test_.answer == ""


@pytest.mark.parametrize("change", ["flip", "cut", "longer", "other test", "other place", "nonsense", "huge"])
def test_tampered_with_it_does_not_open(test_: TestPlate, client: Client, change: str) -> None:
    token = mailed_link().split("/")[2]
    parts = token.split(".")
    changed = {
        "flip": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "cut": token[:-4],
        "longer": token + "x",
        "other test": ".".join([str(test_.pk + 1), *parts[1:]]),
        "other place": ".".join([*parts[:2], "1", parts[3]]),
        "nonsense": "let-me-in",
        "huge": "x" * 3_000,
    }[change]
    for response in (client.get(f"/t/{changed}/"), client.post(f"/t/{changed}/", {"answer": "yes"})):
        assert response.status_code == 404
    test_.refresh_from_db()
    assert test_.answer == ""


def test_a_new_link_ends_the_earlier_one(test_: TestPlate, client: Client) -> None:
    path = mailed_link()
    test_plates.ask_by_mail(test=test_, addresses=["robin@u.example"])
    assert client.post(path, {"answer": "yes"}).status_code == 410
    assert client.post(mailed_link(), {"answer": "yes"}).status_code == 200


def test_a_test_that_was_taken_back_is_not_answered(test_: TestPlate, client: Client) -> None:
    path = mailed_link()
    test_plates.withdraw_test(test=test_)
    assert client.post(path, {"answer": "yes"}).status_code == 410
    assert not Connection.objects.get().is_live


def test_after_its_time_who_saw_it_may_still_say_so(test_: TestPlate, client: Client, world: World) -> None:
    path = mailed_link()
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        test_plate_poller.follow_tests(timezone.now())
        assert "This test has ended." in client.get(path).content.decode()
        assert client.post(path, {"answer": "yes"}).status_code == 200
    test_.refresh_from_db()
    assert test_.answer == "yes"


def test_an_answer_needs_the_token_against_forged_requests(test_: TestPlate) -> None:
    strict = Client(enforce_csrf_checks=True)
    path = mailed_link()
    assert strict.post(path, {"answer": "yes"}).status_code == 403
    test_.refresh_from_db()
    assert test_.answer == ""


def test_anything_but_yes_or_no_is_asked_again(test_: TestPlate, client: Client) -> None:
    assert client.post(mailed_link(), {"answer": "maybe"}).status_code == 422
    assert client.post(mailed_link(), {}).status_code == 422
    test_.refresh_from_db()
    assert test_.answer == ""


def test_a_flood_of_tries_is_slowed_down(test_: TestPlate, client: Client) -> None:
    statuses = [client.post(f"/t/{number}.x.0.y/", {"answer": "yes"}).status_code for number in range(12)]
    assert statuses[0] == 404
    assert statuses[-1] == 429


def statuses_of_guesses(client: Client, start: int, via: str) -> list[int]:
    """The answers to a dozen made-up links, requested through a proxy that wrote `via`."""
    return [
        client.post(
            f"/t/{number}.x.0.y/", {"answer": "yes"}, headers={"X-Forwarded-For": via.format(number)}
        ).status_code
        for number in range(start, start + 12)
    ]


def test_behind_a_proxy_guessing_is_counted_by_the_visitors_own_address(
    client: Client, settings: Any
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert statuses_of_guesses(client, 0, "192.0.2.{}, 203.0.113.9")[-1] == 429
    assert statuses_of_guesses(client, 100, "192.0.2.1, 198.51.100.7")[0] == 404


def test_without_a_proxy_a_made_up_address_hides_no_guessing(client: Client) -> None:
    assert statuses_of_guesses(client, 0, "192.0.2.{}")[-1] == 429


def test_the_page_is_kept_by_no_cache_and_no_search_engine(test_: TestPlate, client: Client) -> None:
    response = client.get(mailed_link())
    assert "no-store" in response["Cache-Control"]
    assert "noindex" in response["X-Robots-Tag"]
    assert "script-src 'self'" in response["Content-Security-Policy"]


@pytest.fixture
def status(world: World) -> StatusLink:
    return StatusLink.objects.create(connection=world.connection, created_at=timezone.now())


def test_the_status_page_shows_the_steps_and_no_plate(
    test_: TestPlate, status: StatusLink, client: Client
) -> None:
    Connection.objects.update(zones_pulled_at=timezone.now(), operator_id_finding="ok")
    services.set_up(connection=test_.connection)
    text = client.get(reverse("status_page", args=[signed_links.status_token(status)])).content.decode()
    assert "Test plate confirmed" in text
    assert "the enforcement team" in text
    assert test_.permit.plate not in text
    assert "robin@u.example" not in text
    status.refresh_from_db()
    assert status.last_opened_at is not None


def test_the_status_page_ends_when_it_is_revoked(status: StatusLink, client: Client) -> None:
    path = reverse("status_page", args=[signed_links.status_token(status)])
    StatusLink.objects.update(revoked_at=timezone.now())
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("token", ["1", "1.abc", "2.abc", "x" * 500])
def test_a_status_page_cannot_be_guessed(status: StatusLink, client: Client, token: str) -> None:
    assert client.get(f"/s/{token}/").status_code == 404


def test_nothing_can_be_sent_to_a_status_page(status: StatusLink, client: Client) -> None:
    path = reverse("status_page", args=[signed_links.status_token(status)])
    assert client.post(path).status_code == 405
