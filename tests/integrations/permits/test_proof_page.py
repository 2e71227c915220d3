"""One permit's page: the proof of delivery, and asking Passport what it has now."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import Breaker, CheckRun, PermitSync
from integrations.vendors.errors import TryLater
from locations.models import Location, Membership, Permit, Role
from tests.checks import make_check_runs
from tests.factories import MembershipFactory, PermitFactory
from tests.fakes import FakeVendor
from tests.integrations.permits.pages import accept, text_of, url

pytestmark = pytest.mark.django_db


def test_a_permits_page_answers_first_and_then_proves(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place, plate="ABC 1234")
    waiting = operator.get(url("permit", permit.pk))
    assert "Not yet in Passport: Waiting to be sent." in text_of(waiting)
    assert 'hx-trigger="every 2s"' in waiting.content.decode()
    accept(permit, seen_at=timezone.now() + timedelta(seconds=1))
    done = operator.get(url("permit", permit.pk))
    assert "Passport has shown officers this plate in zone Z123 since" in text_of(done)
    assert 'hx-trigger="every 2s"' not in done.content.decode()


def test_what_passport_holds_is_asked_for_and_shown(
    operator: Client, place: Location, vendor: FakeVendor
) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    accept(permit)
    vendor.sessions[f"os-{permit.pk}-1"] = {
        "zone_id": place.zone_mapping.zone.remote_id,
        "plate": "ABC1234",
        "country": "US",
        "subdivision": "US-NC",
        "start": permit.start.isoformat(),
        "end": permit.end.isoformat(),
        "space_number": "",
    }
    asked = operator.post(url("permit_check", permit.pk))
    waiting = operator.get(asked["Location"].partition("#")[0])
    assert "Checking with Passport." in text_of(waiting)
    assert "<html" in waiting.content.decode()
    part = operator.post(url("permit_check", permit.pk), headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    # The same look-up is still open, so it isn't started twice.
    assert CheckRun.objects.count() == 1
    (follow,) = re.findall(r'hx-get="([^"]+)" hx-trigger="every 1s"', part.content.decode())
    assert "Checking with Passport." in text_of(operator.get(follow))
    assert PermitSync.objects.get().checked_at is None
    assert make_check_runs() == 1
    for page in (operator.get(asked["Location"].partition("#")[0]), operator.get(follow)):
        assert "Passport currently lists this permit in zone Z123." in text_of(page)
        assert f"?check={CheckRun.objects.get().pk}" not in page.content.decode()
    row = PermitSync.objects.get()
    assert row.seen_at is not None
    assert row.checked_at is not None
    assert row.accepted_at is not None
    assert row.accepted_at < row.seen_at <= row.checked_at


def check(client: Client, permit: Permit) -> str:
    """Press “Check now”, let a worker do the look-up, and return what the page says then."""
    asked = client.post(url("permit_check", permit.pk))
    if asked.status_code == 200:
        return text_of(asked)
    make_check_runs()
    return text_of(client.get(asked["Location"].partition("#")[0]))


@pytest.fixture
def shown(place: Location, vendor: FakeVendor) -> Permit:
    """A permit that the vendor accepted an hour ago and lists."""
    permit: Permit = PermitFactory(location=place, plate="ABC1234")
    accept(permit, accepted_at=timezone.now() - timedelta(hours=1))
    vendor.sessions[f"os-{permit.pk}-1"] = {
        "zone_id": place.zone_mapping.zone.remote_id, "plate": "ABC1234", "country": "US", "subdivision": "US-NC",
        "start": permit.start.isoformat(), "end": permit.end.isoformat(), "space_number": "",
    }  # fmt: skip
    return permit


def test_seen_is_said_of_the_present_acceptance(operator: Client, shown: Permit) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    PermitSync.objects.update(seen_at=long_ago)
    check(operator, shown)
    seen = PermitSync.objects.get().seen_at
    assert seen is not None
    assert seen > long_ago
    check(operator, shown)
    assert PermitSync.objects.get().seen_at == seen


def test_what_was_accepted_while_passport_answered_is_not_called_seen(
    operator: Client, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = vendor.fetch_rights

    def slowly(*args: Any, **kwargs: Any) -> Any:
        rights = ask(*args, **kwargs)
        PermitSync.objects.update(accepted_at=timezone.now())
        return rights

    monkeypatch.setattr(vendor, "fetch_rights", slowly)
    assert "lists this permit" in check(operator, shown)
    assert PermitSync.objects.get().seen_at is None


def test_no_one_can_ask_passport_more_than_a_few_times_a_minute(
    operator: Client, member: Membership, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = vendor.fetch_rights

    def count(operator_id: str, **rest: str) -> Any:
        asked.append(operator_id)
        return ask(operator_id, **rest)

    monkeypatch.setattr(vendor, "fetch_rights", count)
    pages = []
    for _ in range(8):
        pages.append(operator.post(url("permit_check", shown.pk), headers={"HX-Request": "true"}))
        make_check_runs()
    assert len(asked) == 6
    assert pages[-1].status_code == 200
    words = text_of(pages[-1])
    assert "You have checked several times within a minute. Wait a minute, then check again." in words
    assert "Checked" not in words
    # Each person has a separate limit.
    client = Client()
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert "lists this permit" in check(client, shown)


@pytest.mark.parametrize(
    ("of", "values", "words"),
    [
        (
            "connection",
            {"error": "Passport answered 503."},
            "because of recent failures. Passport answered 503. Check again",
        ),
        ("vendor", {}, "because of recent failures. Passport is not responding."),
        (
            "connection",
            {"stopped": True, "error": "Passport refuses our credentials.", "remedy": "Enter new ones."},
            "the integration is stopped. Passport refuses our credentials. Enter new ones.",
        ),
    ],
)
def test_while_the_connection_is_held_back_no_one_can_ask(
    operator: Client, shown: Permit, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch,
    of: str, values: dict[str, Any], words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(vendor, "fetch_rights", lambda *_args, **_kwargs: pytest.fail("Passport was asked"))
    connection = shown.location.zone_mapping.zone.connection
    whose = {"connection": connection} if of == "connection" else {"vendor": connection.vendor}
    Breaker.objects.create(**whose, open_until=timezone.now() + timedelta(seconds=8), **values)
    page = check(operator, shown)
    assert "Passport was not asked" in page
    assert words in page
    assert PermitSync.objects.get().checked_at is None


def test_no_answer_is_an_answer_too(
    operator: Client, place: Location, vendor: FakeVendor, monkeypatch: Any
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise TryLater("Passport answered 503.", remedy="Try again in a minute.")

    monkeypatch.setattr(vendor, "fetch_rights", fail)
    assert "Passport answered 503. Try again in a minute." in check(operator, PermitFactory(location=place))
    assert operator.get(url("permit_check", PermitFactory(location=place).pk)).status_code == 405
