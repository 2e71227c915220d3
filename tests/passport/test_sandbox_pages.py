"""The officer's page and the page of faults: what they say, and that nothing typed is printed as HTML."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from tests.passport.sandbox_partner import LAKESHORE, LOT_B, NOON, UNIVERSITY, Partner, Response, stamp

NASTY = "\"><script>alert('x')</script>"


def post(partner: Partner, to: str, /, **fields: str) -> Response:
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    return partner.call("POST", to, body=urlencode(fields).encode(), headers=headers)


def look_up(partner: Partner, plate: str, zone: str = "", operator: str = UNIVERSITY) -> str:
    return post(partner, "/", plate=plate, zone=zone, operator=operator).body.decode()


def test_a_valid_plate_shows_its_right(partner: Partner) -> None:
    partner.start("session-42")
    page = look_up(partner, "abc 1-23")
    assert "Valid session" in page
    assert "valid now" in page
    for text in ("ABC 1-23", "US-NC", "Z123", "North Campus Garage", "session-42"):
        assert text in page
    assert "22 Nov 2026, 12:00 UTC" in page
    assert "22 Nov 2026, 20:00 UTC" in page


@pytest.mark.parametrize("plate", ["NOBODY", "ABC124", "A8C123"])
def test_an_unknown_plate_has_no_valid_session(partner: Partner, plate: str) -> None:
    partner.start()
    page = look_up(partner, plate)
    assert "No valid session" in page
    assert "valid now" not in page


def test_a_right_that_begins_later_is_said_to_be_not_valid_yet(partner: Partner) -> None:
    day = timedelta(days=1)
    partner.start(start_time=stamp(NOON + day), end_time=stamp(NOON + 2 * day))
    page = look_up(partner, "ABC123")
    assert "No valid session" in page
    assert "starts <time" in page
    assert "23 Nov 2026, 12:00 UTC" in page
    assert "not valid yet" in page


def test_an_ended_or_stopped_right_is_not_valid(partner: Partner) -> None:
    partner.start()
    partner.advance(60)
    partner.stop()
    assert "No valid session" in look_up(partner, "ABC123")


def test_a_right_in_another_zone_is_distinguished(partner: Partner) -> None:
    partner.start(passport_zone_id=LOT_B)
    page = look_up(partner, "ABC123", zone="Z123")
    assert "No valid session in zone Z123" in page
    assert "In another zone" in page
    assert "Valid session in zone LotB" in look_up(partner, "ABC123", zone="LotB")
    assert "No valid session" in look_up(partner, "ABC123", operator=LAKESHORE)


def test_zone_numbers_count_letter_for_letter(partner: Partner) -> None:
    page = look_up(partner, "ABC123", zone="lotb")
    assert "no zone lotb" in page
    assert "LotB and LOTB" in page


@pytest.mark.parametrize(
    "fields",
    [
        {"plate": "", "operator": UNIVERSITY},
        {"plate": " -. ", "operator": UNIVERSITY},
        {"plate": "X" * 21, "operator": UNIVERSITY},
        {"plate": "ABC123", "operator": "none"},
        {"plate": "ABC123"},
        {},
    ],
)
def test_a_form_that_makes_no_sense_says_why(partner: Partner, fields: dict[str, str]) -> None:
    response = post(partner, "/", **fields)
    assert response.status == 400
    assert 'role="alert"' in response.body.decode()


def test_nothing_typed_gets_out_as_html(partner: Partner) -> None:
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"name": NASTY})
    partner.control("PATCH", f"operators/{UNIVERSITY}/zones/{LOT_B}", {"name": NASTY, "number": NASTY})
    partner.start("<i>s</i>", passport_zone_id=LOT_B, space_number=NASTY)
    pages = [
        look_up(partner, "ABC123"),
        look_up(partner, NASTY[:20]),
        look_up(partner, "ABC123", zone=NASTY),
        look_up(partner, "ABC123", zone="<b>"),
        post(partner, "/faults", do="add", kind=NASTY, times=NASTY).body.decode(),
        post(partner, "/faults", do="add", kind="429", times=NASTY).body.decode(),
        partner.call("GET", "/faults").body.decode(),
    ]
    for page in pages:
        for tag in ("<script", "<i>", "<b>"):
            assert tag not in page


def test_pages_bring_a_strict_policy_and_no_inline_code(partner: Partner) -> None:
    partner.start()
    partner.fault("429")
    for response in (
        partner.call("GET", "/"),
        partner.call("GET", "/faults"),
        post(partner, "/", plate="ABC123", operator=UNIVERSITY),
    ):
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        page = response.body.decode()
        assert "<script" not in page
        assert "style=" not in page
        assert "<style" not in page
    css = partner.call("GET", "/static/sandbox.css")
    assert css.content_type.startswith("text/css")
    assert b"prefers-color-scheme" in css.body


def test_a_form_from_another_site_is_refused(partner: Partner) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert partner.call("POST", "/", body=b"plate=A", headers=headers).status == 403
    assert partner.call("POST", "/faults", body=b"do=add&kind=5xx", headers=headers).status == 403
    assert partner.control("GET", "faults")["data"] == []


def test_faults_are_switched_on_and_off_by_hand(partner: Partner) -> None:
    assert "No faults are switched on" in partner.call("GET", "/faults").body.decode()
    response = post(
        partner,
        "/faults",
        do="add",
        kind="429",
        path="events",
        operator_id=UNIVERSITY,
        times="3",
        probability="50",
        delay_s="",
        status="",
        retry_after_s="7",
    )
    assert (response.status, response.headers["Location"]) == (303, "/faults")
    (fault,) = partner.control("GET", "faults")["data"]
    assert (fault["times"], fault["probability"], fault["retry_after_s"]) == (3, 0.5, 7)
    page = partner.call("GET", "/faults").body.decode()
    for text in (
        "429: too many requests",
        "events",
        "University",
        "50% of requests",
        "3 more",
        "met 0 times",
    ):
        assert text in page
    post(partner, "/faults", do="clear", id=str(fault["id"]))
    assert partner.control("GET", "faults")["data"] == []


def test_all_faults_are_switched_off_together(partner: Partner) -> None:
    partner.fault("429")
    partner.fault("delay")
    post(partner, "/faults", do="clear")
    assert partner.control("GET", "faults")["data"] == []


def test_an_operators_authorisation_is_withdrawn_and_given_by_hand(partner: Partner) -> None:
    post(partner, "/faults", do="withdraw", operator=UNIVERSITY)
    assert partner.zones().status == 403
    assert "not authorised" in partner.call("GET", "/faults").body.decode()
    post(partner, "/faults", do="authorise", operator=UNIVERSITY)
    assert partner.zones().status == 200
    post(partner, "/faults", do="expire")
    assert partner.zones().status == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"do": "add", "kind": "nothing"},
        {"do": "add", "kind": "429", "times": "many"},
        {"do": "add", "kind": "429", "probability": "200"},
        {"do": "add", "kind": "429", "probability": "nan"},
        {"do": "clear", "id": "x"},
        {"do": "withdraw", "operator": "none"},
        {"do": "dance"},
        {},
    ],
)
def test_a_wrong_form_on_the_page_of_faults_says_why(partner: Partner, fields: dict[str, str]) -> None:
    response = post(partner, "/faults", **fields)
    assert response.status == 400
    assert 'role="alert"' in response.body.decode()


def test_pages_take_get_and_post_alone(partner: Partner) -> None:
    assert partner.call("DELETE", "/").status == 405
    assert partner.call("POST", "/static/sandbox.css").status == 405
    assert partner.call("HEAD", "/").status == 200
