"""An outage as people experience it: calm, amber, red with an email, and over with another email; and the age of the proof.

Passport answers 503 for a while. The test doesn't wait for minutes to pass: it moves the stored times back
(`tests.browser.outage_scene`), and the worker, the pages and the watch for alarms do the rest.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import outage_scene
from tests.browser.face import HEIGHT_PX, Watched
from tests.browser.staging import seeded_stack, wait_until_delivered
from tests.servers import Stack, eventually

pytestmark = pytest.mark.timeout(280, func_only=True)

PASSWORD = "demo-passport"
# The page refreshes every three seconds, the watch every fifteen.
SOON_MS = 45_000


@pytest.fixture
def stack() -> Iterator[Stack]:
    with seeded_stack() as running:
        running.run(outage_scene.calm)
        wait_until_delivered(running)
        yield running


def mails(stack: Stack) -> list[str]:
    found = stack.query(
        "SELECT kind, subject, \"to\" FROM integrations_mail WHERE kind LIKE 'alarm%' ORDER BY id"
    )
    return [f"{row['kind']} to {row['to']}: {row['subject']}" for row in found]


def look(watched: Watched, name: str) -> None:
    """Keep screenshots of the page in both widths and colour schemes, and check it like every page."""
    for scheme in ("light", "dark"):
        for width in HEIGHT_PX:
            watched.show(scheme, width)
            watched.check_width()
            watched.shot(f"outage-{name}-{scheme}-{width}")
            watched.check_contrast()
    watched.show("light", 1440)


def sign_in(page: Page, stack: Stack, email: str) -> None:
    page.goto(f"{stack.web_url}/accounts/login/")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)


def test_an_outage_turns_amber_then_red_and_is_over(stack: Stack, open_page: Callable[..., Watched]) -> None:
    watched = open_page()
    page = watched.page
    sign_in(page, stack, "operator@university.example")
    page.goto(f"{stack.web_url}/c/university/")
    answer = page.locator(".os-answer").first
    # Green, once the first comparison has proved what officers see.
    expect(answer).to_contain_text("Enforcement sees everything", timeout=90_000)
    expect(answer).to_contain_text(re.compile(r"Compared with OpsMan .* ago\."))
    expect(answer).to_have_class(re.compile("success"))
    look(watched, "green")

    stack.sandbox.add_fault("5xx", status=503)
    [row] = stack.query(
        "SELECT p.id, p.plate_typed FROM locations_permit p JOIN integrations_registration r ON r.permit_id = p.id"
        " WHERE r.state = 'done' AND p.status = 'active' AND r.observed_until > datetime('now', '+1 day')"
        " AND p.start < datetime('now') AND NOT p.is_test ORDER BY p.id LIMIT 1"
    )
    page.goto(f"{stack.web_url}/c/university/permits/{row['id']}/")
    page.get_by_role("link", name="Cancel permit").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel permit").click()
    page.goto(f"{stack.web_url}/c/university/")
    still = f"{row['plate_typed']} was ended here and officers may still see it."
    expect(answer).to_contain_text(still, timeout=SOON_MS)

    stack.run(outage_scene.wait, 6)
    expect(answer).to_contain_text("Passport has not answered for 6 min.", timeout=SOON_MS)
    expect(answer).to_contain_text(f"1 change is waiting: {still}")
    expect(answer).to_have_class(re.compile("warning"))
    assert mails(stack) == []
    look(watched, "amber")

    stack.run(outage_scene.wait, 5)
    expect(answer).to_contain_text("Passport has not answered for 11 min.", timeout=SOON_MS)
    expect(answer).to_have_class(re.compile("danger"))
    eventually(lambda: mails(stack), timeout_s=60, what="the alarm to be mailed")
    told = mails(stack)
    assert (
        "alarm to operator@university.example: University: Passport has not answered for 11 min." in told[0]
    )
    look(watched, "red")

    support = open_page()
    sign_in(support.page, stack, "support@offstreet.example")
    support.page.goto(f"{stack.web_url}/companies/")
    expect(support.page.locator(".os-answer").first).to_contain_text("Passport has not answered for 11 min.")
    expect(support.page.locator("tbody tr").first).to_contain_text("no answer")
    look(support, "companies-red")

    stack.sandbox.clear_faults()
    expect(answer).to_contain_text("Enforcement sees everything", timeout=60_000)
    expect(answer).to_have_class(re.compile("success"))
    eventually(lambda: len(mails(stack)) == 2 * len(told), timeout_s=60, what="its end to be mailed")
    assert mails(stack)[: len(told)] == told
    assert all(line.startswith("alarm_over to ") for line in mails(stack)[len(told) :])
    look(watched, "over")
    watched.check()
