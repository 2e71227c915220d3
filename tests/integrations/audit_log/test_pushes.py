"""Activity: pushes with their reasons, what was refused and tried again, and what people did."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.audit_log.pushes import Key, read_key
from integrations.models import PermitSync, Push, PushEvent
from locations.models import Permit, User
from locations.services import cancel_permit, cancel_permits, change_permit
from tests.factories import ConnectionFactory, PermitFactory, UserFactory
from tests.pages import World, count_queries, text_of

pytestmark = pytest.mark.django_db


def make_push(world: World, *, minutes: int = 0, permit: Permit | None = None, **values: Any) -> Push:
    """Write one push, `minutes` ago; with a permit, also its event."""
    at = timezone.now() - timedelta(minutes=minutes)
    defaults: dict[str, Any] = {
        "connection": world.connection, "kind": "started", "events": 1, "accepted": 1, "sent_at": at,
        "answered_at": at + timedelta(milliseconds=120), "trace_id": "trace-1", "status": 202, "outcome": "accepted",
    }  # fmt: skip
    push: Push = Push.objects.create(**(defaults | values))
    if permit is not None:
        permit_sync = PermitSync.objects.get(permit=permit)
        PushEvent.objects.create(
            permit_sync=permit_sync,
            push=push,
            kind=push.kind,
            session_id="os-1",
            due_since=at,
            result="accepted",
        )
    return push


def refused_permit(
    world: World, code: str = "vehicle_state", *, is_final: bool = False, **values: Any
) -> Permit:
    """Make a permit that Passport has refused, for the time being or whenever it is sent (`is_final`)."""
    location = world.company.locations.first() or world.location("Lot B", world.zone("LotB"))
    permit: Permit = PermitFactory(location=location, **values)
    PermitSync.objects.filter(permit=permit).update(
        state="refused",
        error_code=code,
        error=f"Refused for {code}.",
        remedy="Correct it.",
        error_since=timezone.now(),
        retry_at=None if is_final else timezone.now() + timedelta(minutes=5),
    )
    return permit


def test_a_reason_that_is_used_up_says_so_and_leads_to_the_others(world: World) -> None:
    refused_permit(world)
    page = text_of(world.operator.get(world.url("refused"), {"reason": "zone_not_found"}))
    assert "Nothing is refused for this reason any longer" in page
    assert "There is 1 other reason." in page
    assert "Refused for vehicle_state." not in page


# --- Pushes -----------------------------------------------------------------------------------------------------------


def test_a_push_is_found_by_its_trace_id_or_its_beginning(world: World) -> None:
    make_push(world, trace_id="8f1d-aaaa", kind="extended")
    make_push(world, trace_id="8f1d-bbbb", outcome="refused")
    make_push(World.build(), trace_id="8f1d-cccc")

    def found(trace: str) -> list[str]:
        rows = world.viewer.get(world.url("activity"), {"trace": trace}).context["rows"]
        return sorted(push.trace_id for push in rows)

    assert found(" 8f1d-aaaa ") == ["8f1d-aaaa"]
    assert found("8f1d") == ["8f1d-aaaa", "8f1d-bbbb"]
    assert found("aaaa") == []
    # Too short to search for: it doesn't narrow the list yet.
    assert len(found("8f1")) == 2


def test_events_are_described_in_words(world: World) -> None:
    push = make_push(world, kind="stopped", events=3)
    make_push(world, kind="extended")
    page = text_of(world.viewer.get(world.url("activity")))
    assert "3 ended" in page
    assert "1 time changed" in page
    assert '<option value="stopped">ended</option>' in page
    assert "3 events: ended" in text_of(world.viewer.get(world.url("push", push.pk)))


def test_pushes_are_listed_newest_first_with_the_reasons_above(world: World) -> None:
    make_push(world, minutes=5)
    make_push(
        world, minutes=1, outcome="later", status=503, error_code="http_503", error="Passport answered 503."
    )
    response = world.viewer.get(world.url("activity"))
    assert [push.outcome for push in response.context["rows"]] == ["later", "accepted"]
    assert "Passport answered 503." in text_of(response)
    assert [one.count for one in response.context["troubles"]] == [1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"outcome": "trouble"}, 2),
        ({"outcome": "refused"}, 1),
        ({"outcome": "nonsense"}, 0),
        ({"kind": "nonsense"}, 0),
        ({"span": "nonsense"}, 0),
        ({"trace": "x" * 41}, 0),
        ({"kind": "stopped"}, 1),
        ({"span": "1h"}, 3),
        ({"reason": "http_503"}, 1),
        ({"before": "nonsense"}, 4),
    ],
)
def test_pushes_are_narrowed_by_what_the_address_says(
    world: World, query: dict[str, str], expected: int
) -> None:
    make_push(world)
    make_push(world, outcome="later", error_code="http_503", error="503")
    make_push(world, outcome="refused", error_code="bad", error="bad")
    make_push(world, minutes=90, kind="stopped")
    assert len(world.viewer.get(world.url("activity"), query).context["rows"]) == expected


def test_pushes_are_paged_by_key_without_a_gap_or_a_double(world: World) -> None:
    at = timezone.now()
    second = ConnectionFactory(company=world.company, label="South", live=True)
    Push.objects.bulk_create(
        Push(
            connection=world.connection if number % 2 else second, kind="started", events=1, accepted=1, trace_id="t",
            # Several pushes with the same time are on both sides of a page's end.
            sent_at=at - timedelta(seconds=number // 20), answered_at=at, outcome="accepted",
        )
        for number in range(170)
    )  # fmt: skip
    seen: list[int] = []
    query = ""
    for _page in range(10):
        response = world.viewer.get(world.url("activity") + query)
        seen += [push.pk for push in response.context["rows"]]
        query = response.context["older"]
        if not query:
            break
    assert len(seen) == 170
    assert len(set(seen)) == 170


def test_one_push_shows_its_registrations_and_trace(world: World) -> None:
    permit = PermitFactory(location=world.location("Lot B", world.zone("LotB")), plate="ABC 1234")
    push = make_push(world, permit=permit, trace_id="7f3a")
    page = text_of(world.viewer.get(world.url("push", push.pk)))
    assert "ABC 1234" in page
    assert "7f3a" in page
    assert "os-1" in page
    assert "120 ms" in page


def test_another_companys_push_is_not_found(world: World) -> None:
    push = make_push(World.build())
    assert world.manager.get(world.url("push", push.pk)).status_code == 404


# --- Refused ----------------------------------------------------------------------------------------------------------


def test_what_was_refused_is_grouped_with_its_remedy(world: World) -> None:
    refused_permit(world, plate="NO 1")
    refused_permit(world, plate="NO 2")
    refused_permit(world, code="zone_not_found", plate="NO 3")
    page = text_of(world.viewer.get(world.url("refused")))
    assert "2 refused" in page
    assert "Correct it." in page
    assert all(plate in page for plate in ("NO 1", "NO 2", "NO 3"))
    narrowed = text_of(world.viewer.get(world.url("refused"), {"reason": "zone_not_found"}))
    assert "NO 3" in narrowed
    assert "NO 1" not in narrowed


def test_a_group_whose_sentences_differ_says_so(world: World) -> None:
    for space in (44, 45):
        permit = refused_permit(world)
        PermitSync.objects.filter(permit=permit).update(error=f"Zone SP-01 has no space {space}.")
    make_push(world, outcome="refused", error_code="space", error="No space 44.")
    make_push(world, outcome="refused", error_code="space", error="No space 45.")
    assert "Zone SP-01 has no space …" in text_of(world.viewer.get(world.url("refused")))
    assert "No space …" in text_of(world.viewer.get(world.url("activity")))


def test_a_group_whose_sentences_share_nothing_names_one_of_them(world: World) -> None:
    for sentence in ("A plate is missing.", "This vehicle is unknown."):
        permit = refused_permit(world)
        PermitSync.objects.filter(permit=permit).update(error=sentence)
    assert "This vehicle is unknown, and similar" in text_of(world.viewer.get(world.url("refused")))


def test_trying_again_is_offered_only_where_it_can_help(world: World) -> None:
    final = refused_permit(world, is_final=True)
    page = text_of(world.operator.get(world.url("refused")))
    assert f'action="{world.url("retry")}"' not in page
    assert "Trying again would not help" in page
    assert f'href="{world.url("permit_change", final.pk)}"' in page
    row = PermitSync.objects.get(permit=final)
    wanted: list[dict[str, str | int]] = [{"registration": row.pk}, {"reason": "vehicle_state"}]
    for form in wanted:
        world.operator.post(world.url("retry"), form)
        row.refresh_from_db()
        assert row.state == "refused"
    passing = refused_permit(world)
    page = text_of(world.operator.get(world.url("refused")))
    assert "Try 1 again" in page
    assert page.count('name="registration"') == 1
    world.operator.post(world.url("retry"), {"reason": "vehicle_state"})
    assert PermitSync.objects.get(permit=passing).state == "due"
    row.refresh_from_db()
    assert row.state == "refused"


def test_one_is_tried_again_and_the_others_stay(world: World) -> None:
    one, other = refused_permit(world), refused_permit(world)
    row = PermitSync.objects.get(permit=one)
    response = world.operator.post(world.url("retry"), {"registration": row.pk})
    assert "1 permit is being tried again." in str(next(iter(get_messages(response.wsgi_request))))
    assert PermitSync.objects.get(permit=one).state == "due"
    assert PermitSync.objects.get(permit=other).state == "refused"


def test_all_of_a_reason_are_tried_again_and_no_others(world: World) -> None:
    one, two = refused_permit(world), refused_permit(world)
    other = refused_permit(world, code="zone_not_found")
    foreign = refused_permit(World.build())
    world.operator.post(world.url("retry"), {"reason": "vehicle_state"})
    states = {permit.pk: PermitSync.objects.get(permit=permit).state for permit in (one, two, other, foreign)}
    assert list(states.values()) == ["due", "due", "refused", "refused"]


def test_a_foreign_registration_is_not_tried_again(world: World) -> None:
    foreign = refused_permit(World.build())
    row = PermitSync.objects.get(permit=foreign)
    world.operator.post(world.url("retry"), {"registration": row.pk})
    row.refresh_from_db()
    assert row.state == "refused"


def test_trying_nothing_again_is_no_page(world: World) -> None:
    assert world.operator.post(world.url("retry")).status_code == 404


def test_a_viewer_may_not_try_again(world: World) -> None:
    refused_permit(world)
    assert f'action="{world.url("retry")}"' in text_of(world.operator.get(world.url("refused")))
    assert f'action="{world.url("retry")}"' not in text_of(world.viewer.get(world.url("refused")))
    assert world.viewer.post(world.url("retry"), {"reason": "vehicle_state"}).status_code == 403


# --- What people did --------------------------------------------------------------------------------------------------


@pytest.fixture
def kim() -> User:
    person: User = UserFactory(first_name="Kim", last_name="Lee")
    return person


def test_what_people_did_is_one_list_of_all_histories(world: World, kim: User) -> None:
    location = world.location("Lot B")
    permit = PermitFactory(location=location, plate="ABC 1", actor=kim)
    change_permit(permit=permit, plate="ABC 2", actor=kim)
    cancel_permit(permit=permit, actor=kim)
    world.operator.post(world.url("location_map", location.pk), {"zone": world.zone("LotB", name="Lot B").pk})
    page = text_of(world.viewer.get(world.url("activity_people")))
    assert "Kim Lee" in page
    assert "plate: ABC 1 → ABC 2" in page
    assert "cancelled" in page
    assert "Lot B → LotB · Lot B" in page


def test_times_in_the_list_are_the_locations(world: World, kim: User) -> None:
    permit = PermitFactory(location=world.location("Lot B", timezone="America/New_York"))
    year = timezone.now().year + 1
    change_permit(permit=permit, end=datetime(year, 1, 15, 17, tzinfo=UTC), actor=kim)
    assert f"→ 15 Jan {year}, 12:00" in text_of(world.viewer.get(world.url("activity_people")))


def test_the_list_is_narrowed_to_one_kind(world: World, kim: User) -> None:
    PermitFactory(location=world.location("Lot B"), plate="ABC 1", actor=kim)
    lines = world.viewer.get(world.url("activity_people"), {"kind": "location"}).context["lines"]
    assert {line.first.kind for line in lines} == {"location"}


def test_the_list_is_paged_by_key_without_a_gap_or_a_double(world: World, kim: User) -> None:
    location = world.location("Lot B")
    for _number in range(120):
        PermitFactory(location=location, actor=kim)
    seen: list[tuple[str, int]] = []
    query = "?kind=permit"
    for _page in range(5):
        response = world.viewer.get(world.url("activity_people") + query)
        seen += [
            (audit_event.kind, audit_event.pk)
            for line in response.context["lines"]
            for audit_event in line.audit_events
        ]
        query = response.context["older"]
        if not query:
            break
    assert len(seen) == len(set(seen)) == 120


def test_what_was_done_in_one_go_is_one_line(world: World, kim: User) -> None:
    location = world.location("Lot B")
    permits = [PermitFactory(location=location) for _number in range(8)]
    cancel_permits(permits=permits, actor=kim)
    lines = world.viewer.get(world.url("activity_people"), {"kind": "permit"}).context["lines"]
    assert (len(lines[0].audit_events), lines[0].unnamed, lines[0].first.verb) == (8, 3, "cancelled")


def test_another_companys_actions_are_not_shown(world: World, kim: User) -> None:
    PermitFactory(location=World.build().location("Theirs"), plate="FOREIGN", actor=kim)
    assert "FOREIGN" not in text_of(world.viewer.get(world.url("activity_people")))


def test_the_activity_pages_queries_do_not_grow_with_rows(world: World, kim: User) -> None:
    def fill(count: int) -> None:
        for _number in range(count):
            make_push(world, permit=refused_permit(world), outcome="refused", error_code="bad", error="bad")

    urls = [world.url("activity"), world.url("refused"), world.url("activity_people")]
    fill(10)
    few = [count_queries(world.operator, url) for url in urls]
    fill(190)
    assert all(count_queries(world.operator, url) <= before for url, before in zip(urls, few, strict=True))


@given(st.text(max_size=40))
def test_any_text_in_the_place_of_a_key_is_read_or_refused(text: str) -> None:
    key = read_key(text)
    assert key is None or read_key(str(key)) == key


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - limits without a zone
    st.integers(min_value=0, max_value=10**15),
)
def test_a_key_survives_the_address(at: datetime, pk: int) -> None:
    assert read_key(str(Key(at, pk))) == Key(at, pk)
