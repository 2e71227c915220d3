"""Tokens, authorisation, zones: what comes before any event."""

import json
from datetime import datetime
from urllib.parse import urlencode

import pytest

from passport.sandbox.api import EVENTS_PATH, RIGHTS_PATH, TOKEN_PATH, ZONES_PATH
from tests.passport.sandbox_partner import CREDENTIALS, LAKESHORE, UNIVERSITY, Partner, code, field

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def partner() -> Partner:
    return Partner()


def test_a_token_is_issued_for_json_and_for_a_form(partner: Partner) -> None:
    for response in (
        partner.call("POST", TOKEN_PATH, document=CREDENTIALS),
        partner.call("POST", TOKEN_PATH, body=urlencode(CREDENTIALS).encode(), headers=FORM),
    ):
        answer = json.loads(response.body)
        assert response.status == 200
        assert answer["expires_in"] == 86_400
        assert " " in answer["scope"]
        assert "token_type" not in answer
        partner.token = answer["access_token"]
        assert partner.zones().status == 200


@pytest.mark.parametrize(
    ("lifetime_as", "present"),
    [("expires_in", {"expires_in"}), ("expires_at", {"expires_at"}), ("both", {"expires_in", "expires_at"})],
)
def test_the_life_time_is_given_as_the_setting_says(
    partner: Partner, lifetime_as: str, present: set[str]
) -> None:
    partner.control("PATCH", "settings", {"token_lifetime_as": lifetime_as, "token_lifetime_s": 60})
    answer = json.loads(partner.call("POST", TOKEN_PATH, document=CREDENTIALS).body)
    assert answer.keys() & {"expires_in", "expires_at"} == present
    if "expires_at" in answer:
        assert (datetime.fromisoformat(answer["expires_at"]) - partner.now).total_seconds() == 60


@pytest.mark.parametrize(
    ("changes", "status", "expected"),
    [
        ({"client_id": "someone"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"audience": "elsewhere"}, 400, "invalid_audience"),
        ({"audience": ""}, 400, "validation_error"),
        ({"client_id": 7}, 400, "validation_error"),
    ],
)
def test_a_wrong_token_request_is_refused(
    partner: Partner, changes: dict[str, object], status: int, expected: str
) -> None:
    response = partner.call("POST", TOKEN_PATH, document={**CREDENTIALS, **changes})
    assert (response.status, code(response)) == (status, expected)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
        (b"no form at all", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (b"[" * 100_000, "application/json"),
    ],
)
def test_a_token_request_that_cannot_be_read_is_refused(partner: Partner, body: bytes, kind: str) -> None:
    response = partner.call("POST", TOKEN_PATH, body=body, headers={"content-type": kind})
    assert (response.status, code(response)) == (400, "malformed_body")


@pytest.mark.parametrize("path", [ZONES_PATH, RIGHTS_PATH, EVENTS_PATH])
@pytest.mark.parametrize("authorization", [None, "", "Bearer nonsense", "Basic abc", "Bearer", "nonsense"])
def test_nothing_is_answered_without_a_good_token(
    partner: Partner, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    method = "POST" if path == EVENTS_PATH else "GET"
    response = partner.call(method, path, f"operator_id={UNIVERSITY}", headers=headers)
    assert (response.status, code(response)) == (401, "unauthorized")


def test_a_token_ends_after_its_life_time(partner: Partner) -> None:
    partner.control("PATCH", "settings", {"token_lifetime_s": 60})
    partner.log_in()
    partner.advance(59)
    assert partner.zones().status == 200
    partner.advance(1)
    assert partner.zones().status == 401
    assert partner.control("GET", "state")["breaches"]["stale_token"] == 1


def test_all_tokens_can_be_expired(partner: Partner) -> None:
    partner.log_in()
    assert partner.control("POST", "tokens/expire") == {"expired": 1}
    assert partner.zones().status == 401


def test_zones_come_wrapped_with_every_field_of_the_file(partner: Partner) -> None:
    zones = json.loads(partner.log_in().zones().body)["data"]
    assert len(zones) == 10
    assert {"Z123", "z123", "LotB", "LOTB"} <= {zone["number"] for zone in zones}
    assert all(zone["operator_id"] == UNIVERSITY for zone in zones)
    assert zones[0].keys() >= {"id", "number", "name", "session_type", "settings", "geography", "legacy_id"}


@pytest.mark.parametrize(
    "query", ["", "operator_id=", "operator_id=Z123", "operator_id=%FF", f"operator_id={UNIVERSITY.upper()}"]
)
def test_zones_need_an_operator_id_in_lower_case(partner: Partner, query: str) -> None:
    response = partner.log_in().call("GET", ZONES_PATH, query)
    assert response.status == 400
    assert code(response) == "validation_error"


def test_a_repeated_parameter_is_refused(partner: Partner) -> None:
    response = partner.log_in().call("GET", ZONES_PATH, f"operator_id={UNIVERSITY}&operator_id={LAKESHORE}")
    assert response.status == 400


@pytest.mark.parametrize("path", [ZONES_PATH, RIGHTS_PATH])
def test_an_unknown_parameter_is_refused(partner: Partner, path: str) -> None:
    response = partner.log_in().call("GET", path, f"operator_id={UNIVERSITY}&colour=red")
    assert (response.status, code(response)) == (400, "validation_error")


def test_an_unknown_operator_is_404_and_an_unauthorised_one_403(partner: Partner) -> None:
    partner.log_in()
    unknown = partner.zones("00000000-0000-4000-8000-000000000000")
    assert (unknown.status, code(unknown)) == (404, "operator_not_found")
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"authorised": False})
    for response in (partner.zones(), partner.start()):
        assert (response.status, code(response)) == (403, "operator_not_authorized")
    assert partner.zones(LAKESHORE).status == 200
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"authorised": True})
    assert partner.zones().status == 200


def test_unknown_paths_and_wrong_methods_are_reported(partner: Partner) -> None:
    assert code(partner.call("GET", "/v3/shared/nothing")) == "not_found"
    response = partner.call("DELETE", ZONES_PATH)
    assert response.status == 405
    assert response.headers["Allow"] == "GET"


def test_zones_come_in_pages_with_a_link_in_the_body(partner: Partner) -> None:
    partner.log_in().control("PATCH", "settings", {"page_size": 4})
    seen: list[str] = []
    path, query = ZONES_PATH, f"operator_id={UNIVERSITY}"
    for _ in range(3):
        page = json.loads(partner.call("GET", path, query).body)
        seen += [zone["id"] for zone in page["data"]]
        path, _, query = page.get("next", "").partition("?")
    assert not path
    assert len(set(seen)) == 10


def test_zones_come_in_pages_with_a_link_header(partner: Partner) -> None:
    partner.log_in().control("PATCH", "settings", {"page_size": 9, "page_link": "header"})
    first = partner.call(
        "GET", ZONES_PATH, f"operator_id={UNIVERSITY}", headers={"host": "passport.test:8765"}
    )
    assert first.headers["Link"] == (
        f'<http://passport.test:8765{ZONES_PATH}?operator_id={UNIVERSITY}&page=2>; rel="next"'
    )
    second = partner.call("GET", ZONES_PATH, f"operator_id={UNIVERSITY}&page=2")
    assert len(json.loads(second.body)["data"]) == 1
    assert "Link" not in second.headers
    assert field(partner.call("GET", ZONES_PATH, f"operator_id={UNIVERSITY}&page=0")) == "page"
