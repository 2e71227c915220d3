"""What support puts right from pages: another operator ID, the end of an integration, a set-up begun anew."""

from collections.abc import Iterator

import pytest

from integrations.models import Connection, Notice, ZoneMapping
from tests.integrations import on_passport
from tests.pages import count_queries, text_of
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import LAKESHORE, UNIVERSITY, World, world_in_memory

pytestmark = pytest.mark.django_db

world = on_passport.world
REASON = {"reason": "The account manager sent the wrong one"}


@pytest.fixture
def testing(transport: SandboxTransport) -> Iterator[World]:
    """A company that has never been live, with a valid operator ID that is another account's."""
    with world_in_memory(transport, live=False) as made:
        Connection.objects.update(status="testing", operator_id_finding="ok")
        yield made


def current(world: World) -> Connection:
    found = world.connection
    found.refresh_from_db()
    return found


# --- Another operator ID ----------------------------------------------------------------------------------------------


def test_a_wrong_but_valid_operator_id_is_changed_after_a_look(testing: World) -> None:
    address = testing.url("setup_change_operator_id", testing.connection.pk)
    words = text_of(testing.support.get(address))
    assert "10 zones of the present operator ID are put aside." in words
    assert "2 locations with 0 current or upcoming permits send to it." in words
    assert f'href="{address}"' in text_of(
        testing.support.get(testing.url("setup_connection", testing.connection.pk))
    )
    form = {"operator_id": LAKESHORE["operator_id"], **REASON}
    response = testing.support.post(address, form, follow=True)
    assert response.status_code == 200
    connection = current(testing)
    assert connection.operator_id == LAKESHORE["operator_id"]
    # It is another claim: its zones are other ones, and somebody has to confirm it.
    assert connection.operator_confirmed_at is None
    assert not connection.zones.listed().exists()
    assert connection.history.first().history_user.is_support


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"operator_id": LAKESHORE["operator_id"], "reason": ""}, "required"),
        ({"operator_id": LAKESHORE["operator_id"], "reason": "  "}, "required"),
        ({"operator_id": UNIVERSITY["operator_id"], **REASON}, "the operator ID it has now"),
        ({"operator_id": "5a0f6d0e-4c1b-4a53-9f0e-0d6d5f2b7a11", **REASON}, "Compare it with the email"),
        ({"operator_id": "nonsense", **REASON}, "nonsense"),
    ],
    ids=["no reason", "a blank reason", "the same", "unknown", "no id"],
)
def test_what_is_wrong_is_said_and_the_operator_id_stays(
    testing: World, form: dict[str, str], words: str
) -> None:
    response = testing.support.post(testing.url("setup_change_operator_id", testing.connection.pk), form)
    assert response.status_code == 422
    assert words in text_of(response)
    assert current(testing).operator_id == UNIVERSITY["operator_id"]
    assert current(testing).operator_confirmed_at is not None


def test_one_that_has_been_live_keeps_its_operator_id(world: World) -> None:
    address = world.url("setup_change_operator_id", world.connection.pk)
    page = text_of(world.support.get(address))
    assert "has been live, so its operator ID stays" in page
    assert world.url("setup_anew", world.connection.pk) in page
    response = world.support.post(address, {"operator_id": LAKESHORE["operator_id"], **REASON})
    assert response.status_code == 422
    assert current(world).operator_id == UNIVERSITY["operator_id"]


# --- Ending -----------------------------------------------------------------------------------------------------------


def test_an_integration_is_ended_once_nothing_is_left_behind(world: World) -> None:
    world.permit("THERE1")
    world.deliver()
    address = world.url("setup_end", world.connection.pk)
    assert "1 permit is or may be valid in Passport." in text_of(world.support.get(address))
    form = {**REASON, "word": "end", "seen": "1"}
    refused = world.support.post(address, form)
    assert refused.status_code == 422
    assert "is or may still be valid there" in text_of(refused)
    assert world.plates() == ["THERE1"]
    withdraw = world.url("setup_withdraw", world.connection.pk)
    assert "Type “remove” to confirm" in text_of(world.support.post(withdraw, {"word": "x"}, follow=True))
    assert ZoneMapping.objects.count() == 2
    world.support.post(withdraw, {"word": "remove"})
    world.deliver()
    assert world.plates() == []
    assert "Nothing of this integration is in Passport." in text_of(world.support.get(address))
    world.support.post(address, {**form, "seen": "0"})
    connection = current(world)
    assert (connection.status, connection.status_reason) == ("ended", REASON["reason"])
    assert connection.status_by is not None
    assert connection.status_by.is_support
    assert REASON["reason"] in Notice.objects.get(company=world.company, kind="ended").text


def test_what_can_no_longer_be_reached_may_be_left_behind_as_far_as_it_was_seen(world: World) -> None:
    world.permit("THERE1")
    world.deliver()
    address = world.url("setup_end", world.connection.pk)
    form = {**REASON, "word": "END", "leave_behind": "on", "seen": "0"}
    refused = world.support.post(address, form)
    assert refused.status_code == 422
    assert "By now 1 permit is valid there." in text_of(refused)
    assert current(world).is_live
    world.support.post(address, {**form, "seen": "1"})
    assert current(world).status == "ended"
    assert world.plates() == ["THERE1"]


@pytest.mark.parametrize("form", [{**REASON, "word": "yes"}, {"word": "end"}, {**REASON}])
@pytest.mark.parametrize("name", ["setup_end", "setup_anew"])
def test_without_the_word_or_a_reason_nothing_ends(world: World, name: str, form: dict[str, str]) -> None:
    response = world.support.post(world.url(name, world.connection.pk), {"seen": "0", **form})
    assert response.status_code == 422
    assert current(world).is_live
    assert ZoneMapping.objects.count() == 2


# --- Anew -------------------------------------------------------------------------------------------------------------


def test_a_set_up_is_started_anew(world: World) -> None:
    address = world.url("setup_anew", world.connection.pk)
    assert "The new set-up begins at its first step." in text_of(world.support.get(address))
    response = world.support.post(address, {**REASON, "word": "end", "seen": "0"}, follow=True)
    assert "The set-up begins anew." in text_of(response)
    assert current(world).status == "ended"
    fresh = world.company.connections.exclude(status="ended").get()
    assert (fresh.status, fresh.operator_id, fresh.label) == ("setup", "", world.connection.label)
    assert fresh.key != world.connection.key
    assert response.redirect_chain[-1][0] == world.url("setup_connection", fresh.pk)
    # The operator ID that was used is free again for the company's new integration.
    enter = world.url("setup_operator_id", fresh.pk)
    world.operator.post(enter, {"operator_id": UNIVERSITY["operator_id"]})
    fresh.refresh_from_db()
    assert fresh.operator_id == UNIVERSITY["operator_id"]


def test_what_has_ended_leads_back(world: World) -> None:
    Connection.objects.update(status="ended")
    for name in ("setup_change_operator_id", "setup_end", "setup_anew"):
        response = world.support.get(world.url(name, world.connection.pk), follow=True)
        assert "This integration has ended already." in text_of(response)


def test_only_support_sees_and_does_it(world: World) -> None:
    page = text_of(world.manager.get(world.url("setup_connection", world.connection.pk)))
    for name in ("setup_change_operator_id", "setup_end", "setup_anew"):
        address = world.url(name, world.connection.pk)
        assert address not in page
        assert world.manager.get(address).status_code == 403


def test_each_page_takes_few_queries(world: World) -> None:
    for name in ("setup_change_operator_id", "setup_end", "setup_anew"):
        count_queries(world.support, world.url(name, world.connection.pk))
