"""A change that would end many rights waits for a person, and the answer is valid only for what that person saw."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils import timezone

from integrations.held_changes import services
from integrations.held_changes.impact import Impact
from integrations.models import Connection, HeldChange, Mail, Notice
from locations.models import AuditEvent
from tests.factories import PermitFactory, UserFactory
from tests.pages import World

pytestmark = pytest.mark.django_db
LARGE = Impact(removed=30, replaced=10, total=100)
SMALL = Impact(removed=5, replaced=0, total=100)


def may(world: World, impact: Impact, kind: str = "comparison") -> bool:
    return services.may_proceed(
        connection=world.connection, kind=kind, impact=impact, found="Passport lists 60."
    )


def states() -> list[str]:
    return list(HeldChange.objects.order_by("pk").values_list("state", flat=True))


@pytest.mark.parametrize(
    ("affected", "total", "is_held"),
    [
        (25, 25, False),
        (26, 26, True),
        (26, 130, False),
        (27, 130, True),
        (200, 1001, False),
        (201, 1001, True),
    ],
)
def test_both_the_number_and_the_share_have_to_be_exceeded(affected: int, total: int, is_held: bool) -> None:
    assert Impact(affected, 0, total).is_too_much is is_held
    assert Impact(0, affected, total).is_too_much is is_held


@override_settings(HELD_CHANGE_RIGHTS=3, HELD_CHANGE_SHARE=0.5)
def test_the_measure_is_a_setting() -> None:
    assert Impact(4, 0, 7).is_too_much
    assert not Impact(3, 0, 3).is_too_much


def test_a_small_change_goes_ahead_and_leaves_no_trace(world: World) -> None:
    assert may(world, SMALL)
    assert not HeldChange.objects.exists()
    assert not Notice.objects.exists()


def test_a_large_change_is_held_shown_mailed_and_recorded(world: World) -> None:
    assert not may(world, LARGE)
    held = HeldChange.objects.get()
    assert (held.state, held.removed, held.replaced, held.total) == ("held", 30, 10, 100)
    notice = Notice.objects.get()
    assert notice.company == world.company
    assert "Of 100 parking rights, 30 would be removed and 10 would be replaced." in notice.text
    assert notice.url == world.url("held_change", held.pk)
    assert Mail.objects.filter(kind="alarm").exists()
    assert AuditEvent.objects.get().kind == "change_held"


def test_what_is_found_while_it_waits_renews_it_and_notifies_no_one_again(world: World) -> None:
    may(world, LARGE)
    mails = Mail.objects.count()
    assert not may(world, Impact(60, 0, 100))
    assert HeldChange.objects.get().removed == 60
    assert Mail.objects.count() == mails
    assert "60 would be removed" in Notice.objects.get().text
    assert len(mail.outbox) == 0


def test_it_is_over_when_the_cause_has_gone(world: World) -> None:
    may(world, LARGE)
    assert may(world, SMALL)
    assert states() == ["over"]
    assert not Notice.objects.filter(done_at=None).exists()


def test_an_accepted_change_is_made_once(world: World) -> None:
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get(), actor=UserFactory())
    assert may(world, LARGE)
    assert states() == ["accepted"]
    services.note_applied(world.connection, "comparison")
    assert states() == ["applied"]
    assert not may(world, LARGE)
    assert states() == ["applied", "held"]


def test_an_accepted_change_that_failed_halfway_is_gone_on_with_unasked(world: World) -> None:
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get(), actor=UserFactory())
    assert may(world, LARGE)  # and then it fails
    rest = Impact(removed=30, replaced=1, total=100)
    assert may(world, rest)
    services.note_applied(world.connection, "comparison")
    assert states() == ["applied"]


def test_where_nothing_was_accepted_nothing_is_used_up(world: World) -> None:
    may(world, LARGE)
    services.note_applied(world.connection, "comparison")
    assert states() == ["held"]
    services.accept(held=HeldChange.objects.get(), actor=UserFactory())
    services.note_applied(world.connection, "import")
    assert states() == ["accepted"]


def test_accepting_a_comparison_compares_at_once(world: World) -> None:
    Connection.objects.update(reconciled_at=timezone.now())
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get())
    world.connection.refresh_from_db()
    assert world.connection.reconciled_at is None


@pytest.mark.parametrize("grown", [Impact(30, 40, 100), Impact(40, 0, 100)])
def test_an_accepted_change_that_has_grown_is_asked_about_again(world: World, grown: Impact) -> None:
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get())
    assert not may(world, grown)
    assert states() == ["accepted", "held"]


def test_an_acceptance_is_not_kept_for_another_day(world: World) -> None:
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get())
    HeldChange.objects.update(decided_at=timezone.now() - timedelta(hours=2))
    assert not may(world, LARGE)


def test_an_acceptance_counts_for_its_connection_and_kind_alone(world: World) -> None:
    may(world, LARGE)
    services.accept(held=HeldChange.objects.get())
    assert not may(world, LARGE, "import")
    other = World.build(name="Other", slug="other")
    assert not may(other, LARGE)
    assert may(world, LARGE)


def test_a_discarded_change_is_not_asked_about_again_for_a_day(world: World) -> None:
    may(world, LARGE)
    services.discard(held=HeldChange.objects.get(), actor=UserFactory())
    assert not may(world, LARGE)
    assert states() == ["discarded"]
    HeldChange.objects.update(decided_at=timezone.now() - timedelta(days=2))
    assert not may(world, LARGE)
    assert states() == ["discarded", "held"]


def test_a_discarded_change_that_has_grown_is_asked_about_again(world: World) -> None:
    may(world, LARGE)
    services.discard(held=HeldChange.objects.get())
    assert not may(world, Impact(90, 0, 100))
    assert states() == ["discarded", "held"]


def test_one_answer_is_taken(world: World) -> None:
    may(world, LARGE)
    held = HeldChange.objects.get()
    services.accept(held=held)
    with pytest.raises(ValidationError):
        services.discard(held=held)
    assert states() == ["accepted"]


# --- The page -----------------------------------------------------------------------------------------------------


def test_the_page_shows_how_many_and_some_of_the_permits(world: World) -> None:
    permit = PermitFactory(location=world.location("Lot B", world.zone("Z1")), plate="SEEN123")
    foreign = PermitFactory(plate="FOREIGN1")
    may(world, Impact(30, 10, 100, examples=(permit.pk, foreign.pk)))
    page = world.viewer.get(world.url("held_change", HeldChange.objects.get().pk)).content.decode()
    assert "Of 100 parking rights, 30 would be removed and 10 would be replaced." in page
    assert "SEEN123" in page
    assert "FOREIGN1" not in page
    assert "Accept change" not in page


@pytest.mark.parametrize(("word", "state"), [("accept", "accepted"), ("discard", "discarded")])
def test_an_operator_decides_on_the_page(world: World, word: str, state: str) -> None:
    may(world, LARGE)
    held = HeldChange.objects.get()
    assert "Accept change" in world.operator.get(world.url("held_change", held.pk)).content.decode()
    world.operator.post(
        world.url("held_change_decide", held.pk), {"word": word, "removed": "30", "replaced": "10"}
    )
    held.refresh_from_db()
    assert held.state == state
    assert held.decided_by is not None
    event = AuditEvent.objects.order_by("-pk").first()
    assert event is not None
    assert (event.kind, event.actor) == (f"change_{state}", held.decided_by)
    page = world.operator.get(world.url("activity_people")).content.decode()
    assert "of 100 parking rights, 30 to be removed and 10 replaced" in page


def test_the_page_accepts_what_it_showed_and_not_what_the_change_has_grown_to(world: World) -> None:
    may(world, LARGE)
    held = HeldChange.objects.get()
    page = world.operator.get(world.url("held_change", held.pk)).content.decode()
    assert 'name="removed" value="30"' in page
    assert 'name="replaced" value="10"' in page
    may(world, Impact(removed=90, replaced=10, total=100))
    shown = {"word": "accept", "removed": "30", "replaced": "10"}
    answer = world.operator.post(world.url("held_change_decide", held.pk), shown, follow=True)
    assert "The change has grown since you opened this page." in answer.content.decode()
    assert states() == ["held"]
    assert not may(world, Impact(removed=90, replaced=10, total=100))


@pytest.mark.parametrize("shown", [{}, {"removed": "-1", "replaced": "²"}, {"removed": "9" * 5_000}])
def test_an_acceptance_that_does_not_say_of_what_is_none(world: World, shown: dict[str, str]) -> None:
    may(world, LARGE)
    held = HeldChange.objects.get()
    world.operator.post(world.url("held_change_decide", held.pk), {"word": "accept", **shown})
    assert states() == ["held"]


def test_an_answer_that_is_neither_yes_nor_no_decides_nothing(world: World) -> None:
    may(world, LARGE)
    held = HeldChange.objects.get()
    assert world.operator.post(world.url("held_change_decide", held.pk), {"word": "?"}).status_code == 400
    assert states() == ["held"]
