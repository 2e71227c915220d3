"""The life cycle of a connection, and the steps that are not allowed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import Connection, PermitSync, Ticket, ZoneMapping
from integrations.onboarding import connections
from tests.factories import (
    OPERATOR_ID,
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)

OTHER = "fd69c211-318f-56a5-836b-8e03dc8897ae"
pytestmark = pytest.mark.django_db


def connect(**values: object) -> Connection:
    return connections.connect(**{"company": CompanyFactory(), "operator_id": OPERATOR_ID, **values})  # type: ignore[arg-type]


# --- The operator id ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        OPERATOR_ID,
        OPERATOR_ID.upper(),
        f"  {OPERATOR_ID}\n",
        f"“{OPERATOR_ID}”",
        f"\u200b{OPERATOR_ID}",
        f"{{{OPERATOR_ID}}}",
        f"({OPERATOR_ID}).",
        f"[{OPERATOR_ID}]",
        f"<{OPERATOR_ID}>",
        f"urn:uuid:{OPERATOR_ID}",
        f"URN:UUID:{OPERATOR_ID.upper()}",
        OPERATOR_ID.replace("-", ""),
        OPERATOR_ID.replace("-", "‑"),
        f"{OPERATOR_ID}.",
        f"Operator ID: {OPERATOR_ID}",
        f"Operator ID:{OPERATOR_ID}, as asked",
        f"Your operator ID is {OPERATOR_ID}.\n\nBest regards",
        f"{OPERATOR_ID[:20]}\n{OPERATOR_ID[20:]}",
    ],
)
def test_an_operator_id_is_taken_in_any_case_and_with_what_is_copied_along(typed: str) -> None:
    assert connections.clean_operator_id("passport", typed) == OPERATOR_ID


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "university", OPERATOR_ID[:-1], OPERATOR_ID + "0", "0303"],
)
def test_what_is_no_uuid_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        connections.clean_operator_id("passport", typed)
    assert len(refusal.value.messages) == 1


# --- Connecting ---------------------------------------------------------------------------------------------------


def test_connecting_names_the_connection_by_the_convention() -> None:
    connection = connect(company=CompanyFactory(name="St. Mary’s University 2"))
    assert connection.name == "PASSPORTSTMARYSUNIVERSITY2"
    assert connection.operator_id == OPERATOR_ID
    assert connection.status == Connection.Status.SETUP
    assert connection.operator_id_at is not None


def test_two_companies_never_have_an_integration_of_one_name() -> None:
    names = [
        connections.open_connection(company=CompanyFactory(name=name)).name
        for name in ("UNI", "U.N.I.", "Uni", "UNI 2", "大学", "大學", "!!!", "???")
    ]
    assert names[:4] == ["PASSPORTUNI", "PASSPORTUNI2", "PASSPORTUNI3", "PASSPORTUNI22"]
    assert len(set(names)) == len(names)
    assert all(len(name) > len("PASSPORT") for name in names)
    # The sites of one company share the name, and their labels tell them apart.
    company = CompanyFactory(name="Uni.")
    main, site = (connections.open_connection(company=company, label=label) for label in ("", "North"))
    assert main.name == site.name == "PASSPORTUNI4"


@pytest.mark.parametrize(
    ("typed", "kept"), [("passport université", "PASSPORTUNIVERSITE"), (" PASSPORT-UNI ", "PASSPORTUNI")]
)
def test_an_integration_is_renamed_by_the_convention_until_it_is_set_up(typed: str, kept: str) -> None:
    connection = connections.open_connection(company=CompanyFactory(name="大学"))
    connections.rename(connection=connection, name=typed)
    assert Connection.objects.get(pk=connection.pk).name == kept
    Ticket.objects.create(
        company=connection.company, connection=connection, subject="x", opened_at=connection.created_at
    )
    with pytest.raises(ValidationError, match="already set up"):
        connections.rename(connection=connection, name="PASSPORTOTHER")
    assert Connection.objects.get(pk=connection.pk).name == kept


@pytest.mark.parametrize("typed", ["", "PASSPORT", "UNIVERSITY", "🜁", "PASSPORTTAKEN", "passport taken"])
def test_a_name_that_breaks_the_convention_or_is_taken_is_refused(typed: str) -> None:
    connections.open_connection(company=CompanyFactory(name="Taken"))
    connection = connections.open_connection(company=CompanyFactory(name="University"))
    with pytest.raises(ValidationError) as refusal:
        connections.rename(connection=connection, name=typed)
    assert "name" in refusal.value.message_dict
    assert Connection.objects.get(pk=connection.pk).name == "PASSPORTUNIVERSITY"


def test_connecting_again_changes_nothing() -> None:
    connection = connect()
    again = connect(company=connection.company, operator_id=OPERATOR_ID.upper())
    assert again == connection
    assert connection.history.count() == again.history.count()


def test_an_id_fills_the_connection_that_waits_for_one() -> None:
    company = CompanyFactory()
    waiting = connections.open_connection(company=company)
    assert connect(company=company) == waiting


def test_another_id_replaces_a_wrong_one_and_the_other_accounts_zones_go_missing() -> None:
    connection = connect()
    zone = ZoneFactory(connection=connection)
    changed = connect(company=connection.company, operator_id=OTHER)
    assert changed == connection
    assert changed.operator_id == OTHER
    zone.refresh_from_db()
    assert zone.missing_since is not None


def test_an_account_is_not_exchanged_once_it_was_live() -> None:
    connection = ConnectionFactory(live=True)
    with pytest.raises(ValidationError, match="has been live"):
        connect(company=connection.company)


def test_an_account_is_not_exchanged_while_a_test_plate_is_registered_there() -> None:
    connection = ConnectionFactory()
    mapping = ZoneMappingFactory(zone__connection=connection, location__company=connection.company)
    PermitFactory(location=mapping.location)
    PermitSync.objects.update(remote_state={"x": 1}, remote_until=timezone.now() + timedelta(hours=1))
    with pytest.raises(ValidationError, match="test plate"):
        connect(company=connection.company)


def test_another_companys_id_is_refused_without_naming_that_company() -> None:
    first = connect()
    with pytest.raises(ValidationError) as refusal:
        connect()
    assert refusal.value.messages == ["This operator ID already belongs to another company."]
    assert first.company.name not in str(refusal.value)


def test_an_id_of_an_ended_connection_is_free_again() -> None:
    ConnectionFactory(operator_id=OPERATOR_ID, status=Connection.Status.ENDED)
    assert connect().operator_id == OPERATOR_ID


def test_a_company_has_one_connection_per_site() -> None:
    north = connect(label="North")
    south = connect(company=north.company, operator_id=OTHER, label="South")
    assert north != south
    with pytest.raises(ValidationError, match="already"):
        connect(company=north.company, operator_id=OPERATOR_ID, label="South")


# --- Going live ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ready() -> Connection:
    connection = ConnectionFactory(testing=True)
    mapping = ZoneMappingFactory(zone__connection=connection, location__company=connection.company)
    PermitFactory.create_batch(3, location=mapping.location)
    PermitFactory(location=mapping.location, is_test=True)
    PermitFactory(location=mapping.location, end=timezone.now() - timedelta(minutes=5))
    PermitFactory(location=LocationFactory(company=connection.company))
    return connection


def test_going_live_marks_what_has_not_ended_and_notes_how_many_that_are(ready: Connection) -> None:
    PermitSync.objects.all().delete()
    connection = connections.go_live(connection=ready, verified=True)
    assert connection.is_live
    assert connection.live_since is not None
    assert connection.verified_at is not None
    assert connection.backfill_total == 3
    assert connection.backfill_started_at is not None
    assert PermitSync.objects.due().count() == 4  # the test plate, too


def test_without_a_test_it_takes_a_reason(ready: Connection) -> None:
    with pytest.raises(ValidationError, match="Say why"):
        connections.go_live(connection=ready)
    connection = connections.go_live(connection=ready, reason=" Contract begins ")
    assert connection.status_reason == "Contract begins"
    assert connection.verified_at is None


def test_without_a_test_it_takes_support(ready: Connection) -> None:
    with pytest.raises(ValidationError, match="Only support"):
        connections.go_live(connection=ready, reason="I want to", actor=UserFactory())
    support = UserFactory(support=True)
    assert connections.go_live(connection=ready, reason="It is agreed", actor=support).status_by == support


def test_going_live_again_changes_nothing(ready: Connection) -> None:
    first = connections.go_live(connection=ready, reason="First")
    again = connections.go_live(connection=ready, reason="Second")
    assert again.status_reason == "First"
    assert again.live_since == first.live_since


def test_without_an_operator_id_nothing_goes_live() -> None:
    with pytest.raises(ValidationError, match="operator ID"):
        connections.go_live(connection=ConnectionFactory(operator_id=""), reason="Now")


# --- Pausing, resuming, ending ------------------------------------------------------------------------------------


def test_pausing_asks_for_a_reason_and_keeps_who_and_when(ready: Connection) -> None:
    live = connections.go_live(connection=ready, verified=True)
    with pytest.raises(ValidationError, match="Say why"):
        connections.pause(connection=live, reason=" ")
    actor = UserFactory()
    paused = connections.pause(connection=live, reason="Repainting", actor=actor)
    assert (paused.status, paused.status_reason, paused.status_by) == ("paused", "Repainting", actor)
    assert paused.history.first().history_user == actor
    resumed = connections.resume(connection=paused)
    assert resumed.is_live
    assert resumed.live_since == live.live_since


def test_saves_while_paused_are_kept_as_due(ready: Connection) -> None:
    live = connections.go_live(connection=ready, verified=True)
    connections.pause(connection=live, reason="Repainting")
    permit = PermitFactory(location=ZoneMapping.objects.get().location)
    assert permit.permit_syncs.get().state == PermitSync.State.DUE


@pytest.mark.parametrize("status", [Connection.Status.SETUP, Connection.Status.TESTING])
def test_only_a_live_one_is_paused_and_only_a_paused_one_resumed(status: str) -> None:
    connection = ConnectionFactory(status=status)
    with pytest.raises(ValidationError):
        connections.pause(connection=connection, reason="Why")
    with pytest.raises(ValidationError):
        connections.resume(connection=connection)


def test_a_paused_one_is_resumed_and_not_set_live_again(ready: Connection) -> None:
    live = connections.go_live(connection=ready, verified=True)
    paused = connections.pause(connection=live, reason="Repainting")
    with pytest.raises(ValidationError, match="Resume"):
        connections.go_live(connection=paused, reason="Go")


def test_a_connection_does_not_end_while_its_account_holds_registrations(ready: Connection) -> None:
    live = connections.go_live(connection=ready, verified=True)
    PermitSync.objects.update(remote_state={"x": 1}, remote_until=timezone.now() + timedelta(hours=1))
    with pytest.raises(ValidationError, match="still be valid there"):
        connections.end(connection=live, reason="Moved away")
    ended = connections.end(connection=live, reason="Moved away", leave_behind=True)
    assert ended.status == Connection.Status.ENDED
    assert not ZoneMapping.objects.exists()
    assert set(PermitSync.objects.values_list("state", flat=True)) == {PermitSync.State.REFUSED}


def test_what_an_ended_connection_never_sent_is_not_a_problem(ready: Connection) -> None:
    connections.end(connection=ready, reason="Moved away")
    assert set(PermitSync.objects.values_list("state", flat=True)) == {PermitSync.State.DONE}


def test_an_ended_connection_takes_no_step_any_more(ready: Connection) -> None:
    PermitSync.objects.all().delete()
    ended = connections.end(connection=ready, reason="Moved away")
    assert connections.end(connection=ended, reason="Again").status_reason == "Moved away"
    steps: list[Callable[[], Connection]] = [
        lambda: connections.go_live(connection=ended, reason="Go"),
        lambda: connections.pause(connection=ended, reason="Stop"),
        lambda: connections.resume(connection=ended),
        lambda: connections.begin_testing(connection=ended),
        lambda: connections.set_operator_id(connection=ended, operator_id=OPERATOR_ID),
    ]
    for step in steps:
        with pytest.raises(ValidationError, match="ended"):
            step()


def test_testing_begins_after_the_set_up_and_never_takes_a_live_one_back() -> None:
    assert connections.begin_testing(connection=ConnectionFactory()).status == Connection.Status.TESTING
    assert connections.begin_testing(connection=ConnectionFactory(live=True)).is_live


def test_every_step_is_recorded_on_the_ticket(ready: Connection) -> None:
    ticket = Ticket.objects.create(
        company=ready.company, connection=ready, subject="Set-up", opened_at=timezone.now()
    )
    live = connections.go_live(connection=ready, reason="Agreed")
    connections.pause(connection=live, reason="Repainting")
    connections.resume(connection=live)
    assert list(ticket.entries.values_list("text", flat=True)) == [
        "Live without a test: Agreed",
        "Paused: Repainting",
        "Resumed.",
    ]
