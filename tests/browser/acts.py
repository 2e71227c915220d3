"""What is done on a page before it is checked, and waiting until nothing on it changes."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.servers import eventually

Act = Callable[[Page], None]


def send_empty(page: Page) -> None:
    """Send the main form with what was typed taken out, past the browser's own checks."""
    form = page.locator("main form[method=post]").last
    form.evaluate(
        """(form) => {
          form.noValidate = true;
          form.querySelectorAll('input:not([type=hidden]):not([type=checkbox]):not([type=radio]), textarea')
            .forEach((field) => { field.value = ''; });
          form.requestSubmit(form.querySelector('[type=submit], button:not([type=button])'));
        }"""
    )
    expect(page.locator("[aria-invalid=true], [role=alert]").first).to_be_visible()


def send_nothing(page: Page) -> None:
    """Send a form whose buttons are its answers, without any of them."""
    page.locator("main form[method=post]").last.evaluate("(form) => form.submit()")
    expect(page.locator(".os-answer", has_text="Choose one of the two answers.")).to_be_visible()


def send_without_token(page: Page) -> None:
    """Send a form whose token is gone, as from a page that was left expired."""
    page.locator("main form[method=post] [name=csrfmiddlewaretoken]").evaluate(
        "(token) => { const form = token.form; token.remove(); form.submit(); }"
    )
    expect(page.get_by_role("heading", level=1)).to_contain_text("expired")


def open_dropdown(page: Page) -> None:
    """Open the first searching dropdown."""
    page.locator("main .ts-control input").first.click()
    expect(page.locator("[role=option]:visible").first).to_be_visible()


def search_zones(page: Page) -> None:
    """Search in a row's zone dropdown."""
    page.locator("main .ts-control input").first.click()
    page.keyboard.type("lot")
    expect(page.locator("[role=option]:visible").first).to_be_visible()


def type_look_alike(page: Page) -> None:
    """Type a plate that looks like that of another permit."""
    page.get_by_role("combobox", name="Location").click()
    page.get_by_role("option", name="Lot 10").click()
    page.get_by_role("textbox", name="Plate").press_sequentially("BOILER8")
    page.keyboard.press("Tab")
    expect(page.get_by_text("B0ILER8").first).to_be_visible()


def ask_validity(plate: str, place: str) -> Act:
    """Ask whether a plate is valid now."""

    def act(page: Page) -> None:
        page.get_by_role("textbox", name="Plate").fill(plate)
        page.get_by_role("combobox", name="Location").click()
        page.get_by_role("option", name=place, exact=True).click()
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.locator(".os-answer").first).to_be_visible()

    return act


def search_for(text: str) -> Act:
    """Type into the search, and wait for what it finds."""

    def act(page: Page) -> None:
        page.get_by_role("searchbox").press_sequentially(text)
        expect(page.locator("[data-search-result]").first).to_be_visible()

    return act


def choose_rows(page: Page) -> None:
    """Choose two rows of a list and ask for the preview of cancelling them."""
    boxes = page.locator("[data-check]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Cancel selected…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cancel")


def choose_all(page: Page) -> None:
    """Ask for the preview of cancelling all that a list's filters match."""
    page.get_by_role("button", name="Cancel all matching…").click()
    expect(page.get_by_role("heading", name="By location")).to_be_visible()


def open_menu(page: Page) -> None:
    """Open what a page keeps collapsed: menus and help."""
    page.locator("summary:visible").evaluate_all(
        "(all) => all.forEach((one) => { one.parentElement.open = true; })"
    )


_AT_REST = "document.readyState === 'complete' && !document.querySelector('.htmx-request')"


def rest(page: Page) -> None:
    """Wait until a page has made all the requests that it makes automatically."""
    # Checked from outside: `wait_for_function` needs the `eval` that the policy forbids.
    eventually(lambda: page.evaluate(_AT_REST), timeout_s=10, what="the page to rest")
