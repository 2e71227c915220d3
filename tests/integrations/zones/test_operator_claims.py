"""Whose operator ID it is: nothing is read or sent for one that is not confirmed, no matter how it was entered."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations import diagnostics
from integrations.delivery import connection_state
from integrations.delivery.engine import Engine
from integrations.models import Connection, Mail, Notice, ZoneRefresh
from integrations.onboarding import automation, connections, services, test_plates
from integrations.onboarding.snapshot import Finding
from integrations.worker.periodic_tasks import connections_for_refresh
from integrations.zones import operator_claims
from integrations.zones import refresh as zone_refresh
from locations.models import Company, Permit, Role, User
from tests.factories import OPERATOR_ID, ConnectionFactory, MembershipFactory, UserFactory
from tests.fakes import FakeVendor, zone_seen
from tests.integrations.zones.claims import OTHER_ID, confirmed, mapped_permit
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def support() -> User:
    support: User = UserFactory.create(support=True)
    return support


@pytest.fixture
def kim() -> User:
    kim: User = MembershipFactory.create(role=Role.MANAGER, user__email="kim@u.example").user
    return kim


@pytest.fixture
def company(kim: User) -> Company:
    return kim.memberships.get().company


def entered(company: Company, actor: User | None, operator_id: str = OPERATOR_ID) -> Connection:
    """Enter an operator ID as the set-up page does."""
    connection = services.begin_connection(company=company, actor=actor)
    services.receive_operator_id(connection=connection, operator_id=operator_id, actor=actor)
    connection.refresh_from_db()
    return connection


# --- Before it is confirmed ------------------------------------------------------------------------------


def test_passports_yes_to_an_operator_id_is_no_confirmation(
    company: Company, vendor: FakeVendor, kim: User
) -> None:
    vendor.zones = [zone_seen("z1", "Z123")]
    connection = entered(company, kim)

    assert connection.operator_id_finding == Finding.OK
    assert not connection.is_confirmed
    assert connection.operator_id_by == kim


@pytest.mark.parametrize(
    "act",
    [
        lambda connection: services.set_up(connection=connection),
        lambda connection: zone_refresh.refresh_zones(connection=connection),
        lambda connection: connections.begin_testing(connection=connection),
        lambda connection: connections.go_live(connection=connection, reason="Agreed"),
        lambda connection: connections.go_live(connection=connection, verified=True),
        lambda connection: test_plates.start_test(
            connection=connection, location=mapped_permit(connection).location
        ),
    ],
    ids=["set up", "refresh zones", "begin testing", "live without a test", "live", "test plate"],
)
def test_nothing_continues_before_it_is_confirmed(vendor: FakeVendor, act: Any) -> None:
    connection = ConnectionFactory.create(claimed=True, operator_id_finding="ok")
    with pytest.raises(ValidationError, match="confirm"):
        act(connection)
    assert (vendor.asked_for, vendor.sent) == ([], [])
    assert not ZoneRefresh.objects.exists()
    assert Connection.objects.get().status == Connection.Status.SETUP


def test_no_event_is_sent_for_it_neither_a_real_one_nor_a_test_plate(vendor: FakeVendor) -> None:
    """The guard is where rows are claimed, so a permit waits no matter how it was saved."""
    connection = ConnectionFactory.create(claimed=True, testing=True)
    permit = mapped_permit(connection, is_test=True, source=Permit.Source.TEST)
    mapped_permit(connection)

    _now, parties = connection_state.read_connections([connection.pk])
    Engine(senders=2).drain([connection.pk])
    assert parties == {}
    assert (vendor.sent, vendor.sessions) == ([], {})

    operator_claims.confirm(connection=connection, operator_id=connection.operator_id, how="By phone")
    Engine(senders=2).drain([connection.pk])
    assert [event["plate"] for event in vendor.sessions.values()] == [permit.plate]


@pytest.mark.parametrize("when", ["before the worker asks", "while the vendor answers"])
def test_a_foreign_operator_id_that_is_entered_during_a_pull_brings_no_zones(
    vendor: FakeVendor, kim: User, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ConnectionFactory.create(company=kim.memberships.get().company, operator_id=OTHER_ID)
    refresh, _is_ours = zone_refresh.begin_refresh(connection=connection, asked_by=kim)
    vendor.zones = [zone_seen("a", "Z1", "Of another operator")]

    def change() -> None:
        connections.set_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)

    if when == "before the worker asks":
        change()
    else:
        answer = vendor.fetch_zones

        def fetch(operator_id: str) -> Any:
            change()
            return answer(operator_id)

        monkeypatch.setattr(vendor, "fetch_zones", fetch)
    # As the task loads it.
    refresh = zone_refresh.run_refresh(
        refresh=ZoneRefresh.objects.select_related("connection").get(pk=refresh.pk)
    )

    assert (refresh.outcome, refresh.error) == ("failed", "The operator ID was changed in the meantime.")
    assert (refresh.zones_listed, "Of another operator" in str(refresh.found)) == (0, False)
    assert not connection.zones.exists()


def test_diagnostics_tell_nothing_of_its_zones(vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "Z1"), zone_seen("b", "Z2")]
    connection = ConnectionFactory.create(claimed=True, operator_id_finding="ok")
    found = {
        check.key: check for check in diagnostics.examine(company=connection.company, connection=connection)
    }
    assert found["authorised"].finding == "Not checked: there is no confirmed operator ID yet."
    assert vendor.asked_for == []


def test_the_workers_leave_it_alone(vendor: FakeVendor) -> None:
    connection = ConnectionFactory.create(claimed=True, operator_id_finding="ok")
    mapped_permit(connection)

    assert connections_for_refresh(timezone.now()) == []
    assert list(automation.awaiting()) == []
    assert vendor.asked_for == []


def test_its_parking_rights_are_not_read(vendor: FakeVendor) -> None:
    world = World.build()
    Connection.objects.update(status="testing", live_since=None, operator_confirmed_at=None)
    world.connection.refresh_from_db()
    permit = mapped_permit(world.connection)
    page = text_of(world.operator.post(world.url("permit_check", permit.pk)))

    assert "The operator ID has not been confirmed yet." in page
    assert vendor.asked_for == []


@pytest.mark.parametrize("status", ["live", "paused"])
def test_the_database_knows_no_live_connection_without_a_confirmation(status: str) -> None:
    connection = ConnectionFactory.create(claimed=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(status=status)


def test_the_database_knows_no_confirmation_without_an_operator_id() -> None:
    connection = ConnectionFactory.create(operator_id="")
    with pytest.raises(IntegrityError), transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(operator_confirmed_at=timezone.now())


# --- Support's decision-----------------------------------------------------------------------------------


def test_support_is_asked_once_and_its_decision_is_recorded(
    company: Company, vendor: FakeVendor, kim: User, support: User
) -> None:
    connection = entered(company, kim)
    services.receive_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)
    notice = Notice.objects.get(company=None, kind="operator_claim", done_at=None)
    assert company.name in notice.text
    mail = Mail.objects.get(kind="operator_claim")
    assert "kim@u.example" in mail.text

    operator_claims.confirm(
        connection=connection, operator_id=OPERATOR_ID, how=" Dana named them  on the phone ", actor=support
    )

    connection.refresh_from_db()
    assert connection.operator_confirmed_by == support
    assert connection.operator_confirmed_how == "Dana named them on the phone"
    assert connection.history.first().history_user == support
    assert not Notice.objects.filter(company=None, done_at=None).exists()
    assert [mail.to for mail in Mail.objects.filter(kind="operator_confirmed")] == ["kim@u.example"]


@pytest.mark.parametrize("how", ["", "  ", "x" * 201])
def test_support_has_to_say_how_it_knows(vendor: FakeVendor, support: User, how: str) -> None:
    connection = ConnectionFactory.create(claimed=True)
    with pytest.raises(ValidationError):
        operator_claims.confirm(
            connection=connection, operator_id=connection.operator_id, how=how, actor=support
        )
    assert not confirmed(connection)


def test_no_member_can_confirm_their_own_companys_claim(
    company: Company, vendor: FakeVendor, kim: User
) -> None:
    connection = entered(company, kim)
    with pytest.raises(ValidationError, match="Only support"):
        operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="I am", actor=kim)
    assert not confirmed(connection)


def test_what_was_exchanged_while_support_looked_at_it_is_not_confirmed(
    company: Company, vendor: FakeVendor, kim: User, support: User
) -> None:
    connection = entered(company, kim)
    services.receive_operator_id(connection=connection, operator_id=OTHER_ID, actor=kim)
    with pytest.raises(ValidationError, match="changed in the meantime"):
        operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="Phone", actor=support)
    assert not confirmed(connection)


def test_another_operator_id_drops_the_confirmation(company: Company, vendor: FakeVendor, kim: User) -> None:
    connection = entered(company, kim)
    operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="Phone")
    assert confirmed(connection)

    services.receive_operator_id(connection=connection, operator_id=OTHER_ID, actor=kim)

    connection.refresh_from_db()
    assert connection.operator_id == OTHER_ID
    assert (connection.operator_confirmed_at, connection.operator_confirmed_how) == (None, "")
    assert Notice.objects.filter(kind="operator_claim", done_at=None, text__contains=OTHER_ID).exists()


def test_one_that_is_rejected_is_removed_and_the_company_is_told_why(
    company: Company, vendor: FakeVendor, kim: User, support: User
) -> None:
    connection = entered(company, kim)
    operator_claims.turn_down(
        connection=connection, operator_id=OPERATOR_ID, reason="Passport names another city", actor=support
    )

    connection.refresh_from_db()
    assert (connection.operator_id, connection.operator_id_finding) == ("", Finding.TURNED_DOWN)
    notice = Notice.objects.get(company=company, done_at=None)
    assert "Passport names another city" in notice.text
    assert not Notice.objects.filter(company=None, done_at=None).exists()


def test_a_confirmed_one_is_not_turned_down(support: User) -> None:
    connection = ConnectionFactory.create(live=True)
    with pytest.raises(ValidationError, match="End the integration"):
        operator_claims.turn_down(
            connection=connection, operator_id=connection.operator_id, reason="No", actor=support
        )
    assert confirmed(connection)


# --- A second company ------------------------------------------------------------------------------------


def test_a_second_company_is_held_without_learning_who_has_it_and_passport_is_not_asked(
    company: Company, vendor: FakeVendor, kim: User
) -> None:
    first = ConnectionFactory.create(operator_id=OPERATOR_ID, company__name="Harbor Town", claimed=True)
    connection = services.begin_connection(company=company, actor=kim)
    trial = services.receive_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)

    connection.refresh_from_db()
    assert trial.finding == Finding.HELD
    assert "Harbor Town" not in trial.sentence + trial.remedy
    assert (connection.operator_id, connection.operator_id_held) == ("", OPERATOR_ID)
    assert vendor.asked_for == []
    assert not confirmed(first)
    notice = Notice.objects.get(kind="operator_claim", company=None)
    assert "Harbor Town" in notice.text


def test_support_moves_it_from_one_that_only_claimed_it(
    company: Company, vendor: FakeVendor, kim: User, support: User
) -> None:
    squatter = ConnectionFactory.create(operator_id=OPERATOR_ID, claimed=True)
    connection = entered(company, kim)
    operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="Phone", actor=support)

    connection.refresh_from_db()
    squatter.refresh_from_db()
    assert (connection.operator_id, connection.operator_id_held) == (OPERATOR_ID, "")
    assert connection.is_confirmed
    assert connection.operator_id_by == kim
    assert (squatter.operator_id, squatter.operator_id_finding) == ("", Finding.TURNED_DOWN)
    assert not Notice.objects.filter(kind="operator_claim", done_at=None).exists()
    # It was never tried for this company; the workers try it now.
    assert automation.is_trial_due(connection, timezone.now())


def test_support_can_not_move_it_from_one_for_which_it_is_confirmed(
    company: Company, vendor: FakeVendor, kim: User, support: User
) -> None:
    first = ConnectionFactory.create(operator_id=OPERATOR_ID, live=True)
    connection = entered(company, kim)
    with pytest.raises(ValidationError, match="End that integration first"):
        operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="Phone", actor=support)
    first.refresh_from_db()
    assert (first.operator_id, first.is_confirmed) == (OPERATOR_ID, True)
    assert not confirmed(connection)


# --- A proof by the operator -----------------------------------------------------------------------------


def test_the_connections_own_code_in_a_zone_of_the_operator_confirms_it(
    company: Company, vendor: FakeVendor, kim: User
) -> None:
    connection = entered(company, kim)
    other = ConnectionFactory.create(claimed=True, operator_id=OTHER_ID)
    vendor.zones = [zone_seen("z1", "Z123", f"North {operator_claims.code_of(connection).lower()}")]

    services.recheck_operator_id(connection=other)
    assert not confirmed(other)

    services.recheck_operator_id(connection=connection, actor=kim)
    connection.refresh_from_db()
    assert connection.is_confirmed
    assert operator_claims.code_of(connection) in connection.operator_confirmed_how
    assert not Notice.objects.filter(
        company=None, kind="operator_claim", text__contains=company.name, done_at=None
    )
