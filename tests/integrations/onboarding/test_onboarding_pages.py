"""The set-up pages: who may press which button, what they say when it can't be done, and how many queries they take."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import (
    Connection,
    Contact,
    Mail,
    Notice,
    PermitSync,
    StatusLink,
    TestPlate,
    ZoneRefresh,
)
from integrations.notifications import notices
from integrations.onboarding import connections, services, test_plates
from integrations.onboarding.setups_views import open_setups
from integrations.vendors.errors import FixConnection, TryLater
from locations.models import Company
from locations.pages import STOP_POLLING
from tests.checks import make_check_runs
from tests.factories import OPERATOR_ID, CompanyFactory, ConnectionFactory, LocationFactory, PermitFactory
from tests.fakes import FakeVendor, zone_seen
from tests.pages import HTMX, World, count_queries, text_of

pytestmark = pytest.mark.django_db
MAIL = {
    "rep_name": "Alex",
    "rep_email": "alex@p.example",
    "subject": "Operator ID",
    "text": "Hello Alex",
    "word": "send",
}


@pytest.fixture
def fresh() -> World:
    """A company that has nothing yet."""
    company = CompanyFactory(name="University", slug="university")
    return World(company, ConnectionFactory.build(company=company))


def only(company: Company) -> Connection:
    return company.connections.get()


class TestBeginning:
    def test_the_mail_is_written_already(self, fresh: World) -> None:
        text = text_of(fresh.operator.get(fresh.url("setup")))
        assert "Ask the Passport account manager for the operator ID" in text
        assert "University registers vehicles in Offstreet" in text
        assert "mailto:" in text

    def test_asking_begins_the_connection(self, fresh: World) -> None:
        response = fresh.operator.post(fresh.url("setup_begin_request"), MAIL)
        assert response.status_code == 302
        assert only(fresh.company).requested_at is not None
        assert Mail.objects.get(kind="operator_id_request").to == "alex@p.example"

    def test_the_text_is_regenerated_without_sending_anything(self, fresh: World) -> None:
        text = text_of(
            fresh.operator.post(fresh.url("setup_begin_request"), {**MAIL, "word": "fill", "text": ""})
        )
        assert "Hello Alex, University" in text
        assert not Mail.objects.exists()
        assert not Connection.objects.exists()

    def test_an_address_that_is_none_is_said_beside_the_field_and_nothing_is_begun(
        self, fresh: World
    ) -> None:
        response = fresh.operator.post(fresh.url("setup_begin_request"), {**MAIL, "rep_email": "nobody"})
        assert response.status_code == 422
        assert "Hello Alex" in text_of(response)
        assert not Connection.objects.exists()

    def test_not_knowing_the_contact_is_an_answer(self, fresh: World) -> None:
        fresh.operator.post(fresh.url("setup_begin_request"), {"word": "unknown"})
        assert only(fresh.company).contact_unknown
        assert "Support has been asked" in text_of(fresh.operator.get(fresh.url("setup")))
        path = fresh.url("setup_contact", only(fresh.company).pk)
        assert fresh.manager.post(path, {"rep_email": "a@p.example"}).status_code == 403
        fresh.support.post(path, {"name": "Alex", "rep_email": "alex@p.example"})
        assert Contact.objects.get().email == "alex@p.example"

    def test_an_operator_id_at_hand_skips_the_asking(self, fresh: World, vendor: FakeVendor) -> None:
        vendor.zones = [zone_seen("z1", "Z123")]
        fresh.operator.post(fresh.url("setup_begin_operator_id"), {"operator_id": f" {OPERATOR_ID.upper()} "})
        assert only(fresh.company).operator_id == OPERATOR_ID
        assert "The operator ID was already known." in text_of(fresh.operator.get(fresh.url("setup")))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (FixConnection("?", code="operator_not_found", status=404), 422, "doesn't know this operator ID"),
        (FixConnection("?", status=403), 302, "authorised Offstreet"),
        (FixConnection("?", scope="host", status=401), 302, "Offstreet's own credentials"),
        (TryLater("Passport can't be reached."), 302, "checked again every minute"),
    ],
)
def test_each_no_to_the_operator_id_says_what_to_do_next(
    fresh: World, vendor: FakeVendor, error: Exception, status: int, words: str
) -> None:
    vendor.zones_error = error
    response = fresh.operator.post(fresh.url("setup_begin_operator_id"), {"operator_id": OPERATOR_ID})
    assert response.status_code == status
    shown = response if status == 422 else fresh.operator.get(fresh.url("setup"))
    assert words in text_of(shown).replace("&#x27;", "'")


@pytest.mark.parametrize("typed", ["", "Z123", "072e8b73", OPERATOR_ID + "0", "<script>"])
def test_what_is_no_operator_id_begins_nothing(fresh: World, vendor: FakeVendor, typed: str) -> None:
    response = fresh.operator.post(fresh.url("setup_begin_operator_id"), {"operator_id": typed})
    assert response.status_code == 422
    assert "<script>" not in response.content.decode().split('id="setup"')[1]
    assert not Connection.objects.exists()
    assert vendor.asked_for == []


class TestWhoMay:
    POSTS = (
        ("setup_request", "operator"),
        ("setup_operator_id", "operator"),
        ("setup_recheck", "operator"),
        ("setup_rename", "operator"),
        ("setup_set_up", "operator"),
        ("setup_test", "operator"),
        ("status_link_make", "operator"),
        ("setup_pause", "manager"),
        ("setup_resume", "manager"),
        ("setup_contact", "support"),
        ("setup_confirm_operator", "support"),
    )

    @pytest.mark.parametrize(("name", "needed"), POSTS)
    def test_each_button_has_its_role(self, world: World, vendor: FakeVendor, name: str, needed: str) -> None:
        url, ranks = world.url(name, world.connection.pk), ["viewer", "operator", "manager", "support"]
        for role in ranks:
            status = getattr(world, role).post(url).status_code
            assert (status == 403) == (ranks.index(role) < ranks.index(needed)), (role, status)
        assert World.build().manager.post(url).status_code == 404
        assert Client().post(url).status_code == 302
        assert world.support.get(url).status_code == 405

    def test_a_viewer_sees_the_steps_and_nothing_to_press(self, world: World) -> None:
        text = text_of(world.viewer.get(world.url("setup")))
        assert "Live: each permit" in text
        assert '<form method="post" action="/c/' not in text

    def test_another_companys_connection_does_not_exist(self, world: World) -> None:
        other = World.build()
        assert world.manager.get(world.url("setup_connection", other.connection.pk)).status_code == 404
        assert (
            world.manager.post(world.url("setup_pause", other.connection.pk), {"reason": "x"}).status_code
            == 404
        )

    def test_only_support_may_leave_out_the_test_and_must_say_why(self, world: World) -> None:
        Connection.objects.update(status="testing", live_since=None)
        url = world.url("setup_live", world.connection.pk)
        assert world.manager.post(url, {"reason": "Hurry"}).status_code == 403
        assert world.support.post(url, {"reason": " "}).status_code == 422
        assert not only(world.company).is_live
        assert world.support.post(url, {"reason": "Proved elsewhere"}).status_code == 302
        assert only(world.company).status_reason == "Proved elsewhere"

    def test_supports_list_is_supports_alone(self, world: World) -> None:
        assert world.manager.get(reverse("setups")).status_code == 404
        assert world.support.get(reverse("setups")).status_code == 200


class TestTesting:
    @pytest.fixture
    def tested(self, world: World, vendor: FakeVendor) -> World:
        Connection.objects.update(status="setup", live_since=None)
        world.location("Garage", world.zone("Z123"))
        return world

    def form(self, world: World, **values: Any) -> dict[str, Any]:
        return {
            "location": world.company.locations.get().pk,
            "plate": "TEST123",
            "subdivision": "US-NC",
            **values,
        }

    def test_a_test_is_sent_and_its_page_follows(self, tested: World) -> None:
        url = tested.url("setup_test", tested.connection.pk)
        response = tested.operator.post(url, self.form(tested), follow=True)
        assert "The test plate is on its way to Passport." in text_of(response)
        assert 'hx-trigger="every' in response.content.decode()

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"plate": "TEST!"}, "can only contain letters"),
            ({"ask": "robin"}, "is not an email address"),
            ({"subdivision": "US-ZZ"}, "Select a valid choice"),
            ({"location": 999}, "Select a valid choice"),
        ],
    )
    def test_what_cannot_be_tested_comes_back_with_what_was_typed(
        self, tested: World, values: dict[str, Any], words: str
    ) -> None:
        response = tested.operator.post(
            tested.url("setup_test", tested.connection.pk), self.form(tested, **values)
        )
        assert response.status_code == 422
        assert words in text_of(response)
        assert not TestPlate.objects.exists()

    def test_the_answer_on_the_page_is_one_answer_by_a_named_person(self, tested: World) -> None:
        test = test_plates.start_test(connection=tested.connection, location=tested.company.locations.get())
        url = tested.url("test_plate_answer", test.pk)
        assert tested.viewer.post(url, {"answer": "yes"}).status_code == 403
        early = tested.operator.post(url, {"answer": "yes"}, follow=True)
        assert "not accepted" in text_of(early)
        TestPlate.objects.update(accepted_at=timezone.now(), seen_at=timezone.now())
        tested.operator.post(url, {"answer": "yes"})
        test.refresh_from_db()
        assert (test.answer, test.answered_via) == ("yes", "page")
        assert only(tested.company).is_live
        again = tested.operator.post(url, {"answer": "no"}, follow=True)
        assert "already been answered" in text_of(again)

    def test_a_no_links_to_diagnostics_with_this_test(self, tested: World) -> None:
        test = test_plates.start_test(connection=tested.connection, location=tested.company.locations.get())
        response = tested.operator.post(
            tested.url("test_plate_answer", test.pk), {"answer": "no", "note": "zone Z9"}
        )
        assert response["Location"] == f"{tested.url('diagnostics')}?symptom=plate&test={test.pk}"
        asked = tested.operator.post(tested.url("diagnostics"), {"symptom": "plate", "test": test.pk})
        make_check_runs()
        assert "zone Z9" in text_of(tested.operator.get(asked["Location"]))

    def test_polling_ends_when_there_is_nothing_more_to_wait_for(self, tested: World) -> None:
        test = test_plates.start_test(connection=tested.connection, location=tested.company.locations.get())
        url = tested.url("test_plate", test.pk)
        assert tested.operator.get(url, headers=HTMX).status_code == 200
        TestPlate.objects.update(withdrawn_at=timezone.now(), gone_at=timezone.now())
        assert tested.operator.get(url, headers=HTMX).status_code == STOP_POLLING

    def test_another_companys_test_does_not_exist(self, tested: World) -> None:
        test = test_plates.start_test(connection=tested.connection, location=tested.company.locations.get())
        stranger = World.build()
        for name in ("test_plate_answer", "test_plate_ask", "test_plate_withdraw"):
            assert stranger.manager.post(stranger.url(name, test.pk)).status_code == 404
        assert stranger.manager.get(stranger.url("test_plate", test.pk)).status_code == 404

    def test_asking_by_mail_waits_until_passport_has_it(self, tested: World) -> None:
        test = test_plates.start_test(connection=tested.connection, location=tested.company.locations.get())
        url = tested.url("test_plate_ask", test.pk)
        assert tested.operator.post(url, {"addresses": "robin@u.example"}).status_code == 422
        TestPlate.objects.update(accepted_at=timezone.now())
        assert tested.operator.post(url, {"addresses": "robin@u.example, kim@u.example"}).status_code == 302
        assert Mail.objects.filter(kind="test_plate").count() == 2


class TestLive:
    def test_the_backfill_says_how_many_of_how_many_and_the_errors_by_reason(self, world: World) -> None:
        Connection.objects.update(status="testing", live_since=None, operator_id_finding="ok")
        place = world.location("Garage", world.zone("Z123"))
        permits = [PermitFactory(location=place) for _ in range(4)]
        connections.go_live(connection=only(world.company), reason="Proved elsewhere")
        Connection.objects.update(zones_pulled_at=timezone.now())
        PermitSync.objects.filter(permit=permits[0]).update(state="done")
        PermitSync.objects.filter(permit=permits[1]).update(
            state="refused", error_code="x", error="Bad state."
        )

        text = text_of(world.viewer.get(world.url("setup")))
        assert "1 of 4" in text
        assert "Bad state." in text
        assert "1 refused" in text

    def test_pause_asks_for_a_reason_and_resume_continues(self, world: World) -> None:
        url = world.url("setup_pause", world.connection.pk)
        assert world.manager.post(url, {"reason": ""}).status_code == 422
        assert only(world.company).is_live
        world.manager.post(url, {"reason": "New signs"})
        assert only(world.company).status == "paused"
        world.manager.post(world.url("setup_resume", world.connection.pk))
        assert only(world.company).is_live

    def test_a_second_integration_is_answered_with_the_first_one(self, world: World) -> None:
        world.location("New lot")
        text = text_of(world.operator.get(world.url("setup_another")))
        assert "already has an integration with Passport" in text
        assert "New lot" in text
        made = world.operator.post(world.url("setup_another"), {"label": "Medical Campus"})
        assert made.status_code == 302
        assert world.company.connections.count() == 2
        assert world.operator.post(world.url("setup_another"), {"label": "medical campus"}).status_code == 422

    def test_a_status_page_is_made_and_revoked(self, world: World) -> None:
        world.operator.post(world.url("status_link_make", world.connection.pk))
        link = StatusLink.objects.get()
        assert "/s/" in text_of(world.operator.get(world.url("setup")))
        other = World.build()
        foreign = other.url("status_link_revoke", other.connection.pk, link.pk)
        assert other.manager.post(foreign).status_code == 404
        world.operator.post(world.url("status_link_revoke", world.connection.pk, link.pk))
        link.refresh_from_db()
        assert not link.works(timezone.now())


class TestSetups:
    def test_blocked_ones_come_first_then_those_that_wait_longest(self) -> None:
        now = timezone.now()
        begun = CompanyFactory(name="Begun")
        Company.objects.filter(pk=begun.pk).update(created_at=now - timedelta(days=9))
        ConnectionFactory(company__name="Asked", operator_id="", requested_at=now - timedelta(days=3))
        ConnectionFactory(company__name="Blocked", operator_id_finding="not_authorised")
        ConnectionFactory(company__name="Live", live=True)

        rows = open_setups("", now)
        assert [row.company.name for row in rows] == ["Blocked", "Begun", "Asked"]
        assert [row.step.waiting_days for row in rows] == [0, 9, 3]

    def test_it_is_searched_and_narrowed_to_whose_turn_it_is(self, world: World) -> None:
        ConnectionFactory(company__name="Harbor", operator_id="", requested_at=timezone.now())
        page = world.support.get(reverse("setups"), {"who": "vendor"})
        assert "Harbor" in text_of(page)
        assert "Harbor" not in text_of(world.support.get(reverse("setups"), {"q": "lake"}))

    def test_sixty_more_of_them_take_no_more_queries(self, world: World) -> None:
        ConnectionFactory()
        few = count_queries(world.support, reverse("setups"))
        for _ in range(60):
            ConnectionFactory()
        assert count_queries(world.support, reverse("setups")) <= few


def test_the_pages_keep_to_their_query_budget(world: World, vendor: FakeVendor) -> None:
    place = world.location("Garage", world.zone("Z123"))
    ZoneRefresh.objects.create(connection=world.connection, started_at=timezone.now(), outcome="done")
    Connection.objects.update(zones_pulled_at=timezone.now(), backfill_total=3, operator_id_finding="ok")
    services.set_up(connection=only(world.company))
    test = test_plates.start_test(connection=world.connection, location=place)
    LocationFactory(company=world.company)
    for url in (
        world.url("setup"),
        world.url("test_plate", test.pk),
        world.url("setup_another"),
        world.url("diagnostics"),
    ):
        count_queries(world.manager, url)


class TestNotices:
    def test_people_see_them_until_someone_dismisses_them(self, world: World) -> None:
        notices.tell(
            world.company, "zones_there", Notice.Level.SUCCESS, "10 zones are there.", "/c/university/", "z:1"
        )
        assert "10 zones are there." in text_of(world.viewer.get(world.url("overview")))
        url = world.url("notice_dismiss", Notice.objects.get().pk)
        assert world.viewer.post(url).status_code == 403
        assert World.build().manager.post(url).status_code == 404
        assert world.operator.post(url).status_code == 302
        assert Notice.objects.get().done_by is not None
        assert "10 zones are there." not in text_of(world.viewer.get(world.url("setup")))

    def test_what_is_for_support_shows_on_supports_page_alone(self, world: World) -> None:
        notices.tell(None, "zones_held", Notice.Level.WARNING, "Zones are held.", "/c/university/", "held:1")
        assert "Zones are held." in text_of(world.support.get(reverse("setups")))
        assert "Zones are held." not in text_of(world.manager.get(world.url("overview")))
        url = reverse("support_notice_dismiss", args=[Notice.objects.get().pk])
        assert world.manager.post(url).status_code == 404
        assert world.support.post(url).status_code == 302
        assert not Notice.objects.filter(done_at=None).exists()
