"""Every page in every state, as a table that the tests of all pages go through.

A state is a row; an address that is in no row and not among the `ACTIONS` fails `test_every_page.py`, so that no page is
missed.
"""

from dataclasses import dataclass

from tests.browser.acts import (
    Act,
    ask_validity,
    choose_all,
    choose_rows,
    open_dropdown,
    open_menu,
    search_for,
    search_zones,
    send_empty,
    send_nothing,
    send_without_token,
    type_look_alike,
)
from tests.browser.scene import EMPTY, ODD, SEEDED


@dataclass(frozen=True)
class State:
    """One page in one state: an address, who opens it, and what to do there first."""

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
        """Return the query as it is in the address; `{check university}` in it is replaced by an id of the scene."""
        return f"?{self.query.format_map(ids)}" if self.query else ""


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
    State("search", "search", act=search_for("Lot 10"), shows="Locations"),
    State("search of support", "search", who="support", act=search_for("STILL01"), shows="Permits"),
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
    State("a zone to be taken away", "location_map", (SEEDED, "location"), who="operator", query="confirm="),
    State("a move to be confirmed", "location_map", (SEEDED, "location"), who="operator", query="confirm={zone}"),
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
    State("a change that waits", "held_change", (ODD, "held change")),
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
    State("reinstate a permit", "permit_reinstate", (SEEDED, "permit cancelled")),
    State("is it valid?", "validity", CAMPUS),
    State("is it valid? errors", "validity", CAMPUS, act=send_empty, status=422),
    State("is it valid? no", "validity", CAMPUS, act=ask_validity("NOTHERE", "Rec Garage")),
    State("is it valid? shown all the same", "validity", ODDITY, act=ask_validity("STILL01", "Lot 10")),
    State("is it valid? look-alike", "validity", ODDITY, act=ask_validity("BOILER8", "Lot 10")),
    # Comparison with enforcement
    State("comparison", "comparison", (SEEDED, "connection")),
    State("comparison, with drift", "comparison", (ODD, "odd connection"), who="support"),
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
    State("refused, the reason is used up", "refused", CAMPUS, query="reason=nothing-like-it", shows="any longer"),
    State("what people did", "activity_people", CAMPUS),
    State("what people did, nothing", "activity_people", BARE),
    State("security log", "security_log", CAMPUS, shows="became a member"),
    State("security log, one group", "security_log", CAMPUS, query="kind=failed"),
    State("security log of all companies", "security_log_all", who="support", shows="account created"),
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
    # Set-up, tests, diagnostics
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
    State("another operator ID", "setup_change_operator_id", ("lakeshore-city", "connection testing"), who="support"),
    State("another operator ID, was live", "setup_change_operator_id", (SEEDED, "connection"), who="support"),
    State(
        "another operator ID, errors", "setup_change_operator_id", ("lakeshore-city", "connection testing"),
        who="support", act=send_empty, status=422,
    ),
    State("end an integration", "setup_end", (SEEDED, "connection"), who="support"),
    State("end an integration, errors", "setup_end", ("lakeshore-city", "connection testing"), who="support",
          act=send_empty, status=422),
    State("set-up anew", "setup_anew", ("lakeshore-city", "connection testing"), who="support"),
    State("set-up, paused", "setup", ("step-paused",)),
    State("set-up, another site", "setup_another", CAMPUS),
    State("set-up, another site, errors", "setup_another", CAMPUS, act=send_empty, status=422),
    *(
        State(f"a test plate: {stage}", "test_plate", (ODD, f"test {stage}"))
        for stage in (
            "waiting", "accepted", "asked", "elsewhere", "link ended", "answered yes", "answered no", "withdrawn",
        )
    ),
    State("diagnostics", "diagnostics", CAMPUS, query="check={check university}"),
    State("diagnostics with findings", "diagnostics", ODDITY, query="check={check odd-places}&symptom=plate"),
    State("diagnostics of an empty company", "diagnostics", BARE, query="check={check empty-lots}"),
    State("diagnostics, asked too often", "diagnostics", CAMPUS, query="limited=1"),
    # People without an account
    State("confirm a test plate", "test_answer", ("link asked",), who=""),
    State("confirm: no answer chosen", "test_answer", ("link asked",), who="", act=send_nothing, status=422),
    State("confirm: answered", "test_answer", ("link answered yes",), who=""),
    State("confirm: withdrawn", "test_answer", ("link withdrawn",), who="", status=410),
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
    # The demo's mailbox
    State("the demo's emails", "demo_mails", who=""),
    State("an email of the demo", "demo_mail", ("demo mail",), who=""),
    # The components
    State("style guide", "styleguide", who="support"),
)  # fmt: skip
# Addresses that are not pages: what is sent to them is tested in the stories and in the access table.
ACTIONS = frozenset({
    "locations_map", "suggestions_accept", "zone_options", "zone_hint", "mapping_undo", "zones_refresh",
    "zone_refresh_decide", "permit_hints", "held_change_decide", "compare_now", "diagnostics_moved",
    "permit_states", "permits_reinstate", "permit_check", "permit_held", "retry", "invite",
    "invitation_withdraw",    "member_change", "contact_remove", "setup_begin_request", "setup_begin_operator_id",
    "setup_request", "setup_contact", "setup_operator_id", "setup_confirm_operator", "setup_recheck", "setup_set_up",
    "setup_withdraw", "setup_rename",
    "setup_test", "setup_check_plates", "setup_live", "setup_pause", "setup_resume", "status_link_make", "status_link_renew",
    "status_link_revoke", "test_plate_answer", "test_plate_ask", "test_plate_withdraw", "notice_dismiss",
    "support_notice_dismiss", "permits_search", "activity_people_search", "activity_people_csv",
    "healthz", "security_log_csv", "security_log_all_csv", "styleguide_part", "styleguide_zones",
})  # fmt: skip
# Pages of a second factor that is switched on: `tests/browser/test_account_pages.py` goes through them. The others redirect
# until there is something to do there (a password that was never set, a code that was never sent).
ELSEWHERE = frozenset({
    "mfa_authenticate", "mfa_reauthenticate", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "account_set_password", "account_confirm_login_code",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_reauthenticate_webauthn",
})  # fmt: skip
