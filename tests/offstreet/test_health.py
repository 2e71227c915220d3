"""`/healthz` says what a load balancer needs and nothing more."""

from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client


@pytest.mark.django_db
def test_it_says_ok_while_the_database_answers(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_it_says_unavailable_without_telling_what_is_broken(client: Client) -> None:
    secret = "connection to database.example failed: password"
    with patch.object(connection, "cursor", side_effect=OperationalError(secret)):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (503, b"unavailable\n")


def test_it_takes_no_form(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
