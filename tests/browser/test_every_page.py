"""Every page in every state, light and dark, on a desk and on a phone: what no page may get wrong.

Each look holds the page to the same list (`hold`): the status it should have, no violation of the policy, nothing in the
console, nothing that axe finds, nothing too small to hit, no sideways scroll, one main heading, and no code word in what
people read. A state is a row of a table below; an address that is in no row and not among the `ACTIONS` fails the run, so
that no page is forgotten.

A page is opened once and looked at four times: all of the list in the light on a desk and in the dark on a phone, and what
depends on colours in the other two. That is what opening it four times would show, since styles alone tell the looks
apart: no script of ours asks for the width. What is done on a page first is done at both widths.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Page, expect

from tests.browser.face import Scheme, Watched
from tests.browser.scene import EMPTY, ODD, SEEDED
from tests.browser.staging import Stage
from tests.servers import eventually

# The stage is set up once and takes longer than any look.
pytestmark = pytest.mark.timeout(120, func_only=True)

Act = Callable[[Page], None]
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", 1440), ("dark", 390))
OTHER: dict[Scheme, Scheme] = {"light": "dark", "dark": "light"}
# Words that a template or a value without words leaves behind, and the code names of states. A page that shows the vendor's
# own document says so in its row.
CODE_WORDS = re.compile(
    r"\bNone\b(?! of | yet| is | was |[.:])|\bTrue\b|\bFalse\b|\bnan\b|&[a-z]+;|\{\{|\{%|%\([a-z]+\)"
    r"|<lambda>|<built-in|\bobject at 0x|\bhttp_\d+|\b[a-z]+_[a-z_]+\b"
)


@dataclass(frozen=True)
class State:
    """One page in one state: an address, who looks, and what to do there first."""

    title: str
    name: str
    args: tuple[str, ...] = ()
    who: str = "manager"
    query: str = ""
    act: Act | None = None
    status: int = 200
    shows: str = ""
    raw: bool = False

    def query_with(self, ids: dict[str, int]) -> str:
        """Return the query as it stands in the address; `{check university}` in it stands for an id of the scene."""
        return f"?{self.query.format_map(ids)}" if self.query else ""


# --- What to do on a page first -------------------------------------------------------------------------------------


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
    """Type a plate that another car's look-alike has already."""
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
    """Open what a page keeps folded: menus and help."""
    page.locator("summary:visible").evaluate_all(
        "(all) => all.forEach((one) => { one.parentElement.open = true; })"
    )


# --- The pages --------------------------------------------------------------------------------------------------------

CAMPUS, ODDITY, BARE = (SEEDED,), (ODD,), (EMPTY,)
STATES: tuple[State, ...] = (
    # Overview and support's lists
    State("overview", "overview", CAMPUS),
    State("overview of 30 days", "overview", CAMPUS, query="span=30d"),
    State("overview with trouble", "overview", ODDITY),
    State("overview of an empty company", "overview", BARE),
    State("overview of a viewer", "overview", CAMPUS, who="viewer"),
    State("overview while it is tested", "overview", ("lakeshore-city",), who="support"),
    State("overview while it is paused", "overview", ("step-paused",)),
    State("companies", "companies", who="support"),
    State("companies, none found", "companies", who="support", query="q=nowhere"),
    State("companies for others", "companies", who="manager", status=404),
    State("add a company", "company_add", who="support"),
    State("add a company, errors", "company_add", who="support", act=send_empty, status=422),
    State("set-ups", "setups", who="support"),
    State("set-ups, none found", "setups", who="support", query="q=nowhere"),
    State("choice of companies", "home"),
    State("no company yet", "home", who="nobody"),
    # Locations and zones
    State("locations", "locations", CAMPUS),
    State("locations, folded parts open", "locations", CAMPUS, act=open_menu),
    State("locations, dropdown open", "locations", CAMPUS, act=open_dropdown),
    State("locations, dropdown searched", "locations", CAMPUS, act=search_zones),
    State("locations with a missing zone", "locations", ODDITY),
    State("locations, sorted", "locations", CAMPUS, query="sort=-current"),
    State("locations, none yet", "locations", BARE),
    State("locations, none found", "locations", CAMPUS, query="q=nowhere"),
    State("locations of a viewer", "locations", CAMPUS, who="viewer"),
    State("one location's zone", "location_map", (SEEDED, "location"), who="operator"),
    State("add a location", "location_add", CAMPUS),
    State("add a location, errors", "location_add", CAMPUS, act=send_empty, status=422),
    State("a location", "location_change", (SEEDED, "location")),
    State("a location for a viewer", "location_change", (SEEDED, "location"), who="viewer"),
    State("zones", "zones", CAMPUS),
    State("zones, some missing", "zones", ODDITY),
    State("zones, none yet", "zones", BARE),
    State("zones, none found", "zones", CAMPUS, query="q=nowhere"),
    State("a zone", "zone", (SEEDED, "zone"), raw=True),
    State("a missing zone", "zone", (ODD, "zone missing"), raw=True),
    State("refreshes", "zone_refreshes", ODDITY),
    State("refreshes, none yet", "zone_refreshes", BARE),
    State("a refresh", "zone_refresh", (SEEDED, "refresh done")),
    State("a refresh that lost a zone", "zone_refresh", (ODD, "refresh gone")),
    State("a held refresh", "zone_refresh", (ODD, "refresh held")),
    State("a held refresh for support", "zone_refresh", (ODD, "refresh held"), who="support"),
    State("a failed refresh", "zone_refresh", (ODD, "refresh failed")),
    State("a running refresh", "zone_refresh", (ODD, "refresh running")),
    # Permits
    State("permits", "permits", CAMPUS),
    State("permits, filtered", "permits", CAMPUS, query="when=current"),
    State("permits, all that match to be cancelled", "permits", CAMPUS, query="when=current", act=choose_all),
    State("permits, none found", "permits", CAMPUS, query="q=ZZZZZZZ"),
    State("permits, none yet", "permits", BARE),
    State("permits that wait", "permits", ODDITY),
    State("permits of a viewer", "permits", CAMPUS, who="viewer"),
    State("cancel several, preview", "permits", CAMPUS, act=choose_rows),
    State("register a permit", "permit_add", CAMPUS),
    State("register a permit, errors", "permit_add", CAMPUS, act=send_empty, status=422),
    State("register a permit, look-alike", "permit_add", ODDITY, act=type_look_alike),
    State("register a permit, no location", "permit_add", BARE),
    *(
        State(f"a permit: {name}", "permit", (SEEDED, f"permit {name}"))
        for name in ("accepted", "coming", "refused", "cancelled", "ended", "no zone")
    ),
    State("a permit: waiting", "permit", (ODD, "permit WAIT001")),
    State("a permit: tried again", "permit", (ODD, "permit RETRY01")),
    State("a permit: being withdrawn", "permit", (ODD, "permit GONE001")),
    State("a permit: drift", "permit", (ODD, "permit DRIFT01")),
    State("a permit for a viewer", "permit", (SEEDED, "permit accepted"), who="viewer"),
    State("a permit, folded parts open", "permit", (SEEDED, "permit accepted"), act=open_menu),
    State("change a permit", "permit_change", (SEEDED, "permit accepted")),
    State("change a permit, errors", "permit_change", (SEEDED, "permit accepted"), act=send_empty, status=422),
    State("cancel a permit", "permit_cancel", (SEEDED, "permit accepted")),
    State("is it valid?", "validity", CAMPUS),
    State("is it valid? errors", "validity", CAMPUS, act=send_empty, status=422),
    State("is it valid? no", "validity", CAMPUS, act=ask_validity("NOTHERE", "Rec Garage")),
    State("is it valid? shown all the same", "validity", ODDITY, act=ask_validity("STILL01", "Lot 10")),
    State("is it valid? look-alike", "validity", ODDITY, act=ask_validity("BOILER8", "Lot 10")),
    # Activity
    State("activity", "activity", CAMPUS),
    State("activity, trouble", "activity", ODDITY),
    State("activity, none yet", "activity", BARE),
    State("activity, filtered", "activity", CAMPUS, query="outcome=trouble&span=24h"),
    State("activity, found by its trace id", "activity", ODDITY, query="trace=trace-o"),
    State("a push", "push", (SEEDED, "push accepted")),
    State("a push refused", "push", (SEEDED, "push refused")),
    State("a push not reached", "push", (ODD, "push not reached")),
    State("refused", "refused", CAMPUS),
    State("refused, nothing", "refused", BARE),
    State("refused, the reason is used up", "refused", CAMPUS, query="reason=nothing-like-it", shows="any more"),
    State("what people did", "activity_people", CAMPUS),
    State("what people did, nothing", "activity_people", BARE),
    State("security log", "security_log", CAMPUS, shows="became a member"),
    State("security log, one group", "security_log", CAMPUS, query="kind=failed"),
    State("security log of all companies", "security_log_all", who="support", shows="account made"),
    # Settings
    State("members", "settings", ODDITY),
    State("remove a member", "member_remove", (ODD, "member")),
    State("members for a viewer", "settings", CAMPUS, who="viewer"),
    State("members, invitation with errors", "settings", CAMPUS, act=send_empty, status=422),
    State("notifications", "notifications", CAMPUS),
    State("notifications of a viewer", "notifications", CAMPUS, who="viewer"),
    State(
        "notifications, nobody gets alarms", "notifications", ("step-asked",), shows="No one here gets alarms."
    ),
    State("notifications for support, no member", "notifications", BARE, who="support"),
    State("notifications of support", "support_notifications", who="support"),
    State("contacts", "contacts", CAMPUS),
    State("contacts, none yet", "contacts", BARE),
    State("contacts, errors", "contacts", BARE, act=send_empty, status=422),
    State("a company's details", "settings_company", CAMPUS),
    State("a company's details, errors", "settings_company", CAMPUS, act=send_empty, status=422),
    # Set-up, tests, doctor
    State("set-up, first use", "setup", BARE),
    State("set-up, first use by a viewer", "setup", CAMPUS, who="viewer"),
    State("set-up, asked", "setup", ("step-asked",)),
    State("set-up, account manager unknown", "setup", ("step-unknown",)),
    State("set-up, account manager unknown, support", "setup", ("step-unknown",), who="support"),
    State("set-up, operator ID tried", "setup", ("step-id-tried",)),
    State("set-up, zones to map", "setup_connection", ("harbor-properties", "connection set up"), who="support"),
    State("set-up, to be tested", "setup_connection", ("lakeshore-city", "connection testing"), who="support"),
    State("set-up, live", "setup_connection", (SEEDED, "connection")),
    State("set-up, live and tested", "setup", ODDITY),
    State("set-up, paused", "setup", ("step-paused",)),
    State("set-up, another site", "setup_another", CAMPUS),
    State("set-up, another site, errors", "setup_another", CAMPUS, act=send_empty, status=422),
    *(
        State(f"a test plate: {stage}", "test_plate", (ODD, f"test {stage}"))
        for stage in (
            "waiting", "accepted", "asked", "elsewhere", "link ended", "answered yes", "answered no", "taken back",
        )
    ),
    State("doctor", "doctor", CAMPUS, query="check={check university}"),
    State("doctor with findings", "doctor", ODDITY, query="check={check odd-places}&symptom=plate"),
    State("doctor of an empty company", "doctor", BARE, query="check={check empty-lots}"),
    State("doctor, asked too often", "doctor", CAMPUS, query="limited=1"),
    # People without a log-in
    State("confirm a test plate", "test_answer", ("link asked",), who=""),
    State("confirm: no answer chosen", "test_answer", ("link asked",), who="", act=send_nothing, status=422),
    State("confirm: answered", "test_answer", ("link answered yes",), who=""),
    State("confirm: taken back", "test_answer", ("link taken back",), who="", status=410),
    State("confirm: ended", "test_answer", ("link link ended",), who="", status=410),
    State("confirm: a newer link", "test_answer", ("link superseded",), who="", status=410),
    State("confirm: not a link", "test_answer", ("nonsense",), who="", status=404),
    State("status page", "status_page", ("status",), who=""),
    State("status page, ended", "status_page", ("status ended",), who="", status=404),
    State("invitation, a new person", "invitation", ("invitation new",), who=""),
    State("invitation, errors", "invitation", ("invitation new",), who="", act=send_empty, status=422),
    State("invitation, has an account", "invitation", ("invitation known",), who=""),
    State("invitation, signed in", "invitation", ("invitation known",), who="nobody"),
    State("invitation, for somebody else", "invitation", ("invitation new",), who="nobody"),
    State("invitation, withdrawn", "invitation", ("invitation withdrawn",), who="", status=410),
    State("invitation, not a link", "invitation", ("nonsense",), who="", status=404),
    # A person's own pages
    State("sign in", "account_login", who=""),
    State("sign in, errors", "account_login", who="", act=send_empty, status=200),
    State("sign-up is closed", "account_signup", who=""),
    State("password forgotten", "account_reset_password", who=""),
    State("password forgotten, sent", "account_reset_password_done", who=""),
    State("a used link to a password", "account_reset_password_from_key", ("1", "set-password"), who=""),
    State("password set", "account_reset_password_from_key_done", who=""),
    State("account ended", "account_inactive", who=""),
    State("verify the address", "account_email_verification_sent", who=""),
    State("a used link to verify", "account_confirm_email", ("nonsense",), who=""),
    State("password", "account_change_password"),
    State("password, errors", "account_change_password", act=send_empty),
    State("email address", "account_email"),
    State("sign out", "account_logout"),
    State("is it still you?", "account_reauthenticate"),
    State("two steps", "mfa_index"),
    State("two steps, turn on", "mfa_activate_totp"),
    State("passkeys", "mfa_list_webauthn"),
    State("sessions", "usersessions_list"),
    # Errors
    State("403", "setup_another", CAMPUS, who="viewer", status=403),
    State("403, without the form's token", "account_login", who="", act=send_without_token, status=403),
    State("404", "overview", ("nowhere",), status=404),
    State("405", "permits_cancel", CAMPUS, status=405),
    State("404 for a stranger to the company", "overview", CAMPUS, who="nobody", status=404),
    # The components
    State("style guide", "styleguide", who="support"),
)  # fmt: skip

# Addresses that are no pages: what is sent to them is tried in the stories and in the access table.
ACTIONS = frozenset({
    "locations_map", "suggestions_accept", "zone_options", "zones_refresh", "zone_refresh_decide", "permit_hints",
    "permit_states", "permits_reinstate", "permit_reinstate", "permit_check", "permit_held", "retry", "invite",
    "invitation_withdraw",    "member_change", "contact_remove", "setup_begin_request", "setup_begin_operator_id",
    "setup_request", "setup_contact", "setup_operator_id", "setup_confirm_operator", "setup_recheck", "setup_set_up",
    "setup_test", "setup_check_plates", "setup_live", "setup_pause", "setup_resume", "status_link_make", "status_link_renew",
    "status_link_revoke", "test_plate_answer", "test_plate_ask", "test_plate_withdraw", "notice_dismiss",
    "support_notice_dismiss", "permits_search",
    "healthz", "security_log_csv", "security_log_all_csv", "styleguide_part", "styleguide_zones",
})  # fmt: skip
# Pages of a second factor that is on: `tests/browser/test_account_pages.py` goes through them. The others lead elsewhere
# until there is something to do there (a password that was never set, a code that was never sent).
ELSEWHERE = frozenset({
    "mfa_authenticate", "mfa_reauthenticate", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "account_set_password", "account_confirm_login_code",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_reauthenticate_webauthn",
})  # fmt: skip


# --- Looking ----------------------------------------------------------------------------------------------------------


_AT_REST = "document.readyState === 'complete' && !document.querySelector('.htmx-request')"


def rest(page: Page) -> None:
    """Wait until a page has asked for all that it asks for by itself."""
    # Looked at from outside: `wait_for_function` needs the `eval` that the policy forbids.
    eventually(lambda: page.evaluate(_AT_REST), timeout_s=10, what="the page to rest")


# What people read. Evidence to be quoted to the vendor (trace ids, error codes) is set apart as code, and stays what it is.
_WORDS = """() => {
  const codes = [...document.querySelectorAll('.os-code, code, pre')].map((one) => [one, one.style.display]);
  codes.forEach(([one]) => { one.style.display = 'none'; });
  const text = document.body.innerText;
  codes.forEach(([one, display]) => { one.style.display = display; });
  return text;
}"""


def hold(watched: Watched, *, raw: bool = False, admin_page: bool = False) -> None:
    """Hold the page as it is shown now to what every page must keep to."""
    page = watched.page
    watched.check()
    assert page.locator("h1").count() == 1, f"headings: {page.locator('h1').all_inner_texts()}"
    assert page.title().strip(), "the page has no title"
    text = page.evaluate(_WORDS)
    found = sorted({match.group() for match in CODE_WORDS.finditer(text)} if not raw else set())
    assert found == [], f"code words are shown: {found}"
    watched.check_targets()
    if not admin_page:
        watched.check_cut()
    watched.check_axe()


def openings() -> Iterator[Any]:
    """Return each state with the looks for which it is opened once: all of them, or one where something is done first."""
    for state in STATES:
        for looks in [(look,) for look in LOOKS] if state.act else [LOOKS]:
            name = "-".join(str(part) for look in looks for part in look)
            yield pytest.param(state, looks, id=f"{state.title}-{name}")


@pytest.mark.parametrize(("state", "looks"), list(openings()))
def test_every_page_keeps_to_the_rules(
    stage: Stage, state: State, looks: tuple[tuple[Scheme, int], ...]
) -> None:
    watched = stage.person(state.who, *looks[0])
    try:
        look(watched, state, stage.url(state.name, *state.args) + state.query_with(stage.ids))
        for scheme, width in looks:
            watched.show(scheme, width)
            watched.shot(f"page-{state.title}-{scheme}-{width}")
            hold(watched, raw=state.raw)
            watched.show(OTHER[scheme], width)
            watched.check()
            watched.check_contrast()
    finally:
        watched.page.close()


def look(watched: Watched, state: State, url: str) -> None:
    """Open a page and bring it into its state; the last document's status is the one that was meant."""
    watched.page.goto(url)
    rest(watched.page)
    if state.act is not None:
        state.act(watched.page)
        rest(watched.page)
    if state.shows:
        expect(watched.page.get_by_text(state.shows).first).to_be_visible()
    documents = [
        one for one in watched.responses if one.request.resource_type in ("document", "xhr", "fetch")
    ]
    statuses = [one.status for one in documents]
    assert state.status in statuses, f"{url} answered {statuses}, and {state.status} was meant"
    if state.status >= 400:
        # The browser notes such an answer as an error by itself.
        meant = f"the server responded with a status of {state.status}"
        watched.errors[:] = [error for error in watched.errors if meant not in error]


# --- Support's admin ------------------------------------------------------------------------------------------------


MODELS = sorted(model._meta.label_lower for model in admin.site._registry)


@pytest.mark.parametrize("label", MODELS)
def test_every_list_and_form_of_the_admin_keeps_to_the_rules(stage: Stage, label: str) -> None:
    """Lists and forms on a desk; the names of fields are theirs, so code words are let pass."""
    watched = stage.person("support", "dark" if MODELS.index(label) % 2 else "light", 1440)
    app, model = label.split(".")
    try:
        watched.page.goto(stage.url(f"admin:{app}_{model}_changelist"))
        rest(watched.page)
        hold(watched, raw=True, admin_page=True)
        first = watched.page.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            rest(watched.page)
            hold(watched, raw=True, admin_page=True)
            history = watched.page.get_by_role("link", name="History", exact=True)
            if history.count():
                history.first.click()
                rest(watched.page)
                hold(watched, raw=True, admin_page=True)
    finally:
        watched.shot(f"admin-{model}")
        watched.page.close()


# --- On paper --------------------------------------------------------------------------------------------------------

# A letter's width without its margins, at 96 dots an inch.
PAPER_PX = 695
_CUT = """
() => [...document.querySelectorAll('main *')]
  .filter((one) => one.checkVisibility() && one.getClientRects().length)
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > one.clientWidth + 1)
  .filter((one) => getComputedStyle(one).overflowX !== 'visible' || one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize(
    ("name", "args", "act", "needed"),
    [
        ("permit", (ODD, "permit DRIFT01"), None, ("Proof of delivery", "trace-DRIFT01", "Registration", "printed")),
        ("validity", ODDITY, ask_validity("STILL01", "Lot 10"), ("officers may still see it", "trace-STILL01", "Why")),
    ],
    ids=["permit", "validity"],
)  # fmt: skip
def test_a_proof_prints_whole_and_without_what_is_for_the_screen(
    stage: Stage, name: str, args: tuple[str, ...], act: Act | None, needed: tuple[str, ...]
) -> None:
    watched = stage.person("manager", "dark")
    page = watched.page
    page.goto(stage.url(name, *args))
    if act is not None:
        act(page)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER_PX, "height": 900})
    for words in needed:
        expect(page.get_by_text(words).first).to_be_visible()
    for part in (".os-side", ".os-top", ".os-help", "main button", "main form"):
        assert not any(one.is_visible() for one in page.locator(part).all()), f"{part} is printed"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(_CUT) == []
    watched.shot(f"paper-{name}")
    page.close()


# --- The keyboard ---------------------------------------------------------------------------------------------------


def test_on_a_phone_the_open_tab_is_in_view_and_the_keyboard_begins_at_the_top(stage: Stage) -> None:
    watched = stage.person("manager", width=390)
    page = watched.page
    page.goto(stage.url("usersessions_list"))
    rest(page)
    row, tab = page.locator(".os-tabs"), page.locator(".os-tabs [aria-current]")
    around, inside = row.bounding_box(), tab.bounding_box()
    assert around is not None
    assert inside is not None
    assert row.evaluate("(row) => row.scrollWidth > row.clientWidth")
    assert around["x"] <= inside["x"]
    assert inside["x"] + inside["width"] <= around["x"] + around["width"] + 1
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.close()


# Every page once, in the first of its states. The style guide is for those who build pages.
MAIN_PAGES = {
    state.name: state
    for state in reversed(STATES)
    if state.act is None and state.status == 200 and state.name != "styleguide"
}


@pytest.mark.parametrize("state", MAIN_PAGES.values(), ids=lambda state: state.title)
def test_the_keyboard_reaches_all_there_is_and_shows_where_it_is(stage: Stage, state: State) -> None:
    watched = stage.person(state.who)
    page = watched.page
    page.goto(stage.url(state.name, *state.args))
    rest(page)
    wanted = page.evaluate(_NUMBER_ALL)
    reached: set[int] = set()
    # Parts of a date and an open dropdown take a Tab of their own.
    for _ in range(3 * wanted + 30):
        if len(reached) == wanted:
            break
        page.keyboard.press("Tab")
        number, is_shown = page.evaluate(_WHERE)
        if number >= 0:
            reached.add(number)
            assert is_shown, (
                f"the focus does not show on {page.evaluate('document.activeElement.outerHTML')[:200]}"
            )
    missed = page.evaluate(
        "(reached) => [...document.querySelectorAll('[data-tab-number]')]"
        ".filter((one) => !reached.includes(Number(one.dataset.tabNumber)))"
        ".map((one) => one.outerHTML.slice(0, 120))",
        sorted(reached),
    )
    page.close()
    assert missed == [], f"Tab does not reach: {missed}"


# Numbers everything that can be pressed and is shown; of a group of radio buttons only one is on the way.
_NUMBER_ALL = """() => {
  const shown = (one) => one.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})
    && !one.disabled && one.tabIndex >= 0 && !one.closest('[inert]');
  const groups = new Set();
  const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
    .filter(shown).filter((one) => {
      if (one.type !== 'radio') return true;
      if (groups.has(one.name)) return false;
      groups.add(one.name);
      return true;
    });
  all.forEach((one, number) => { one.dataset.tabNumber = number; });
  return all.length;
}"""
# The number of what has the focus, and whether an outline, a shadow or a border shows it.
_WHERE = """() => {
  const one = document.activeElement;
  const number = Number(one.dataset.tabNumber ?? -1);
  const holders = [one, one.closest('.ts-control'), one.closest('.ts-wrapper'), one.nextElementSibling].filter(Boolean);
  // The calendar's button inside a date field has a ring of the browser's own, which no style tells of.
  const isInside = one.type === 'datetime-local' && !one.matches(':focus-visible');
  const shows = isInside || holders.some((holder) => {
    const style = getComputedStyle(holder);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  });
  return [number, shows];
}"""


# --- Nothing is forgotten -------------------------------------------------------------------------------------------


def names(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """Return the names of all addresses but the admin's, which are those of its models."""
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from names(one.url_patterns, route)
        elif not route.startswith("admin/"):
            yield one.name or route


def test_every_address_is_looked_at_or_listed_as_an_action() -> None:
    looked_at = {state.name for state in STATES}
    found = set(names(get_resolver().url_patterns))
    assert found == looked_at | ACTIONS | ELSEWHERE
    assert not looked_at & (ACTIONS | ELSEWHERE)


def test_no_two_states_have_one_title() -> None:
    titles: list[Any] = [state.title for state in STATES]
    assert len(set(titles)) == len(titles)
