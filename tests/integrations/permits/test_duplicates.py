"""A second permit of the same plate at the same place: asked about before it is saved, and a message when one of two ends."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from locations.models import Location, Membership, Permit
from locations.services import cancel_permit, change_permit
from tests.factories import LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.integrations.permits.pages import NEW_YORK, text_of, typed, url
from tests.pages import count_queries

pytestmark = pytest.mark.django_db
# The form of `typed` is from 5 December, 18:00, to the 6th at the same hour.
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
ASKED = "This plate has a permit here at that time already. Choose what to do."


def at(day: int, hour: int = 18) -> datetime:
    return datetime(2026, 12, day, hour, tzinfo=NEW_YORK)


@pytest.fixture(autouse=True)
def _on_the_first() -> object:
    with time_machine.travel(NOW, tick=False):
        yield


def other(
    place: Location, start: datetime, end: datetime, plate: str = "ABC1234", **values: object
) -> Permit:
    permit: Permit = PermitFactory(
        location=place, plate=plate, subdivision="US-NC", start=start, end=end, **values
    )
    return permit


def test_an_overlapping_permit_that_lies_ahead_is_told_before_saving(
    operator: Client, place: Location
) -> None:
    ahead = other(place, at(6, 8), at(8))
    response = operator.post(url("permit_add"), typed(place))
    assert response.status_code == 422
    words = text_of(response)
    assert ASKED in words
    assert "ABC1234 already has a permit at North Campus Garage" in words
    assert f'href="{url("permit", ahead.pk)}"' in response.content.decode()
    assert "Let that one begin at 5 Dec 2026, 18:00" in words
    assert Permit.objects.count() == 1


def test_a_second_one_is_registered_once_that_was_chosen_for_these_very_ones(
    operator: Client, place: Location
) -> None:
    first = other(place, at(4), at(7))
    second = f"second:{first.pk}"
    assert operator.post(url("permit_add"), typed(place, same="second:999")).status_code == 422
    newer = other(place, at(5, 20), at(9))
    # There is one more by now, which no one has seen.
    assert operator.post(url("permit_add"), typed(place, same=second)).status_code == 422
    response = operator.post(url("permit_add"), typed(place, same=f"{second}.{newer.pk}"))
    assert response.status_code == 302
    assert Permit.objects.filter(plate="ABC1234").count() == 3


def test_the_other_one_is_extended_instead(operator: Client, member: Membership, place: Location) -> None:
    first = other(place, at(4), at(6, 8))
    asked = operator.post(url("permit_add"), typed(place))
    assert "Extend that one until 6 Dec 2026, 18:00" in text_of(asked)
    response = operator.post(url("permit_add"), typed(place, same=f"extend:{first.pk}"), follow=True)
    assert response.redirect_chain[-1][0] == url("permit", first.pk)
    assert "was extended until 6 Dec 2026, 18:00 EST. No second permit was registered." in text_of(response)
    permit = Permit.objects.get()
    assert (permit.start, permit.end, permit.revision) == (at(4), at(6), 2)
    assert (permit.updated_by, permit.plate, permit.location) == (member.user, "ABC1234", place)


def test_what_covers_the_time_already_can_not_be_extended(operator: Client, place: Location) -> None:
    first = other(place, at(4), at(9))
    asked = operator.post(url("permit_add"), typed(place))
    assert "extend:" not in asked.content.decode()
    assert operator.post(url("permit_add"), typed(place, same=f"extend:{first.pk}")).status_code == 422
    assert Permit.objects.get().end == at(9)


@pytest.mark.parametrize(
    "case", ["before", "after", "elsewhere", "another state", "cancelled", "a test", "another plate"]
)
def test_what_does_not_overlap_is_not_asked_about(operator: Client, place: Location, case: str) -> None:
    window = {"before": (at(2), at(5)), "after": (at(6), at(8))}.get(case, (at(4), at(8)))
    where = LocationFactory(company=place.company) if case == "elsewhere" else place
    made = other(
        where, *window, plate="XYZ987" if case == "another plate" else "ABC1234", is_test=case == "a test"
    )
    if case == "another state":
        change_permit(permit=made, subdivision="US-VA")
    if case == "cancelled":
        cancel_permit(permit=made)
    assert operator.post(url("permit_add"), typed(place)).status_code == 302


def test_a_change_is_asked_about_only_where_it_newly_overlaps(operator: Client, place: Location) -> None:
    other(place, at(10), at(12))
    permit = other(place, at(5), at(6))

    def change(**values: object) -> int:
        permit.refresh_from_db()
        form = typed(place, start="2026-12-05T18:00", revision=permit.revision, **values)
        return operator.post(url("permit_change", permit.pk), form).status_code

    assert change(end="2026-12-08T18:00") == 302
    assert change(end="2026-12-11T18:00") == 422
    key = f"second:{Permit.objects.earliest('pk').pk}"
    assert change(end="2026-12-11T18:00", same=key) == 302
    # They overlap by now: a change of anything else, or back, is no news.
    assert change(end="2026-12-11T18:00", unit="A-1") == 302
    assert change(end="2026-12-11T08:00") == 302


def test_the_hint_comes_while_typing_and_keeps_what_was_chosen(operator: Client, place: Location) -> None:
    first = other(place, at(4), at(6, 8))
    key = f"extend:{first.pk}"
    page = operator.post(url("permit_hints"), typed(place, same=key)).content.decode()
    (chosen,) = [part for part in page.split("<input")[1:] if f'value="{key}"' in part]
    assert "checked" in chosen.split(">")[0]
    assert "Extend that one" not in text_of(operator.post(url("permit_hints"), typed(place, end="")))


# --- Ending one of two ------------------------------------------------------------------------------------------------


def test_ending_one_of_two_says_that_the_other_still_shows_the_plate(
    operator: Client, place: Location
) -> None:
    one, two = other(place, at(1, 1), at(7)), other(place, at(6), at(9))
    for page in ("permit", "permit_cancel"):
        words = text_of(operator.get(url(page, one.pk)))
        assert "Officers will still see this plate, by another permit:" in words
        assert "from 6 Dec 2026, 18:00 until 9 Dec 2026, 18:00" in words
    assert "This plate has another permit here." in text_of(operator.get(url("permit", one.pk)))
    response = operator.post(url("permit_cancel", one.pk), follow=True)
    words = text_of(response)
    assert (
        "Another permit still shows this plate at North Campus Garage until 9 Dec 2026, 18:00 EST." in words
    )
    assert "Officers still see this plate, or will, by another permit." in words
    assert f'href="{url("permit", two.pk)}"' in response.content.decode()
    # The last one ends without that.
    words = text_of(operator.get(url("permit_cancel", two.pk)))
    assert "Officers stop seeing this plate within seconds." in words
    assert "another permit" not in text_of(operator.get(url("permit", two.pk)))


def test_a_permit_at_another_location_of_the_same_zone_shows_the_plate_too(
    operator: Client, place: Location
) -> None:
    zone = place.zone_mapping.zone
    neighbour, apart = (LocationFactory(company=place.company, name=name) for name in ("Annex", "Apart"))
    ZoneMappingFactory(location=neighbour, zone=zone)
    ZoneMappingFactory(location=apart, zone=ZoneFactory(connection=zone.connection))
    one = other(place, at(1, 1), at(7))
    other(neighbour, at(1, 1), at(7))
    other(apart, at(1, 1), at(7))
    words = text_of(operator.get(url("permit_cancel", one.pk)))
    assert "Annex" in words
    assert "Apart" not in words


def test_ending_early_by_a_change_says_it_too(operator: Client, place: Location) -> None:
    one = other(place, at(1, 1), at(9))
    other(place, at(1, 2), at(8))
    form = typed(place, start="2026-12-01T01:00", end="2026-12-02T18:00", revision=1)
    response = operator.post(url("permit_change", one.pk), form, follow=True)
    assert "Another permit still shows this plate" in text_of(response)


def test_cancelling_several_counts_what_stays_visible(operator: Client, place: Location) -> None:
    both = [other(place, at(1, 1), at(7)), other(place, at(2), at(8))]
    one = other(place, at(1, 1), at(7), plate="TWICE1")
    other(place, at(6), at(9), plate="TWICE1")
    page = operator.post(url("permits_cancel"), {"permit": [both[0].pk, both[1].pk, one.pk]})
    assert "The plate of 1 of them stays visible by another permit at the same location." in text_of(page)
    page = operator.post(url("permits_cancel"), {"permit": [permit.pk for permit in both]})
    assert "stays visible" not in text_of(page)


def test_a_permits_page_keeps_to_its_queries(operator: Client, place: Location) -> None:
    one = other(place, at(1, 1), at(7))
    for hour in range(6):
        other(place, at(2, hour), at(7) + timedelta(hours=hour))
    for name in ("permit", "permit_cancel"):
        count_queries(operator, url(name, one.pk))
