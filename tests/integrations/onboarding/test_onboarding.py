"""From the first request to live: what people do, step by step, and what follows automatically."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import Connection, Contact, Mail, Notice, Ticket, Zone
from integrations.notifications import ticket_log
from integrations.onboarding import automation, connections, operator_id_requests, services
from integrations.onboarding.snapshot import Finding, Who
from integrations.onboarding.snapshot_queries import facts_of, snapshots
from integrations.onboarding.steps import active, steps
from integrations.vendors.errors import FixConnection, FixRecord, TryLater
from integrations.zones import mapping, operator_claims
from integrations.zones import refresh as zone_refresh
from locations.models import Company, Role, User
from tests.factories import (
    OPERATOR_ID,
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    UserFactory,
)
from tests.fakes import FakeVendor, zone_seen


@pytest.fixture
def company() -> Company:
    company: Company = CompanyFactory.create(name="University", slug="university")
    for role, email in (
        (Role.MANAGER, "kim@u.example"),
        (Role.OPERATOR, "lee@u.example"),
        (Role.VIEWER, "vi@u.example"),
    ):
        MembershipFactory.create(company=company, role=role, user=UserFactory.create(email=email))
    return company


@pytest.fixture
def kim(company: Company) -> User:
    return User.objects.get(email="kim@u.example")


@pytest.fixture
def connection(company: Company, kim: User) -> Connection:
    return services.begin_connection(company=company, actor=kim)


def confirm(connection: Connection) -> None:
    """Support confirms that the operator ID is the company's."""
    operator_claims.confirm(connection=connection, operator_id=OPERATOR_ID, how="Agreed by phone")


def step_of(connection: Connection) -> str:
    turn = active(steps(facts_of(Connection.objects.get(pk=connection.pk), timezone.now()), timezone.now()))
    return turn.key if turn else "live"


@pytest.mark.django_db
class TestAsking:
    def test_the_request_is_mailed_from_here_and_its_text_is_kept(
        self, connection: Connection, kim: User
    ) -> None:
        subject, text = operator_id_requests.request_text(
            vendor="passport", company=connection.company, rep_name="Robin", sender=kim
        )
        operator_id_requests.request_operator_id(
            connection=connection,
            subject=subject,
            text=text,
            rep_name="Robin",
            rep_email="robin@p.example",
            send=True,
            actor=kim,
        )

        mail = Mail.objects.get(kind="operator_id_request")
        assert mail.to == "robin@p.example"
        assert "Hello Robin" in mail.text
        assert "kim@u.example" in mail.text
        connection.refresh_from_db()
        assert connection.request_text == text
        assert Contact.objects.get().kind == Contact.Kind.ACCOUNT_MANAGER
        assert step_of(connection) == "received"

    def test_a_request_that_was_sent_elsewhere_is_noted_without_a_mail(
        self, connection: Connection, kim: User
    ) -> None:
        operator_id_requests.request_operator_id(
            connection=connection, subject="S", text="T", send=False, actor=kim
        )

        assert not Mail.objects.exists()
        assert step_of(connection) == "received"

    def test_it_can_be_sent_again_but_not_without_end(self, connection: Connection, kim: User) -> None:
        for _ in range(operator_id_requests.REQUESTS_PER_DAY):
            operator_id_requests.request_operator_id(
                connection=connection, subject="S", text="T", rep_email="r@p.example", send=True, actor=kim
            )
        with pytest.raises(ValidationError, match="which is the limit"):
            operator_id_requests.request_operator_id(
                connection=connection, subject="S", text="T", rep_email="r@p.example", send=True, actor=kim
            )
        assert Mail.objects.count() == operator_id_requests.REQUESTS_PER_DAY

    @pytest.mark.parametrize(
        ("text", "email"), [("", "r@p.example"), ("T", "nobody"), ("x" * 7_000, "r@p.example")]
    )
    def test_what_cannot_be_sent_is_refused_and_nothing_is_noted(
        self, connection: Connection, kim: User, text: str, email: str
    ) -> None:
        with pytest.raises(ValidationError):
            operator_id_requests.request_operator_id(
                connection=connection, subject="S", text=text, rep_email=email, send=True, actor=kim
            )
        connection.refresh_from_db()
        assert connection.requested_at is None
        assert not Mail.objects.exists()

    def test_an_unknown_contact_becomes_supports_task_until_it_is_found(
        self, connection: Connection, kim: User
    ) -> None:
        operator_id_requests.contact_unknown(connection=connection, actor=kim)
        operator_id_requests.contact_unknown(connection=connection, actor=kim)

        notice = Notice.objects.get(company=None, kind="contact_unknown", done_at=None)
        assert Mail.objects.get().kind == "contact_wanted"
        assert facts_of(Connection.objects.get(), timezone.now()).contact_unknown_since == notice.created_at

        operator_id_requests.contact_found(
            connection=connection,
            name="Robin",
            email="robin@p.example",
            actor=UserFactory.create(support=True),
        )

        assert not Notice.objects.filter(done_at=None).exists()
        assert {mail.to for mail in Mail.objects.filter(kind="contact_found")} == {
            "kim@u.example",
            "lee@u.example",
        }
        step = active(steps(facts_of(Connection.objects.get(), timezone.now()), timezone.now()))
        assert step is not None
        assert step.who == Who.COMPANY


@pytest.mark.django_db
class TestReceiving:
    def test_it_is_trimmed_taken_in_any_case_and_tried_at_once(
        self, connection: Connection, vendor: FakeVendor, kim: User
    ) -> None:
        vendor.zones = [zone_seen("z1", "Z123")]
        trial = services.receive_operator_id(
            connection=connection, operator_id=f"  {OPERATOR_ID.upper()}\n", actor=kim
        )

        connection.refresh_from_db()
        assert trial.finding == Finding.OK
        assert vendor.asked_for == [OPERATOR_ID]
        assert connection.operator_id == OPERATOR_ID
        assert step_of(connection) == "received"
        confirm(connection)
        assert step_of(connection) == "set_up"

    def test_what_is_not_a_uuid_is_refused_before_passport_is_asked(
        self, connection: Connection, vendor: FakeVendor, kim: User
    ) -> None:
        with pytest.raises(ValidationError):
            services.receive_operator_id(connection=connection, operator_id="Z123", actor=kim)
        assert vendor.asked_for == []

    @pytest.mark.parametrize(
        ("error", "finding", "kept"),
        [
            (FixConnection("?", code="operator_not_found", status=404), Finding.UNKNOWN, False),
            (FixRecord("?", status=404), Finding.UNKNOWN, False),
            (FixConnection("?", code="operator_not_authorized", status=403), Finding.NOT_AUTHORISED, True),
            (FixConnection("?", status=401), Finding.NOT_AUTHORISED, True),
            (FixConnection("?", scope="host", status=401), Finding.CREDENTIALS, True),
            (TryLater("Passport can't be reached."), Finding.UNREACHABLE, True),
        ],
    )
    def test_each_no_says_what_to_do_next_and_only_an_unknown_id_is_not_kept(
        self,
        connection: Connection,
        vendor: FakeVendor,
        kim: User,
        error: Exception,
        finding: str,
        kept: bool,
    ) -> None:
        vendor.zones_error = error
        trial = services.receive_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)

        connection.refresh_from_db()
        assert trial.finding == finding
        assert trial.remedy
        assert connection.operator_id == (OPERATOR_ID if kept else "")
        assert step_of(connection) == "received"
        turn = active(steps(facts_of(connection, timezone.now()), timezone.now()))
        assert turn is not None
        assert turn.what_next

    def test_an_id_that_could_not_be_tried_is_tried_again_until_it_works(
        self, connection: Connection, vendor: FakeVendor, kim: User
    ) -> None:
        vendor.zones_error = TryLater("Passport can't be reached.")
        services.receive_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)
        vendor.zones_error, vendor.asked_for = None, []

        automation.follow_set_ups(timezone.now())
        assert vendor.asked_for == []  # not yet; a minute has to pass
        automation.follow_set_ups(timezone.now() + timedelta(minutes=2))

        assert vendor.asked_for == [OPERATOR_ID]
        confirm(connection)
        assert step_of(connection) == "set_up"
        assert Notice.objects.filter(company=connection.company, kind="operator_id").exists()


@pytest.mark.django_db
class TestSettingUp:
    @pytest.fixture
    def received(self, connection: Connection, vendor: FakeVendor, kim: User) -> Connection:
        vendor.zones = [zone_seen("z1", "Z123", "North Campus Garage"), zone_seen("z2", "LotB")]
        operator_id_requests.request_operator_id(
            connection=connection, subject="S", text="T", send=False, actor=kim
        )
        services.receive_operator_id(connection=connection, operator_id=OPERATOR_ID, actor=kim)
        confirm(connection)
        return Connection.objects.get(pk=connection.pk)

    def test_it_opens_one_ticket_that_knows_what_happened_before(
        self, received: Connection, kim: User
    ) -> None:
        ticket = services.set_up(connection=received, actor=kim)
        again = services.set_up(connection=received, actor=kim)

        assert ticket == again
        assert ticket.number.startswith("OFF-")
        kinds = list(ticket.entries.values_list("kind", flat=True))
        assert kinds[:3] == ["begun", "requested", "operator_id"]
        assert received.name == "PASSPORTUNIVERSITY"

    def test_it_waits_for_an_operator_id_that_works(self, connection: Connection, kim: User) -> None:
        with pytest.raises(ValidationError):
            services.set_up(connection=connection, actor=kim)
        assert not Ticket.objects.exists()

    def test_zones_are_imported_and_people_are_notified_once(self, received: Connection, kim: User) -> None:
        Contact.objects.create(
            company=received.company, kind=Contact.Kind.OFFSTREET, email="o@offstreet.example"
        )
        services.set_up(connection=received, actor=kim)
        for _ in range(3):
            automation.follow_set_ups(timezone.now())

        assert Zone.objects.count() == 2
        told = Mail.objects.filter(kind="zones_there")
        assert {mail.to for mail in told} == {"kim@u.example", "lee@u.example", "o@offstreet.example"}
        assert Notice.objects.filter(kind="zones_there", done_at=None).count() == 1
        assert step_of(received) == "mapped"

    def test_a_pull_that_failed_is_tried_again_after_a_minute(
        self, received: Connection, vendor: FakeVendor, kim: User
    ) -> None:
        services.set_up(connection=received, actor=kim)
        vendor.zones_error = TryLater("Passport can't be reached.")
        automation.follow_set_ups(timezone.now())
        turn = active(steps(facts_of(Connection.objects.get(pk=received.pk), timezone.now()), timezone.now()))
        assert turn is not None
        assert turn.state == "blocked"
        assert "can't be reached" in turn.what_next

        vendor.zones_error = None
        automation.follow_set_ups(timezone.now())
        assert not Zone.objects.exists()
        automation.follow_set_ups(timezone.now() + timedelta(minutes=2))
        assert Zone.objects.count() == 2

    def test_an_empty_list_waits_for_passport(
        self, received: Connection, vendor: FakeVendor, kim: User
    ) -> None:
        vendor.zones = []
        services.set_up(connection=received, actor=kim)
        automation.follow_set_ups(timezone.now())

        turn = active(steps(facts_of(Connection.objects.get(pk=received.pk), timezone.now()), timezone.now()))
        assert turn is not None
        assert (turn.key, turn.who) == ("set_up", Who.VENDOR)

    def test_the_first_mapping_makes_it_ready_and_the_people_named_are_notified(
        self, received: Connection, kim: User
    ) -> None:
        Contact.objects.create(company=received.company, kind=Contact.Kind.ENFORCEMENT, email="e@u.example")
        location = LocationFactory.create(company=received.company, name="North Garage")
        services.set_up(connection=received, actor=kim)
        automation.follow_set_ups(timezone.now())
        mapping.map_location(location=location, zone=Zone.objects.get(number="Z123"), actor=kim)
        for _ in range(2):
            automation.follow_set_ups(timezone.now())

        told = Mail.objects.filter(kind="ready_for_test")
        assert {mail.to for mail in told} == {"kim@u.example", "lee@u.example", "e@u.example"}
        assert "North Garage sends to zone Z123" in told[0].text
        assert step_of(received) == "tested"

    def test_a_connection_made_by_command_gets_its_ticket_as_well(
        self, company: Company, vendor: FakeVendor
    ) -> None:
        vendor.zones = [zone_seen("z1", "Z123")]
        made = connections.connect(company=company, operator_id=OPERATOR_ID)
        confirm(made)
        zone_refresh.refresh_zones(connection=made)
        automation.follow_set_ups(timezone.now())

        assert Ticket.objects.get().connection == made
        assert Mail.objects.filter(kind="zones_there").exists()

    def test_live_closes_the_ticket_and_later_events_still_write_themselves_into_it(
        self, received: Connection, kim: User
    ) -> None:
        ticket = services.set_up(connection=received, actor=kim)
        connections.go_live(connection=received, reason="Proved elsewhere")
        for _ in range(2):
            automation.follow_set_ups(timezone.now())

        ticket.refresh_from_db()
        assert ticket.state == Ticket.State.DONE
        assert Mail.objects.filter(kind="live", to="kim@u.example").count() == 1
        connections.pause(connection=received, reason="New signs", actor=kim)
        assert ticket.entries.filter(kind="paused").exists()
        assert ticket_log.current_ticket(received) == ticket


@pytest.mark.django_db
class TestSeveralConnections:
    def test_a_second_one_needs_a_name_for_its_site(self, connection: Connection, kim: User) -> None:
        with pytest.raises(ValidationError):
            services.begin_connection(company=connection.company, actor=kim)
        second = services.begin_connection(company=connection.company, label="Medical Campus", actor=kim)
        with pytest.raises(ValidationError):
            services.begin_connection(company=connection.company, label="medical campus", actor=kim)
        assert second.name == connection.name
        assert str(second) == "PASSPORTUNIVERSITY (Medical Campus)"

    def test_the_snapshots_of_many_take_as_many_queries_as_of_one(
        self, django_assert_max_num_queries: object
    ) -> None:
        many = [ConnectionFactory.create() for _ in range(12)]
        with django_assert_max_num_queries(2):  # type: ignore[operator]
            found = snapshots(many, timezone.now())
        assert len(found) == 12
