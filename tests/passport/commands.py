"""How tests run `manage.py passport` and `manage.py permit`: what is printed, and what is refused."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from integrations.models import Connection
from tests.factories import OPERATOR_ID


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def passport(subcommand: str, *arguments: str) -> str:
    return run("passport", subcommand, "--company", "university", *arguments)


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    text = str(error.value)
    assert "\n" not in text
    return text


def connected() -> Connection:
    passport("connect", "--operator-id", OPERATOR_ID, "--confirmed", "Agreed by phone")
    return Connection.objects.get()
