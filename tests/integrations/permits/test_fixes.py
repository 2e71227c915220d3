"""Whatever keeps a permit from being seen is shown for as long as it lasts, and “Fix” leads to where it is put right."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Breaker, Connection, PermitSync, Zone
from integrations.permits.fixes import fix_of, refused_field
from integrations.permits.queries import Delivery, delivery_of
from integrations.vendors.naming import zone_label
from locations.models import Location, Permit
from locations.services import cancel_permit
from passport.problems import error_for
from tests.factories import PermitFactory
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db
UUID = "5b3fd4f2-98cf-4e55-a3f6-0a2d3c6a1f10"
MINUTE = timedelta(minutes=1)


def saved(world: World, location: Location | None = None, **values: Any) -> Permit:
    """Make a permit and give its permit sync these values."""
    place = location or world.location("Lot B", world.zone("LotB"))
    permit: Permit = PermitFactory(location=place, plate="RXH 8504")
    PermitSync.objects.filter(permit=permit).update(**values)
    return permit


def told(permit: Permit, minutes: float = 0) -> Delivery:
    return delivery_of(
        Permit.objects.select_related("location").get(pk=permit.pk), timezone.now() + minutes * MINUTE
    )


def accepted(permit: Permit) -> dict[str, Any]:
    return {
        "state": "done", "remote_state": {"session_id": "s"}, "remote_until": permit.end, "accepted_at": timezone.now(),
    }  # fmt: skip


# --- What has failed for long says so -------------------------------------------------------------------------------------


def fail(permit: Permit, attempts: int) -> None:
    now = timezone.now()
    PermitSync.objects.filter(permit=permit).update(
        attempts=attempts, error="Passport answered 503.", error_kind="later", error_since=now, tried_at=now
    )


def test_a_short_failure_is_retried_and_a_long_one_says_since_when_how_often_and_what_to_do(
    world: World,
) -> None:
    permit = saved(world)
    fail(permit, 14)
    assert told(permit).state.remedy == "It is being retried automatically."
    state = told(permit, minutes=6).state
    assert state.word == "sending, 15th attempt"
    assert state.remedy.startswith("Tried 14 times since ")
    for part in (
        "Until it succeeds officers may not see RXH 8504: tell them about it.",
        "It is being retried automatically.",
        "Run the diagnostics; if Passport is at fault, report it there.",
    ):
        assert part in state.remedy
    page = text_of(world.operator.get(world.url("permit", permit.pk)))
    assert "It is being retried automatically." in page


def test_a_revoke_that_fails_for_long_says_that_officers_may_still_see_it(world: World) -> None:
    permit = saved(world)
    PermitSync.objects.update(**accepted(permit))
    cancel_permit(permit=permit)
    fail(permit, 3)
    state = told(permit, minutes=6).state
    assert state.word == "removing, 4th attempt"
    assert "officers may still see RXH 8504" in state.remedy


@pytest.mark.parametrize("failing", [False, True])
def test_what_waits_for_long_says_so_whether_or_not_it_was_tried(world: World, failing: bool) -> None:
    permit = saved(world)
    now = timezone.now()
    if failing:
        Breaker.objects.create(
            connection=world.connection, failures=9, failing_since=now, open_until=now + 60 * MINUTE, error="No answer."
        )  # fmt: skip
    assert "since" not in told(permit).state.remedy
    state = told(permit, minutes=30).state
    assert state.remedy.startswith("Waiting since ")
    assert "officers may not see RXH 8504" in state.remedy


def test_no_state_of_something_wrong_says_that_there_is_nothing_to_do(world: World) -> None:
    permit = saved(world)
    PermitSync.objects.update(remote_state={"session_id": "s"}, remote_until=permit.end, session_count=1)
    fail(permit, 2)
    for minutes in (0, 3, 600):
        for ended in (False, True):
            if ended:
                Permit.objects.update(status="cancelled", cancelled_at=timezone.now())
            remedy = told(permit, minutes).state.remedy
            assert remedy
            assert "nothing to do" not in remedy.lower()
        Permit.objects.update(status="active", cancelled_at=None)


def test_a_refusal_that_came_again_says_how_often_and_since_when(world: World) -> None:
    since = timezone.now() - timedelta(hours=2)
    refused: dict[str, Any] = {
        "state": "refused",
        "error": "No.",
        "error_code": "space",
        "error_since": since,
        "remedy": "Ask.",
    }
    assert "Refused" not in told(saved(world, **refused, refusals=1)).state.remedy
    PermitSync.objects.update(refusals=5)
    remedy = told(Permit.objects.get()).state.remedy
    assert remedy.startswith("Ask. Refused 5 times since ")


# --- A zone that is gone ----------------------------------------------------------------------------------------------


def test_an_accepted_permit_whose_zone_is_gone_has_no_green_tick(world: World) -> None:
    permit = saved(world)
    PermitSync.objects.update(**accepted(permit))
    assert told(permit).state.tone == "success"
    Zone.objects.update(missing_since=timezone.now())
    delivery = told(permit)
    assert (delivery.state.key, delivery.state.tone, delivery.state.icon) == (
        "zone_missing",
        "danger",
        "alert-triangle",
    )
    assert delivery.state.sentence == (
        "Passport no longer lists zone LotB, so officers may not see this plate there."
    )
    page = text_of(world.operator.get(world.url("permit", permit.pk)))
    assert "Passport no longer lists zone LotB" in page
    assert "Map the location to another zone" in page
    # What is over is over.
    cancel_permit(permit=permit)
    PermitSync.objects.update(state="done", remote_state=None, remote_until=None, session_count=1)
    assert told(permit).state.key == "withdrawn"


def test_the_overview_says_that_a_zone_is_gone_and_what_that_means(world: World) -> None:
    permit = saved(world)
    PermitSync.objects.update(**accepted(permit))
    Zone.objects.update(missing_since=timezone.now())
    response = world.operator.get(world.url("overview"))
    page = text_of(response)
    assert response.context["answer"].tone == "danger"
    assert "Passport no longer lists the zone of 1 location." in page
    assert "officers may not see the 1 current permit" in page
    assert "Map 1 location to another zone" in page
    companies = text_of(world.support.get("/companies/"))
    assert "At 1 company a location is mapped to a zone that is no longer listed." in companies


def test_an_unused_zone_that_is_gone_is_no_alarm(world: World) -> None:
    saved(world)
    world.zone("Unused", missing_since=timezone.now())
    assert world.operator.get(world.url("overview")).context["answer"].tone != "danger"
    page = text_of(world.operator.get(world.url("zones")))
    assert "1 zone is missing from Passport." in page
    assert "no longer listed" not in page


def test_the_zones_page_says_what_a_used_zone_that_is_gone_means(world: World) -> None:
    permit = saved(world)
    PermitSync.objects.update(**accepted(permit))
    Zone.objects.update(missing_since=timezone.now())
    page = text_of(world.operator.get(world.url("zones")))
    assert "1 location is mapped to a zone that Passport no longer lists." in page
    assert "officers may not see the 1 current permit" in page
    assert f"{world.url('locations')}?show=missing" in page


# --- Fix --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "missing", "view", "query", "label"),
    [
        ("vehicle_state", False, "permit_change", "", "Fix"),
        ("zone_not_found", False, "locations", "?q=Lot%20B", "Remap"),
        ("validation_error", True, "locations", "?q=Lot%20B", "Remap"),
    ],
)
def test_fix_opens_what_puts_a_refusal_right(
    world: World, code: str, missing: bool, view: str, query: str, label: str
) -> None:
    permit = saved(world, state="refused", error="No.", error_code=code, error_since=timezone.now())
    if missing:
        Zone.objects.update(missing_since=timezone.now())
    args = [permit.pk] if view == "permit_change" else []
    url = world.url(view, *args) + query
    fix = fix_of(told(permit), "university")
    assert fix is not None
    assert (fix.url, fix.label) == (url, label)
    for page in ("overview", "refused"):
        assert f'href="{url}"' in text_of(world.operator.get(world.url(page)))
    assert f'href="{url}"' in text_of(world.operator.get(world.url("permit", permit.pk)))


@pytest.mark.parametrize(
    ("change", "view"),
    [
        ({"status": "paused", "status_reason": "Signs."}, "setup"),
        ({"status": "testing", "live_since": None}, "setup"),
    ],
)
def test_what_the_connection_holds_back_leads_to_the_set_up(
    world: World, change: dict[str, Any], view: str
) -> None:
    permit = saved(world)
    Connection.objects.update(**change)
    fix = fix_of(told(permit), "university")
    assert fix is not None
    assert fix.url == world.url(view)


def test_what_waits_for_the_vendor_leads_to_the_diagnostics_once_it_takes_long(world: World) -> None:
    permit = saved(world)
    assert fix_of(told(permit), "university") is None
    fix = fix_of(told(permit, minutes=5), "university")
    assert fix is not None
    assert fix.url == world.url("diagnostics")
    PermitSync.objects.update(**accepted(permit))
    assert fix_of(told(permit), "university") is None


# --- Names, not ids ---------------------------------------------------------------------------------------------------


def test_people_read_no_uuid_of_a_zone() -> None:
    document = {
        "type": "io.passportlabs:error:zone_not_found", "detail": f"passport_zone_id: this operator has no zone {UUID}",
    }  # fmt: skip
    error = error_for(400, document, headers={}, now=timezone.now(), trace_id="t")
    assert error is not None
    assert error.sentence == "Passport zone id: this operator has no zone"
    assert zone_label({UUID: "LotB"}, UUID) == "LotB"
    assert zone_label({}, UUID) == "unknown zone"


# --- The form that corrects it says why, and marks the field ----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sentence", "field"),
    [
        ("validation_error", "Space number: zone SP-01 has no space 44.", "space_number"),
        ("space_number_required", "This zone requires one.", "space_number"),
        ("zone_not_found", "There is no such thing.", "location"),
        ("vehicle_state", "Refused.", "subdivision"),
        ("validation_error", "Vehicle plate: too long", "plate"),
        ("validation_error", "start_time must lie before end_time", "start"),
        ("validation_error", "The end is too far ahead", "end"),
        ("http_409", "Conflict", ""),
        # Words within other words are none.
        ("http_400", "The estate amended a spaceship", ""),
    ],
)
def test_what_a_refusal_is_about_is_read_from_its_words(code: str, sentence: str, field: str) -> None:
    assert refused_field(code, sentence) == field


def test_the_form_that_corrects_a_refused_permit_says_why_and_marks_the_field(world: World) -> None:
    permit = saved(
        world,
        state="refused",
        error_code="validation_error",
        error="Vehicle state: not a state.",
        remedy="Fix the state or province of the plate.",
        error_since=timezone.now(),
    )
    address = world.url("permit_change", permit.pk)
    response = world.operator.get(address)
    assert response.status_code == 200
    page = text_of(response)
    assert "Passport refused this permit: Vehicle state: not a state." in page
    (control,) = [part.split(">")[0] for part in page.split("<select")[1:] if 'name="subdivision"' in part]
    assert 'aria-invalid="true"' in control
    assert 'aria-describedby="id_subdivision_error"' in control
    told_there = page.split('id="id_subdivision_error"')[1].split("</div>")[0]
    assert "Fix the state or province of the plate." in told_there
    assert page.count('aria-invalid="true"') == 1
    # Once it is no longer refused, nothing is marked.
    PermitSync.objects.filter(permit=permit).update(state="due")
    page = text_of(world.operator.get(address))
    assert "refused this permit" not in page
    assert "aria-invalid" not in page


def test_a_refusal_that_names_no_field_is_said_above_the_form_alone(world: World) -> None:
    permit = saved(
        world, state="refused", error_code="http_409", error="Conflict.", error_since=timezone.now()
    )
    page = text_of(world.operator.get(world.url("permit_change", permit.pk)))
    assert "Passport refused this permit: Conflict." in page
    assert "aria-invalid" not in page
