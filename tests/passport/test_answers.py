"""What an answer says about each event: only what it says is accepted counts as accepted."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.errors import DeliveryError, FixRecord, Intercepted, TryLater
from passport.answers import Reading, match, read_answer
from passport.http_answer import Answer
from tests.passport.test_reading import json_values

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
SESSIONS = ["os-K-1-1", "os-K-2-1", "os-K-3-1"]
URN = "io.passportlabs:error:"
LATER = "later"


def answer(status: int, document: Any, *, body: bytes | None = None, **headers: str) -> Answer:
    body = json.dumps(document).encode() if body is None else body
    return Answer(status, {"content-type": "application/json", **headers}, body, document, "t")


def read(status: int, document: Any, **rest: Any) -> Reading:
    return read_answer(answer(status, document, **rest), SESSIONS, now=NOW)


def words(reading: Reading) -> list[str]:
    """Each result in a word."""
    return [
        "accepted" if result is None else LATER if isinstance(result, TryLater) else "refused"
        for result in reading.results
    ]


def named(place: int, status: int = 202, **rest: Any) -> dict[str, Any]:
    return {"status": status, "session_id": SESSIONS[place], **rest}


# --- Answers as a whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_without_a_body_accepts_all(status: int) -> None:
    assert words(read(status, None, body=b" ")) == ["accepted"] * 3


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    "document", [{"request_id": "7"}, {"status": 202}, {"status": "accepted", "type": "receipt"}]
)
def test_a_success_with_an_acknowledgement_accepts_all(status: int, document: Any) -> None:
    assert words(read(status, document)) == ["accepted"] * 3


@pytest.mark.parametrize("status", [200, 201, 202, 207])
@pytest.mark.parametrize(
    "document",
    [
        {}, [], None, "ok", 42, True, {"data": []}, {"data": None}, {"data": {}}, {"data": "all is well"},
        {"type": f"{URN}zone_not_found"}, {"type": "about:blank", "title": "No", "detail": "No zone."}, {"status": 400},
        {"error": "invalid"}, {"errors": [{"code": 1}]}, {"type": f"{URN}odd", "data": [{"status": 202}] * 3},
        {"status": 500, "data": [{"status": 202}] * 3}, {"type": "about:blank", "title": "Bad Request"},
        {"title": "No zone."}, {"status": "400"}, {"status": "422 Unprocessable"}, {"code": 400, "message": "No zone."},
        {"statusCode": 403}, {"status_code": "500"}, {"success": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_success_that_says_nothing_or_the_opposite_accepts_nothing(status: int, document: Any) -> None:
    reading = read(status, document)
    assert words(reading) == [LATER] * 3
    # A failure of the whole request, so that nothing loops.
    assert isinstance(reading.error, TryLater)
    assert reading.error.sentence


def test_problem_details_by_their_media_type_accept_nothing() -> None:
    problem = {"content-type": "Application/problem+json; charset=utf-8"}
    assert words(read(200, {"instance": "/v3/shared/events"}, **problem)) == [LATER] * 3
    # The same members under the usual media type are an acknowledgement.
    assert words(read(200, {"instance": "/v3/shared/events"})) == ["accepted"] * 3


@pytest.mark.parametrize(
    "said", [{"code": 400}, {"title": "No zone."}, {"success": False}, {"statusCode": "422"}], ids=str
)
def test_a_result_that_names_its_event_and_tells_of_an_error_does_not_accept_it(said: dict[str, Any]) -> None:
    parts = [{"session_id": SESSIONS[0]}, {"session_id": SESSIONS[1], **said}, {"session_id": SESSIONS[2]}]
    assert words(read(200, {"data": parts})) == ["accepted", LATER, "accepted"]


def test_what_was_answered_is_said() -> None:
    error = read(200, {}).error
    assert error is not None
    assert error.sentence == "Passport answered 200, but not whether it accepted this."


def test_a_page_or_a_text_in_place_of_a_document_accepts_nothing() -> None:
    for body in (b"<html>", b"OK", b'{"data": ['):
        assert words(read(200, None, body=body)) == [LATER] * 3


# --- Results of single events -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 207])
def test_results_in_the_order_sent_count_by_their_place(status: int) -> None:
    parts = [{"status": 202}, {"status": 400, "type": f"{URN}invalid_plate"}, {"status": 503}]
    assert words(read(status, {"data": parts})) == ["accepted", "refused", LATER]


@pytest.mark.parametrize("status", [200, 202, 207])
@pytest.mark.parametrize("group", [None, "additional_details", "event", "data"])
def test_results_that_name_their_sessions_are_matched_by_them(status: int, group: str | None) -> None:
    def about(place: int, said: int) -> dict[str, Any]:
        name = {"session_id": SESSIONS[place]}
        return {"status": said, **(name if group is None else {group: name})}

    reading = read(status, {"data": [about(2, 400), about(0, 503), about(1, 202)]})
    assert words(reading) == [LATER, "accepted", "refused"]
    assert reading.error is None


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([named(1)], [LATER, "accepted", LATER]),
        ([named(0), named(1), named(1, 400)], ["accepted", LATER, LATER]),
        ([named(0), named(1), named(2), named(2)], ["accepted", "accepted", LATER]),
        ([{"status": 202}] * 2, [LATER] * 3),
        ([{"status": 202}] * 4, [LATER] * 3),
        ([{"status": 202, "session_id": "os-K-9-9"}] * 3, [LATER] * 3),
        ([{"status": 202}, {"status": 202}, named(0)], ["accepted", LATER, LATER]),
        ([{"status": 202}, named(1), {"status": 400}], ["accepted", "accepted", "refused"]),
        ([named(0, event={"session_id": SESSIONS[1]}), named(1), named(2)], [LATER, LATER, "accepted"]),
        ([named(0, 202, type=f"{URN}odd"), named(1, 202, error="x"), named(2)], [LATER, LATER, "accepted"]),
        ([{"status": "202"}, {"status": True}, {"status": 9}], [LATER] * 3),
        ([202, None, [202]], [LATER] * 3),
    ],
    ids=["missing", "contradicting", "doubled", "too few", "too many", "unknown", "not in order", "some named",
         "two names", "a problem in it", "odd statuses", "no objects"],
)  # fmt: skip
def test_an_event_without_a_certain_result_is_open(parts: list[Any], expected: list[str]) -> None:
    assert words(read(207, {"data": parts})) == expected


def test_events_that_a_success_lists_as_they_were_sent_are_accepted_and_others_are_open() -> None:
    listed = {"data": [{"session_id": session, "start_time": "x"} for session in SESSIONS[:2]]}
    assert words(read(201, listed)) == ["accepted", "accepted", LATER]
    # A 207 has a status for each.
    assert words(read(207, listed)) == [LATER] * 3


# Any mix of results: named or not, for our events and others, accepted, refused or odd.
PARTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from([200, 202, 204, 400, 404, 429, 503, 99, 1000, "202", None, True]),
            "session_id": st.sampled_from([*SESSIONS, "os-K-9-9", "", 7, None]),
            "additional_details": st.fixed_dictionaries({"session_id": st.sampled_from(SESSIONS)})
            | json_values,
            "type": st.sampled_from([f"{URN}odd", "receipt", None]),
            "error": st.just("x"),
        },
    )
    | json_values,
    max_size=5,
)


def names(part: Any) -> set[str]:
    groups = [part, *(part.get(name) for name in ("additional_details", "event", "data"))]
    return {
        str(group["session_id"])
        for group in groups
        if isinstance(group, dict) and group.get("session_id") is not None
    }


@given(st.sampled_from([200, 201, 202, 207]), PARTS)
def test_no_event_is_taken_for_accepted_unless_the_answer_says_so(status: int, parts: list[Any]) -> None:
    reading = read(status, {"data": parts})
    for place, (session, result) in enumerate(zip(SESSIONS, reading.results, strict=True)):
        if result is not None:
            assert isinstance(result, DeliveryError)
            continue
        about = [part for part in parts if isinstance(part, dict) and session in names(part)]
        assert len(about) <= 1
        part = about[0] if about else parts[place]
        # It is about this event and no other, and says that it was accepted.
        assert names(part) <= {session}
        if not names(part):
            assert len(parts) == len(SESSIONS)
        assert "error" not in part
        assert not str(part.get("type")).startswith(URN)
        if part.get("status") is None:
            assert status != 207
            assert about
            assert "status" not in part
        else:
            assert type(part["status"]) is int
            assert 200 <= part["status"] < 300


@given(PARTS)
def test_a_result_is_about_one_event_at_the_most(parts: list[Any]) -> None:
    found = [id(part) for part in match(parts, SESSIONS) if isinstance(part, dict)]
    assert len(found) == len(set(found)) or len({id(part) for part in parts}) < len(parts)


@given(st.integers(100, 599), json_values)
def test_any_answer_to_events_is_read(status: int, document: Any) -> None:
    results = read(status, document).results
    assert len(results) == 3
    assert all(result is None or isinstance(result, DeliveryError) for result in results)


# --- The events that a refusal names ------------------------------------------------------------------------------


def problem(**details: Any) -> dict[str, Any]:
    return {"type": f"{URN}validation_error", "detail": "No.", **details}


@pytest.mark.parametrize(
    ("document", "places", "surely"),
    [
        (problem(additional_details={"index": 1}), (1,), False),
        (problem(additional_details={"pointer": "/data/2/vehicle/vehicle_state"}), (2,), True),
        (problem(additional_details={"field": "data[0].vehicle.vehicle_plate"}), (0,), True),
        (problem(instance="#/data/1"), (1,), True),
        (
            problem(additional_details={"errors": [{"path": "data[0].x"}, {"path": "data.2.x"}]}),
            (0, 2),
            True,
        ),
        (problem(additional_details={"session_id": SESSIONS[2], "index": 0}), (2,), True),
        (problem(detail="Session os-K-2-1 was stopped."), (1,), True),
        (problem(detail="Session os-K-2-17 was stopped."), (), False),
        (problem(additional_details={"index": 7}), (), False),
        (problem(additional_details={"index": -1}), (), False),
        (problem(additional_details={"index": True}), (), False),
        (problem(additional_details={"sessions": SESSIONS}), (), False),
        (problem(), (), False),
        (None, (), False),
    ],
    ids=str,
)
def test_a_refusal_of_several_events_may_name_them(
    document: Any, places: tuple[int, ...], surely: bool
) -> None:
    reading = read(400, document)
    assert (reading.named, reading.named_surely) == (places, surely)


@given(
    st.integers(100, 599),
    st.recursive(json_values, lambda deep: st.lists(deep) | st.dictionaries(st.text(), deep)),
)
def test_whatever_is_named_stands_in_the_request_and_is_not_all_of_it(status: int, document: Any) -> None:
    reading = read(status, document)
    assert set(reading.named) < set(range(3))


def test_a_proxys_page_names_no_event_and_is_not_passports() -> None:
    reading = read(404, None, body=b"<html>os-K-1-1</html>")
    assert isinstance(reading.error, Intercepted)
    assert reading.named == ()


def test_a_refusal_says_why() -> None:
    error = read(207, {"data": [named(0, 400, type=f"{URN}odd", detail="No."), named(1), named(2)]}).results[
        0
    ]
    assert isinstance(error, FixRecord)
    assert (error.code, error.sentence) == ("odd", "No.")
