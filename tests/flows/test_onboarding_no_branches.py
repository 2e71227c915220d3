"""Every "no" during set-up, in real processes against the sandbox: each is explained, and none is a dead end.

The pages are used as a browser would use them (forms over HTTP); commands where support would; the worker is a real one.
"""

import contextlib
import email
import email.policy
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.factories import PASSWORD
from tests.flows.scripts.companies import make_kims_company
from tests.servers import SQLITE, Stack, eventually, running_stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"
NEWTOWN = "11111111-2222-4333-8444-555555555555"
UNKNOWN = "99999999-9999-4999-8999-999999999999"


class Person:
    """Kim, who presses the buttons of one company."""

    def __init__(self, stack: Stack, slug: str, client: httpx.Client) -> None:
        self.stack, self.slug, self.client = stack, slug, client

    def get(self, path: str) -> str:
        response = self.client.get(f"/c/{self.slug}/{path}")
        assert response.status_code == 200, (path, response.status_code)
        return clean(response.text)

    def press(self, path: str, **fields: Any) -> str:
        return clean(self.stack.post(self.client, f"/c/{self.slug}/{path}", **fields).text)

    @property
    def connection(self) -> int:
        sql = (
            "SELECT c.id FROM integrations_connection c JOIN locations_company l ON l.id = c.company_id "
            "WHERE l.slug = ?"
        )
        return int(self.stack.query(sql, [self.slug])[0]["id"])

    def until(self, words: str, path: str = "setup/") -> str:
        return eventually(
            lambda: text if words in (text := self.get(path)) else "",
            what=f"“{words}” on {path}",
            timeout_s=30,
        )

    def findings(self, test: int) -> str:
        """Ask for the diagnostics of a test plate, and return the page once a worker has made them."""
        path = f"/c/{self.slug}/setup/diagnostics/"
        asked = self.stack.post(self.client, path, symptom="plate", test=str(test))
        query = asked.url.query.decode()
        return self.until("Findings", f"setup/diagnostics/?{query}")

    def test(self) -> dict[str, Any]:
        sql = "SELECT * FROM integrations_testplate WHERE connection_id = ? ORDER BY id DESC"
        return self.stack.query(sql, [self.connection])[0]


def clean(html: str) -> str:
    return " ".join(html.replace("&#x27;", "'").split())


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="module")
def shared(mail: Path) -> Iterator[Stack]:
    """One product for all stories; each story has a company and an operator of its own."""
    with running_stack(SQLITE, env={"EMAIL_URL": f"filemail:///{mail}"}) as stack:
        yield stack


@pytest.fixture
def kim(shared: Stack, request: pytest.FixtureRequest) -> Iterator[Person]:
    """Kim of a new company, signed in; a new person each time, since one may ask the vendor only a few times a minute."""
    slug = re.sub(r"[^a-z]+", "-", request.node.name.lower()).strip("-")[5:55].strip("-")
    shared.sandbox.clear_faults()
    shared.run(make_kims_company, name=slug.replace("-", " ").title(), slug=slug)
    client = shared.sign_in(f"kim@{slug}.example", PASSWORD)
    yield Person(shared, slug, client)
    client.close()
    shared.sandbox.clear_faults()


def new_operator(stack: Stack, number: int, *zones: str) -> str:
    """Make an operator of the sandbox with zones of these numbers; return its id."""
    operator_id = f"{number:08d}-2222-4333-8444-555555555555"
    documents = [
        {
            "id": f"{number:08d}-0000-4000-8000-{place:012d}", "number": zone, "name": f"Zone {zone}",
            "operator_id": operator_id, "session_type": "vehicle",
        }
        for place, zone in enumerate(zones)
    ]  # fmt: skip
    document = {"operator_id": operator_id, "name": f"Operator {number}", "zones": documents}
    stack.sandbox.call("POST", "operators", document)
    return operator_id


def to_ready(kim: Person, number: int, *zones: str) -> str:
    """Take a company to the point where a test plate can be sent."""
    operator_id = new_operator(kim.stack, number, *(zones or ("Z123", "Z124")))
    kim.press("setup/operator-id/", operator_id=operator_id)
    confirm(kim)
    kim.press(f"setup/{kim.connection}/set-up/")
    kim.until("Choose the Passport zone for at least one location")
    kim.stack.manage(
        "passport",
        "map",
        "--company",
        kim.slug,
        "--location",
        "North Campus Garage",
        "--zone",
        (zones or ("Z123",))[0],
    )
    kim.until("Send a test plate for one of the mapped locations.")
    return operator_id


def confirm(kim: Person) -> None:
    """Support confirms that the operator ID is the company's."""
    assert "Support has to confirm that it belongs" in kim.get("setup/")
    kim.stack.manage("passport", "confirm-operator", "--company", kim.slug, "--how", "Agreed by phone")


def send_test(kim: Person, *, ask: str = "") -> int:
    place = kim.stack.query(
        "SELECT l.id FROM locations_location l JOIN locations_company c ON c.id = l.company_id WHERE c.slug = ?",
        [kim.slug],
    )[0]["id"]
    kim.press(
        f"setup/{kim.connection}/test/",
        location=place,
        plate="TEST123",
        subdivision="US-NC",
        ask=ask,
        space_number="",
    )
    return int(kim.test()["id"])


def mailed_link(mail: Path, sent_after: int = 0) -> str:
    """The newest link that was mailed to Robin; `sent_after` is the number of earlier ones."""

    def links() -> list[str]:
        found = []
        for path in sorted(mail.glob("*.log")):
            for raw in path.read_bytes().split(b"-" * 79 + b"\n"):
                message = email.message_from_bytes(raw, policy=email.policy.default)
                body = message.get_body(("plain",))
                if body is not None and "robin@u.example" in str(message["To"]):
                    found += re.findall(r"http://\S+/t/\S+", str(body.get_content()))
        return found

    return eventually(
        lambda: found[-1] if len(found := links()) > sent_after else "", what="the emailed link"
    )


def live(kim: Person) -> bool:
    return bool(
        kim.stack.query("SELECT status FROM integrations_connection WHERE id = ?", [kim.connection])[0][
            "status"
        ]
        == "live"
    )


def test_a_wrong_operator_id_is_refused_and_the_right_one_continues(kim: Person) -> None:
    said = kim.press("setup/operator-id/", operator_id=UNKNOWN)
    assert "Passport doesn't know this operator ID." in said
    assert "Compare it with the email" in said
    assert "Passport doesn't know this operator ID." in kim.get("setup/")

    kim.press(f"setup/{kim.connection}/operator-id/", operator_id=new_operator(kim.stack, 1, "Z1"))
    confirm(kim)
    assert "Set up the integration" in kim.get("setup/")


def test_not_authorised_waits_for_passport_and_continues_once_it_is(kim: Person) -> None:
    operator_id = new_operator(kim.stack, 2, "Z1")
    kim.stack.sandbox.call("PATCH", f"operators/{operator_id}", {"authorised": False})
    said = kim.press("setup/operator-id/", operator_id=operator_id)
    assert "authorised Offstreet" in said
    assert "the Passport account manager" in kim.get("setup/")
    examined = kim.stack.try_manage("passport", "doctor", "--company", kim.slug, "--json")
    assert examined.returncode == 1
    checks = {check["key"]: check for check in json.loads(examined.stdout)["checks"]}
    assert checks["authorised"]["tone"] == "danger"

    kim.stack.sandbox.call("PATCH", f"operators/{operator_id}", {"authorised": True})
    kim.press(f"setup/{kim.connection}/recheck/")
    confirm(kim)
    assert "Set up the integration" in kim.get("setup/")


def test_passport_down_keeps_the_id_and_continues_automatically(kim: Person) -> None:
    operator_id = new_operator(kim.stack, 3, "Z1")
    kim.stack.sandbox.add_fault("5xx", operator_id=operator_id)
    said = kim.press("setup/operator-id/", operator_id=operator_id)
    assert "checked again every minute" in said

    kim.stack.sandbox.clear_faults()
    # The test shortens the minute.
    past = (datetime.now(UTC) - timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M:%S.%f")
    kim.stack.query(
        "UPDATE integrations_connection SET operator_id_checked_at = ? WHERE id = ?", [past, kim.connection]
    )
    kim.until("Support has to confirm that it belongs")
    confirm(kim)
    assert "Set up the integration" in kim.get("setup/")


def test_another_companys_operator_id_is_not_taken(kim: Person) -> None:
    operator_id = new_operator(kim.stack, 4, "Z1")
    kim.stack.run(make_kims_company, name="First", slug="first")
    kim.stack.manage("passport", "connect", "--company", "first", "--operator-id", operator_id)
    said = kim.press("setup/operator-id/", operator_id=operator_id)
    assert "Another company already uses this operator ID." in said
    assert "First" not in said.split('id="setup"')[1]
    assert [
        row["operator_id"]
        for row in kim.stack.query(
            "SELECT operator_id FROM integrations_connection WHERE id = ?", [kim.connection]
        )
    ] == [""]
    refused = kim.stack.try_manage("passport", "refresh-zones", "--company", kim.slug)
    assert refused.returncode == 1


def test_an_empty_zone_list_waits_for_passport_and_continues_when_there_are_zones(kim: Person) -> None:
    operator_id = new_operator(kim.stack, 5)
    kim.press("setup/operator-id/", operator_id=operator_id)
    confirm(kim)
    kim.press(f"setup/{kim.connection}/set-up/")
    kim.until("Passport lists no zones for this operator.")

    zone = {
        "id": "00000005-0000-4000-8000-000000000009", "number": "Z9", "name": "Nine", "operator_id": operator_id,
        "session_type": "vehicle",
    }  # fmt: skip
    kim.stack.sandbox.call("POST", f"operators/{operator_id}/zones", zone)
    kim.stack.manage("passport", "refresh-zones", "--company", kim.slug)
    kim.until("Choose the Passport zone for at least one location")


def test_a_wrong_zone_mapped_is_a_no_that_leads_to_diagnostics_and_a_new_test(kim: Person) -> None:
    to_ready(kim, 6, "Z124", "Z123")
    first = send_test(kim)
    kim.until("Does an officer's device show it, too?", f"setup/tests/{first}/")
    diagnostics = kim.press(
        f"setup/tests/{first}/answer/", answer="no", note="I stand in zone Z123, nothing there"
    )
    assert "Run the checks" in diagnostics
    findings = kim.findings(first)
    assert "I stand in zone Z123, nothing there" in findings
    assert "the officer's device was looking elsewhere" in findings
    assert not live(kim)
    kim.until("No longer listed in the parking rights.", f"setup/tests/{first}/")

    kim.stack.manage(
        "passport", "map", "--company", kim.slug, "--location", "North Campus Garage", "--zone", "Z123"
    )
    second = send_test(kim)
    kim.until("Does an officer's device show it, too?", f"setup/tests/{second}/")
    kim.press(f"setup/tests/{second}/answer/", answer="yes")
    assert live(kim)


def test_a_plate_that_passport_works_on_later_is_waited_for(kim: Person) -> None:
    operator_id = to_ready(kim, 7)
    kim.stack.sandbox.add_fault("late", operator_id=operator_id, delay_s=4)
    test = send_test(kim)
    kim.until("Passport has accepted it; looking for it in the parking rights", f"setup/tests/{test}/")
    kim.until("Does an officer's device show it, too?", f"setup/tests/{test}/")


def test_a_plate_that_is_never_listed_is_not_taken_for_seen(kim: Person) -> None:
    operator_id = to_ready(kim, 8)
    kim.stack.sandbox.add_fault("late", operator_id=operator_id, delay_s=600)
    test = send_test(kim)
    kim.until("looking for it in the parking rights", f"setup/tests/{test}/")
    past = (datetime.now(UTC) - timedelta(minutes=2)).strftime("%Y-%m-%d %H:%M:%S.%f")
    kim.stack.query("UPDATE integrations_testplate SET accepted_at = ? WHERE id = ?", [past, test])
    kim.until("Passport has accepted the test plate, but still doesn't list it.", f"setup/tests/{test}/")
    assert "doesn't list it among the parking rights" in kim.findings(test)
    assert kim.test()["seen_at"] is None


def test_passport_down_during_the_test_is_said_and_made_up_for(kim: Person) -> None:
    operator_id = to_ready(kim, 9)
    kim.stack.sandbox.add_fault("5xx", operator_id=operator_id)
    test = send_test(kim)
    kim.until("Not yet in Passport", f"setup/tests/{test}/")
    kim.stack.sandbox.clear_faults()
    kim.until("Does an officer's device show it, too?", f"setup/tests/{test}/")


def test_a_mailed_link_used_twice_tampered_with_or_expired_gives_one_answer(kim: Person, mail: Path) -> None:
    to_ready(kim, 10)
    test = send_test(kim, ask="robin@u.example")
    link = mailed_link(mail)
    path = link.removeprefix(kim.stack.web_url)
    with contextlib.closing(kim.stack.browse()) as phone:
        # An email scanner opens it; nothing happens.
        for _ in range(3):
            assert "Does your device show this plate?" in phone.get(path).text
        assert kim.test()["answer"] == ""
        # Tampered with.
        assert phone.get(path[:-4] + "xxx/").status_code == 404
        assert kim.stack.post(phone, path[:-4] + "xxx/", answer="yes").status_code == 404
        # Without the token against forged requests.
        assert (
            phone.post(path, data={"answer": "yes"}, headers={"Referer": "http://evil.example"}).status_code
            == 403
        )
        # Expired.
        row = kim.test()
        kim.stack.query("UPDATE integrations_testplate SET link_expires_at = saved_at WHERE id = ?", [test])
        assert kim.stack.post(phone, path, answer="yes").status_code == 410
        kim.stack.query(
            "UPDATE integrations_testplate SET link_expires_at = ? WHERE id = ?",
            [row["link_expires_at"], test],
        )
        assert kim.test()["answer"] == ""
        # Used, and used again.
        assert "Thank you." in kim.stack.post(phone, path, answer="no", note="Nothing there").text
        assert "This test has already been answered." in kim.stack.post(phone, path, answer="yes").text
    assert (kim.test()["answer"], kim.test()["answered_by"]) == ("no", "robin@u.example")
    assert not live(kim)


def test_by_script_the_test_plate_is_waited_for_and_says_what_it_waited_for(kim: Person) -> None:
    operator_id = to_ready(kim, 11)
    arguments = ("passport", "test-plate", "--company", kim.slug, "--location", "North Campus Garage")
    kim.stack.sandbox.add_fault("5xx", operator_id=operator_id)
    failed = kim.stack.try_manage(*arguments, "--wait", "2")
    assert failed.returncode == 1
    assert "Not seen within 2 s." in failed.stderr

    kim.stack.sandbox.clear_faults()
    done = kim.stack.try_manage(*arguments, "--wait", "30")
    assert done.returncode == 0, done.stderr
    assert "Passport lists it in zone Z123" in done.stdout
    healthy = kim.stack.try_manage("passport", "doctor", "--company", kim.slug, "--symptom", "plate")
    assert healthy.returncode == 0, healthy.stdout
    assert healthy.stdout.index("Test plate:") < healthy.stdout.index("Operator ID:")
