"""The limit on refreshes counts only those that began."""

import sqlite3
from typing import Any

import pytest
from django.db import OperationalError

from integrations import throttle
from integrations.models import ZoneRefresh
from tests.pages import World

pytestmark = pytest.mark.django_db


def test_a_refresh_that_a_busy_database_refused_can_be_asked_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World.build()
    throttle._shared.cache_clear()
    world.operator.raise_request_exception = False

    def refuse(**_asked: Any) -> ZoneRefresh:
        error = OperationalError("database is locked")
        error.__cause__ = sqlite3.OperationalError("database is locked")
        error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    with monkeypatch.context() as busy:
        busy.setattr("integrations.zones.views.ask_refresh", refuse)
        response = world.operator.post(world.url("zones_refresh"))
        assert (response.status_code, ZoneRefresh.objects.count()) == (503, 0)
        assert response["X-Nothing-Written"] == "true"
    response = world.operator.post(world.url("zones_refresh"))
    assert response["Location"] == world.url("zone_refresh", ZoneRefresh.objects.get().pk)
