"""The sandbox's two pages in a real browser: looking up plates, faults by hand, both colour schemes, phone and desktop."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.face import Watched
from tests.passport.sandbox_partner import NORTH_CAMPUS, UNIVERSITY, stamp
from tests.servers import Sandbox, sandbox_server

Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with sandbox_server() as running:
        yield running


@pytest.fixture
def parked(sandbox: Sandbox) -> Sandbox:
    """One vehicle that is parked now and has a second right that begins in two days."""
    sandbox.reset()
    today = datetime.now(UTC)
    for days in (0, 2):
        right = {
            "operator_id": UNIVERSITY,
            "zone_id": NORTH_CAMPUS,
            "start_time": stamp(today + timedelta(days=days, hours=-1)),
            "end_time": stamp(today + timedelta(days=days, hours=8)),
            "vehicle": {"vehicle_plate": "TEST123", "vehicle_state": "US-NC"},
        }
        sandbox.call("POST", "rights", right)
    return sandbox


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_officer_looks_up_a_plate(open_page: Open, parked: Sandbox, scheme: str, width: int) -> None:
    watched = open_page(scheme=scheme, width=width, javascript=True)
    page = watched.page
    watched.go(f"{parked.url}/")
    watched.check_axe()
    page.get_by_label("Plate").fill("test-1 23")
    page.get_by_label("Plate").press("Enter")
    expect(page.get_by_text("Valid session")).to_be_visible()
    expect(page.get_by_text("valid now")).to_have_count(1)
    expect(page.get_by_text("not valid yet")).to_have_count(1)
    expect(page.get_by_role("article").first).to_contain_text("Z123 · North Campus Garage")
    assert page.url == f"{parked.url}/", "a plate is not put into the address"
    watched.shot(f"sandbox-officer-{scheme}-{width}")
    watched.check()
    watched.check_axe()

    page.get_by_label("Plate").fill("NOBODY")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("No valid session")).to_be_visible()
    watched.check()
    watched.check_axe()

    page.get_by_label("Zone number").fill("lotb")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("alert")).to_contain_text("LotB and LOTB")
    watched.errors.clear()  # the browser notes the answer's status 400, which is meant
    watched.check()
    watched.check_axe()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_faults_are_switched_on_and_off(open_page: Open, parked: Sandbox, scheme: str, width: int) -> None:
    watched = open_page(scheme=scheme, width=width)
    page = watched.page
    watched.go(f"{parked.url}/faults")
    expect(page.get_by_text("No faults are switched on")).to_be_visible()
    page.get_by_label("What goes wrong").select_option(label="429: too many requests")
    page.get_by_label("Times").fill("3")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("3 more")).to_be_visible()
    watched.shot(f"sandbox-faults-{scheme}-{width}")
    watched.check()
    watched.check_axe()
    assert parked.state()["faults"][0]["kind"] == "429"

    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("No faults are switched on")).to_be_visible()
    page.get_by_role("button", name="Withdraw University").click()
    expect(page.get_by_text("not authorised", exact=False)).to_have_count(
        2
    )  # its badge, and the fault of that name
    assert not parked.state()["operators"][0]["authorised"]
    watched.check_axe()
