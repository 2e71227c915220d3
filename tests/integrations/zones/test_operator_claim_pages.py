"""Whose operator ID it is, on the pages of set-up and of a permit, and for connections from before there were claims."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection as database
from django.utils import timezone

from integrations.models import Connection, PermitSync
from integrations.zones import operator_claims
from tests.factories import OPERATOR_ID, CompanyFactory, ConnectionFactory
from tests.fakes import FakeVendor
from tests.integrations.zones.claims import OTHER_ID, confirmed, mapped_permit
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db


# --- Pages -----------------------------------------------------------------------------------------------


def test_support_confirms_on_the_set_up_page_and_finds_it_in_its_list(vendor: FakeVendor) -> None:
    fresh = CompanyFactory(name="Lakeshore", slug="lakeshore")
    world = World(fresh, ConnectionFactory.build(company=fresh))
    world.operator.post(world.url("setup_begin_operator_id"), {"operator_id": OPERATOR_ID})
    connection = fresh.connections.get()
    path = world.url("setup_confirm_operator", connection.pk)

    mine = text_of(world.operator.get(world.url("setup")))
    assert operator_claims.code_of(connection) in mine
    assert "How do you know" not in mine
    listed = text_of(world.support.get("/setups/?who=support"))
    assert "Lakeshore" in listed
    assert "entered by" in listed

    answer = {"operator_id": OPERATOR_ID, "how": "By phone", "word": "yes"}
    assert world.manager.post(path, answer).status_code == 403
    assert not confirmed(connection)
    assert world.support.post(path, {**answer, "how": ""}).status_code == 422
    assert world.support.post(path, {**answer, "operator_id": OTHER_ID}).status_code == 422
    assert not confirmed(connection)
    assert world.support.post(path, answer).status_code == 302
    assert confirmed(connection)
    assert "Set up the integration" in text_of(world.operator.get(world.url("setup")))


def test_support_sees_who_else_has_it_and_the_company_does_not(vendor: FakeVendor) -> None:
    ConnectionFactory.create(operator_id=OPERATOR_ID, company__name="Harbor Town", claimed=True)
    fresh = CompanyFactory(name="Lakeshore", slug="lakeshore")
    world = World(fresh, ConnectionFactory.build(company=fresh))
    said = world.operator.post(
        world.url("setup_begin_operator_id"), {"operator_id": OPERATOR_ID}, follow=True
    )

    assert "Another company already uses this operator ID." in text_of(said)
    assert "Harbor Town" not in text_of(world.operator.get(world.url("setup")))
    assert "Harbor Town" in text_of(world.support.get(world.url("setup")))
    path = world.url("setup_confirm_operator", fresh.connections.get().pk)
    world.support.post(path, {"operator_id": OPERATOR_ID, "how": "It is not theirs", "word": "no"})
    assert "It is not theirs" in text_of(world.operator.get(world.url("setup")))
    assert fresh.connections.get().operator_id_held == ""


def test_a_registration_says_that_it_waits_for_the_confirmation() -> None:
    world = World.build()
    Connection.objects.update(status="testing", live_since=None, operator_confirmed_at=None)
    permit = mapped_permit(world.connection)
    assert PermitSync.objects.get(permit=permit).state == PermitSync.State.DUE
    page = text_of(world.operator.get(world.url("permit", permit.pk)))
    assert "The operator ID is not confirmed yet." in page


# --- What was live before --------------------------------------------------------------------------------


def test_the_migration_confirms_what_was_live_and_nothing_else() -> None:
    """On rows as they were before the constraint, which is the migration's own next step."""
    migration = importlib.import_module("integrations.migrations.0016_confirmed_operators")
    was_live = ConnectionFactory.create(claimed=True, live_since=timezone.now())
    testing_one = ConnectionFactory.create(claimed=True, testing=True)
    ended = ConnectionFactory.create(operator_id="", status="ended", live_since=timezone.now())

    migration.confirm_what_was_live(apps, SimpleNamespace(connection=database))

    assert [confirmed(one) for one in (was_live, testing_one, ended)] == [True, False, False]
    was_live.refresh_from_db()
    assert was_live.operator_confirmed_at == was_live.live_since
