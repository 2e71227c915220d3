"""The control API: what it changes, reports and refuses."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.passport.sandbox_partner import LOT_B, NOON, NORTH_CAMPUS, UNIVERSITY, Partner, code, stamp

NEW = "11111111-1111-4111-8111-111111111111"


def numbers(partner: Partner, operator_id: str = UNIVERSITY) -> set[str]:
    return {zone["number"] for zone in json.loads(partner.zones(operator_id).body)["data"]}


def test_it_says_that_it_is_well(partner: Partner) -> None:
    assert partner.control("GET", "health") == {"status": "ok"}


def test_faults_are_added_listed_and_cleared(partner: Partner) -> None:
    first = partner.fault("429", times=3, operator_id=UNIVERSITY)
    second = partner.fault("delay", delay_s=0.2, path="events", probability=0.5, seed=7)
    assert partner.control("GET", "faults")["data"] == [first, second]
    assert first["times"] == 3
    assert second["seed"] == 7
    assert partner.control("DELETE", f"faults/{first['id']}") == {"cleared": 1}
    partner.control("DELETE", f"faults/{first['id']}", expect=404)
    assert partner.control("DELETE", "faults") == {"cleared": 1}
    assert partner.control("GET", "faults")["data"] == []


def test_a_wrong_fault_is_refused_with_a_reason(partner: Partner) -> None:
    assert "kind must be one of" in partner.control("POST", "faults", {"kind": "x"}, expect=400)["error"]


def test_zones_are_added_renamed_changed_and_taken_away(partner: Partner) -> None:
    zones = f"operators/{UNIVERSITY}/zones"
    partner.control("POST", zones, {"id": NEW, "number": "N1", "name": "New"}, expect=201)
    assert "N1" in numbers(partner)
    partner.control("PATCH", f"{zones}/{NEW}", {"number": "n1", "color": "blue"})
    (zone,) = [z for z in partner.control("GET", zones)["data"] if z["id"] == NEW]
    assert (zone["number"], zone["name"], zone["color"]) == ("n1", "New", "blue")
    assert partner.control("DELETE", f"{zones}/{NEW.upper()}") == {"gone": NEW}
    assert "n1" not in numbers(partner)
    partner.control("PATCH", f"{zones}/{NEW}", {})
    assert "n1" in numbers(partner), "a change brings a zone back"


@pytest.mark.parametrize(
    "zone", [{}, {"id": "x", "number": "1", "name": "n"}, {"id": NEW, "number": 1, "name": "n"}]
)
def test_a_zone_that_is_no_zone_is_refused(partner: Partner, zone: dict[str, Any]) -> None:
    partner.control("POST", f"operators/{UNIVERSITY}/zones", zone, expect=400)
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"zones": [zone]}, expect=400)
    assert len(numbers(partner)) == 10


def test_all_zones_of_an_operator_can_be_replaced(partner: Partner) -> None:
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"zones": []})
    assert numbers(partner) == set()


def test_an_operator_is_added_with_its_zones(partner: Partner) -> None:
    zone = {"id": LOT_B, "number": "A", "name": "A lot"}
    operator = {"operator_id": NEW, "name": "New City", "zones": [zone], "authorised": False}
    partner.control("POST", "operators", operator, expect=201)
    assert partner.zones(NEW).status == 403
    partner.control("PATCH", f"operators/{NEW}", {"authorised": True, "name": "Newer City"})
    assert numbers(partner, NEW) == {"A"}
    names = [operator["name"] for operator in partner.control("GET", "operators")["data"]]
    assert names[-1] == "Newer City"


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("GET", "nothing", None, 404),
        ("PUT", "faults", {}, 404),
        ("POST", "settings", {}, 404),
        ("PATCH", "settings", {"max_events": 0}, 400),
        ("PATCH", "settings", {"max_events": True}, 400),
        ("PATCH", "settings", {"answer_mode": "maybe"}, 400),
        ("PATCH", "settings", {"answer_mode": []}, 400),
        ("PATCH", "settings", {"token_type": "yes"}, 400),
        ("PATCH", "settings", {"unknown": 1}, 400),
        ("PATCH", f"operators/{NEW}", {"authorised": True}, 404),
        ("PATCH", f"operators/{UNIVERSITY}", {"colour": "red"}, 400),
        ("POST", "operators", {"name": "no id"}, 400),
        ("POST", "operators", {"operator_id": "no uuid"}, 400),
        ("DELETE", f"operators/{UNIVERSITY}/zones/{NEW}", None, 404),
        ("PATCH", f"operators/{UNIVERSITY}/zones/{NEW}", {}, 404),
        ("PATCH", "sessions/none", {}, 404),
        ("POST", "rights", {}, 400),
        ("POST", "clock", {"offset_s": "soon"}, 400),
        ("POST", "clock", {"offset_s": 1e300}, 400),
        ("POST", "clock", {}, 400),
        ("GET", "requests?limit=many", None, 400),
        ("POST", "faults", [1], 400),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    partner: Partner, method: str, path: str, document: Any, status: int
) -> None:
    assert partner.control(method, path, document, expect=status)["error"]
    assert partner.zones().status == 200


def test_a_body_that_is_no_json_is_refused(partner: Partner) -> None:
    response = partner.call("POST", "/sandbox/faults", body=b"kind=429")
    assert response.status == 400


def test_a_page_of_another_site_may_not_steer(partner: Partner) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert partner.call("POST", "/sandbox/reset", headers=headers).status == 403
    assert partner.call("GET", "/sandbox/health", headers=headers).status == 200


def test_the_state_counts_what_happened(partner: Partner) -> None:
    partner.start()
    partner.start(end_time=stamp(NOON + timedelta(hours=1)))
    partner.fault("5xx", times=1)
    partner.zones()
    state = partner.control("GET", "state")
    assert state["requests"] == {
        "events": {"202": 1, "409": 1},
        "token": {"200": 1},
        "zones": {"503": 1},
    }
    assert state["token_requests"] == 1
    assert state["faults_met"] == {"5xx": 1}
    assert (state["sessions"], state["rights"], state["doubled_rights"]) == (1, 1, 0)
    assert state["operators"][0]["rights"] == 1


def test_the_last_requests_are_kept_with_their_trace_ids(partner: Partner) -> None:
    partner.zones()
    partner.fault("drop", times=1)
    partner.start()
    requests = partner.control("GET", "requests?limit=2")["data"]
    assert [request["path"] for request in requests] == ["/v3/shared/zones", "/v3/shared/events"]
    assert requests[0]["trace_id"] == "trace-2"
    assert [request["status"] for request in requests] == [200, 0]
    assert requests[1]["faults"] == [1]


def test_a_sessions_log_lists_each_event(partner: Partner) -> None:
    partner.start()
    partner.advance(1)
    partner.stop()
    (session,) = partner.control("GET", "sessions?plate=abc-123")["data"]
    assert [(entry["type"], entry["outcome"]) for entry in session["events"]] == [
        ("started", "created"),
        ("stopped", "stopped"),
    ]
    assert session["stopped"] is True
    assert partner.control("GET", f"sessions?operator_id={NEW}")["data"] == []


def test_a_sessions_log_is_bounded_and_can_be_left_out(partner: Partner) -> None:
    partner.control("PATCH", "settings", {"event_log_size": 2})
    for _ in range(4):
        partner.start(occurred_at="2026-11-22T12:00:00.000Z")
    assert len(partner.control("GET", "sessions?session_id=s-1")["data"][0]["events"]) == 2
    partner.control("PATCH", "settings", {"event_log_size": 0})
    partner.start("s-2")
    assert partner.control("GET", "sessions?session_id=s-2")["data"][0]["events"] == []


def test_rights_can_be_read_without_a_token(partner: Partner) -> None:
    partner.start()
    partner.token = None
    assert len(partner.control("GET", "rights")["data"]) == 1
    assert len(partner.control("GET", f"rights?operator_id={UNIVERSITY.upper()}")["data"]) == 1
    assert partner.control("GET", f"rights?operator_id={NEW}")["data"] == []


def test_drift_changes_or_loses_a_right_behind_our_back(partner: Partner) -> None:
    partner.start()
    end = stamp(NOON + timedelta(hours=2))
    partner.control("PATCH", "sessions/s-1", {"end_time": end, "zone_id": LOT_B})
    assert [(r["end_time"], r["zone_id"]) for r in partner.rights()] == [(end, LOT_B)]
    partner.control("PATCH", "sessions/s-1", {"stopped": True})
    assert partner.rights() == []
    partner.control("PATCH", "sessions/s-1", {"plate": "X"}, expect=400)
    partner.control("DELETE", "sessions/s-1")
    partner.advance(1)
    assert code(partner.stop()) == "session_not_found"


def test_a_foreign_right_needs_an_id_of_its_own(partner: Partner) -> None:
    partner.start()
    right = {
        "operator_id": UNIVERSITY,
        "zone_id": NORTH_CAMPUS,
        "start_time": stamp(NOON),
        "end_time": stamp(NOON + timedelta(hours=1)),
        "vehicle": {"vehicle_plate": "DRIVER1"},
    }
    partner.control("POST", "rights", {**right, "session_id": "s-1"}, expect=400)
    partner.control("POST", "rights", right, expect=201)
    partner.control("POST", "rights", {**right, "start_time": "now"}, expect=400)


def test_the_clock_can_be_moved(partner: Partner) -> None:
    partner.start()
    partner.control("POST", "clock", {"offset_s": 9 * 3600})
    assert partner.rights() == []
    assert partner.zones().headers["Date"] == "Sun, 22 Nov 2026 21:00:00 GMT"
    partner.control("POST", "clock", {"offset_s": 0})
    assert len(partner.rights()) == 1


def test_reset_starts_over(partner: Partner) -> None:
    partner.start()
    partner.fault("5xx")
    partner.control("PATCH", "settings", {"answer_mode": "multi_status"})
    partner.control("DELETE", f"operators/{UNIVERSITY}/zones/{LOT_B}")
    partner.control("POST", "clock", {"offset_s": 60})
    partner.control("POST", "reset")
    state = partner.control("GET", "state")
    assert (state["sessions"], state["faults"], state["tokens"], state["requests"]) == (0, [], 0, {})
    assert state["settings"]["answer_mode"] == "whole"
    assert state["clock_offset_s"] == 0
    assert partner.zones().status == 401
    assert len(numbers(partner.log_in())) == 10
