"""Going live on both back ends: SQLite with the embedded broker, and PostgreSQL with Redis."""

import contextlib

import pytest

from tests.factories import PASSWORD
from tests.flows.scripts.companies import make_kims_company
from tests.flows.test_onboarding_no_branches import Person, live, send_test, to_ready
from tests.servers import Stack, eventually

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]


def test_a_company_gets_from_an_operator_id_to_live(stack: Stack) -> None:
    stack.run(make_kims_company, name="University", slug="university")
    with contextlib.closing(stack.sign_in("kim@university.example", PASSWORD)) as client:
        kim = Person(stack, "university", client)
        operator_id = to_ready(kim, 1)
        test = send_test(kim, ask="robin@u.example")
        kim.until("Waiting for an officer to confirm", f"setup/tests/{test}/")
        assert [right["vehicle"]["vehicle_plate"] for right in stack.sandbox.rights(operator_id)] == [
            "TEST123"
        ]

        kim.press(f"setup/tests/{test}/answer/", answer="yes")
        assert live(kim)
        kim.until("No longer listed in the parking rights.", f"setup/tests/{test}/")
        assert stack.sandbox.rights(operator_id) == []
        kim.until("Ticket done")

    examined = stack.try_manage("passport", "doctor", "--company", "university")
    assert examined.returncode == 0, examined.stdout
    # Each email was sent once.
    eventually(
        lambda: not stack.query("SELECT id FROM integrations_mail WHERE state = 'due'"),
        what="all mails to leave",
    )
    mails = stack.query('SELECT kind, "to", state, attempts FROM integrations_mail')
    assert {(mail["state"], mail["attempts"]) for mail in mails} == {("sent", 1)}
    assert {"zones_there", "ready_for_test", "test_plate", "test_answered", "live"} <= {
        mail["kind"] for mail in mails
    }
    assert stack.query("SELECT name FROM integrations_chore WHERE last_error <> ''") == []
