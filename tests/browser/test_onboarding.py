"""A new company goes from nothing to live, only through the pages, on real processes and the sandbox's Passport.

A second browser, the size of a phone, confirms the test plate by the emailed link, without signing in.
"""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import onboarding
from tests.browser.face import Watched
from tests.factories import PASSWORD
from tests.flows.scripts.companies import make_company
from tests.servers import SQLITE, Stack, eventually, running_stack

pytestmark = pytest.mark.timeout(240)

UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"


class Mailbox:
    """The emails that the worker wrote as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def texts(self, to: str) -> list[str]:
        """The plain texts of all emails to an address."""
        found = []
        for path in sorted(self.folder.glob("*.log")):
            for raw in path.read_bytes().split(b"-" * 79 + b"\n"):
                message = email.message_from_bytes(raw, policy=email.policy.default)
                body = message.get_body(("plain",))
                if to in str(message["To"] or "") and body is not None:
                    found.append(str(body.get_content()))
        return found


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "mail")


@pytest.fixture
def company(mailbox: Mailbox) -> Iterator[Stack]:
    with running_stack(SQLITE, env={"EMAIL_URL": f"filemail:///{mailbox.folder}"}) as stack:
        stack.run(onboarding.build)
        yield stack


def sign_in(page: Page, stack: Stack, who: str = "kim@u.example") -> None:
    page.goto(f"{stack.web_url}/accounts/login/")
    page.get_by_label("Email address").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)


def looked_at(watched: Watched, name: str) -> None:
    """Check the page against the policy, axe and its width, and keep a screenshot."""
    watched.page.wait_for_timeout(200)
    watched.check()
    watched.check_axe()
    watched.shot(f"onboarding-{name}")


def test_a_new_company_goes_from_nothing_to_live_by_the_pages_alone(
    company: Stack, mailbox: Mailbox, open_page: Callable[..., Watched]
) -> None:
    stack, watched = company, open_page()
    page = watched.page
    sign_in(page, stack)

    # 1. The operator ID is requested, by an email sent from here.
    watched.go(f"{stack.web_url}/c/university/setup/")
    expect(page.get_by_text("Ask the Passport account manager for the operator ID")).to_be_visible()
    page.get_by_label("Account manager's name").fill("Alex")
    page.get_by_label("Account manager's email address").fill("alex@passport.example")
    page.get_by_role("button", name="Regenerate from template").click()
    expect(page.get_by_label("Text")).to_contain_text("Hello Alex")
    looked_at(watched, "1-request")
    page.get_by_role("button", name="Send email").click()
    expect(page.get_by_text("The email is on its way.")).to_be_visible()
    eventually(lambda: mailbox.texts("alex@passport.example"), what="the mail to the account manager")
    looked_at(watched, "2-asked")

    # 2. It arrives, with spaces around it and in capitals, and is tried at once.
    page.get_by_label("Operator ID", exact=True).fill(f"  {UNIVERSITY.upper()} ")
    page.get_by_role("button", name="Check it with Passport").click()
    expect(page.get_by_text("Passport knows this operator and lists its zones.")).to_be_visible()
    expect(page.get_by_text("Support has to confirm that it belongs").first).to_be_visible()
    looked_at(watched, "3-received")

    # Support finds it in its list and says how it knows.
    support = open_page()
    sign_in(support.page, stack, "support@offstreet.example")
    support.go(f"{stack.web_url}/setups/?who=support")
    expect(support.page.get_by_text("entered by Kim Manager")).to_be_visible()
    looked_at(support, "3-claims")
    support.page.get_by_role("link", name="University", exact=True).click()
    support.page.get_by_label("How do you know, or why not?").fill("Alex of Passport named them on the phone")
    looked_at(support, "3-claim")
    for scheme in ("light", "dark"):
        phone = open_page(scheme=scheme, width=390, height=800)
        for who, paths in (
            ("kim@u.example", ["c/university/setup/"]),
            ("support@offstreet.example", ["setups/", "c/university/setup/"]),
        ):
            phone.page.context.clear_cookies()
            sign_in(phone.page, stack, who)
            for path in paths:
                phone.go(f"{stack.web_url}/{path}")
                looked_at(phone, f"3-claim-{scheme}-phone-{who[0]}-{path.strip('/').replace('/', '-')}")
    support.page.get_by_role("button", name="Yes, confirm").click()
    expect(support.page.get_by_text("Confirmed. The company is told by email.")).to_be_visible()
    eventually(
        lambda: [text for text in mailbox.texts("kim@u.example") if "confirmed as yours" in text],
        what="the mail that the operator ID is confirmed",
    )
    page.reload()

    # 3. Set up: a ticket, the zones with progress; the page continues automatically.
    page.get_by_role("button", name="Set up", exact=True).click()
    expect(page.get_by_role("link", name="Map locations")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(re.compile(r"OFF-\d+")).first).to_be_visible()
    looked_at(watched, "4-zones")
    eventually(
        lambda: [text for text in mailbox.texts("kim@u.example") if "zones" in text], what="the mail on zones"
    )

    # 4. and 5. Mapped by accepting the suggestion; ready for testing.
    page.get_by_role("link", name="Map locations").click()
    page.get_by_role("button", name=re.compile("Accept 1 suggestion")).click()
    eventually(
        lambda: [text for text in mailbox.texts("robin@u.example") if "ready for testing" in text],
        what="the mail that testing can begin",
    )

    # 6. The test plate, watched live.
    watched.go(f"{stack.web_url}/c/university/setup/")
    looked_at(watched, "5-ready")
    page.get_by_role("button", name="Send the test plate").click()
    expect(page.get_by_text("Waiting for an officer to confirm zone Z123.")).to_be_visible(timeout=30_000)
    looked_at(watched, "6-test-seen")
    assert [right["vehicle"]["vehicle_plate"] for right in stack.sandbox.rights(UNIVERSITY)] == ["TEST123"]

    asked = eventually(
        lambda: [text for text in mailbox.texts("robin@u.example") if "/t/" in text],
        what="the mail with the link",
    )[0]
    link = re.search(r"http://\S+/t/\S+", asked)
    assert link is not None
    phone = open_page(width=390, height=800)
    phone.go(link[0])
    expect(phone.page.get_by_role("heading", name="Does your device show this plate?")).to_be_visible()
    looked_at(phone, "7-confirm-phone")
    phone.page.get_by_role("button", name="Yes, I see it in zone Z123").click()
    expect(phone.page.get_by_text("Thank you.")).to_be_visible()
    looked_at(phone, "8-thanks-phone")

    # The page that was left open has caught up: confirmed, withdrawn, and removed from the parking rights too.
    expect(page.get_by_text("Confirmed: an officer sees the test plate in zone Z123.")).to_be_visible(
        timeout=20_000
    )
    expect(page.get_by_text("No longer listed in the parking rights.")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("robin@u.example, by the emailed link")).to_be_visible()
    looked_at(watched, "9-test-done")

    # 7. Live: existing permits are sent, with progress.
    watched.go(f"{stack.web_url}/c/university/setup/")
    expect(page.get_by_text("Live: each permit is sent to Passport when it is saved.")).to_be_visible()
    expect(page.get_by_text("3 of 3")).to_be_visible(timeout=20_000)
    looked_at(watched, "10-live")
    plates = sorted(right["vehicle"]["vehicle_plate"] for right in stack.sandbox.rights(UNIVERSITY))
    assert plates == ["AAA111", "BBB222", "CCC333"]

    # The link no longer works, and the status page shows no plate.
    phone.go(link[0])
    expect(phone.page.get_by_text("This test has already been answered.")).to_be_visible()
    page.get_by_role("button", name="Create a status page").click()
    address = page.locator("#status .os-code").first.inner_text().strip()
    phone.go(address)
    expect(phone.page.get_by_role("heading", name="Connecting Offstreet to Passport")).to_be_visible()
    assert "TEST123" not in phone.page.content()
    assert "AAA111" not in phone.page.content()
    looked_at(phone, "11-status-phone")

    watched.go(f"{stack.web_url}/c/university/setup/diagnostics/?symptom=plate")
    expect(page.get_by_text("Findings")).to_be_visible(timeout=30_000)
    looked_at(watched, "12-diagnostics")

    # Each page once more, dark and on a phone, and support's list.
    night = open_page(scheme="dark", width=390, height=800)
    sign_in(night.page, stack)
    for name, path in (
        ("setup", "setup/"), ("test", "setup/tests/1/"), ("another", "setup/another/"),
        ("diagnostics", "setup/diagnostics/"),
    ):  # fmt: skip
        night.go(f"{stack.web_url}/c/university/{path}")
        looked_at(night, f"dark-phone-{name}")
    stack.run(make_company, name="Lakeshore", slug="lakeshore")
    support = open_page(scheme="dark")
    sign_in(support.page, stack, "support@offstreet.example")
    support.go(f"{stack.web_url}/setups/")
    expect(support.page.get_by_role("link", name="Lakeshore")).to_be_visible()
    looked_at(support, "dark-setups")
    support.go(f"{stack.web_url}/c/university/setup/")
    looked_at(support, "dark-setup")
