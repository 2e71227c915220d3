"""What an answer means: each status becomes the error that says what to do next, no matter what its body contains."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.errors import (
    INTERCEPTED,
    DeliveryError,
    FixConnection,
    FixRecord,
    Intercepted,
    TooLarge,
    TryLater,
)
from passport.problems import Problem, error_for, read_json, read_problem, remedy_for, retry_after
from tests.passport.test_reading import json_values

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def error(status: int, document: Any = None, header: str | None = None) -> DeliveryError | None:
    return error_for(
        status, document, headers={} if header is None else {"retry-after": header}, now=NOW, trace_id="t"
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_an_acceptance(status: int) -> None:
    assert error(status) is None


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([302, 408, 425, 429, 500, 502, 503, 504, 520, 599], TryLater),
        # Passport names its problems.
        ([400, 402, 404, 405, 409, 410, 418, 422, 451], Intercepted),
        ([413], TooLarge),
        ([401, 403], FixConnection),
    ],
)
def test_each_status_says_what_to_do_next(statuses: list[int], kind: type[DeliveryError]) -> None:
    for status in statuses:
        found = error(status)
        assert type(found) is kind, status
        assert found.sentence
        assert (found.status, found.trace_id) == (status, "t")
        assert found.code == (INTERCEPTED if isinstance(found, Intercepted) else f"http_{status}")


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 418, 422, 451])
def test_a_problem_of_passports_own_is_a_refusal_whatever_its_status(status: int) -> None:
    found = error(status, {"type": "io.passportlabs:error:nobody_knows"})
    assert type(found) is FixRecord
    assert not found.for_good


@pytest.mark.parametrize(
    "document", [None, {}, [], "Bad Request", {"message": "x"}, {"type": "about:blank", "status": 400}]
)
def test_a_refusal_that_is_not_in_passports_form_is_not_passports(document: Any) -> None:
    assert type(error(400, document)) is Intercepted


def test_an_html_page_with_a_403_comes_from_a_firewall_and_stops_no_connection() -> None:
    found = error_for(403, None, headers={}, now=NOW, trace_id="t", is_markup=True)
    assert type(found) is Intercepted


def test_one_result_within_an_answer_comes_from_passport_in_any_form() -> None:
    found = error_for(400, {"status": 400}, headers={}, now=NOW, trace_id="t", is_part=True)
    assert type(found) is FixRecord


@pytest.mark.parametrize(
    ("code", "detail", "for_good"),
    [
        ("validation_error", "vehicle.vehicle_state: must be ISO 3166-2", True),
        ("validation_error", "end_time: must be after start_time", False),
        ("validation_error", "start_time: lies in the past", False),
        ("validation_error", "vehicle_plate: can't be registered so far ahead of its date", False),
        ("validation_error", "space_number: is required in zone Z123, which is by space", False),
        ("zone_not_found", "passport_zone_id: this operator has no zone", False),
        ("session_conflict", "Session os-K-1-1 was started with other content.", False),
        ("validation_error", "", False),
        ("validation_error", "Bad Request", False),
        ("malformed_body", "", False),
        ("nobody_knows", "", False),
    ],
)
def test_only_what_is_about_the_record_itself_is_refused_for_good(
    code: str, detail: str, for_good: bool
) -> None:
    found = error(400, {"type": f"io.passportlabs:error:{code}", "detail": detail})
    assert isinstance(found, FixRecord)
    assert found.for_good is for_good


@pytest.mark.parametrize(
    ("field", "for_good"), [("vehicle_plate", True), ("passport_zone_id", False), ("rate_name", False)]
)
def test_what_a_refusal_is_about_is_read_from_its_field_too(field: str, for_good: bool) -> None:
    problem = {"type": "io.passportlabs:error:validation_error", "title": "Validation error"}
    found = error(400, {**problem, "additional_details": {"field": field, "index": 3}})
    assert isinstance(found, FixRecord)
    assert found.for_good is for_good


def test_a_problem_gives_its_code_its_sentence_and_a_remedy() -> None:
    problem = {
        "type": "io.passportlabs:error:zone_not_found",
        "title": "Zone",
        "detail": " There is\n no zone. ",
    }
    found = error(404, problem)
    assert found is not None
    assert (found.code, found.sentence) == ("zone_not_found", "There is no zone.")
    assert "map" in found.remedy


def test_an_unknown_operator_stops_the_connection_and_not_the_record() -> None:
    found = error(404, {"type": "io.passportlabs:error:operator_not_found"})
    assert isinstance(found, FixConnection)
    assert found.scope == "connection"


def test_a_resource_that_is_barred_concerns_its_operator_alone() -> None:
    # The client asks again with a token fetched just before: the credentials themselves are refused there.
    found = error(401)
    assert isinstance(found, FixConnection)
    assert found.scope == "connection"


@pytest.mark.parametrize("code", ["session_not_found", "session_already_stopped"])
def test_what_is_gone_says_so(code: str) -> None:
    found = error(409, {"type": f"io.passportlabs:error:{code}"})
    assert isinstance(found, FixRecord)
    assert found.gone


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("9" * 40, 10**9),
    ],
    ids=["seconds", "blanks", "none", "date", "past date", "absurd"],
)
def test_retry_after_is_read_in_both_forms(header: str, wait_s: int) -> None:
    assert retry_after({"retry-after": header}, now=NOW) == timedelta(seconds=wait_s)
    found = error(429, None, header)
    assert isinstance(found, TryLater)
    assert found.retry_after == timedelta(seconds=wait_s)


@pytest.mark.parametrize(
    "header",
    [None, "", "soon", "-1", "1.5", "٣", "Sun, 99 Nov 2026", "Mon, 01 Jan 99999 00:00:00 GMT",
     "Mon, 01 Jan 2026 00:00:00 +99999999999999999", "Mon, 01 Jan 2026 00:00:00 -2400", "Mon, 01 Jan 2026", ","],
)  # fmt: skip
def test_a_retry_after_that_cannot_be_read_asks_for_nothing(header: str | None) -> None:
    assert retry_after({} if header is None else {"retry-after": header}, now=NOW) is None


ODD_DATES = st.builds(
    "{}{} {} {} {}:{}:{} {}{}".format,
    st.sampled_from(["", "Mon, ", "Monday, ", ","]), st.integers(0, 99), st.sampled_from(["Jan", "Dec", "13", ""]),
    st.integers(0, 10**6), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99),
    st.sampled_from(["+", "-", "GMT", ""]), st.integers(0, 10**20),
)  # fmt: skip


@given(st.text(max_size=40) | ODD_DATES)
def test_no_retry_after_whatsoever_raises(header: str) -> None:
    wait = retry_after({"retry-after": header}, now=NOW)
    assert wait is None or wait >= timedelta(0)


@given(st.integers(100, 999), json_values | st.fixed_dictionaries({
    "type": json_values | st.text().map("io.passportlabs:error:{}".format), "detail": json_values, "title": json_values,
}))  # fmt: skip
def test_whatever_a_failure_says_it_is_one_of_our_errors(status: int, document: Any) -> None:
    found = error(status, document)
    assert (found is None) == (200 <= status < 300)
    if found is not None:
        assert found.sentence.isprintable()
        assert found.sentence.strip()
        assert len(found.sentence) <= 300
        assert len(found.code) <= 120
        assert found.code.isascii()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1', b"\xff\xfe", b"[" * 100_000, b"NaN", b"1e999"])
def test_a_body_that_is_no_json_is_no_document(body: bytes) -> None:
    assert read_json(body) is None


def test_nul_is_removed_anywhere() -> None:
    assert read_json(b'{"a\\u0000": ["\\u0000b", {"c": "\\\\u0000"}]}') == {"a": ["b", {"c": "\\u0000"}]}


@pytest.mark.parametrize("levels", [10, 500, 1000])
def test_nul_is_removed_at_any_depth(levels: int) -> None:
    lists = b"[" * levels + b'"a\\u0000"' + b"]" * levels
    objects = b'{"\\u0000k":' * levels + b'"a\\u0000"' + b"}" * levels
    for body, step in ((lists, 0), (objects, "k")):
        value = read_json(body)
        for _ in range(levels):
            value = value[step]
        assert value == "a"


@given(json_values)
def test_any_document_is_read_as_some_problem(document: Any) -> None:
    assert read_problem(document).detail.isprintable()


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("space_number: zone SP-01 has no space 50", "Space number: zone SP-01 has no space 50"),
        ("Event 3 of 3: space_number: no space 50", "Event 3 of 3: space number: no space 50"),
        ("There is no zone: Z123", "There is no zone: Z123"),
        ("zone_id", "zone_id"),
    ],
)
def test_the_name_of_a_field_before_a_problem_is_put_in_words(detail: str, said: str) -> None:
    assert read_problem({"type": "io.passportlabs:error:x", "detail": detail}).detail == said


@pytest.mark.parametrize(
    ("code", "detail", "expected"),
    [
        ("zone_not_found", "", "Refresh the zones and map the location again."),
        (
            "validation_error",
            "space_number: zone SP-01 has no space 50",
            "Enter a space number that exists in the zone.",
        ),
        (
            "validation_error",
            "vehicle_state is not ISO 3166-2",
            "Fix the state or province of the plate.",
        ),
        ("validation_error", "end_time must be later than start_time", "Fix the permit's start and end."),
        ("teapot", "short and stout", ""),
    ],
)
def test_a_refusal_says_what_a_person_can_do(code: str, detail: str, expected: str) -> None:
    assert remedy_for(Problem(code, detail)) == expected


@pytest.mark.parametrize("off_s", [-86_400, -1, 0, 1, 86_400])
def test_a_date_to_wait_for_is_read_by_the_clock_of_who_answers(off_s: int) -> None:
    headers = {"retry-after": "Sun, 22 Nov 2026 17:01:30 GMT", "date": "Sun, 22 Nov 2026 17:00:00 GMT"}
    assert retry_after(headers, now=NOW + timedelta(seconds=off_s)) == timedelta(seconds=90)
    # Without a readable one of its own there is only our clock.
    for date in ({}, {"date": "soon"}):
        found = retry_after({"retry-after": headers["retry-after"], **date}, now=NOW)
        assert found == retry_after({"retry-after": headers["retry-after"]}, now=NOW)
